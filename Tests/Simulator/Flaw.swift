/// A mistake that the simulation makes on purpose where it drives the state machines, so that its
/// checks can be seen to find it.
public enum Flaw: String, CaseIterable, Sendable {
    /// A record is acknowledged when the leader has it.
    case acknowledgesAlone
    /// A follower says that it has what it has not synced.
    case countsUnsynced
    /// A leader counts fetches of followers that live in another epoch.
    case countsDeposed
    /// A follower cuts its log at the high watermark instead of asking for epochs.
    case truncatesToHighWatermark
    /// A follower does not make its log agree before it fetches.
    case skipsTruncation
    /// A leader believes in an in-sync set before the store has confirmed it.
    case trustsProposal
    /// Anybody alive may lead.
    case electsAnybody
    /// A leader goes on in its epoch after its process was restarted.
    case resumesEpoch
    /// A new leader tells of its high watermark at once.
    case tellsEarly
    /// A leader acknowledges though its lease has ended.
    case ignoresLease
    /// A leader appends what a producer sent before once more.
    case forgetsProducers
    /// A coordinator answers, and has others told, before what it decided is committed.
    case answersUncommitted
    /// A coordinator that leads again goes on with what it knew, and does not read its partition.
    case keepsOldState
    /// Readers of committed transactions are shown what lies behind the last stable offset.
    case tellsUndecided
    /// A marker that could not be written counts as written.
    case forgetsMarkers
    /// What is to be done about a decision is forgotten where the lease ends before that is
    /// committed.
    case forgetsWork
    /// A marker is written whatever came before it: also where its coordinator has given the
    /// request up and sent it again, so that it ends the producer's next transaction (KIP-1228).
    case writesLateMarkers
    /// A member whose disk was lost goes on as if it had what it had.
    case countsLostDisks
    /// The controller takes the lead from members that are alive, and may not hear of it.
    case takesTheLead
    /// An offset commit is taken for one of the group's leader, in its generation.
    case commitsForAnybody
}
