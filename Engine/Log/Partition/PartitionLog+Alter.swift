import Synchronization

extension PartitionLog {
    /// Puts another configuration to use while the log is open.
    ///
    /// All of it holds at once, but for what says how files are laid out (`segment.bytes`,
    /// `segment.index.bytes`, `index.interval.bytes`), which holds from the next opening on: the
    /// active segment's map and indexes were made for the old sizes. Where an acknowledgement is
    /// to mean "on stable storage" from now on, everything before it is put there too. Any
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
                replaceConfiguration(with: next)
                writer.rollAfter = next.rollAfter()
                // Nobody syncs for those who were waiting for it any more. After a failure they
                // are told of that.
                if next.durability != .synced, writer.stopReason == nil {
                    highWatermarkMark.publish(writer.nextOffset)
                }
                return next.durability == .synced && old.durability != .synced
            }
        }
        highWatermarkMark.wake()
        if becomesSynced { try flush() }
    }
}
