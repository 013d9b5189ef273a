import Synchronization

/// A change of what a store keeps. A value.
public enum TransactionChange: Hashable, Sendable {
    /// The record in the place of the one with its transactional id.
    case save(TransactionRecord)
    /// Nothing is known of the transactional id any more.
    case remove(transactionalID: String)
}

/// Gathers what a coordinator stores in one turn, so that many requests share one durable write.
///
/// What was asked in a turn is true when ``endTurn()`` has returned, and must not be told before.
/// Where that throws, the store holds some of it or nothing, and the coordinator, which thinks that
/// it is stored, has to be loaded anew. Outside of a turn every change is written by itself.
///
/// Thread rule: safe to share; one turn at a time.
package final class BufferedTransactionStore: TransactionStore {
    private let store: any TransactionStore
    /// Nil outside of a turn.
    private let changes = Mutex<[TransactionChange]?>(nil)

    package init(_ store: any TransactionStore) { self.store = store }

    package func beginTurn() { changes.withLock { $0 = [] } }

    package func endTurn() throws(TransactionStoreError) {
        let gathered = changes.withLock { changes in
            defer { changes = nil }
            return changes ?? []
        }
        if !gathered.isEmpty { try store.apply(gathered) }
    }

    package func save(_ record: TransactionRecord) throws(TransactionStoreError) {
        try apply([.save(record)])
    }

    package func removeTransaction(_ transactionalID: String) throws(TransactionStoreError) {
        try apply([.remove(transactionalID: transactionalID)])
    }

    package func apply(_ more: [TransactionChange]) throws(TransactionStoreError) {
        let isGathered = changes.withLock { changes in
            changes?.append(contentsOf: more)
            return changes != nil
        }
        if !isGathered { try store.apply(more) }
    }

    package func loadTransactions() throws(TransactionStoreError) -> [TransactionRecord] {
        try store.loadTransactions()
    }

    package func beginCoordinatorTerm() throws(TransactionStoreError) -> Int32 {
        try store.beginCoordinatorTerm()
    }

    package func reserveProducerIDs(
        count: Int64, notBelow least: Int64
    ) throws(TransactionStoreError) -> Range<Int64> {
        try store.reserveProducerIDs(count: count, notBelow: least)
    }
}
