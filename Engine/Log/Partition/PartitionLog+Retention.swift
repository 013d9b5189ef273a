import Synchronization
import TallyFiles
package import TallyRecords

/// Segments that left the log and whose files are still there, under names that end in `.deleted`.
struct RetiredSegment: Sendable {
    var segment: Segment
    /// When its files may go.
    var dueAt: ContinuousClock.Instant
    /// Whether the files have those names. Asked for once only: later another segment may have
    /// the names that they had.
    var isNamed = true

    /// Gives the files their last names, where they do not have them yet.
    mutating func name() throws(LogError) {
        guard !isNamed else { return }
        try segment.markDeleted()
        isNamed = true
    }
}

/// What a log let go of.
package struct RetentionReport: Hashable, Sendable {
    /// Segments that left the log.
    package var segmentCount = 0
    /// Bytes of their `.log` files.
    package var byteCount = 0
    /// The first offset that can be read now.
    package var logStart: Offset
}

/// What left a log, or is about to.
struct Retired: Sendable {
    var segments: [RetiredSegment] = []
    /// Cleaned segments that are being put in the place of others.
    var swap: PendingSwap?
    /// The least offset that the log was truncated to since a cleaning began.
    var truncatedTo: Offset?

    /// Removes the files of a segment that left the log, so that another one which began at the
    /// same offset may have their names. What readers have mapped stays readable for them.
    mutating func forget(_ baseOffset: Offset) {
        segments.removeAll { retired in
            guard retired.isNamed, retired.segment.baseOffset == baseOffset else { return false }
            _ = retired.segment.removeDeletedFiles()
            return true
        }
    }
}

extension PartitionLog {
    // MARK: The log start

    /// Lets go of all records before an offset. Readers get ``LogError/offsetOutOfRange(_:)`` for
    /// them from now on; the files of whole segments follow with the next retention.
    ///
    /// - Parameter offset: at most the high watermark. A smaller one than the log start changes
    ///   nothing.
    /// Returns the log start, which counts for good once it is in the checkpoint.
    /// Throws ``LogError/offsetOutOfRange(_:)``.
    package func deleteRecords(before offset: Offset) throws(LogError) -> Offset {
        guard offset <= highWatermark, offset >= .zero else {
            throw outOfRange(offset)
        }
        advanceLogStart(to: offset)
        return logStart
    }

    // MARK: Retention

    /// Retires segments from the front of the log: those before the log start, and, where
    /// `cleanup.policy` has `delete`, those that are older than `retention.ms` or beyond
    /// `retention.bytes`. Only what lies below the high watermark goes. The active segment is
    /// rolled first when all of the log is due.
    ///
    /// - Parameter now: what timestamps are compared with.
    /// Blocks. Throws ``LogError/file(_:)`` and ``LogError/corruption(_:)``; what was retired
    /// before stays retired.
    package func enforceRetention(now: Timestamp) throws(LogError) -> RetentionReport {
        var due = try dueSegments(now)
        if due.isAll {
            try roll()
            // Looked at again: what was active may have taken new records until it was rolled.
            due = try dueSegments(now)
        }
        guard !due.sealed.isEmpty else { return RetentionReport(logStart: logStart) }
        // Syncs too: nothing waits to be sealed in what is retired.
        try storeProducers()
        let report = try retire(due.sealed)
        if report.segmentCount > 0 { environment.report(.retired(partition: name, report)) }
        return report
    }

    /// The segments at the front that are due and take no more records, and whether the active
    /// one is due too.
    private func dueSegments(
        _ now: Timestamp
    ) throws(LogError) -> (sealed: [Segment], isAll: Bool) {
        // The end first: what lies before it is in the segments.
        let (logEnd, highWatermark, logStart) = (logEnd, highWatermark, logStart)
        let segments = segments
        var excess = excessByteCount(segments)
        var sealed: [Segment] = []
        for (index, segment) in segments.enumerated() {
            let isActive = index == segments.count - 1
            let next = isActive ? logEnd : segments[index + 1].baseOffset
            guard next <= highWatermark, !isActive || segment.byteCount > 0 else { break }
            let isExcess = excess >= segment.byteCount && segment.byteCount > 0
            var isDue = next <= logStart || isExcess
            if !isDue { isDue = try isExpired(segment, now) }
            guard isDue else { break }
            if isActive { return (sealed, true) }
            if isExcess { excess -= segment.byteCount }
            sealed.append(segment)
        }
        return (sealed, false)
    }

    /// Bytes beyond `retention.bytes`.
    private func excessByteCount(_ segments: [Segment]) -> Int {
        guard configuration.isDeleting, let limit = configuration.retentionBytes else { return 0 }
        return segments.reduce(0) { $0 + $1.byteCount } - limit
    }

    private func isExpired(_ segment: Segment, _ now: Timestamp) throws(LogError) -> Bool {
        guard configuration.isDeleting, let limit = configuration.retentionMilliseconds,
            let largest = try segment.largestTimestamp()
        else { return false }
        let age = now.rawValue.subtractingReportingOverflow(largest.rawValue)
        return age.overflow ? now > largest : age.partialValue > limit
    }

