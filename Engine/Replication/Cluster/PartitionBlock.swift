import TallyRecords

/// One partition of a topic, and its state.
public struct PartitionRecord: Hashable, Sendable {
    /// The identity of the topic, 128 bits.
    public var topicID: UInt128
    /// The partition's number within the topic.
    public var partition: Int32
    /// Who keeps it, who leads it, who is in sync.
    public var state: PartitionState

    /// A partition.
    public init(topicID: UInt128, partition: Int32, state: PartitionState) {
        self.topicID = topicID
        self.partition = partition
        self.state = state
    }
}

/// Up to 64 partitions in one key, `partitions/<number>`: a transaction may write 128 keys, and an
/// election after the loss of a member changes thousands of partitions at a time.
///
/// In which block a partition stands is decided when it is created, and stays; each is in one. A
/// compare-and-swap is of the block, so two who change different partitions of it may be in each
/// other's way, and the second tries again.
public struct PartitionBlock: Hashable, Sendable {
    /// The partitions, in any order.
    public var partitions: [PartitionRecord]

    /// How many partitions a block holds at most.
    public static let partitionsMax = 64

    /// A block; no more than `partitionsMax` partitions of it are written.
    public init(partitions: [PartitionRecord] = []) { self.partitions = partitions }

    /// How many more partitions it can hold.
    public var room: Int { max(0, Self.partitionsMax - partitions.count) }

    /// Where a partition stands in it.
    public func index(topicID: UInt128, partition: Int32) -> Int? {
        partitions.firstIndex { $0.partition == partition && $0.topicID == topicID }
    }

    /// The value of the key.
    public func encoded() -> [UInt8] {
        var writer = ClusterRecordWriter(version: 1)
        let partitions = partitions.prefix(Self.partitionsMax)
        writer.write(UInt8(partitions.count))
        for partition in partitions {
            writer.write(partition.topicID)
            writer.write(partition.partition)
            let state = partition.state
            writer.write(state.leader?.rawValue ?? -1)
            writer.write(state.leaderEpoch.rawValue)
            writer.write(state.version)
            writer.write(state.replicas)
            writer.write(state.inSyncReplicas)
            writer.write(state.plan)
            if let target = state.target { writer.write(target) }
        }
        return writer.bytes
    }

    /// Reads the value of the key. A partition whose leader is not in sync, or whose in-sync set
    /// goes beyond its replicas, is damage.
    public init(decoding bytes: [UInt8]) throws(ClusterRecordError) {
        var reader = try ClusterRecordReader(
            bytes, of: "block of partitions", newest: ClusterMember.newestVersion)
        let count = Int(try reader.integer(UInt8.self))
        guard count <= Self.partitionsMax else { throw reader.fault("\(count) partitions") }
        partitions = []
        for _ in 0..<count {
            let partition = try Self.partition(from: &reader)
            guard index(topicID: partition.topicID, partition: partition.partition) == nil else {
                throw reader.fault("partition \(partition.partition) is there twice")
            }
            partitions.append(partition)
        }
        try reader.finish()
    }

    private static func partition(
        from reader: inout ClusterRecordReader
    ) throws(ClusterRecordError) -> PartitionRecord {
        let topicID = try reader.integer(UInt128.self)
        let number = try reader.number("the partition")
        let leader = ReplicaID(try reader.number("the leader", orNone: true))
        let leaderEpoch = LeaderEpoch(try reader.number("the leader epoch"))
        let version = try reader.number("the partition epoch")
        let replicas = try reader.members("the replicas")
        let inSync = try reader.members("the in-sync set")
        let plan = try reader.integer(UInt8.self)
        guard plan <= 2 else { throw reader.fault("\(plan), which says nothing of a target") }
        let target = plan == 1 ? try reader.members("the target") : nil
        guard !inSync.isEmpty, inSync.allSatisfy(replicas.contains) else {
            throw reader.fault("in sync are \(inSync), of the replicas \(replicas)")
        }
        guard leader.rawValue == -1 || inSync.contains(leader) else {
            throw reader.fault("\(leader) leads, and in sync are \(inSync)")
        }
        guard target?.isEmpty != true else { throw reader.fault("an empty target") }
        var state = PartitionState(
            replicas: replicas, inSyncReplicas: inSync,
            leader: leader.rawValue == -1 ? nil : leader, leaderEpoch: leaderEpoch,
            version: version, target: target)
        state.wantsPreferredLeader = plan == 2
        return PartitionRecord(topicID: topicID, partition: number, state: state)
    }
}

extension PartitionState {
    /// What is to become of it, as it is written: 1 for a target, 2 for the preferred leader.
    fileprivate var plan: UInt8 { target != nil ? 1 : wantsPreferredLeader ? 2 : 0 }
}
