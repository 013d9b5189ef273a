public import TallyRecords

/// Where the records of a leader epoch end in a log.
public struct EpochEnd: Hashable, Sendable {
    /// The epoch.
    public var epoch: LeaderEpoch
    /// The offset behind its last record.
    public var endOffset: Offset

    /// An epoch and its end.
    public init(epoch: LeaderEpoch, endOffset: Offset) {
        self.epoch = epoch
        self.endOffset = endOffset
    }
}

/// What replication needs to know of a log: which leader epoch wrote which offsets.
public protocol EpochHistory {
    /// The first offset that can be read.
    var logStart: Offset { get }
    /// The offset the next record will get.
    var logEnd: Offset { get }
    /// The epoch of the last record; nil where there is none.
    var latestEpoch: LeaderEpoch? { get }
    /// The largest epoch with records that is not above `epoch`, and where its records end; nil
    /// where there is none.
    func end(ofEpoch epoch: LeaderEpoch) -> EpochEnd?
}
