import Tally
import TallyCluster
import TallyReplication
import TallyWire

/// Who keeps and leads a partition, in the numbers of the protocol.
struct PartitionPlace {
    var index: Int32
    /// -1 where there is none.
    var leader: Int32
    var leaderEpoch: Int32
    var replicas: [Int32]
    var inSync: [Int32]
    /// Replicas whose member is not there.
    var offline: [Int32] = []
}

/// How a topic is to be made.
struct TopicPlan {
    var count: Int
    var replicationFactor: Int16
    /// The members of each partition; nil where the cluster chooses.
    var assignment: [[ReplicaID]]?
    var values = TopicConfiguration()
}

// What a broker says of the cluster: by the coordination store where it is one of several, and of
// itself where it is alone.

extension Broker {
    /// The members that are there.
    var brokers: [ClusterMember] {
        if let members = cluster?.news.look({ Array($0.members.values) }), !members.isEmpty {
            return members.sorted { $0.id < $1.id }
        }
        return [
            ClusterMember(
                id: ReplicaID(nodeID), host: address.host, port: Int32(address.port),
                incarnation: 0)
        ]
    }

    /// Who decides for the cluster; -1 while nobody does.
    var controllerID: Int32 {
        guard let cluster else { return nodeID }
        return cluster.news.look { $0.controller?.record.member.rawValue ?? -1 }
    }

    /// Who keeps and leads a topic's partitions.
    func places(of topic: TopicDescription) -> [PartitionPlace] {
        guard let cluster else {
            return topic.partitions.map {
                PartitionPlace(
                    index: $0.index, leader: nodeID, leaderEpoch: $0.leaderEpoch.rawValue,
                    replicas: [nodeID], inSync: [nodeID])
            }
        }
        return cluster.news.look { image in
            topic.partitions.map { partition in
                let id = PartitionID(topicID: topic.id.number, partition: partition.index)
                guard let state = image.state(of: id) else {
                    return PartitionPlace(
                        index: partition.index, leader: -1, leaderEpoch: -1, replicas: [],
                        inSync: [])
                }
                let leader = state.leader.flatMap { image.members[$0] == nil ? nil : $0 }
                return PartitionPlace(
                    index: partition.index, leader: leader?.rawValue ?? -1,
                    leaderEpoch: state.leaderEpoch.rawValue,
                    replicas: state.replicas.map(\.rawValue),
                    inSync: state.inSyncReplicas.map(\.rawValue),
                    offline: state.replicas.filter { image.members[$0] == nil }.map(\.rawValue))
            }
        }
    }

    // MARK: Topics

    /// Creates a topic where it is not there.
    func ensureTopic(_ name: String) async throws {
        let count = configuration.partitionCount
        guard let cluster else {
            try await engine.ensureTopic(name, partitions: count)
            return
        }
        if cluster.news.look({ $0.topics[name] != nil }) { return }
        var plan = TopicPlan(
            count: count, replicationFactor: cluster.configuration.replicationFactor)
        plan.values = TopicConfiguration()
        do {
            _ = try await create(name, plan)
        } catch EngineError.topicExists {
            return
        }
    }

    /// Creates a topic. Returns its identity.
    func create(_ name: String, _ plan: TopicPlan) async throws -> TopicID {
        guard let cluster else {
            return try await engine.createTopic(
                name, partitions: plan.count, configuration: plan.values
            ).id
        }
        try engine.requireNotInternal(name)
        try engine.checkCreation(name, partitions: plan.count, plan.values)
        let made = try await cluster.administration.createTopic(
            name, partitions: plan.count, replicationFactor: Int(plan.replicationFactor),
            assignment: plan.assignment, configuration: plan.values)
        await cluster.settle(made.revision)
        return made.id
    }

    func deleteTopic(_ name: String) async throws {
        guard let cluster else { return try await engine.deleteTopic(name) }
        try engine.requireNotInternal(name)
        await cluster.settle(try await cluster.administration.deleteTopic(name))
    }

    func createPartitions(
        of name: String, count: Int, _ assignment: [[ReplicaID]]?
    ) async throws {
        guard let cluster else {
            try await engine.createPartitions(ofTopic: name, count: count)
            return
        }
        try engine.requireNotInternal(name)
        await cluster.settle(
            try await cluster.administration.createPartitions(
                of: name, count: count, assignment: assignment))
    }

    func alterTopic(
        _ name: String, setting settings: [String: String], resetting names: [String]
    ) async throws {
        guard let cluster else {
            try await engine.alterTopic(name, setting: settings, resetting: names)
            return
        }
        try engine.requireNotInternal(name)
        await cluster.settle(
            try await cluster.administration.alterTopic(name) { configuration in
                for name in names { try configuration.reset(name) }
                for (name, value) in settings { try configuration.set(name, to: value) }
            })
    }

    // MARK: Leadership

    /// A partition. One that the cluster has, and this member has not heard of or made yet, is led
    /// by somebody else for the time being: clients try again then, and do not give up.
    ///
    /// Throws ``EngineError``, ``LogError/notLeader(partition:)``.
    func partition(_ index: Int32, of topic: String) throws -> Partition {
        do throws(EngineError) {
            return try engine.partition(index, of: topic)
        } catch {
            let isKnown = cluster?.news.look { $0.state(of: topic, index) != nil } ?? false
            guard isKnown else { throw error }
            throw LogError.notLeader(partition: "\(topic)-\(index)")
        }
    }

    /// Throws unless this broker leads a partition, in the epoch that the client knows (-1: any).
    func checkLeads(_ partition: Partition, clientEpoch: Int32) throws {
        guard let cluster else { return try partition.log.check(clientEpoch: clientEpoch) }
        try cluster.replica(partition.index, of: partition.topic).check(LeaderEpoch(clientEpoch))
    }

    /// Up to where consumers may read here: of a replica that follows too, where they know of such
    /// (KIP-392).
    func endForConsumers(
        _ partition: Partition, epoch clientEpoch: Int32, offset: Int64, isOfAnyReplica: Bool
    ) throws -> Offset {
        let log = try partition.log
        guard let cluster else {
            try log.check(clientEpoch: clientEpoch)
            return log.highWatermark
        }
        let epoch = LeaderEpoch(clientEpoch)
        let replica = try cluster.replica(partition.index, of: partition.topic)
        let standing = replica.standing
        if standing.isLeading || !isOfAnyReplica {
            try replica.check(epoch)
            return try replica.highWatermarkForConsumers()
        }
        if epoch > .none, epoch < standing.epoch { throw ClientRequestError.fencedLeaderEpoch }
        if epoch > standing.epoch { throw ClientRequestError.unknownLeaderEpoch }
        // Not known here yet: the reader may have it from the leader.
        guard offset <= log.highWatermark.rawValue else {
            throw ReplicationError.offsetNotAvailable
        }
        return log.highWatermark
    }

    /// The replica in the reader's rack that has everything; nil where the leader is as near.
    func preferredReplica(of partition: Partition, for rack: String) -> ReplicaID? {
        guard let cluster, !rack.isEmpty, cluster.configuration.rack != rack else { return nil }
        return cluster.news.look { image in
            let id = PartitionID(topicID: partition.topicID.number, partition: partition.index)
            guard let state = image.state(of: id), state.leader?.rawValue == nodeID else {
                return nil
            }
            return state.inSyncReplicas.first { image.members[$0]?.rack == rack }
        }
    }
}
