public import TallyRecords

extension EpochHistory {
    /// Where a follower's log parts from this one; nil where it agrees up to the offset that the
    /// follower asks for (KIP-595).
    ///
    /// - Parameters:
    ///   - offset: what the follower asks for.
    ///   - lastEpoch: the epoch of the record before it there; ``LeaderEpoch/none`` where there is
    ///     none, or the follower does not say.
    public func divergence(at offset: Offset, after lastEpoch: LeaderEpoch) -> EpochEnd? {
        guard lastEpoch > .none else { return nil }
        guard let known = end(ofEpoch: lastEpoch) else {
            return EpochEnd(epoch: .none, endOffset: logStart)
        }
        if known.epoch < lastEpoch || known.endOffset < offset { return known }
        return nil
    }
}
