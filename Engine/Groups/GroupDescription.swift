public import TallyRecords

/// Where a group is in its life.
public enum GroupState: String, Hashable, Sendable, CaseIterable {
    /// No members; perhaps offsets.
    case empty = "Empty"
    /// Members are being waited for to join.
    case preparingRebalance = "PreparingRebalance"
    /// All have joined; the leader computes the assignment.
    case completingRebalance = "CompletingRebalance"
    /// Everybody knows what to read.
    case stable = "Stable"
    /// Deleted. Only in descriptions of groups that do not exist, where a protocol wants one.
    case dead = "Dead"
}

/// What a group looks like from outside.
public struct GroupDescription: Hashable, Sendable {
    /// One member.
    public struct Member: Hashable, Sendable {
        /// The member's id.
        public var memberID: String
        /// Its `group.instance.id`, where it is static.
        public var instanceID: String?
        /// Its `client.id`.
        public var clientID: String
        /// Where it is.
        public var clientHost: String
        /// What it said about itself in the chosen protocol; empty between generations.
        public var metadata: [UInt8]
        /// What it is to read; empty between generations.
        public var assignment: [UInt8]
    }

    /// The group's id.
    public var group: String
    /// Where it is in its life.
    public var state: GroupState
    /// The generation of the last rebalance.
    public var generation: Int32
    /// `consumer`, something else, or nil for a simple group.
    public var protocolType: String?
    /// The assignor's name; nil before the first join is complete, and without members.
    public var protocolName: String?
    /// The leader's id; nil without members.
    public var leaderID: String?
    /// The members in the order in which they came.
    public var members: [Member]
    /// Since when it has no members.
    public var emptySince: Timestamp?
}

/// One line of a list of groups.
public struct GroupListing: Hashable, Sendable {
    /// The group's id.
    public var group: String
    /// `consumer`, something else, or nil for a simple group.
    public var protocolType: String?
    /// Where it is in its life.
    public var state: GroupState
}
