/// Where the replicas of new partitions go: spread evenly over members, and over racks first.
///
/// Partition by partition the members of a list take turns as leaders, a list in which the racks
/// alternate; a partition's other replicas are the next in the list that are in racks of their own,
/// as long as there are such. As Kafka's assignment does, up to the order. Pure: the same input
/// gives the same placement.
public struct Placement: Hashable, Sendable {
    /// A member that may keep replicas.
    public struct Member: Hashable, Sendable {
        /// Its number.
        public var id: ReplicaID
        /// The rack (`broker.rack`) it stands in: what fails together. Members without one are
        /// each in their own.
        public var rack: String?

        /// A member.
        public init(_ id: ReplicaID, rack: String? = nil) {
            self.id = id
            self.rack = rack
        }
    }

    private let ring: [Member]

    /// Placement on these members.
    public init(on members: [Member]) {
        var racks: [String: [Member]] = [:]
        for member in members.sorted(by: { $0.id < $1.id }) {
            // A name that no rack has.
            racks[member.rack ?? "\u{0}\(member.id)", default: []].append(member)
        }
        let columns = racks.sorted { $0.value[0].id < $1.value[0].id }.map(\.value)
        let height = columns.map(\.count).max() ?? 0
        ring = (0..<height).flatMap { row in
            columns.compactMap { row < $0.count ? $0[row] : nil }
        }
    }

    /// The replicas of each partition, preferred leader first; nil where there are fewer members
    /// than replicas.
    ///
    /// - Parameters:
    ///   - partitions: how many partitions.
    ///   - replicationFactor: how many replicas each; 1 or more.
    ///   - first: whose turn it is: what was placed before, so that the next topic goes on there.
    public func replicas(
        partitions: Int, replicationFactor: Int, first: Int = 0
    ) -> [[ReplicaID]]? {
        guard replicationFactor >= 1, replicationFactor <= ring.count, partitions >= 0 else {
            return nil
        }
        return (0..<partitions).map { replicas(at: first &+ $0, replicationFactor) }
    }

    private func replicas(at turn: Int, _ count: Int) -> [ReplicaID] {
        let size = ring.count
        let start = ((turn % size) + size) % size
        // In each round of the list the followers begin one further on, or the same members would
        // always follow the same leader.
        let shift = size > 1 ? (turn / size) % (size - 1) : 0
        let others = (0..<(size - 1)).map { ring[(start + 1 + (shift + $0) % (size - 1)) % size] }
        var chosen = [ring[start]]
        for isRackNew in [true, false] {
            for member in others where chosen.count < count && !chosen.contains(member) {
                let isTaken = chosen.contains { $0.rack != nil && $0.rack == member.rack }
                if isTaken != isRackNew { chosen.append(member) }
            }
        }
        return chosen.map(\.id)
    }
}
