import TallyGroups
import TallyLog
import TallyRecords
import TallyTransactions

/// Where a coordinator records what it decides: its partition of an internal topic, as long as its
/// member leads that. The engine's journal does the same, with threads and time limits.
///
/// Everything in a simulation runs in one thread; the state machines want their stores `Sendable`.
final class CoordinatorJournal: @unchecked Sendable {
    private unowned let replica: SimulatedReplica
    /// What was appended last, in the epoch in which the partition is led.
    private var last: (end: Offset, epoch: LeaderEpoch)?

    init(_ replica: SimulatedReplica) { self.replica = replica }

    /// The log, and the epoch that is known of it.
    var log: any ReplicaLog { replica.log }

    /// Appends; nobody may hear of it yet.
    func append(
        _ record: SimulatedRecord, verification: TransactionStanding? = nil
    ) throws(AppendRefusal) {
        try append { () throws(AppendRefusal) in
            try replica.append(record, verification: verification)
        }
    }

    /// Appends the end of a transaction; nobody may hear of it yet.
    func append(_ marker: TransactionMarker) throws(AppendRefusal) {
        try append { () throws(AppendRefusal) in try replica.append(marker) }
    }

    private func append(_ body: () throws(AppendRefusal) -> Offset) throws(AppendRefusal) {
        // What the coordinator knows is of the epoch that it has read the log in.
        guard last?.epoch == replica.epoch else { throw .notLeader }
        last = (try body().advanced(by: 1), replica.epoch)
    }

    /// Tells when all that was appended is committed; false where nobody knows, now or for good.
    func whenCommitted(_ tell: @escaping (Bool) -> Void) {
        guard let last, !replica.world.has(.answersUncommitted) else { return tell(true) }
        // Also before anything is appended: another may lead by now, and have gone on.
        replica.whenCommitted(before: last.end, in: last.epoch) { commitment in
            // With too few replicas in sync it is committed all the same: all of them have it.
            if case .notLeader = commitment { tell(false) } else { tell(true) }
        }
    }

    /// Does something when all that was appended is committed, however long that takes; not at all
    /// where another leads, who reads what there is to do.
    ///
    /// A leader whose lease has ended for a moment goes on in the same epoch when it has another:
    /// nobody reads the log anew then, and what is to be done must not be forgotten.
    func afterCommit(_ action: @escaping () -> Void) {
        let appended = last
        whenCommitted { [self] isCommitted in
            if isCommitted { return action() }
            guard let appended, replica.epoch == appended.epoch,
                !replica.world.has(.forgetsWork)
            else { return }
            replica.member.after(100) { [self] in
                if last?.epoch == appended.epoch { afterCommit(action) }
            }
        }
    }

    /// The partition is led from now on.
    func lead(in epoch: LeaderEpoch) { last = (.zero, epoch) }

    /// The partition is led no longer.
    func forget() { last = nil }
}

/// Transactional ids, recorded in `__transaction_state`.
final class TransactionTopicStore: TransactionStore, @unchecked Sendable {
    private let journal: CoordinatorJournal
    private var hasFailed = false

    init(_ journal: CoordinatorJournal) { self.journal = journal }

    /// None: they are taken over when the partition is led.
    func loadTransactions() -> [TransactionRecord] { [] }
    /// Not used: the epoch of the partition's leader is the coordinator's.
    func beginCoordinatorTerm() -> Int32 { 0 }

    func save(_ record: TransactionRecord) { apply([.save(record)]) }
    func removeTransaction(_ id: String) { apply([.remove(transactionalID: id)]) }

    /// Appends the changes in one batch; what cannot be appended is told of by `takeFailure`.
    func apply(_ changes: [TransactionChange]) {
        do {
            let records = try changes.map { try CoordinatorRecord($0) }
            try journal.append(SimulatedRecord(content: .state(records)))
        } catch {
            hasFailed = true
        }
    }

    func takeFailure() -> Bool {
        defer { hasFailed = false }
        return hasFailed
    }

    /// Not used: producer ids come from the coordination store.
    func reserveProducerIDs(
        count: Int64, notBelow least: Int64
    ) throws(TransactionStoreError) -> Range<Int64> {
        throw .unavailable(reason: "producer ids are not kept here")
    }
}

extension CoordinatorRecord {
    fileprivate init(_ change: TransactionChange) throws {
        switch change {
        case .remove(let id):
            self.init(key: try TransactionLogKey.transactionalID(id).encoded(), value: nil)
        case .save(let record):
            self.init(
                key: try TransactionLogKey.transactionalID(record.transactionalID).encoded(),
                value: try TransactionLogValue(record, offsetsPartitionCount: 1).encoded())
        }
    }
}

/// Groups and their offsets, recorded in `__consumer_offsets`.
final class OffsetsTopicStore: OffsetStore, @unchecked Sendable {
    private let journal: CoordinatorJournal
    /// How the transaction stood whose offsets are being committed.
    var verification: TransactionStanding?

    init(_ journal: CoordinatorJournal) { self.journal = journal }

    var keepsMembers: Bool { true }
    /// None: they are taken over when the partition is led.
    func loadGroups() -> [StoredGroup] { [] }

    func apply(_ changes: [OffsetStoreChange]) throws(OffsetStoreError) {
        do {
            for batch in try OffsetsTopicBatch.batches(of: changes, count: 1)
            where !batch.records.isEmpty {
                let record = SimulatedRecord(
                    producer: batch.producer ?? .none, isTransactional: batch.producer != nil,
                    content: .state(batch.records))
                try journal.append(
                    record, verification: batch.producer == nil ? nil : verification)
            }
        } catch {
            var failure = OffsetStoreError(reason: "\(error)")
            failure.refusal = Self.refusal(error)
            throw failure
        }
    }

    private static func refusal(_ error: any Error) -> GroupError {
        switch error {
        case AppendRefusal.notLeader: .notCoordinator("")
        case AppendRefusal.producer(.verificationOutdated): .concurrentTransactions
        case AppendRefusal.producer(.invalidProducerEpoch(let current)):
            .invalidProducerEpoch(given: -1, current: current)
        default: .coordinatorNotAvailable(reason: "\(error)")
        }
    }
}
