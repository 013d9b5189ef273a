import TallyClient
import TallyLog
import TallyRecords
import TallyReplication
import TallyWire

/// What a member asks a leader for, of all partitions that it follows there. A value.
struct FollowerPlan: Sendable {
    /// One partition: in which epoch, and what of it.
    struct Item: Sendable {
        var replica: Replica
        var epoch: LeaderEpoch
        var request: PartitionFollower.Request
    }

    /// What has to be asked by epochs first.
    var epochEnds: [Item] = []
    /// What is fetched.
    var fetches: [Item] = []

    init(_ replicas: some Sequence<Replica>, of leader: ReplicaID) {
        for replica in replicas {
            guard let (epoch, request) = replica.request(to: leader) else { continue }
            let item = Item(replica: replica, epoch: epoch, request: request)
            if case .epochEnd = request { epochEnds.append(item) } else { fetches.append(item) }
        }
    }

    /// Where the records of the last epochs end that are here.
    func epochRequest(from member: ReplicaID) -> OffsetForLeaderEpochRequest {
        var request = OffsetForLeaderEpochRequest()
        request.replicaID = member.rawValue
        for item in epochEnds {
            guard case .epochEnd(let asked) = item.request else { continue }
            var partition = OffsetForLeaderEpochRequest.Partition()
            partition.partition = item.replica.id.partition
            partition.currentLeaderEpoch = item.epoch.rawValue
            partition.leaderEpoch = asked.rawValue
            if let index = request.topics.firstIndex(where: { $0.name == item.replica.topic }) {
                request.topics[index].partitions.append(partition)
            } else {
                var topic = OffsetForLeaderEpochRequest.Topic()
                topic.name = item.replica.topic
                topic.partitions = [partition]
                request.topics.append(topic)
            }
        }
        return request
    }

    /// What comes behind what is here. Of version 15 and up, which says which process asks: a
    /// leader believes no other.
    func fetchRequest(
        from process: MemberProcess, _ configuration: ClusterConfiguration
    ) -> FetchRequest {
        var request = FetchRequest()
        request.replicaState.replicaID = process.id.rawValue
        request.replicaState.replicaEpoch = Int64(bitPattern: process.incarnation)
        request.maxWaitMilliseconds = configuration.fetchWaitMillisecondsMax
        request.minBytes = 1
        request.maxBytes = configuration.fetchBytesMax
        var indexes: [UInt128: Int] = [:]
        for item in fetches {
            guard case .fetch(let offset, let lastEpoch) = item.request else { continue }
            var partition = FetchRequest.Partition()
            partition.partition = item.replica.id.partition
            partition.currentLeaderEpoch = item.epoch.rawValue
            partition.fetchOffset = offset.rawValue
            partition.lastFetchedEpoch = lastEpoch.rawValue
            partition.logStartOffset = item.replica.log.logStart.rawValue
            partition.partitionMaxBytes = configuration.fetchPartitionBytesMax
            if let index = indexes[item.replica.id.topicID] {
                request.topics[index].partitions.append(partition)
            } else {
                var topic = FetchRequest.Topic()
                topic.topic = item.replica.topic
                topic.topicID = WireUUID(
                    high: UInt64(truncatingIfNeeded: item.replica.id.topicID >> 64),
                    low: UInt64(truncatingIfNeeded: item.replica.id.topicID))
                topic.partitions = [partition]
                indexes[item.replica.id.topicID] = request.topics.count
                request.topics.append(topic)
            }
        }
        return request
    }
}
