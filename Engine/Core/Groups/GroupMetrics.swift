import Metrics
import TallyGroups
import TallyRecords

/// What groups tell through swift-metrics, by group (dimension `group`).
enum GroupMetrics {
    private static func counter(_ label: String, _ group: String) -> Counter {
        Counter(label: label, dimensions: [("group", group)])
    }

    /// Counts what members of this process commit.
    static func commits(of group: String) -> Counter {
        counter("tally_group_commits_total", group)
    }

    /// Counts the assignments that members of this process get.
    static func assignments(of group: String) -> Counter {
        counter("tally_group_assignments_total", group)
    }

    /// How far a group is behind in a partition (dimensions `topic` and `partition`, too), looked
    /// at now and then.
    static func note(lag: Int64, of group: String, in partition: TopicPartition) {
        Gauge(
            label: "tally_group_lag",
            dimensions: [
                ("group", group), ("topic", partition.topic),
                ("partition", "\(partition.partition)"),
            ]
        ).record(lag)
    }
}

extension Engine {
    /// Tells the metrics how far each group is behind where it has committed, whether it has
    /// members or not: one that stands still is the one to hear of.
    func recordGroupLags() async {
        guard let listings = try? await groupListings() else { return }
        for group in listings.map(\.group) {
            // One group at a time: others wait for the lane.
            guard let offsets = try? await committedOffsets(ofGroup: group) else { continue }
            for (id, committed) in offsets {
                let log = try? partition(id.partition, of: id.topic).onlineLog
                let lag = PartitionLag(
                    partition: id, committed: committed, logEnd: log?.highWatermark
                ).lag
                if let lag { GroupMetrics.note(lag: lag, of: group, in: id) }
            }
        }
    }
}
