import Synchronization
import TallyRecords

extension PartitionLog {
    /// Puts another configuration to use while the log is open.
    ///
    /// All of it holds at once, but for what says how files are laid out (`segment.bytes`,
    /// `segment.index.bytes`, `index.interval.bytes`), which holds from the next opening on: the
    /// active segment's map and indexes were made for the old sizes. Where an acknowledgement is
    /// to mean "on stable storage" from now on, everything before it is put there too. A log that
    /// is no copy any more (`tally.source`) begins a new leader epoch. Any
    /// thread; waits for a sync under way.
    ///
    /// Throws ``LogError/stopped(partition:reason:)`` and ``LogError/file(_:)`` where that sync
    /// fails; the configuration is in use all the same.
    package func adopt(_ wanted: LogConfiguration) throws(LogError) {
        // Both locks: the high watermark is published under the one or the other, as the
        // durability says, and two who publish at the same time could take it back.
        let becomesSynced = syncing.withLock { _ in
            writer.withLock { writer in
                let old = configuration
                var next = wanted
                next.segmentBytesMax = old.segmentBytesMax
                next.segmentIndexBytesMax = old.segmentIndexBytesMax
                next.indexIntervalBytes = old.indexIntervalBytes
                next.isReplicated = old.isReplicated
                replaceConfiguration(with: next)
                writer.rollAfter = next.rollAfter()
                if old.source != nil, next.source == nil { beginEpoch(&writer) }
                // Nobody syncs for those who were waiting for it any more. After a failure they
                // are told of that.
                if movesHighWatermark(.appended), writer.stopReason == nil {
                    highWatermarkMark.publish(writer.nextOffset)
                }
                return next.durability == .synced && old.durability != .synced
            }
        }
        highWatermarkMark.wake()
        if becomesSynced { try flush() }
    }

    /// A copy becomes a log of its own: what is appended from now on is of a newer epoch than
    /// anything that was copied, so that the two logs can be told apart.
    private func beginEpoch(_ writer: inout Writer) {
        writer.epochs.truncate(to: writer.nextOffset)
        writer.epoch = max(writer.epoch, writer.epochs.latest ?? .none).next
    }
}
