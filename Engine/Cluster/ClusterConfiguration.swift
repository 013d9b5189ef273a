public import Logging
import TallyReplication

/// How a member takes part in a cluster. Names and defaults are Kafka's where it has some. A value.
public struct ClusterConfiguration: Sendable {
    /// `node.id`: the member's number, 0 or more. No two members have the same.
    public var nodeID: Int32
    /// `broker.rack`: what fails together with this member; nil where nobody says.
    public var rack: String?
    /// `broker.session.timeout.ms`: after so long without a word a member counts as gone, and
    /// others lead what it led. In whole seconds; the store may grant another time, which then
    /// counts.
    public var sessionTimeoutMilliseconds: Int64 = 9_000
    /// `replica.lag.time.max.ms`: a follower that has not had everything for so long is no longer
    /// in sync.
    public var lagMillisecondsMax: Int64 = 30_000
    /// `replica.fetch.wait.max.ms`: how long a leader waits for something to come.
    public var fetchWaitMillisecondsMax: Int32 = 500
    /// `replica.fetch.max.bytes`: how much of one partition comes at a time.
    public var fetchPartitionBytesMax: Int32 = 1 << 20
    /// `replica.fetch.response.max.bytes`: how much comes at a time.
    public var fetchBytesMax: Int32 = 10 << 20
    /// `num.replica.fetchers`: over how many connections to a leader partitions with traffic are
    /// fetched, 1 to 64; those without have one more for themselves. Each has a thread, and memory
    /// for one answer (``fetchBytesMax``).
    public var fetchersPerLeader = 2
    /// How many bytes a second replicas that are not in sync may fetch, all together
    /// (`follower.replication.throttled.rate`); nil for no limit.
    public var throttledBytesPerSecond: Int?
    /// `default.replication.factor`: of topics that are created without one.
    public var replicationFactor: Int16 = 1
    /// `offsets.topic.replication.factor` and `transaction.state.log.replication.factor`: replicas
    /// of the topics that keep groups, their offsets and transactions. Neither is there before so
    /// many members are.
    public var internalTopicsReplicationFactor: Int16 = 3
    /// `offsets.topic.num.partitions` and `transaction.state.log.num.partitions`, where the topics
    /// are not there yet.
    public var internalTopicsPartitionCount: Int32 = 50
    /// `leader.imbalance.check.interval.seconds`: how often leadership goes back to preferred
    /// leaders, in seconds; nil for never (`auto.leader.rebalance.enable=false`).
    public var leaderImbalanceCheckSeconds: Int64? = 300
    /// Where it writes what it did.
    public var logger = Logger(label: "tally.cluster", factory: { _ in SwiftLogNoOpLogHandler() })

    /// A member with this number.
    public init(nodeID: Int32) { self.nodeID = nodeID }

    /// The member's number.
    var id: ReplicaID { ReplicaID(nodeID) }
    /// What is asked of the store.
    var leaseSeconds: Int64 { max(1, (sessionTimeoutMilliseconds + 999) / 1000) }
}
