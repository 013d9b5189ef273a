import Tally
import TallyWire

extension Broker {
    /// Brokers, topics and partitions.
    func metadata(_ request: MetadataRequest, _ context: Context) async -> MetadataResponse? {
        var response = MetadataResponse()
        var broker = MetadataResponse.Broker()
        broker.nodeID = nodeID
        broker.host = address.host
        broker.port = Int32(address.port)
        response.brokers = [broker]
        response.clusterID = clusterID
        response.controllerID = nodeID
        // Version 0 had no other word for all of them than none.
        let isForAll =
            request.topics == nil || context.version == 0 && request.topics?.isEmpty == true
        if isForAll {
            response.topics = ((try? engine.topics()) ?? []).map(topic)
        } else {
            let createsTopics =
                configuration.createsTopicsAutomatically && request.allowAutoTopicCreation
            for wanted in (request.topics ?? []).unique(by: { [$0.name ?? "", "\($0.topicID)"] }) {
                response.topics.append(await find(wanted, orCreate: createsTopics))
            }
        }
        return response
    }

    private func find(
        _ wanted: MetadataRequest.Topic, orCreate createsTopics: Bool
    ) async -> MetadataResponse.Topic {
        var answer = MetadataResponse.Topic()
        answer.name = wanted.name
        answer.topicID = wanted.topicID
        do {
            guard let name = wanted.name else {
                guard let name = engine.name(ofTopic: wanted.topicID.topicID) else {
                    answer.errorCode = .unknownTopicID
                    return answer
                }
                return topic(try engine.describeTopic(name))
            }
            guard createsTopics else { return topic(try engine.describeTopic(name)) }
            return topic(
                try await engine.ensureTopic(name, partitions: configuration.partitionCount))
        } catch {
            answer.errorCode = ErrorCode(error)
            answer.topicID = .zero
            return answer
        }
    }

    private func topic(_ description: TopicDescription) -> MetadataResponse.Topic {
        var topic = MetadataResponse.Topic()
        topic.name = description.name
        topic.topicID = WireUUID(description.id)
        topic.isInternal = engine.isInternal(description.name)
        topic.partitions = description.partitions.map { partition in
            var answer = MetadataResponse.Partition()
            answer.partitionIndex = partition.index
            answer.leaderID = nodeID
            answer.leaderEpoch = partition.leaderEpoch.rawValue
            answer.replicaNodes = [nodeID]
            answer.inSyncReplicaNodes = [nodeID]
            return answer
        }
        return topic
    }

    /// Topics and partitions, page by page.
    func describeTopicPartitions(
        _ request: DescribeTopicPartitionsRequest, _ context: Context
    ) async -> DescribeTopicPartitionsResponse? {
        var response = DescribeTopicPartitionsResponse()
        var names = request.topics.map(\.name).unique().sorted()
        if names.isEmpty { names = ((try? engine.topics()) ?? []).map(\.name) }
        if let cursor = request.cursor { names = names.filter { $0 >= cursor.topicName } }
        var left = Int(min(max(request.responsePartitionLimit, 1), 2000))
        for name in names {
            var answer = DescribeTopicPartitionsResponse.Topic()
            answer.name = name
            guard let description = try? engine.describeTopic(name) else {
                answer.errorCode = .unknownTopicOrPartition
                response.topics.append(answer)
                continue
            }
            let first = request.cursor.flatMap { $0.topicName == name ? $0.partitionIndex : nil }
            let partitions = description.partitions.dropFirst(Int(max(first ?? 0, 0)))
            if left == 0, let next = partitions.first {
                response.nextCursor = cursor(name, next.index)
                break
            }
            answer.topicID = WireUUID(description.id)
            answer.isInternal = engine.isInternal(name)
            answer.partitions = partitions.prefix(left).map(partition)
            response.topics.append(answer)
            if partitions.count > left {
                let next = partitions[partitions.startIndex + left]
                response.nextCursor = cursor(name, next.index)
                break
            }
            left -= partitions.count
        }
        return response
    }

    private func cursor(
        _ topic: String, _ partition: Int32
    ) -> DescribeTopicPartitionsRequest.Cursor {
        var cursor = DescribeTopicPartitionsRequest.Cursor()
        cursor.topicName = topic
        cursor.partitionIndex = partition
        return cursor
    }

    private func partition(
        _ description: PartitionDescription
    ) -> DescribeTopicPartitionsResponse.Partition {
        var answer = DescribeTopicPartitionsResponse.Partition()
        answer.partitionIndex = description.index
        answer.leaderID = nodeID
        answer.leaderEpoch = description.leaderEpoch.rawValue
        answer.replicaNodes = [nodeID]
        answer.inSyncReplicaNodes = [nodeID]
        return answer
    }
}
