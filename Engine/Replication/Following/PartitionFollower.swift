public import TallyRecords

/// A follower of a partition, as a state machine: first makes its log agree with the leader's, then
/// fetches what comes behind.
///
/// Agreement is found by leader epochs, never by the high watermark, which a follower learns late
/// (KIP-101); and by as many questions as it takes, since after fast failovers either log may have
/// epochs that the other never heard of (KIP-279). Nothing is fetched, and the high watermark is
/// not raised, before what parts from the leader's log is gone.
///
/// A value type; one thread at a time.
public struct PartitionFollower: Hashable, Sendable {
    /// Whom it follows.
    public let leader: ReplicaID
    /// In which epoch.
    public let epoch: LeaderEpoch
    private var isAgreed = false

    /// Begins to follow.
    public init(_ leader: ReplicaID, in epoch: LeaderEpoch) {
        self.leader = leader
        self.epoch = epoch
    }

    /// What to ask the leader next.
    public enum Request: Hashable, Sendable {
        /// OffsetForLeaderEpoch: where the records of this epoch end.
        case epochEnd(of: LeaderEpoch)
        /// Fetch from this offset; the record before it is of this epoch (``LeaderEpoch/none``
        /// where there is none).
        case fetch(from: Offset, lastEpoch: LeaderEpoch)
    }

    /// What to ask, with this log.
    public func request(_ log: some EpochHistory) -> Request {
        guard let latest = log.latestEpoch else {
            return .fetch(from: log.logEnd, lastEpoch: .none)
        }
        return isAgreed ? .fetch(from: log.logEnd, lastEpoch: latest) : .epochEnd(of: latest)
    }

    /// Takes the answer to ``Request/epochEnd(of:)``: nil where the leader has no epoch so early.
    /// Returns where the log is to be cut, which must be done before the next question.
    ///
    /// An answer that is not to the question that ``request(_:)`` would ask now is ignored (nil is
    /// returned, as where nothing is to be cut).
    public mutating func answered(
        epochEnd answer: EpochEnd?, to asked: LeaderEpoch, _ log: some EpochHistory
    ) -> Offset? {
        guard !isAgreed, asked == log.latestEpoch else { return nil }
        return cut(answer, asked: asked, log)
    }

    /// The leader says in answer to a fetch that the logs part, and where its largest epoch ends
    /// that the follower may have; nil where it has none so early. Returns where the log is to be
    /// cut.
    public mutating func diverged(_ answer: EpochEnd?, _ log: some EpochHistory) -> Offset? {
        isAgreed = false
        guard let latest = log.latestEpoch else { return nil }
        return cut(answer, asked: latest, log)
    }

    private mutating func cut(
        _ answer: EpochEnd?, asked: LeaderEpoch, _ log: some EpochHistory
    ) -> Offset? {
        let end: Offset
        if let answer, answer.epoch > .none {
            let known = log.end(ofEpoch: min(answer.epoch, asked))
            if let known, known.epoch == answer.epoch {
                // Both have the epoch: they agree up to where it ends in either.
                end = min(answer.endOffset, known.endOffset)
                isAgreed = true
            } else {
                // The leader has no records of any epoch between this one and the one that was
                // asked for; whether both have this one is the next question.
                end = known?.endOffset ?? log.logStart
            }
        } else {
            // All the leader has is newer than all that is here.
            end = log.logStart
        }
        return end < log.logEnd ? max(end, log.logStart) : nil
    }

    /// Whether the log agrees with the leader's. Only then are answers to fetches appended, and
    /// only then does the high watermark rise.
    public func hasAgreed(_ log: some EpochHistory) -> Bool {
        isAgreed || log.latestEpoch == nil
    }

    /// The high watermark that a follower may publish, given the leader's: what it has not got it
    /// cannot show.
    public func highWatermark(
        leaders highWatermark: Offset, _ log: some EpochHistory
    ) -> Offset? {
        hasAgreed(log) ? min(highWatermark, log.logEnd) : nil
    }
}
