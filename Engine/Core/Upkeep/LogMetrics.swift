import Metrics
import Synchronization

/// What logs tell through swift-metrics: how large they are (`tally_log_bytes`, dimensions `topic`
/// and `partition`), and how often logs were synced (`tally_syncs_total`).
///
/// Thread rule: any thread.
final class LogMetrics: Sendable {
    private let syncs = Counter(label: "tally_syncs_total")
    /// The syncs that were told of.
    private let toldSyncCount = Atomic<Int>(0)

    /// Tells what there is now.
    func record(_ partitions: [Partition], syncCount: Int) {
        let before = toldSyncCount.exchange(syncCount, ordering: .relaxed)
        syncs.increment(by: max(syncCount - before, 0))
        for partition in partitions {
            guard let log = partition.onlineLog else { continue }
            Gauge(
                label: "tally_log_bytes",
                dimensions: [
                    ("topic", partition.topic), ("partition", "\(partition.index)"),
                ]
            ).record(log.byteCount)
        }
    }
}
