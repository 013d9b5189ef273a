public import TallyGroups
public import TallyRecords

/// How far a group is behind in one partition. A value.
public struct PartitionLag: Hashable, Sendable {
    /// The partition.
    public var partition: TopicPartition
    /// What the group has committed there; nil where it has not.
    public var committed: CommittedOffset?
    /// The first offset that can be read; nil where the partition is not there, or not readable.
    public var logStart: Offset?
    /// Where what can be read ends: the high watermark. Nil as ``logStart``.
    public var logEnd: Offset?
    /// Which member of the group reads it; nil where none does, or nobody can tell from outside.
    public var memberID: String?

    /// How far a group is behind in one partition.
    public init(
        partition: TopicPartition, committed: CommittedOffset? = nil, logStart: Offset? = nil,
        logEnd: Offset? = nil, memberID: String? = nil
    ) {
        self.partition = partition
        self.committed = committed
        self.logStart = logStart
        self.logEnd = logEnd
        self.memberID = memberID
    }

    /// Offsets between what is committed and the high watermark, 0 or more: an upper bound of the
    /// records, since markers and compacted records count, and those that were retired unread. Nil
    /// where nothing is committed: where the group would begin is up to its `auto.offset.reset`.
    public var lag: Int64? {
        guard let committed, let logEnd else { return nil }
        let (distance, overflow) = logEnd.rawValue.subtractingReportingOverflow(
            committed.offset.rawValue)
        return overflow ? nil : max(distance, 0)
    }

    /// The lags of a group: all partitions of each topic that it has committed something in, and
    /// partitions that are not there any more, in order.
    ///
    /// - Parameters:
    ///   - topics: what is known of the topics; those of others are not told of.
    ///   - members: who reads which partition; these are told of too.
    package static func lags(
        committed: [TopicPartition: CommittedOffset], topics: [TopicDescription],
        members: [TopicPartition: String] = [:]
    ) -> [PartitionLag] {
        var logs: [TopicPartition: PartitionDescription] = [:]
        let wanted = Set(committed.keys).union(members.keys)
        let names = Set(wanted.map(\.topic))
        for topic in topics where names.contains(topic.name) {
            for log in topic.partitions {
                logs[TopicPartition(topic: topic.name, partition: log.index)] = log
            }
        }
        return wanted.union(logs.keys).sorted().map { partition in
            // One that cannot be opened has no ends that anybody knows.
            let log = logs[partition].flatMap {
                $0.problem != nil && $0.segmentCount == 0 ? nil : $0
            }
            return PartitionLag(
                partition: partition, committed: committed[partition], logStart: log?.logStart,
                logEnd: log?.highWatermark, memberID: members[partition])
        }
    }
}

extension Engine {
    /// How far a group is behind: each partition of the topics that it has committed something in
    /// or reads now, by topic and number, with the member that reads it.
    ///
    /// Members of a protocol other than Kafka's `consumer` are not told of. Thread rule: any task.
    ///
    /// Throws ``EngineError/group(_:)`` with `groupIDNotFound`, or where the store cannot be read;
    /// ``EngineError/closed``.
    public func lag(ofGroup group: String) async throws -> [PartitionLag] {
        let (found, answers) = try await askGroups { (coordinator, _) throws(GroupError) in
            (try coordinator.describe(group), coordinator.fetchOffsets(group: group))
        }
        return PartitionLag.lags(
            committed: answers.compactMapValues { try? $0.get() }, topics: try topics(),
            members: found.owners)
    }
}

extension GroupDescription {
    /// Which member reads which partition, as far as the assignments can be understood.
    var owners: [TopicPartition: String] {
        var owners: [TopicPartition: String] = [:]
        guard protocolType == ConsumerSubscription.protocolType else { return owners }
        for member in members {
            guard let assignment = try? ConsumerAssignment(decoding: member.assignment) else {
                continue
            }
            for topic in assignment.assignedPartitions {
                for index in topic.partitions {
                    owners[TopicPartition(topic: topic.topic, partition: index)] = member.memberID
                }
            }
        }
        return owners
    }
}
