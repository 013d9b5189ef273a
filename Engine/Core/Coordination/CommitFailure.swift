import TallyGroups
import TallyLog
import TallyTransactions

/// Why something that a coordinator recorded is not known to be committed. It may be, later.
enum CommitFailure: Error, Hashable, Sendable {
    /// Not in time.
    case timedOut
    /// Another member leads the partition now, or the log takes nothing more.
    case notCoordinator
    /// Anything else.
    case failed(String)

    /// What a log said.
    init(_ error: any Error) {
        switch error {
        case LogError.follows, LogError.truncated, LogError.closed, LogError.stopped,
            LogError.notLeader, LogError.notKept, EngineError.partitionNotKept:
            self = .notCoordinator
        default:
            self = .failed("\(error)")
        }
    }

    /// As Kafka tells it: what is late or short of replicas may be asked for again right here.
    func groupError(of group: String) -> GroupError {
        switch self {
        case .timedOut: .coordinatorNotAvailable(reason: Self.late)
        case .notCoordinator: .notCoordinator(group)
        case .failed(let reason): .coordinatorNotAvailable(reason: reason)
        }
    }

    /// As Kafka tells it.
    var transactionError: TransactionError {
        switch self {
        case .timedOut: .coordinatorNotAvailable(reason: Self.late)
        case .notCoordinator: .notCoordinator
        case .failed(let reason): .coordinatorNotAvailable(reason: reason)
        }
    }

    private static let late = "it is recorded, and not enough replicas have it in time"
}
