import TallyRecords
import TallyTransactions

/// What records transactional ids in `__transaction_state`. A value.
struct TransactionJournal: Sendable {
    /// Where changes go, and who says when they are committed.
    var journal: CoordinationJournal<TransactionChange>
    /// The coordinator's store, which hands them on.
    var store: JournaledTransactionStore
    /// Has partitions read again, some time soon, that did not take a change.
    var reload: @Sendable ([Int32: CommitFailure]) -> Void

    /// The partition that keeps a transactional id.
    func partition(of transactionalID: String) -> Int32 {
        InternalTopic.partition(of: transactionalID, count: store.partitionCount)
    }
}
