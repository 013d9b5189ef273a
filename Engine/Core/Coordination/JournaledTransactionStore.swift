import Synchronization
import TallyLog
import TallyRecords
import TallyTransactions

/// The store of a transaction coordinator whose transactional ids are recorded in
/// `__transaction_state`: a change is in the log when ``apply(_:)`` returns, and counts when it is
/// committed there, which whoever answers waits for.
///
/// Thread rule: one call at a time, on the coordinator's lane.
final class JournaledTransactionStore: TransactionStore {
    private let journal: CoordinationJournal<TransactionChange>
    /// The partitions of the topic.
    let partitionCount: Int32
    /// The partitions of `__consumer_offsets`.
    let offsetsPartitionCount: Int32
    private let failures = Mutex<[Int32: CommitFailure]>([:])

    init(
        journal: CoordinationJournal<TransactionChange>, partitionCount: Int32,
        offsetsPartitionCount: Int32
    ) {
        self.journal = journal
        self.partitionCount = partitionCount
        self.offsetsPartitionCount = offsetsPartitionCount
    }

    /// None: they are taken over partition by partition.
    func loadTransactions() -> [TransactionRecord] { [] }

    /// Not used: the epoch of a partition's leader is the coordinator's.
    func beginCoordinatorTerm() -> Int32 { 0 }

    func save(_ record: TransactionRecord) throws(TransactionStoreError) {
        try apply([.save(record)])
    }

    func removeTransaction(_ transactionalID: String) throws(TransactionStoreError) {
        try apply([.remove(transactionalID: transactionalID)])
    }

    /// Appends the changes, those of one partition in one batch. What a partition does not take is
    /// no error here, since others have theirs: ``takeFailures()`` tells.
    func apply(_ changes: [TransactionChange]) throws(TransactionStoreError) {
        let byPartition = Dictionary(grouping: changes) {
            InternalTopic.partition(of: $0.transactionalID, count: partitionCount)
        }
        for (partition, changes) in byPartition.sorted(by: { $0.key < $1.key }) {
            do {
                let records = try changes.map { try record($0) }
                // Each record replaces the one of before whole: the last of an id is enough.
                try journal.append(
                    CoordinationJournal.Entry(
                        partition: partition, records: records.lastOfEachKey(), changes: changes))
            } catch {
                failures.withLock { $0[partition] = CommitFailure(error) }
            }
        }
    }

    private func record(_ change: TransactionChange) throws -> CoordinatorRecord {
        let key = try TransactionLogKey.transactionalID(change.transactionalID).encoded()
        switch change {
        case .remove: return CoordinatorRecord(key: key, value: nil)
        case .save(let record):
            let value = TransactionLogValue(record, offsetsPartitionCount: offsetsPartitionCount)
            return CoordinatorRecord(key: key, value: try value.encoded())
        }
    }

    /// The partitions that did not take what was applied, since this was asked last.
    func takeFailures() -> [Int32: CommitFailure] {
        failures.withLock { failures in
            defer { failures = [:] }
            return failures
        }
    }

    /// Not used: producer ids come from elsewhere.
    func reserveProducerIDs(
        count: Int64, notBelow least: Int64
    ) throws(TransactionStoreError) -> Range<Int64> {
        throw .unavailable(reason: "producer ids are not kept here")
    }
}

extension TransactionChange {
    /// Whose change it is.
    var transactionalID: String {
        switch self {
        case .save(let record): record.transactionalID
        case .remove(let id): id
        }
    }
}

extension Array where Element == CoordinatorRecord {
    /// Of each key the last record, in the order of the first ones.
    fileprivate func lastOfEachKey() -> [CoordinatorRecord] {
        var places: [[UInt8]: Int] = [:]
        var kept: [CoordinatorRecord] = []
        for record in self {
            if let place = places[record.key] {
                kept[place] = record
            } else {
                places[record.key] = kept.count
                kept.append(record)
            }
        }
        return kept
    }
}
