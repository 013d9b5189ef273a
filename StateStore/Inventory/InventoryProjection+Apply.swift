public import Tally

extension InventoryProjection {
    /// Applies one record to the pending state. A record that is no event becomes a dead letter
    /// and never an error.
    ///
    /// - Parameters:
    ///   - partition: The record's partition.
    ///   - offset: Its offset. Below the position the record is ignored; gaps are skipped.
    ///   - leaderEpoch: The leader epoch of its batch.
    ///   - timestamp: Its timestamp in the log, which only a dead letter shows.
    ///   - key: Its key, `warehouse:item`, or nil for none.
    ///   - value: Its value, an event in JSON, or nil for none.
    ///
    /// Errors: those of reading the database. The record was not applied then.
    @discardableResult
    public func apply(
        partition: Int32, offset: Offset, leaderEpoch: LeaderEpoch, timestamp: Timestamp,
        key: RawSpan?, value: RawSpan?
    ) throws(StateStoreError) -> ApplyOutcome {
        if mustReload { try reload() }
        return try state.apply(
            partition: partition, offset: offset, leaderEpoch: leaderEpoch, timestamp: timestamp,
            key: key, value: value, source: self)
    }

    /// Moves the position of a partition to `next` without a record: over control batches, over
    /// offsets that compaction or an aborted transaction left empty. Going back is ignored.
    ///
    /// Errors: those of reading the database, after an earlier error only.
    public func advance(
        partition: Int32, to next: Offset, leaderEpoch: LeaderEpoch
    ) throws(StateStoreError) {
        if mustReload { try reload() }
        state.advance(partition: partition, to: next, leaderEpoch: leaderEpoch)
    }
}
