import Synchronization

/// A store that forgets everything with the process: for tests, and for engines without a state
/// database, whose producers die with them.
///
/// Thread rule: safe to share.
public final class InMemoryTransactionStore: TransactionStore {
    private struct Contents {
        var records: [String: TransactionRecord] = [:]
        var terms: Int32 = 0
        var nextProducerID: Int64 = 0
    }

    private let contents = Mutex(Contents())

    /// A store without any records.
    public init() {}

    /// All records, by transactional id.
    public func loadTransactions() -> [TransactionRecord] {
        contents.withLock { $0.records.values.sorted { $0.transactionalID < $1.transactionalID } }
    }

    /// The next number, from 0.
    public func beginCoordinatorTerm() -> Int32 {
        contents.withLock { contents in
            defer { contents.terms += 1 }
            return contents.terms
        }
    }

    /// Replaces the record.
    public func save(_ record: TransactionRecord) {
        contents.withLock { $0.records[record.transactionalID] = record }
    }

    /// Forgets the record.
    public func removeTransaction(_ transactionalID: String) {
        contents.withLock { $0.records[transactionalID] = nil }
    }

    /// The next free ids. Throws ``TransactionStoreError/producerIDsExhausted``.
    public func reserveProducerIDs(
        count: Int64, notBelow least: Int64
    ) throws(TransactionStoreError) -> Range<Int64> {
        try contents.withLock { contents throws(TransactionStoreError) in
            let first = max(contents.nextProducerID, least)
            let (end, overflow) = first.addingReportingOverflow(count)
            guard !overflow else { throw .producerIDsExhausted }
            contents.nextProducerID = end
            return first..<end
        }
    }
}
