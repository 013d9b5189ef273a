import Synchronization
import TallyFiles
import TallyRecords

/// Segments that are being put in the place of others, and how far that has come.
struct PendingSwap: Sendable {
    var old: [Segment]
    var new: [CleanedSegment]
    /// Whether the old segments have got their last names.
    var areOldNamed = false
}

extension PartitionLog {
    /// Puts segments that a cleaner wrote in the place of others: a crash at any moment leaves
    /// the old ones or the new ones, and readers see the old ones or the new ones.
    ///
    /// - Parameters:
    ///   - old: one behind the other in the log, without the active one.
    ///   - new: cover the same offsets.
    /// - Returns: false where the old ones are not the log's any more, since retention took them,
    ///   or the log was truncated meanwhile; then the new files are removed.
    ///
    /// Throws ``LogError/file(_:)``, ``LogError/closed(partition:)`` and
    /// ``LogError/stopped(partition:reason:)``. Where the error came once the swap was decided,
    /// the rest of it follows later.
    package func replace(
        _ old: [Segment], with new: [CleanedSegment]
    ) throws(LogError) -> Bool {
        let swap = SegmentSwap(
            directory: directory, fileSystem: environment.fileSystem,
            bases: new.map(\.baseOffset))
        let outcome: Result<Bool, LogError> = retiring.withLock { retired in
            do throws(LogError) {
                guard try isInLog(old, &retired, orDiscard: swap) else { return .success(false) }
                try decide(swap, upTo: new[new.count - 1].nextOffset)
                retired.swap = PendingSwap(old: old, new: new)
                try finishSwap(&retired)
                return .success(true)
            } catch {
                return .failure(error)
            }
        }
        if case .failure(let error) = outcome { noteFailure(error) }
        return try outcome.get()
    }

    /// Whether segments are the log's still; where they are not, and after an error, what was to
    /// take their place is removed.
    private func isInLog(
        _ old: [Segment], _ retired: inout Retired, orDiscard swap: SegmentSwap
    ) throws(LogError) -> Bool {
        do throws(LogError) {
            try finishSwap(&retired)
            try writer.withLock { writer throws(LogError) in try checkOpen(writer) }
        } catch {
            try? swap.discard()
            throw error
        }
        // What was truncated since the cleaning began made older records seem to be needless.
        if retired.truncatedTo == nil, index(of: old) != nil { return true }
        try? swap.discard()
        return false
    }

    /// Brings the directory to where a cleaning may begin: a swap that was decided is finished,
    /// and what a cleaning that failed could not remove goes. To the next opening, either would
    /// say the wrong thing about what this cleaning leaves.
    ///
    /// Throws ``LogError/file(_:)`` and ``LogError/stopped(partition:reason:)``.
    func prepareCleaning() throws(LogError) {
        try retiring.withLock { (retired: inout Retired) throws(LogError) in
            try writer.withLock { writer throws(LogError) in try checkOpen(writer) }
            try finishSwap(&retired)
            do throws(FileError) {
                try removeStrays(among: try environment.fileSystem.list(directory), besides: [])
            } catch {
                throw .file(error)
            }
            retired.truncatedTo = nil
        }
    }

    /// Removes what no swap is going to use.
    private func removeStrays(
        among names: [String], besides bases: [Offset]
    ) throws(FileError) {
        let strays = SegmentSwap.bases(among: names).filter { !bases.contains($0) }
        try SegmentSwap(
            directory: directory, fileSystem: environment.fileSystem, bases: strays
        ).discard()
    }

    /// Where segments lie in the list, one behind the other; nil where they do not, or where the
    /// active one is among them.
    private func index(of old: [Segment]) -> Int? {
        let list = segments
        guard let start = list.firstIndex(where: { $0 === old[0] }),
            start + old.count < list.count,
            zip(list[start...], old).allSatisfy({ $0 === $1 })
        else { return nil }
        return start
    }

    private func decide(_ swap: SegmentSwap, upTo end: Offset) throws(LogError) {
        do throws(FileError) {
            // A snapshot may know of a transaction whose marker the new segments have no more.
            let names = try environment.fileSystem.list(directory)
            try removeStrays(among: names, besides: swap.bases)
            let before = ProducerSnapshot.offsets(among: names).filter { $0 < end }
            for offset in before {
                try environment.fileSystem.removeIfThere(ProducerSnapshot.path(directory, offset))
            }
            try swap.prepare()
        } catch {
            try? swap.discard()
            throw stopped(by: error)
        }
        do throws(FileError) {
            try swap.decide()
        } catch {
            // Nobody knows which name the file has: the next opening goes by what it finds.
            if !error.leavesDoubt { try? swap.discard() }
            throw stopped(by: error)
        }
    }

    /// Goes on with a swap that was decided and that an error kept from its end. Called with the
    /// `retiring` lock held, before the list of segments changes otherwise.
    func finishSwap(_ retired: inout Retired) throws(LogError) {
        guard var pending = retired.swap else { return }
        let files = environment.fileSystem
        // After a failed sync nobody knows what was decided: the next opening finds out.
        try writer.withLock { writer throws(LogError) in try checkNotStopped(writer) }
        // Decided on stable storage before anything of the old segments goes.
        try stoppingInDoubt { () throws(FileError) in try files.syncDirectory(directory) }
        if !pending.areOldNamed {
            for segment in pending.old.reversed() {
                retired.forget(segment.baseOffset)
                do {
                    try segment.markDeleted()
                } catch {
                    if case .file(let cause) = error { throw stopped(by: cause) }
                    throw error
                }
            }
            pending.areOldNamed = true
            retired.swap = pending
        }
        try stoppingInDoubt { () throws(FileError) in
            try files.syncDirectory(directory)
            try SegmentSwap(
                directory: directory, fileSystem: files, bases: pending.new.map(\.baseOffset)
            ).putInPlace()
        }
        publish(pending, &retired)
    }

    private func publish(_ pending: PendingSwap, _ retired: inout Retired) {
        let new = pending.new.map { cleaned in
            Segment(
                baseOffset: cleaned.baseOffset, directory: directory, environment: environment,
                byteCount: cleaned.byteCount, byteCountMax: configuration.segmentBytesMax,
                indexIntervalBytes: configuration.indexIntervalBytes, indexes: cleaned.indexes)
        }
        guard let start = index(of: pending.old) else {
            invariantFailure("segments that are being replaced leave the log in no other way")
        }
        replaceSegments(start..<start + pending.old.count, with: new)
        retired.swap = nil
        let dueAt =
            ContinuousClock.now + .milliseconds(configuration.fileDeleteDelayMilliseconds)
        for segment in pending.old {
            retired.segments.append(RetiredSegment(segment: segment, dueAt: dueAt))
        }
    }

    private func stoppingInDoubt(_ step: () throws(FileError) -> Void) throws(LogError) {
        do { try step() } catch { throw stopped(by: error) }
    }

    /// An error of a step of a swap; the partition stops where it leaves in doubt what the disk
    /// holds.
    private func stopped(by error: FileError) -> LogError {
        if error.leavesDoubt { writer.withLock { stop(&$0, because: "\(error)") } }
        return .file(error)
    }
}
