import Synchronization
import TallyFiles
package import TallyRecords

extension PartitionLog {
    /// Puts everything appended so far on stable storage, and with it whatever is needed to find
    /// it: the segment's size, the directory entry of a new segment.
    ///
    /// Under `.synced` this is what moves the high watermark. Callers who come while another
    /// syncs wait for it and share the next sync (group commit). Blocks; not for Swift's
    /// cooperative threads. A failed sync stops the partition and is never tried again; a stopped
    /// partition throws ``LogError/stopped(partition:reason:)``.
    package func flush() throws(LogError) {
        try flush(reaching: logEnd)
    }

    /// Returns once everything before `offset` is on stable storage; see ``flush()``.
    package func flush(reaching offset: Offset) throws(LogError) {
        do {
            try syncing.withLock { synced throws(LogError) in
                // Somebody else's sync, which we waited for, may have covered it.
                guard try needsSync(synced.end, offset) else { return }
                synced.end = try sync()
                syncedEndValue.store(synced.end.rawValue, ordering: .releasing)
                if movesHighWatermark(.synced) { highWatermarkMark.publish(synced.end) }
            }
        } catch {
            noteFailure(error)
            throw error
        }
        highWatermarkMark.wake()
        tellReplication()
    }

    private func needsSync(_ syncedEnd: Offset, _ offset: Offset) throws(LogError) -> Bool {
        try writer.withLock { writer throws(LogError) in
            try checkNotStopped(writer)
            return syncedEnd < offset || writer.isDirectoryDirty || !writer.unsealed.isEmpty
        }
    }

    func checkNotStopped(_ writer: borrowing Writer) throws(LogError) {
        if let reason = writer.stopReason { throw .stopped(partition: name, reason: reason) }
    }

    /// What a sync has to do, taken from the writer.
    private struct Work {
        var end: Offset
        var active: Segment
        var unsealed: [Segment]
        var isDirectoryDirty: Bool
        var snapshots: [PendingSnapshot]
    }

    /// Syncs up to the log end and returns it. Called with the sync lock held.
    private func sync() throws(LogError) -> Offset {
        let work = writer.withLock { writer in
            Work(
                end: writer.nextOffset, active: writer.active, unsealed: writer.unsealed,
                isDirectoryDirty: writer.isDirectoryDirty, snapshots: writer.snapshots)
        }
        do {
            // Segments whose indexes have to wait for space are tried again with the next sync.
            var unsealed: [Segment] = []
            for segment in work.unsealed {
                try segment.sealLog()
                try segment.writeTransactionIndex()
                if try !segment.sealIndexes() { unsealed.append(segment) }
            }
            try syncFiles(of: work)
            // After the transaction indexes, which an opening takes for complete up to here.
            for snapshot in work.snapshots { write(snapshot) }
            return try writer.withLock { writer throws(LogError) in
                // Stopped meanwhile: no acknowledgement any more.
                try checkNotStopped(writer)
                writer.unsealed.replaceSubrange(..<work.unsealed.count, with: unsealed)
                writer.snapshots.removeFirst(work.snapshots.count)
                if writer.active === work.active { writer.isDirectoryDirty = false }
                return work.end
            }
        } catch {
            // Nothing was tried yet where there was no descriptor left: the next sync does it all.
            if case .file(let cause) = error, !cause.leavesDoubt { throw error }
            writer.withLock { stop(&$0, because: "\(error)") }
            throw error
        }
    }

    private func syncFiles(of work: Work) throws(LogError) {
        do throws(FileError) {
            if work.isDirectoryDirty {
                try environment.fileSystem.syncDirectory(directory)
                try environment.fileSystem.syncDirectory(parentDirectory(of: directory))
            }
            let file = work.active.logFile
            try file.sync()
            // Synced, but nobody will find it: an acknowledgement would be worth nothing.
            guard try file.isInPlace() else { throw FileError.vanished(file.path) }
            environment.syncs.add(1, ordering: .relaxed)
        } catch {
            throw .file(error)
        }
        try work.active.writeTransactionIndex()
    }

    // MARK: Stopping

    /// Takes no appends from now on. Called with the writer lock held.
    func stop(_ writer: inout Writer, because reason: String) {
        guard writer.stopReason == nil else { return }
        writer.stopReason = reason
    }

    /// Remembers that the disk was full, and tells everybody who waits that the log has stopped,
    /// if it has: once, without a lock.
    func noteFailure(_ error: LogError) {
        let reason: String? = writer.withLock { writer in
            if case .file(let cause) = error, cause.isNoSpace { writer.lacksSpace = true }
            guard let reason = writer.stopReason, !writer.isStopTold else { return nil }
            writer.isStopTold = true
            return reason
        }
        guard let reason else { return }
        SyncDoubt(in: directory, on: environment.fileSystem).mark()
        let stopped = LogError.stopped(partition: name, reason: reason)
        logEndMark.fail(stopped)
        highWatermarkMark.fail(stopped)
        environment.report(.stopped(partition: name, reason: reason))
    }

    // MARK: Closing

    /// Puts everything on stable storage and leaves files as Kafka leaves them after a clean
    /// stop: indexes written and cut to size, reserved space given back. Appends fail afterwards
    /// and whoever still waits is told; slices that readers hold stay valid. Closing twice is
    /// closing once. Blocks.
    ///
    /// Returns the recovery point for the checkpoint. After an error, which a stopped partition
    /// gives each time, the log is closed too, but its next opening is not after a clean stop.
    package func close() throws(LogError) -> Offset {
        closingValue.store(true, ordering: .releasing)
        // Waits for a cleaning under way, which ends soon.
        cleaning.withLock { _ in }
        writer.withLock { $0.isClosed = true }
        // Waits for a retirement under way: the directory may be another engine's soon.
        defer { removeRetiredFiles(now: nil) }
        defer { environment.maps.remove(segments) }
        let closed = LogError.closed(partition: name)
        do {
            try flush()
            try syncing.withLock { _ throws(LogError) in try sealActive() }
        } catch {
            noteFailure(error)
            logEndMark.fail(closed)
            highWatermarkMark.fail(closed)
            throw error
        }
        logEndMark.fail(closed)
        highWatermarkMark.fail(closed)
        return recoveryPoint
    }

    /// Seals the active segment, and notes the epoch that began with an unclean opening even if
    /// nothing was appended: a clean opening would not begin another.
    private func sealActive() throws(LogError) {
        do {
            let work = try writer.withLock { writer throws(LogError) -> (Segment, Bool)? in
                guard !writer.isSealed else { return nil }
                // That of a copy is noted with the first batch that has it.
                if !configuration.hasEpochsOfOthers { try noteEpoch(&writer) }
                return (writer.active, writer.wasAppendedTo)
            }
            guard let (active, wasAppendedTo) = work else { return }
            // Thousands of partitions that nobody wrote to are closed without a sync.
            if wasAppendedTo {
                try active.sealLog()
                writeLastSnapshot()
            }
            _ = try active.sealIndexes(syncing: false)
        } catch {
            // Not sealed for want of space: the next opening is then not after a clean stop.
            if case .file(let cause) = error, !cause.leavesDoubt { throw error }
            writer.withLock { stop(&$0, because: "\(error)") }
            throw error
        }
        writer.withLock { $0.isSealed = true }
    }

    /// The next opening finds the producers without reading the log.
    private func writeLastSnapshot() {
        let snapshots = writer.withLock { writer in
            // Nobody appends any more: there is time to read the log for it.
            try? loadProducers(&writer)
            takeSnapshot(&writer)
            return writer.snapshots
        }
        for snapshot in snapshots { write(snapshot) }
    }
}
