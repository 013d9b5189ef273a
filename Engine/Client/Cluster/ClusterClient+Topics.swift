package import TallyRecords
package import TallyWire

extension ClusterClient {
    /// Creates a topic, and returns when the cluster tells of it with all of its leaders.
    ///
    /// - Parameters:
    ///   - replicationFactor: how many brokers have each partition; -1 for the brokers' default.
    ///   - settings: by Kafka's names.
    /// Throws ``ClientError``, with the code TOPIC_ALREADY_EXISTS for one that is there, and
    /// `CancellationError`.
    package func createTopic(
        _ name: String, partitions count: Int, replicationFactor: Int = -1,
        settings: [String: String]
    ) async throws -> ClusterView.Topic {
        var request = CreateTopicsRequest()
        request.timeoutMilliseconds = Int32(clamping: configuration.requestMilliseconds)
        var topic = CreateTopicsRequest.Topic()
        topic.name = name
        topic.partitionCount = Int32(clamping: count)
        topic.replicationFactor = Int16(clamping: replicationFactor)
        topic.configs = settings.sorted { $0.key < $1.key }.map { name, value in
            var entry = CreateTopicsRequest.Entry()
            (entry.name, entry.value) = (name, value)
            return entry
        }
        request.topics = [topic]
        _ = try await ask(
            .controller, request, waitMilliseconds: configuration.requestMilliseconds,
            about: "topic \(name)"
        ) { answer in
            let result = answer.topics.first
            return (result?.errorCode ?? .unknownServerError, result?.errorMessage)
        }
        // Brokers hear of it some moments later.
        return try await retrying {
            guard let topic = try await self.describeTopicOnce(name), topic.hasAllLeaders else {
                throw ClientError.noLeader(TopicPartition(topic: name, partition: 0))
            }
            return topic
        }
    }

    /// A topic as it is now; nil where there is none.
    ///
    /// Throws ``ClientError``, and `CancellationError`.
    package func describeTopicOnce(_ name: String) async throws -> ClusterView.Topic? {
        do {
            return try await describeTopics([name])[name]
        } catch let error as ClientError where error.code == .unknownTopicOrPartition {
            return nil
        }
    }

    /// Changes settings of a topic, and leaves the others as they are.
    ///
    /// - Parameter resetting: settings that shall follow their defaults again.
    /// Throws ``ClientError``, with ``ClientError/unsupportedVersion(_:request:known:offered:)``
    /// where the brokers are older than Kafka 2.3; and `CancellationError`.
    package func alterTopic(
        _ name: String, setting: [String: String], resetting: [String] = []
    ) async throws {
        var resource = IncrementalAlterConfigsRequest.Resource()
        (resource.resourceType, resource.resourceName) = (2, name)
        resource.configs =
            setting.sorted { $0.key < $1.key }.map { name, value in
                var entry = IncrementalAlterConfigsRequest.Entry()
                (entry.name, entry.value) = (name, value)
                return entry
            }
            + resetting.sorted().map { name in
                var entry = IncrementalAlterConfigsRequest.Entry()
                (entry.name, entry.configOperation, entry.value) = (name, 1, nil)
                return entry
            }
        guard !resource.configs.isEmpty else { return }
        var request = IncrementalAlterConfigsRequest()
        request.resources = [resource]
        _ = try await ask(.controller, request, about: "topic \(name)") { answer in
            let result = answer.responses.first
            return (result?.errorCode ?? .unknownServerError, result?.errorMessage)
        }
    }

    /// Commits offsets of a group that has no members, as an administrator does.
    ///
    /// Throws ``ClientError``, with the code UNKNOWN_MEMBER_ID where the group has members; some
    /// of the offsets may have been committed then. And `CancellationError`.
    package func commitOffsets(
        _ offsets: [TopicPartition: CommittedOffset], ofGroup group: String
    ) async throws {
        var request = OffsetCommitRequest()
        request.groupID = group
        request.topics = OffsetCommitRequest.topics(of: offsets)
        _ = try await ask(
            .groupCoordinator(group), request, about: "group \(group)"
        ) { answer in
            let partitions = answer.topics.flatMap(\.partitions)
            let refused = partitions.first { $0.errorCode != .none }
            return (refused?.errorCode ?? .none, nil)
        }
    }
}

extension ClusterView.Topic {
    /// Whether every partition has a leader, and there are some.
    fileprivate var hasAllLeaders: Bool {
        !partitions.isEmpty && partitions.values.allSatisfy { $0.leaderID != nil }
    }
}

extension OffsetCommitRequest {
    /// Offsets as the request has them.
    package static func topics(
        of offsets: [TopicPartition: ClusterClient.CommittedOffset]
    ) -> [Topic] {
        Dictionary(grouping: offsets, by: \.key.topic).sorted { $0.key < $1.key }
            .map { name, offsets in
                var topic = Topic()
                topic.name = name
                topic.partitions = offsets.map { id, committed in
                    var partition = Partition()
                    partition.partitionIndex = id.partition
                    partition.committedOffset = committed.offset.rawValue
                    partition.committedLeaderEpoch = committed.leaderEpoch.rawValue
                    partition.committedMetadata = committed.metadata
                    return partition
                }
                return topic
            }
    }
}
