import TallyLog
import TallyRecords
import TallyReplication

/// What a leader tells a producer.
enum ProduceAnswer {
    /// Stored for good, at this offset, in this epoch.
    case stored(Offset, LeaderEpoch)
    /// Not now; what was sent may or may not be stored one day.
    case refused
    case notLeader
    /// The producer must not send this.
    case fenced(ProducerRefusal.Reason)
}

/// What a leader tells a consumer.
enum ConsumeAnswer {
    case records(ConsumedBatch)
    case later
    case notLeader
}

/// Records for a consumer, and what it has to know of them.
struct ConsumedBatch {
    var records: [SimulatedRecord]
    var highWatermark: Offset
    var epoch: LeaderEpoch
    /// The aborted transactions among the records; for readers of committed ones.
    var aborted: [AbortedTransaction] = []

    /// Whether a reader of committed transactions passes over a record.
    func hides(_ record: SimulatedRecord, at offset: Offset) -> Bool {
        record.isTransactional
            && aborted.contains {
                $0.producerID == record.producer.id
                    && ($0.firstOffset...$0.lastOffset).contains(offset)
            }
    }
}

/// What a leader tells a follower.
enum FollowAnswer {
    case epochEnd(EpochEnd?, asked: LeaderEpoch)
    case diverged(EpochEnd)
    case records([SimulatedRecord], at: Offset, highWatermark: Offset)
    case refused
}
