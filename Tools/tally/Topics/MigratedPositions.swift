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
        /// Partitions of which nobody knows what was read: what was committed lies behind the end,
        /// or behind records that others have taken the place of.
        var lost: Set<Int32>
        /// By target partition: how many records lie before the first that was not read.
        var firstUnread: [Int?]
        /// Records behind that which were read.
        var repeatCount = 0
    }

    private var groups: [String: Group] = [:]

    /// The groups that have committed something in a topic, about to be walked.
    init(of topic: String, in engine: Engine, targetCount: Int) async throws {
        let sourceCount = try engine.describeTopic(topic).partitions.count
        for listing in try await engine.groupListings() {
            let offsets = try await engine.committedOffsets(ofGroup: listing.group)
            var committed: [Int32: Offset] = [:]
            var lost: Set<Int32> = []
            // Of a partition that the topic does not have nothing is copied.
            for (partition, position) in offsets
            where partition.topic == topic && partition.partition < sourceCount {
                let stored = StoredPosition(
                    offset: position.offset, leaderEpoch: position.leaderEpoch)
                let isKnown =
                    switch try engine.state(of: stored, in: partition) {
                    case .held: true
                    // Retired since: all that there is was not read.
                    case .outside(let logStart, _): position.offset < logStart
                    case .diverged, .ofAnotherTopic: false
                    }
                if isKnown {
                    committed[partition.partition] = position.offset
                } else {
                    lost.insert(partition.partition)
                }
            }
            guard !committed.isEmpty || !lost.isEmpty else { continue }
            groups[listing.group] = Group(
                committed: committed, lost: lost,
                firstUnread: Array(repeating: nil, count: targetCount))
        }
    }

    /// No groups at all.
    init() {}

    /// Notes a record: where it lies, and behind how many others in which target partition.
    mutating func note(partition: Int32, offset: Offset, target: Int, behind count: Int) {
        for name in groups.keys {
            let isRead = offset < groups[name]!.committed[partition] ?? .zero
            let isLost = groups[name]!.lost.contains(partition)
            if groups[name]!.firstUnread[target] == nil, !isRead {
                groups[name]!.firstUnread[target] = count
                // Perhaps read.
                if isLost { groups[name]!.repeatCount += 1 }
            } else if groups[name]!.firstUnread[target] != nil, isRead || isLost {
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
