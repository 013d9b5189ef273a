/// The settings of a coordinator, named and preset as Kafka's, but for the initial delay, which
/// makes no sense where all members live in one process. Values are taken as they are: a limit
/// below another only refuses requests.
public struct GroupConfiguration: Hashable, Sendable {
    /// `group.initial.rebalance.delay.ms`: how long the first rebalance of an empty group waits for
    /// more members. 0 completes it at once; Kafka's default is 3000.
    public var initialRebalanceDelayMilliseconds: Int64 = 0
    /// `group.min.session.timeout.ms`.
    public var sessionTimeoutMillisecondsMin: Int64 = 6_000
    /// `group.max.session.timeout.ms`.
    public var sessionTimeoutMillisecondsMax: Int64 = 1_800_000
    /// `group.max.size`: how many members a group may have.
    public var groupSizeMax: Int = .max
    /// `tally.group.members.max.bytes`: what members of all groups may take together, in bytes:
    /// the metadata they join with, their assignments, their names, and 512 for each, also for one
    /// that was given an id and has not joined yet. Beyond it a join or a sync that needs more is
    /// told COORDINATOR_NOT_AVAILABLE, which clients try again; members that are there go on. It
    /// is given back when members leave, or their sessions end. Kafka has no such limit; there what
    /// one group's members hand over has to fit into one record.
    public var memberBytesMax: Int = 64 << 20
    /// `offset.metadata.max.bytes`: how many bytes of UTF-8 a committed offset's note may have.
    public var offsetMetadataBytesMax: Int = 4096
    /// `offsets.retention.minutes`, in milliseconds: how long an empty group's offsets are kept;
    /// 0 or less keeps them for good.
    public var offsetsRetentionMilliseconds: Int64 = 7 * 24 * 3_600_000
    /// `offsets.retention.check.interval.ms`: how often offsets are looked at for their age; at
    /// least 1.
    public var offsetsRetentionCheckMilliseconds: Int64 = 600_000
    /// How long a member that never completed a rebalance may stay silent, as in Kafka: its own
    /// session would end while it waits for its first answer, and it could not send a heartbeat.
    public var newMemberTimeoutMilliseconds: Int64 = 300_000

    /// The presets.
    public init() {}
}
