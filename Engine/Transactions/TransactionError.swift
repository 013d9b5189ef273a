/// Why the coordinator refused a request; nothing of it was done, but where it says so.
///
/// The cases are Kafka's errors, and ``code`` is Kafka's number.
public enum TransactionError: Error, Hashable, Sendable {
    /// No producer of this transactional id has this producer id: it was never given out, was
    /// followed by another, or was forgotten after `transactional.id.expiration.ms`.
    case invalidProducerIDMapping
    /// Another producer began with this transactional id, or the transaction took longer than its
    /// timeout: the caller must stop.
    case producerFenced
    /// The same as ``producerFenced``, said to a partition that asks whether to append: producers
    /// know no other name for it in the answer to a write.
    case invalidProducerEpoch
    /// A decision is on its way to the partitions: ask again soon. From
    /// ``TransactionCoordinator/initProducerID(_:timeoutMilliseconds:expected:now:)`` it may also
    /// mean that an ongoing transaction is being aborted first.
    case concurrentTransactions
    /// There is no transaction to commit, or the opposite was decided.
    case invalidTransactionState
    /// The timeout is not between 1 and `transaction.max.timeout.ms`.
    case invalidTransactionTimeout
    /// The partition is not part of the transaction: abort it and begin again.
    case transactionAbortable
    /// Nobody knows the transactional id.
    case transactionalIDNotFound
    /// A name is empty, too long or has a NUL character in it, or a partition number is negative.
    case invalidRequest(reason: String)
    /// The state could not be stored: ask again. It may have been stored nevertheless.
    case coordinatorNotAvailable(reason: String)
    /// Another member of the cluster answers for this transactional id: ask who (FindCoordinator).
    case notCoordinator
    /// What is known of the transactional id is being read: ask again soon.
    case coordinatorLoadInProgress

    /// Kafka's number for the error in its protocol.
    public var code: Int16 {
        switch self {
        case .coordinatorLoadInProgress: 14
        case .coordinatorNotAvailable: 15
        case .notCoordinator: 16
        case .invalidRequest: 42
        case .invalidProducerEpoch: 47
        case .invalidTransactionState: 48
        case .invalidProducerIDMapping: 49
        case .invalidTransactionTimeout: 50
        case .concurrentTransactions: 51
        case .producerFenced: 90
        case .transactionalIDNotFound: 105
        case .transactionAbortable: 120
        }
    }
}

extension TransactionError: CustomStringConvertible {
    /// Kafka's name, what it means, and what to do.
    public var description: String {
        switch self {
        case .invalidProducerIDMapping:
            "INVALID_PRODUCER_ID_MAPPING: the transactional id has another producer id now; "
                + "initialize a new producer"
        case .producerFenced:
            "PRODUCER_FENCED: another producer began with this transactional id, or the "
                + "transaction timed out; this producer must stop"
        case .invalidProducerEpoch:
            "INVALID_PRODUCER_EPOCH: the producer's epoch is over; nothing was written"
        case .concurrentTransactions:
            "CONCURRENT_TRANSACTIONS: the previous transaction is still being ended; try again"
        case .invalidTransactionState:
            "INVALID_TXN_STATE: there is no transaction to end in this way"
        case .invalidTransactionTimeout:
            "INVALID_TRANSACTION_TIMEOUT: the timeout must be at least 1 ms and at most "
                + "transaction.max.timeout.ms"
        case .transactionAbortable:
            "TRANSACTION_ABORTABLE: the partition is not part of the transaction; abort it"
        case .transactionalIDNotFound:
            "TRANSACTIONAL_ID_NOT_FOUND: no producer uses this transactional id"
        case .invalidRequest(let reason):
            "INVALID_REQUEST: \(reason)"
        case .notCoordinator:
            "NOT_COORDINATOR: another member of the cluster answers for the transactional id; ask "
                + "who"
        case .coordinatorLoadInProgress:
            "COORDINATOR_LOAD_IN_PROGRESS: what is known of the transactional id is being read; "
                + "try again"
        case .coordinatorNotAvailable(let reason):
            "COORDINATOR_NOT_AVAILABLE: the transaction's state could not be stored (\(reason)); "
                + "try again"
        }
    }
}
