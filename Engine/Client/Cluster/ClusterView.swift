package import TallyRecords
package import TallyWire

/// What a cluster looks like, as its brokers tell it. A value.
package struct ClusterView: Hashable, Sendable {
    /// Where the brokers are, by their numbers.
    package var brokers: [Int32: BrokerAddress] = [:]
    /// Who creates topics; nil where nobody is known to.
    package var controllerID: Int32?
    /// The cluster's id; nil where it has none.
    package var clusterID: String?
    /// The topics that were asked for, by name.
    package var topics: [String: Topic] = [:]

    /// A topic.
    package struct Topic: Hashable, Sendable {
        /// Its identity; zero where the cluster has none.
        package var id = WireUUID.zero
        /// Whether it is Kafka's own.
        package var isInternal = false
        /// Its partitions, by number.
        package var partitions: [Int32: Partition] = [:]

        /// How many partitions it has, those included that the answer does not tell of.
        package var partitionCount: Int { partitions.keys.max().map { Int($0) + 1 } ?? 0 }
    }

    /// Who leads a partition.
    package struct Partition: Hashable, Sendable {
        /// The broker; nil where there is none now.
        package var leaderID: Int32?
        /// The leader epoch, or none.
        package var leaderEpoch = LeaderEpoch.none
    }

    init() {}

    /// Takes over what an answer says: of brokers all, of topics those that it names. Topics with
    /// an error are forgotten.
    mutating func take(_ response: MetadataResponse) {
        brokers = Dictionary(
            response.brokers.map {
                ($0.nodeID, BrokerAddress(host: $0.host, port: Int($0.port)))
            }, uniquingKeysWith: { $1 })
        controllerID = response.controllerID >= 0 ? response.controllerID : nil
        clusterID = response.clusterID
        for topic in response.topics {
            guard let name = topic.name else { continue }
            topics[name] = topic.errorCode == .none ? Topic(topic) : nil
        }
    }

    /// Who leads a partition; nil where that is not known, or nobody does.
    package func leader(of partition: TopicPartition) -> (id: Int32, epoch: LeaderEpoch)? {
        guard let found = topics[partition.topic]?.partitions[partition.partition],
            let id = found.leaderID, brokers[id] != nil
        else { return nil }
        return (id, found.leaderEpoch)
    }
}

extension ClusterView.Topic {
    fileprivate init(_ topic: MetadataResponse.Topic) {
        id = topic.topicID
        isInternal = topic.isInternal
        for partition in topic.partitions {
            partitions[partition.partitionIndex] = ClusterView.Partition(
                leaderID: partition.leaderID >= 0 ? partition.leaderID : nil,
                leaderEpoch: LeaderEpoch(partition.leaderEpoch))
        }
    }
}
