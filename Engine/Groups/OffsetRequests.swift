public import TallyRecords

/// How far a caller says to have read a partition.
public struct OffsetToCommit: Hashable, Sendable {
    /// The next offset to be read; 0 or more.
    public var offset: Offset
    /// The leader epoch of the last record that was read, or `.none`.
    public var leaderEpoch: LeaderEpoch
    /// A note, for example what was read with; at most `offset.metadata.max.bytes`.
    public var metadata: String

    /// An offset to commit.
    public init(offset: Offset, leaderEpoch: LeaderEpoch = .none, metadata: String = "") {
        self.offset = offset
        self.leaderEpoch = leaderEpoch
        self.metadata = metadata
    }
}

/// Offsets to commit for a group.
public struct OffsetCommitRequest: Hashable, Sendable {
    /// The group's id. A group that does not exist is made, for a caller from outside.
    public var group: String
    /// Who commits: a member in its generation, or `.outside`, for a group without members.
    public var caller: GroupCaller
    /// What it commits.
    public var offsets: [TopicPartition: OffsetToCommit]

    /// A request to commit offsets.
    public init(
        group: String, caller: GroupCaller, offsets: [TopicPartition: OffsetToCommit]
    ) {
        self.group = group
        self.caller = caller
        self.offsets = offsets
    }
}
