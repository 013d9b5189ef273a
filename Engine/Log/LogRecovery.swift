import TallyFiles
import TallyRecords

/// Recovery of a log that was not closed in order.
///
/// The kernel writes pages back in any order. Above the recovery point, therefore, the first
/// thing that is no sound batch ends the log, even where sound batches follow it. Below it
/// everything was synced once, and damage means that the disk or somebody else changed it: that
/// stops the partition, and nothing is touched.
struct LogRecovery {
    private let opening: LogOpening
    private var end: LogEnd

    init(_ opening: LogOpening, epochs: LeaderEpochs) {
        self.opening = opening
        end = LogEnd(
            nextOffset: .zero, position: .start, epochs: epochs, epoch: LeaderEpoch(0))
        end.report.wasClean = false
        end.isDirectoryDirty = true
    }

    private var recoveryPoint: Offset { opening.checkpoint.recoveryPoint }
    private var environment: LogEnvironment { opening.environment }

    /// Checks and mends the segments from the recovery point on. Segments behind the end of the
    /// log are put aside and leave the list. On return everything kept is on stable storage.
    mutating func recover(_ segments: inout [Segment]) throws(LogError) -> LogEnd {
        let first = max(segments.lastIndex { $0.baseOffset <= recoveryPoint } ?? 0, 0)
        end.nextOffset = segments[first].baseOffset
        var index = first
        while index < segments.count {
            if let overlap = try overlap(segments[index], isFirst: index == first) {
                try putAside(from: index, of: &segments, because: overlap)
                break
            }
            let isLast = index == segments.count - 1
            if let damage = try recover(segments[index], isActive: isLast) {
                try putAside(from: index + 1, of: &segments, because: damage)
                break
            }
            index += 1
        }
        guard end.nextOffset >= recoveryPoint else {
            let active = segments[segments.count - 1]
            throw active.corruption(
                at: active.byteCount,
                "the log ends at offset \(end.nextOffset), but offsets up to \(recoveryPoint) "
                    + "were on stable storage")
        }
        try makeDurable(segments[first...])
        end.epochs.truncate(to: end.nextOffset)
        end.epoch = LeaderEpoch((end.epochs.latest?.rawValue ?? -1) + 1)
        environment.report(
            .recovered(
                partition: opening.name, scannedByteCount: end.report.scannedByteCount,
                logEnd: end.nextOffset, epoch: end.epoch))
        return end
    }

    /// Checks one segment. Returns what is wrong where the log ends in it.
    private mutating func recover(
        _ segment: Segment, isActive: Bool
    ) throws(LogError) -> String? {
        let fileEnd = FilePosition(segment.byteCount)
        var resumed = try ResumedSegment(segment, below: recoveryPoint)
        var result = try scan(resumed, to: fileEnd)
        if result.damage != nil, result.batchCount == 0, resumed.skippedByteCount > 0 {
            // The index led astray: walk the whole segment.
            resumed = try ResumedSegment(segment, below: .zero)
            result = try scan(resumed, to: fileEnd)
        }
        end.report.scannedSegmentCount += 1
        end.report.scannedByteCount += result.position.rawValue - resumed.skippedByteCount
        let damage = result.damage
        if let damage, result.nextOffset < recoveryPoint {
            throw segment.corruption(
                at: result.position.rawValue,
                "\(damage); offsets up to \(recoveryPoint) were on stable storage")
        }
        resumed.adopt()
        try resumed.cutIndexFiles()
        if let damage { try cut(segment, at: result.position, because: damage) }
        segment.publish(byteCount: result.position.rawValue)
        end.nextOffset = max(end.nextOffset, result.nextOffset)
        end.position = result.position
        if !isActive && damage == nil { try segment.seal() }
        return damage
    }

    /// What is wrong with where a segment begins; nil when it follows the one before it.
    private func overlap(_ segment: Segment, isFirst: Bool) throws(LogError) -> String? {
        guard !isFirst, segment.baseOffset < end.nextOffset else { return nil }
        let reason = "the segment begins before offset \(end.nextOffset), where the last one ends"
        guard segment.baseOffset >= recoveryPoint else {
            throw segment.corruption(at: 0, reason)
        }
        return reason
    }

