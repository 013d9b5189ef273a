public import TallyRecords

/// What a shell calls a request by, to know its answer again. Any number of its own choice.
public struct TransactionToken: RawRepresentable, Hashable, Sendable {
    /// The number.
    public var rawValue: UInt64

    /// A token from a number.
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// Telling one of those who take part in a transaction how it ended.
///
/// The decision is on stable storage before any of these is asked for. Doing one twice does no
/// harm, until a later transaction of the same producer has begun there: see ``producer``. So
/// partitions refuse what comes behind a later ``attempt``.
public struct TransactionWork: Hashable, Sendable {
    /// Who is to be told.
    public enum Target: Hashable, Sendable {
        /// Append a marker to this partition, synced as the topic wants it. A topic that was
        /// deleted counts as done.
        case partition(TopicPartition)
        /// Commit or drop the offsets that are pending in this group for the producer, of
        /// ``TransactionWork/transactionEpoch`` and earlier. Nothing pending counts as done, and so
        /// do offsets of a later epoch alone.
        case group(String)
    }

    /// Whose transaction it is.
    public var transactionalID: String
    /// What the marker carries: the producer id, and the epoch one above that of the transaction's
    /// records (KIP-890), so that whatever the old producer still sends is refused.
    ///
    /// The next transaction is written with this same epoch. Where the producer speaks the first
    /// version of the protocol, it is the epoch of the transaction's records.
    public var producer: ProducerIdentity
    /// How the transaction ended.
    public var decision: TransactionDecision
    /// The term of the coordinator, which a marker carries; partitions refuse older ones.
    public var coordinatorEpoch: Int32
    /// Rises with each telling of this coordinator, also where the same is told once more.
    public var attempt: Int64
    /// Who is to be told.
    public var target: Target

    /// The epoch with which the transaction was written: pending offsets of a later one must not be
    /// touched.
    public var transactionEpoch: Int16
}

extension TransactionMarker {
    /// The marker that tells a partition of the end of a transaction.
    ///
    /// - Parameter leaderEpoch: of the leader who is asked; nil for whoever leads.
    package init(_ work: TransactionWork, leaderEpoch: LeaderEpoch? = nil) {
        self.init(
            didCommit: work.decision == .commit, producerID: work.producer.id,
            producerEpoch: work.producer.epoch, coordinatorEpoch: work.coordinatorEpoch,
            order: Order(attempt: work.attempt, leaderEpoch: leaderEpoch))
    }
}

/// What became of a ``TransactionWork``.
public enum TransactionWorkOutcome: Hashable, Sendable {
    /// The target knows, or is no more.
    case done
    /// It could not be done, or nobody knows whether it was: to be tried again.
    case failed
    /// The partition knows a newer epoch of the producer or of the coordinator, and refuses for
    /// good. Counts as done: whoever wrote that has taken over, and waiting would never end.
    case refused
}

/// What the coordinator wants done. In any order, and beside each other.
public enum TransactionEffect: Hashable, Sendable {
    /// Do this and say what became of it by ``TransactionCoordinator/report(_:_:now:)``.
    case perform(TransactionWork)
    /// Answer the request with this token: the producer id and epoch of the next transaction.
    case answer(TransactionToken, Result<ProducerIdentity, TransactionError>)
}
