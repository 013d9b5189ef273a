public import TallyRecords

/// The settings of a member, named and preset as Kafka's consumers'.
public struct GroupMemberConfiguration: Hashable, Sendable {
    /// `group.id`.
    public var group: String
    /// `group.instance.id`: a static member, whose place is kept while it restarts.
    public var instanceID: String?
    /// `client.id`.
    public var clientID: String
    /// Where it is, for people.
    public var clientHost: String = ""
    /// `client.rack`.
    public var rackID: String?
    /// `session.timeout.ms`: who is silent for so long is taken for dead.
    public var sessionTimeoutMilliseconds: Int64 = 45_000
    /// `heartbeat.interval.ms`: at most a third of the session timeout.
    public var heartbeatIntervalMilliseconds: Int64 = 3_000
    /// `max.poll.interval.ms`: an application that asks for nothing for so long has to leave.
    public var pollIntervalMillisecondsMax: Int64 = 300_000
    /// `retry.backoff.ms`: how long to wait where the coordinator could not answer.
    public var retryBackoffMilliseconds: Int64 = 100
    /// `partition.assignment.strategy`, the best liked first. The member is cooperative where all
    /// of them are.
    public var assignors: [Assignor] = [.range, .cooperativeSticky]

    /// The presets, for one group.
    public init(group: String, clientID: String, instanceID: String? = nil) {
        self.group = group
        self.clientID = clientID
        self.instanceID = instanceID
    }

    var heartbeatInterval: Int64 { max(heartbeatIntervalMilliseconds, 1) }
}

/// Something that the driver of a ``GroupMember`` has to do, in order.
public enum GroupMemberAction: Hashable, Sendable {
    /// Send this, and hand the answer to `joinAnswered` with the attempt.
    case join(JoinRequest, attempt: UInt64)
    /// Say how many partitions these topics have, with `partitionCounts` and the attempt.
    case findPartitionCounts(topics: Set<String>, attempt: UInt64)
    /// Send this, and hand the answer to `syncAnswered` with the attempt.
    case sync(SyncRequest, attempt: UInt64)
    /// Send this, and hand the answer to `heartbeatAnswered` with the attempt.
    case heartbeat(group: String, GroupCaller, attempt: UInt64)
    /// Send this; the answer is not waited for.
    case leave(group: String, LeavingMember)
    /// Stop reading these; let the application finish and commit; then call `revocationDone` with
    /// the attempt.
    case revoke(Set<TopicPartition>, attempt: UInt64)
    /// Stop reading these: somebody else may read them already. Nothing of them can be committed.
    case lost(Set<TopicPartition>)
    /// A rebalance is complete: begin to read these, which may be none.
    case assigned(Set<TopicPartition>)
    /// The member has ended: it cannot be in the group, and trying again would be of no use.
    case failed(GroupError)
}