    private mutating func putAside(
        from index: Int, of segments: inout [Segment], because reason: String
    ) throws(LogError) {
        let rest = Array(segments[index...])
        segments.removeSubrange(index...)
        for later in rest { try putAside(later, because: reason) }
    }

    private mutating func scan(
        _ resumed: ResumedSegment, to fileEnd: FilePosition
    ) throws(LogError) -> ScanEnd {
        var epochs = end.epochs
        let result = try resumed.scan(to: fileEnd) { header in
            epochs.assign(header.partitionLeaderEpoch, startingAt: header.baseOffset)
        }
        end.epochs = epochs
        return result
    }

    // MARK: Cutting

    /// Keeps the bytes from `position` on in a side file, and cuts them off.
    private mutating func cut(
        _ segment: Segment, at position: FilePosition, because reason: String
    ) throws(LogError) {
        let byteCount = segment.byteCount - position.rawValue
        let sidePath = joinPath(
            segment.directory, SegmentName.cut(segment.baseOffset, at: position))
        let isZero = try isAllZero(segment, from: position.rawValue)
        do {
            if !isZero { try copyTail(of: segment, from: position.rawValue, to: sidePath) }
            try segment.logFile.truncate(to: Int64(position.rawValue))
            try segment.logFile.sync()
        } catch {
            throw .file(error)
        }
        end.report.cutByteCount += byteCount
        environment.report(
            .cutTail(
                partition: opening.name, file: segment.path, position: position,
                byteCount: byteCount, keptIn: isZero ? nil : sidePath, reason: reason))
    }

    private func isAllZero(_ segment: Segment, from position: Int) throws(LogError) -> Bool {
        var at = position
        while at < segment.byteCount {
            let window = try segment.load(at..<min(at + (1 << 20), segment.byteCount))
            guard window.all.isAllZero else { return false }
            at = window.range.upperBound
        }
        return true
    }

    private func copyTail(
        of segment: Segment, from position: Int, to path: String
    ) throws(FileError) {
        let side = try environment.fileSystem.open(path, .create)
        try side.truncate(to: 0)
        var at = position
        while at < segment.byteCount {
            let bytes = try segment.logFile.read(
                byteCount: min(1 << 20, segment.byteCount - at), at: Int64(at))
            guard !bytes.isEmpty else { break }
            try side.write(all: bytes.rawSpan, at: Int64(at - position))
            at += bytes.count
        }
        try side.sync()
        try environment.fileSystem.syncDirectory(segment.directory)
    }

    /// Renames a segment behind the end of the log, so that it is not part of it any more.
    private mutating func putAside(
        _ segment: Segment, because reason: String
    ) throws(LogError) {
        let path = segment.path
        let sidePath = joinPath(segment.directory, SegmentName.cut(segment.baseOffset, at: .start))
        do {
            segment.logFile.abandon()
            try environment.fileSystem.rename(path, to: sidePath)
            for ending in SegmentName.Ending.allCases where ending != .log {
                let side = joinPath(
                    segment.directory, SegmentName.file(segment.baseOffset, ending))
                if try environment.fileSystem.information(side) != nil {
                    try environment.fileSystem.remove(side)
                }
            }
        } catch {
            throw .file(error)
        }
        end.report.cutByteCount += segment.byteCount
        environment.report(
            .cutTail(
                partition: opening.name, file: path, position: .start,
                byteCount: segment.byteCount, keptIn: sidePath,
                reason: "an earlier segment ends the log: \(reason)"))
    }

    /// Everything that was kept may be in the page cache only: readers see it from now on, so it
    /// must not vanish any more.
    private func makeDurable(_ segments: ArraySlice<Segment>) throws(LogError) {
        do {
            for segment in segments {
                try segment.logFile.withFile { (file) throws(FileError) in try file.sync() }
            }
            try environment.fileSystem.syncDirectory(opening.directory)
        } catch {
            throw .file(error)
        }
    }
}
