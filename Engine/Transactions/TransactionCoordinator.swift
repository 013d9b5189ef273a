public import TallyRecords

/// The coordinator of all transactions of an engine: Kafka's, with the second version of its
/// transaction protocol (KIP-890), in which every end of a transaction raises the producer's epoch.
///
/// A synchronous state machine: it is handed the time, the storage, the producer ids and what
/// happened, and it says what to do. Whoever drives it (an engine, a server, a simulator) calls a
/// method, then takes the effects and does them, in any order, reporting each piece of work; and
/// calls ``advance(to:)`` at ``nextDeadline``.
///
/// What makes a transaction all or nothing:
/// 1. A partition or group is stored as taking part before the producer may write there.
/// 2. The decision is stored, with the raised epoch, before anybody is told of it.
/// 3. All who take part are told, again and again where that fails, before the end is stored and
///    answered. A coordinator that loads an unfinished decision goes on with that decision.
///
/// A store that fails leaves the state as it was, and the caller hears
/// ``TransactionError/coordinatorNotAvailable(reason:)``. The store may have kept the new state
/// nevertheless; nothing follows from that before the state is loaded again, since nobody was told.
///
/// Times are wall-clock times, since they are compared across restarts. A clock that is set back
/// makes a timeout later.
///
/// Thread rule: one caller at a time; may be kept in a lock. Calls block as long as the store does.
public struct TransactionCoordinator: ~Copyable, Sendable {
    /// What can be said about the producers of before when a coordinator begins.
    public enum EarlierProducers: Hashable, Sendable {
        /// They may still be there: a transaction without a decision goes on until its timeout.
        case mayBeAlive
        /// They died with the process, as those of an embedded engine do: a transaction without a
        /// decision is aborted at once.
        case areGone
    }

    /// What is kept of a transactional id beside its record.
    struct Entry: Sendable {
        var record: TransactionRecord
        /// Who is being told of the decision, in which attempt.
        var inFlight: [TransactionWork.Target: Int64] = [:]
        /// Who could not be told, and is to be told again at `retryAt`.
        var failed: Set<TransactionWork.Target> = []
        /// When to do again what failed.
        var retryAt: Timestamp?
        /// Who waits for the end.
        var waiters: [TransactionToken] = []
        /// Whether the transaction's producer is known to be gone.
        var isAbandoned = false
    }

    /// The settings it runs with.
    public let configuration: TransactionConfiguration
    /// The coordinator's term, which markers carry, where it keeps all transactional ids.
    public let coordinatorEpoch: Int32
    /// Which partitions of `__transaction_state` it answers for, and in which epochs; nil where it
    /// keeps all transactional ids.
    package var partitions: CoordinatorPartitions?
    /// The partitions of `__consumer_offsets`, where groups take part as those; nil where they do
    /// by their names.
    package var offsetsPartitionCount: Int32?

    let store: any TransactionStore
    var producerIDs: any ProducerIDGenerator
    var entries: [String: Entry]
    var effects: [TransactionEffect] = []
    /// The last ``TransactionWork/attempt``. Another coordinator, which begins at 0 again, has a
    /// term of its own: also after a restart, where a partition is led in a newer epoch by then.
    var lastAttempt: Int64 = 0
    var deadlines = DeadlineQueue()

    /// Loads what is stored and goes on with it: the effects of decisions that are not finished
    /// wait to be taken, and transactions that are to be aborted are due at once.
    ///
    /// - Throws: what the store does, and `corrupt` where a record breaks a rule.
    public init(
        configuration: TransactionConfiguration = TransactionConfiguration(),
        store: any TransactionStore, producerIDs: any ProducerIDGenerator,
        earlierProducers: EarlierProducers, now: Timestamp
    ) throws(TransactionStoreError) {
        let coordinatorEpoch = try store.beginCoordinatorTerm()
        let entries = try Self.load(store, earlierProducers: earlierProducers, now: now)
        self.configuration = configuration
        self.store = store
        self.producerIDs = producerIDs
        self.coordinatorEpoch = coordinatorEpoch
        self.entries = entries
        for (id, entry) in entries.sorted(by: { $0.key < $1.key }) {
            if entry.record.state.isPrepared { tellAll(id) }
            schedule(id)
        }
    }

    private static func load(
        _ store: any TransactionStore, earlierProducers: EarlierProducers, now: Timestamp
    ) throws(TransactionStoreError) -> [String: Entry] {
        var entries: [String: Entry] = [:]
        for record in try store.loadTransactions() {
            guard entries[record.transactionalID] == nil else {
                throw .corrupt(reason: "\(record.transactionalID) is there twice")
            }
            entries[record.transactionalID] = try entry(
                record, earlierProducers: earlierProducers, now: now)
        }
        return entries
    }

    static func entry(
        _ stored: TransactionRecord, earlierProducers: EarlierProducers, now: Timestamp
    ) throws(TransactionStoreError) -> Entry {
        if let problem = stored.verify().first { throw .corrupt(reason: problem) }
        var record = stored
        // A clock that was set back since must not keep a transaction open for long.
        record.startedAt = record.startedAt.map { min($0, now) }
        record.updatedAt = min(record.updatedAt, now)
        var entry = Entry(record: record)
        entry.isAbandoned = earlierProducers == .areGone
        return entry
    }

    /// Takes what is to be done and was not taken before.
    public mutating func takeEffects() -> [TransactionEffect] {
        defer { effects.removeAll() }
        return effects
    }

    /// When ``advance(to:)`` is to be called next; nil where nothing waits for a time. Ask again
    /// after every call.
    public var nextDeadline: Timestamp? { deadlines.earliest }

    // MARK: Looking at it

    /// What is known of a transactional id.
    ///
    /// - Throws: `transactionalIDNotFound`.
    public func describe(_ transactionalID: String) throws(TransactionError) -> TransactionRecord {
        try requireServed(transactionalID)
        guard let entry = entries[transactionalID] else { throw .transactionalIDNotFound }
        return entry.record
    }

    /// The records that match, by transactional id; an empty filter matches all.
    ///
    /// - Parameter longerThanMilliseconds: only transactions that are under way and began longer
    ///   ago; nil for all ids.
    public func list(
        states: Set<TransactionState> = [], producerIDs: Set<Int64> = [],
        longerThanMilliseconds: Int64? = nil, now: Timestamp
    ) -> [TransactionRecord] {
        entries.values.map(\.record).filter { record in
            if !states.isEmpty, !states.contains(record.state) { return false }
            if !producerIDs.isEmpty, !producerIDs.contains(record.producer.id) { return false }
            guard let longerThanMilliseconds else { return true }
            guard let startedAt = record.startedAt else { return false }
            return startedAt.later(by: longerThanMilliseconds) < now
        }.sorted { $0.transactionalID < $1.transactionalID }
    }

    /// Who was not told of the decision yet, in order; empty where there is none.
    public func untold(of transactionalID: String) -> [TransactionWork.Target] {
        guard let entry = entries[transactionalID] else { return [] }
        return entry.failed.union(entry.inFlight.keys)
            .sorted(by: TransactionWork.Target.comesBefore)
    }
}

extension Timestamp {
    /// The time so many milliseconds later; stops at the end of all numbers.
    func later(by milliseconds: Int64) -> Timestamp {
        let (sum, overflow) = rawValue.addingReportingOverflow(milliseconds)
        return Timestamp(milliseconds: overflow ? (milliseconds < 0 ? .min : .max) : sum)
    }
}
