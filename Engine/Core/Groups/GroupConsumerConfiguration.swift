public import TallyGroups

/// How a member of a consumer group reads. Names and defaults are Kafka's, but for what is said.
public struct GroupConsumerConfiguration: Sendable {
    /// How partitions are read: isolation, bytes a fetch, and ``ConsumerConfiguration/reset``,
    /// which also says where a partition begins that the group has not committed anything for.
    /// Its ``ConsumerConfiguration/start`` counts for nothing.
    public var reading = ConsumerConfiguration()
    /// `group.instance.id`: a static member, whose place is kept while it restarts.
    public var instanceID: String?
    /// `client.id`: member ids begin with it.
    public var clientID = "tally"
    /// `partition.assignment.strategy`, the best liked first. Unlike Kafka's, the default is
    /// cooperative: a rebalance takes only what has to move, and the rest is read on.
    public var assignors: [Assignor] = [.cooperativeSticky]
    /// `session.timeout.ms`: a member that was not heard of for so long is taken for dead.
    /// Heartbeats are sent while the process lives; `heartbeat.interval.ms` is a third of it, and
    /// 3 seconds at most.
    public var sessionTimeoutMilliseconds: Int64 = 45_000
    /// `max.poll.interval.ms`: an application that does not ask for the next records for so long
    /// loses its partitions to others, until it asks again.
    public var pollIntervalMillisecondsMax: Int64 = 300_000
    /// `enable.auto.commit`; unlike Kafka's, off. Commits what was handed out *and returned for
    /// more*: never what the application still works on.
    public var isAutoCommitting = false
    /// `auto.commit.interval.ms`.
    public var autoCommitIntervalMilliseconds: Int64 = 5_000
    /// Told of each change of the assignment, between two elements of the sequence, and waited
    /// for. What is revoked is still this member's during the call: it can be committed.
    public var onRebalance:
        (@Sendable (_ consumer: GroupConsumer, _ change: GroupRebalance) async throws -> Void)?

    /// The defaults.
    public init() {}

    func member(of group: String) -> GroupMemberConfiguration {
        var member = GroupMemberConfiguration(
            group: group, clientID: clientID, instanceID: instanceID)
        member.sessionTimeoutMilliseconds = sessionTimeoutMilliseconds
        member.heartbeatIntervalMilliseconds = min(
            3_000, max(sessionTimeoutMilliseconds / 3, 1))
        member.pollIntervalMillisecondsMax = pollIntervalMillisecondsMax
        member.assignors = assignors
        return member
    }

    /// Throws ``EngineError/invalidSetting(name:reason:)``.
    func check() throws(EngineError) {
        try reading.check()
        guard reading.end == .never else {
            throw .invalidSetting(
                name: "end", reason: "a member of a group waits for more; leave with close()")
        }
        guard !assignors.isEmpty else {
            throw .invalidSetting(
                name: "partition.assignment.strategy", reason: "name at least one")
        }
        guard pollIntervalMillisecondsMax > 0, autoCommitIntervalMilliseconds >= 0 else {
            throw .invalidSetting(
                name: "max.poll.interval.ms or auto.commit.interval.ms",
                reason: "they cannot be negative")
        }
    }
}

/// A change of what a member reads.
public enum GroupRebalance: Hashable, Sendable {
    /// These go to somebody else when the call returns; until then they can be committed.
    case revoked(Set<TopicPartition>)
    /// These came: possibly none, when a rebalance changed nothing for this member. Who keeps its
    /// positions elsewhere seeks now: the group is asked only for partitions that were not sought.
    case assigned(Set<TopicPartition>)
    /// These were taken away, since the member was taken for dead: somebody else may read them
    /// already, and nothing of them can be committed.
    case lost(Set<TopicPartition>)
}
