import Tally

/// Where groups that have read a topic stand in its copy, worked out while the topic is walked.
///
/// A copy's partition holds records of several source partitions, one after the other, and a group
/// has one position in it: in front of the first record that it has not read. What lies behind
/// that and was read already would be read again. A value.
struct MigratedPositions {
    /// What happens to the positions of groups.
    enum Policy: String, CaseIterable {
        /// Those that come out exactly are mapped; where one does not, nothing is begun.
        case exact
        /// A group reads some records again rather than miss one.
        case atLeastOnce = "at-least-once"
        /// Groups begin in the new topic as new ones do.
        case none
    }

    private struct Group {
        var committed: [Int32: Offset]
        /// By target partition: how many records lie before the first that was not read.
        var firstUnread: [Int?]
        /// Records behind that which were read.
        var repeatCount = 0
    }

    private var groups: [String: Group] = [:]

    /// The groups that have committed something in a topic, about to be walked.
    init(of topic: String, in engine: Engine, targetCount: Int) async throws {
        for listing in try await engine.groupListings() {
            let offsets = try await engine.committedOffsets(ofGroup: listing.group)
            var committed: [Int32: Offset] = [:]
            for (partition, position) in offsets where partition.topic == topic {
                committed[partition.partition] = position.offset
            }
            guard !committed.isEmpty else { continue }
            groups[listing.group] = Group(
                committed: committed, firstUnread: Array(repeating: nil, count: targetCount))
        }
    }

    /// No groups at all.
    init() {}

    /// Notes a record: where it lies, and behind how many others in which target partition.
    mutating func note(partition: Int32, offset: Offset, target: Int, behind count: Int) {
        for name in groups.keys {
            let isRead = offset < groups[name]!.committed[partition] ?? .zero
            if groups[name]!.firstUnread[target] == nil {
                if !isRead { groups[name]!.firstUnread[target] = count }
            } else if isRead {
                groups[name]!.repeatCount += 1
            }
        }
    }

    /// Groups that would read records again, with their number; by name.
    var repeats: [(group: String, recordCount: Int)] {
        groups.filter { $0.value.repeatCount > 0 }
            .map { ($0.key, $0.value.repeatCount) }.sorted { $0.0 < $1.0 }
    }

    /// Where each group stands, when all records were noted.
    ///
    /// - Parameter counts: the records of each target partition.
    func offsets(
        in target: String, counts: [Int]
    ) -> [(group: String, offsets: [TopicPartition: OffsetToCommit])] {
        groups.sorted { $0.key < $1.key }.map { name, group in
            var offsets: [TopicPartition: OffsetToCommit] = [:]
            for (index, count) in counts.enumerated() {
                let partition = TopicPartition(topic: target, partition: Int32(index))
                let offset = Offset(Int64(group.firstUnread[index] ?? count))
                offsets[partition] = OffsetToCommit(offset: offset)
            }
            return (name, offsets)
        }
    }
}
