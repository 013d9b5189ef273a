package import TallyRecords
import TallyWire

/// A setting of a topic, as a broker tells it.
package struct ToldSetting: Hashable, Sendable {
    /// Kafka's name.
    package var name: String
    /// The value in force; nil where the broker keeps it to itself.
    package var value: String?
    /// Whether somebody has set it for this topic.
    package var isOfTopic: Bool
}

extension ClusterClient {
    /// The settings of a topic, as they are in force.
    ///
    /// Throws ``ClientError``, with ``ClientError/unsupportedVersion(_:request:known:offered:)``
    /// where the brokers do not tell; and `CancellationError` where the task is cancelled.
    package func settings(ofTopic name: String) async throws -> [ToldSetting] {
        var request = DescribeConfigsRequest()
        var resource = DescribeConfigsRequest.Resource()
        resource.resourceType = 2
        resource.resourceName = name
        resource.configurationKeys = nil
        request.resources = [resource]
        let answer = try await ask(.any, request, about: "topic \(name)") { answer in
            let result = answer.results.first
            return (result?.errorCode ?? .unknownServerError, result?.errorMessage)
        }
        return (answer.results.first?.configs ?? []).map { setting in
            // 1 is that of a topic.
            ToldSetting(
                name: setting.name, value: setting.value, isOfTopic: setting.configSource == 1)
        }
    }

    /// What a group has committed, by partition.
    ///
    /// - Parameters:
    ///   - partitions: which ones; nil for all.
    ///   - isStable: whether to refuse, with UNSTABLE_OFFSET_COMMIT, where a transaction is
    ///     about to change some of it; brokers before Kafka 2.5 do not know.
    /// Throws as ``settings(ofTopic:)``.
    package func committedOffsets(
        ofGroup group: String, partitions: Set<TopicPartition>? = nil, isStable: Bool = false
    ) async throws -> [TopicPartition: CommittedOffset] {
        let topics = try await retrying {
            let connection = try await self.connect(.groupCoordinator(group))
            let version = try connection.versions.version(of: OffsetFetchRequest.self)
            let answer = try await connection.send(
                OffsetFetchRequest(
                    group, partitions, version: version, isStable: isStable))
            let found = answer.groups.first
            let code = found?.errorCode ?? answer.errorCode
            guard code == .none else {
                throw ClientError.refused(
                    request: OffsetFetchRequest.name, subject: "group \(group)", code: code,
                    message: nil)
            }
            return found?.topics ?? answer.topics
        }
        let isUnstable = topics.flatMap(\.partitions)
            .contains { $0.errorCode == .unstableOffsetCommit }
        guard !isUnstable else {
            throw ClientError.refused(
                request: OffsetFetchRequest.name, subject: "group \(group)",
                code: .unstableOffsetCommit, message: nil)
        }
        var offsets: [TopicPartition: CommittedOffset] = [:]
        for topic in topics {
            for partition in topic.partitions
            where partition.committedOffset >= 0 && partition.errorCode == .none {
                let id = TopicPartition(topic: topic.name, partition: partition.partitionIndex)
                offsets[id] = CommittedOffset(
                    offset: Offset(partition.committedOffset),
                    leaderEpoch: LeaderEpoch(partition.committedLeaderEpoch),
                    metadata: partition.metadata ?? "")
            }
        }
        return offsets
    }

    /// What a group has committed in a partition.
    package struct CommittedOffset: Hashable, Sendable {
        /// The next offset to be read.
        package var offset: Offset
        /// The leader epoch of the last record that was read, or none.
        package var leaderEpoch: LeaderEpoch
        /// What the group has noted beside it.
        package var metadata: String

        /// An offset from its parts.
        package init(offset: Offset, leaderEpoch: LeaderEpoch, metadata: String) {
            self.offset = offset
            self.leaderEpoch = leaderEpoch
            self.metadata = metadata
        }
    }
}

extension OffsetFetchRequest {
    /// Offsets of a group: of these partitions, or all.
    fileprivate init(
        _ group: String, _ partitions: Set<TopicPartition>?, version: Int16, isStable: Bool
    ) {
        self.init()
        requireStable = isStable && version >= 7
        let wanted = partitions.map { partitions in
            Dictionary(grouping: partitions, by: \.topic).sorted { $0.key < $1.key }
                .map { name, partitions in
                    var topic = Topic()
                    topic.name = name
                    topic.partitions = partitions.map(\.partition).sorted()
                    return topic
                }
        }
        guard version >= 8 else {
            groupID = group
            topics = wanted
            return
        }
        var named = Group()
        named.groupID = group
        named.topics = wanted
        groups = [named]
    }
}
