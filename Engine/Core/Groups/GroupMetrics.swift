import Metrics
import Synchronization
import TallyGroups
import TallyRecords

/// What a member of a group tells through swift-metrics, by group (dimension `group`): commits,
/// assignments that it was given, and how far the group is behind where it has committed
/// (dimensions `topic` and `partition` besides).
///
/// Thread rule: any thread.
final class GroupMetrics: Sendable {
    private let group: String
    private let commits: Counter
    private let assignments: Counter
    /// One for each partition that was committed here.
    private let lags = Mutex<[TopicPartition: Gauge]>([:])

    init(group: String) {
        self.group = group
        commits = Counter(label: "tally_group_commits_total", dimensions: [("group", group)])
        assignments = Counter(
            label: "tally_group_assignments_total", dimensions: [("group", group)])
    }

    /// The member got partitions, or was told that it keeps what it has.
    func noteAssignment() { assignments.increment() }

    /// Positions were committed.
    func noteCommit(of offsets: [TopicPartition: OffsetToCommit], _ readers: PartitionReaders) {
        commits.increment()
        for (partition, committed) in offsets {
            guard let end = readers.first(partition)?.log.highWatermark else { continue }
            gauge(of: partition).record(max(end.rawValue - committed.offset.rawValue, 0))
        }
    }

    private func gauge(of partition: TopicPartition) -> Gauge {
        lags.withLock { lags in
            if let known = lags[partition] { return known }
            let gauge = Gauge(
                label: "tally_group_lag",
                dimensions: [
                    ("group", group), ("topic", partition.topic),
                    ("partition", "\(partition.partition)"),
                ])
            lags[partition] = gauge
            return gauge
        }
    }
}
