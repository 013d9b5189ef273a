public import TallyRecords

/// How a group's leader shares out partitions, under Kafka's names. Pure functions of what the
/// members said; the same input gives the same assignment, whatever the order of the members.
public enum Assignor: String, Hashable, Sendable, CaseIterable {
    /// Topic by topic, neighbouring partitions to each member.
    case range
    /// All partitions in turn.
    case roundRobin = "roundrobin"
    /// Balanced, and whatever a member has it keeps, as far as balance allows.
    case sticky
    /// As `sticky`, and no partition is given to a member while another still has it.
    case cooperativeSticky = "cooperative-sticky"

    /// A member as an assignor sees it.
    public struct Member: Hashable, Sendable {
        /// The member's id.
        public var memberID: String
        /// Its `group.instance.id`, where it is static.
        public var instanceID: String?
        /// The topics it wants to read.
        public var topics: Set<String>
        /// What it says to read now.
        public var ownedPartitions: [TopicPartition]
        /// The generation in which it got that; -1 where it does not know.
        public var generation: Int32

        /// A member.
        public init(
            memberID: String, instanceID: String? = nil, topics: Set<String>,
            ownedPartitions: [TopicPartition] = [], generation: Int32 = -1
        ) {
            self.memberID = memberID
            self.instanceID = instanceID
            self.topics = topics
            self.ownedPartitions = ownedPartitions
            self.generation = generation
        }
    }

    /// Whether members go on reading what they have while the group rebalances.
    public var isCooperative: Bool { self == .cooperativeSticky }

    /// Shares out partitions.
    ///
    /// - Parameters:
    ///   - partitionCounts: how many partitions each topic has; topics that are missing have none.
    ///   - members: with distinct ids.
    /// - Returns: what each member is to read, ordered by topic and number; each member is in it.
    public func assign(
        partitionCounts: [String: Int], members: [Member]
    ) -> [String: [TopicPartition]] {
        let members = members.sorted(by: Self.precedes)
        let counts = partitionCounts.filter { $0.value > 0 }
        let shares =
            switch self {
            case .range: Self.range(counts, members)
            case .roundRobin: Self.roundRobin(counts, members)
            case .sticky: StickyAssignment(counts, members).shares(isCooperative: false)
            case .cooperativeSticky: StickyAssignment(counts, members).shares(isCooperative: true)
            }
        return Dictionary(
            zip(members.map(\.memberID), shares.map { $0.sorted() }), uniquingKeysWith: { $1 })
    }

    /// Static members come first, by their instance ids; then the others, by their ids. So do
    /// Kafka's clients order them (`AbstractPartitionAssignor.MemberInfo`).
    static func precedes(_ left: Member, _ right: Member) -> Bool {
        switch (left.instanceID, right.instanceID) {
        case (let left?, let right?): left < right
        case (_?, nil): true
        case (nil, _?): false
        case (nil, nil): left.memberID < right.memberID
        }
    }

    /// Of each topic, each of the n members that want it gets p / n partitions in a row, and the
    /// first p mod n of them one more.
    private static func range(
        _ counts: [String: Int], _ members: [Member]
    ) -> [[TopicPartition]] {
        var shares = [[TopicPartition]](repeating: [], count: members.count)
        for (topic, count) in counts.sorted(by: { $0.key < $1.key }) {
            let readers = members.indices.filter { members[$0].topics.contains(topic) }
            guard !readers.isEmpty else { continue }
            var next = 0
            for (place, reader) in readers.enumerated() {
                let end = next + count / readers.count + (place < count % readers.count ? 1 : 0)
                for partition in next..<end {
                    shares[reader].append(
                        TopicPartition(topic: topic, partition: Int32(clamping: partition)))
                }
                next = end
            }
        }
        return shares
    }

    /// Partitions are gone through by topic and number, members in a circle; each partition goes
    /// to the next member that wants its topic.
    private static func roundRobin(
        _ counts: [String: Int], _ members: [Member]
    ) -> [[TopicPartition]] {
        var shares = [[TopicPartition]](repeating: [], count: members.count)
        var next = 0
        for (topic, count) in counts.sorted(by: { $0.key < $1.key })
        where members.contains(where: { $0.topics.contains(topic) }) {
            for partition in 0..<count {
                while !members[next].topics.contains(topic) { next = (next + 1) % members.count }
                shares[next].append(
                    TopicPartition(topic: topic, partition: Int32(clamping: partition)))
                next = (next + 1) % members.count
            }
        }
        return shares
    }
}
