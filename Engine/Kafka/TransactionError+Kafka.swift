import Tally
import TallyClient
import TallyTransactions
import TallyWire

extension TransactionError {
    /// What a broker's answer says of a transaction for good; nil for what passes, and for what is
    /// none of transactions.
    ///
    /// A coordinator calls a producer that was fenced INVALID_PRODUCER_EPOCH where a request is of
    /// a version from before PRODUCER_FENCED was there, and partitions always do (KIP-588).
    init?(of code: ErrorCode) {
        switch code {
        case .producerFenced, .invalidProducerEpoch: self = .producerFenced
        case .invalidProducerIDMapping: self = .invalidProducerIDMapping
        case .invalidTransactionState: self = .invalidTransactionState
        case .invalidTransactionTimeout: self = .invalidTransactionTimeout
        case .transactionAbortable: self = .transactionAbortable
        case .transactionalIDNotFound: self = .transactionalIDNotFound
        case .transactionalIDAuthorizationFailed:
            self = .invalidRequest(reason: "the cluster refuses it: \(code)")
        default: return nil
        }
    }
}

extension RemoteTransactionFailure {
    /// What an attempt's error means.
    ///
    /// - Parameter wasSent: whether the request may have come to the broker that it was for.
    init(_ error: any Error, wasSent: Bool) {
        guard let error = error as? ClientError else {
            self.init(
                .coordinatorNotAvailable(reason: "\(error)"), isRetriable: false,
                isInDoubt: wasSent)
            return
        }
        switch error {
        case .refused(_, _, let code, _):
            self.init(code, error.description, wasSent: wasSent)
        case .cannotConnect, .noLeader:
            self.init(
                .coordinatorNotAvailable(reason: error.description), isRetriable: true,
                isInDoubt: false)
        case .closed, .timedOut:
            self.init(
                .coordinatorNotAvailable(reason: error.description), isRetriable: true,
                isInDoubt: wasSent)
        case .malformedAnswer, .answerTooLarge, .gaveUp:
            self.init(
                .coordinatorNotAvailable(reason: error.description), isRetriable: false,
                isInDoubt: wasSent)
        case .unsupportedVersion, .invalidRequest:
            self.init(
                .invalidRequest(reason: error.description), isRetriable: false, isInDoubt: false)
        }
    }

    private init(_ code: ErrorCode, _ description: String, wasSent: Bool) {
        if let error = TransactionError(of: code) {
            self.init(error, isRetriable: false, isInDoubt: false)
            return
        }
        let error: TransactionError =
            switch code {
            case .concurrentTransactions: .concurrentTransactions
            case .notCoordinator: .notCoordinator
            case .coordinatorLoadInProgress: .coordinatorLoadInProgress
            default:
                code.isRetriable || code == .unknownServerError
                    ? .coordinatorNotAvailable(reason: description)
                    : .invalidRequest(reason: description)
            }
        // A coordinator that could not store what it was asked for, or does not know whether it
        // could, or has lost its partition meanwhile, says one of these.
        let inDoubt: Set<ErrorCode> = [
            .coordinatorNotAvailable, .notCoordinator, .requestTimedOut, .kafkaStorageError,
            .networkException, .notEnoughReplicasAfterAppend, .unknownServerError,
        ]
        self.init(
            error, isRetriable: code.isRetriable, isInDoubt: wasSent && inDoubt.contains(code))
    }

    /// Whether it is worth being asked once more, even by one that ends.
    var mayPass: Bool {
        switch error {
        case .concurrentTransactions, .notCoordinator, .coordinatorLoadInProgress,
            .coordinatorNotAvailable:
            true
        default: false
        }
    }
}
