import Metrics
import TallyTransactions

/// What producers with transactions tell through swift-metrics, by outcome.
///
/// Thread rule: any thread.
enum TransactionMetrics {
    private static let committed = counter("committed")
    private static let aborted = counter("aborted")

    private static func counter(_ outcome: String) -> Counter {
        Counter(label: "tally_transactions_total", dimensions: [("outcome", outcome)])
    }

    /// A transaction has ended as its producer decided.
    static func noteEnd(_ decision: TransactionDecision) {
        switch decision {
        case .commit: committed.increment()
        case .abort: aborted.increment()
        }
    }
}
