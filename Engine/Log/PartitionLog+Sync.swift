import Synchronization
import TallyFiles
package import TallyRecords

extension PartitionLog {
    /// Puts everything appended so far on stable storage, and with it whatever is needed to find
    /// it: the segment's size, the directory entry of a new segment.
    ///
    /// Under `.synced` this is what moves the high watermark. Callers who come while another
    /// syncs wait for it and share the next sync (group commit). Blocks; not for Swift's
    /// cooperative threads. A failed sync stops the partition and is never tried again.
    package func flush() throws(LogError) {
        try flush(reaching: logEnd)
    }

    /// Returns once everything before `offset` is on stable storage; see ``flush()``.
    package func flush(reaching offset: Offset) throws(LogError) {
        do {
            try syncing.withLock { synced throws(LogError) in
                // Somebody else's sync, which we waited for, may have covered it.
                guard synced.end < offset || hasUnsealed else { return }
                synced.end = try sync()
                if configuration.durability == .synced {
                    highWatermarkMark.advance(to: synced.end)
                }
            }
        } catch {
            noteFailure(error)
            throw error
        }
    }

    private var hasUnsealed: Bool { writer.withLock { !$0.unsealed.isEmpty } }

    /// What a sync has to do, taken from the writer.
    private struct Work {
        var end: Offset
        var active: Segment
        var unsealed: [Segment]
        var isDirectoryDirty: Bool
    }

    private func sync() throws(LogError) -> Offset {
        let work = try writer.withLock { writer throws(LogError) -> Work in
            if let reason = writer.stopReason {
                throw .stopped(partition: name, reason: reason)
            }
            defer {
                writer.unsealed = []
                writer.isDirectoryDirty = false
            }
            return Work(
                end: writer.nextOffset, active: writer.active, unsealed: writer.unsealed,
                isDirectoryDirty: writer.isDirectoryDirty)
        }
        do {
            for segment in work.unsealed { try segment.seal() }
            if work.isDirectoryDirty {
                try environment.fileSystem.syncDirectory(directory)
                try environment.fileSystem.syncDirectory(parentDirectory(of: directory))
            }
            try work.active.logFile.sync()
            return work.end
        } catch {
            writer.withLock { stop(&$0, because: "\(error)") }
            if let error = error as? LogError { throw error }
            if let error = error as? FileError { throw .file(error) }
            invariantFailure("an error of an unknown kind: \(error)")
        }
    }

    /// Puts everything on stable storage and leaves files as Kafka leaves them after a clean
    /// stop: indexes written and cut to size, reserved space given back. Appends fail afterwards;
    /// slices that readers hold stay valid. Closing twice is closing once.
    ///
    /// Returns the recovery point for the checkpoint.
    package func close() throws(LogError) -> Offset {
        let wasClosed = writer.withLock { writer in
            defer { writer.isClosed = true }
            return writer.isClosed
        }
        if wasClosed { return recoveryPoint }
        try flush()
        let active = writer.withLock { $0.active }
        do {
            try syncing.withLock { _ throws(LogError) in try active.seal() }
        } catch {
            writer.withLock { stop(&$0, because: "\(error)") }
            throw error
        }
        environment.maps.remove(segments)
        return recoveryPoint
    }
}
