import TallyLog
import TallyRecords
import TallyReplication
import TallyTestSupport

/// What a simulated replica needs of a log.
protocol ReplicaLog: AnyObject, EpochHistory {
    /// Everything before it is on stable storage.
    var syncedEnd: Offset { get }
    /// What is known of the high watermark.
    var highWatermark: Offset { get }

    /// Appends what a client or a coordinator has sent to the leader, or says where it is already.
    ///
    /// - Parameters:
    ///   - verification: how the transaction stood when its coordinator was asked about it.
    ///   - isChecked: whether the producer's epoch and sequence are looked at.
    func append(
        _ record: SimulatedRecord, verification: TransactionStanding?, isChecked: Bool
    ) throws(AppendRefusal) -> Offset
    /// Appends what a coordinator has decided about a transaction.
    func append(_ marker: TransactionMarker, isChecked: Bool) throws(AppendRefusal) -> Offset
    /// Appends what the leader has, as it is there.
    func appendReplica(_ records: [SimulatedRecord]) throws(AppendRefusal)
    /// At most so many records from an offset on, none of them at or behind `end`.
    func records(from offset: Offset, before end: Offset, countMax: Int) -> [SimulatedRecord]

    /// How a producer's transaction stands.
    func standing(of producer: BatchProducer) -> TransactionStanding
    /// Where readers of committed transactions stop.
    func lastStableOffset() -> Offset
    /// The aborted transactions with records in a range below it.
    func aborted(in range: Range<Offset>) -> [AbortedTransaction]
    /// The producers with an open transaction.
    func openTransactions() -> [ProducerState]

    /// Takes appends of its own from now on, in an epoch.
    func lead(in epoch: LeaderEpoch)
    /// Takes only what a leader has from now on.
    func follow()
    func truncate(to end: Offset)
    /// What was there when a sync began is on stable storage. False where the disk has failed.
    func sync(to end: Offset) -> Bool
    func raiseHighWatermark(to offset: Offset)
    /// The disk learns of the high watermark.
    func storeHighWatermark()

    // What happens to the disk.

    /// Whether the process has to be ended and the log opened again.
    var hasFailed: Bool { get }
    func setFull(_ isFull: Bool)
    func failNextSync()
    /// The disk is well again.
    func mend()

    /// The process has ended, with the power or without.
    func crash(_ random: inout SeededGenerator)
    /// A process has begun again; see `hasFailed`.
    func start()
}

extension ReplicaLog {
    /// All records, for checks.
    var all: [SimulatedRecord] { records(from: .zero, before: logEnd, countMax: .max) }
}

/// Why a record was not appended.
enum AppendRefusal: Error {
    /// Another leads, or may.
    case notLeader
    /// Not now: too few replicas, a full disk.
    case notNow
    /// The producer must not, or not any more.
    case producer(ProducerRefusal.Reason)
}
