import TallyRecords
import TallyReplication

/// What a leader tells a producer.
enum ProduceAnswer {
    /// Stored for good, at this offset, in this epoch.
    case stored(Offset, LeaderEpoch)
    /// Not now; what was sent may or may not be stored one day.
    case refused
    case notLeader
}

/// What a leader tells a consumer.
enum ConsumeAnswer {
    case records([SimulatedRecord], highWatermark: Offset, epoch: LeaderEpoch)
    case later
    case notLeader
}

/// What a leader tells a follower.
enum FollowAnswer {
    case epochEnd(EpochEnd?, asked: LeaderEpoch)
    case diverged(EpochEnd)
    case records([SimulatedRecord], at: Offset, highWatermark: Offset)
    case refused
}