    // MARK: Retiring

    /// Takes these segments from the front of the log: readers first, then the names of the files.
    private func retire(_ due: [Segment]) throws(LogError) -> RetentionReport {
        try retiring.withLock { (retired: inout Retired) throws(LogError) in
            try retire(due, &retired)
        }
    }

    private func retire(
        _ due: [Segment], _ retired: inout Retired
    ) throws(LogError) -> RetentionReport {
        try writer.withLock { writer throws(LogError) in try checkOpen(writer) }
        try finishSwap(&retired)
        // A name that could not be given before is given first, or there would be a hole.
        for index in retired.segments.indices { try retired.segments[index].name() }
        let list = segments
        // Only what is still there: another retention may have come first, or a truncation.
        let gone = zip(list.dropLast(), due).prefix { $0 === $1 }.map(\.0)
        guard !gone.isEmpty else { return RetentionReport(logStart: logStart) }
        // Before the files: who reads them from now on is told that they are gone.
        advanceLogStart(to: list[gone.count].baseOffset)
        removeSegments(gone.count)
        forgetUnsealed(gone)
        let delay = Duration.milliseconds(configuration.fileDeleteDelayMilliseconds)
        let dueAt = ContinuousClock.now + delay
        // Oldest first: after a crash in between what is left has no hole.
        for segment in gone {
            retired.forget(segment.baseOffset)
            retired.segments.append(
                RetiredSegment(segment: segment, dueAt: dueAt, isNamed: false))
            try retired.segments[retired.segments.count - 1].name()
        }
        do {
            try environment.fileSystem.syncDirectory(directory)
        } catch {
            throw .file(error)
        }
        return RetentionReport(
            segmentCount: gone.count, byteCount: gone.reduce(0) { $0 + $1.byteCount },
            logStart: logStart)
    }

    /// Segments that wait for space to be sealed, and are no more the log's, need not be.
    private func forgetUnsealed(_ gone: [Segment]) {
        let gone = Set(gone.map { ObjectIdentifier($0) })
        // Nobody is sealing them meanwhile.
        syncing.withLock { _ in
            writer.withLock { writer in
                writer.unsealed.removeAll { gone.contains(ObjectIdentifier($0)) }
            }
        }
    }

    /// Bytes of retired segments whose files are gone and that readers still hold.
    package var unlinkedByteCount: Int { environment.maps.unlinkedByteCount }

    /// Whether retired files wait for their end. Cheap.
    package var hasRetiredFiles: Bool {
        retiring.withLockIfAvailable { !$0.segments.isEmpty || $0.swap != nil } ?? false
    }

    /// Removes the files of retired segments whose `file.delete.delay.ms` is over. What readers
    /// have mapped stays readable for them.
    ///
    /// - Parameter now: nil removes all of them.
    package func removeRetiredFiles(now: ContinuousClock.Instant?) {
        retiring.withLock { retired in
            if now != nil { try? finishSwap(&retired) }
            for index in retired.segments.indices { try? retired.segments[index].name() }
            retired.segments.removeAll { retired in
                if let now, retired.dueAt > now { return false }
                return retired.isNamed && retired.segment.removeDeletedFiles()
            }
        }
    }
}

extension Segment {
    /// The largest timestamp of its records; nil where none has one.
    func largestTimestamp() throws(LogError) -> Timestamp? {
        try withIndexes(checkingTimes: true) { indexes in
            indexes.rule?.maxTimestamp ?? indexes.times.last?.timestamp
        }
    }

    private static let deletedEnding = ".deleted"

    /// The files of a segment beside those that the descriptor pool knows.
    private var otherPaths: [String] {
        [SegmentName.Ending.transactionIndex, .producerSnapshot].map { ending in
            joinPath(directory, SegmentName.file(baseOffset, ending))
        }
    }

    /// Gives the files their last names: the next opening would remove them.
    func markDeleted() throws(LogError) {
        do {
            // The log goes first: without it the others mean nothing.
            for file in [logFile, offsetIndexFile, timeIndexFile] {
                let path = file.path
                guard !path.hasSuffix(Self.deletedEnding),
                    try environment.fileSystem.information(path) != nil
                else { continue }
                try file.rename(to: path + Self.deletedEnding)
            }
            for path in otherPaths where try environment.fileSystem.information(path) != nil {
                try environment.fileSystem.remove(path)
            }
        } catch {
            throw .file(error)
        }
    }

    /// Removes the files; false where that has to be tried again.
    func removeDeletedFiles() -> Bool {
        do {
            for file in [logFile, offsetIndexFile, timeIndexFile] {
                let path = file.path
                guard path.hasSuffix(Self.deletedEnding),
                    try environment.fileSystem.information(path) != nil
                else { continue }
                try environment.fileSystem.remove(path)
            }
        } catch {
            return false
        }
        noteGone()
        return true
    }

    /// Its files are gone, or another's have their names. What readers have mapped stays readable
    /// for them, and counts until they let go.
    func noteGone() {
        if let map = mappedLog { environment.maps.noteUnlinked(map, byteCount: byteCount) }
        abandonFiles()
        environment.maps.remove([self])
    }
}
