/// Names a join or sync whose answer comes later. The caller's choice; unique among those that
/// wait.
public struct GroupToken: Hashable, Sendable {
    /// The number.
    public var rawValue: UInt64

    /// A token from a number.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// A way to share out partitions that a member knows, with what it says about itself in it.
public struct GroupProtocol: Hashable, Sendable {
    /// The assignor's name, `range` for one.
    public var name: String
    /// For consumers: an encoded ``ConsumerSubscription``. The coordinator hands it to the leader.
    public var metadata: [UInt8]

    /// A protocol of a name.
    public init(name: String, metadata: [UInt8]) {
        self.name = name
        self.metadata = metadata
    }
}

/// A member's request to join a group, or to join it again.
public struct JoinRequest: Hashable, Sendable {
    /// The group's id; not empty.
    public var group: String
    /// The member's id, or empty where it has none yet.
    public var memberID: String
    /// `group.instance.id`: makes the member a static one.
    public var instanceID: String?
    /// `client.id`: new member ids begin with it.
    public var clientID: String
    /// Where the member is, for people.
    public var clientHost: String
    /// `session.timeout.ms`.
    public var sessionTimeoutMilliseconds: Int64
    /// How long the group waits for this member to join again; consumers say
    /// `max.poll.interval.ms`.
    public var rebalanceTimeoutMilliseconds: Int64
    /// `consumer` for consumers.
    public var protocolType: String
    /// What the member knows, the one it likes best first; names are unique.
    public var protocols: [GroupProtocol]
    /// Whether a new member first gets an id and joins again with it (JoinGroup version 4 and up).
    public var requiresKnownMemberID: Bool
    /// Whether the member understands that its assignment stands although it leads (JoinGroup
    /// version 9 and up, KIP-814).
    public var supportsSkippingAssignment: Bool

    /// A request to join.
    public init(
        group: String, memberID: String = "", instanceID: String? = nil, clientID: String,
        clientHost: String = "", sessionTimeoutMilliseconds: Int64 = 45_000,
        rebalanceTimeoutMilliseconds: Int64 = 300_000,
        protocolType: String = ConsumerSubscription.protocolType,
        protocols: [GroupProtocol], requiresKnownMemberID: Bool = true,
        supportsSkippingAssignment: Bool = true
    ) {
        self.group = group
        self.memberID = memberID
        self.instanceID = instanceID
        self.clientID = clientID
        self.clientHost = clientHost
        self.sessionTimeoutMilliseconds = sessionTimeoutMilliseconds
        self.rebalanceTimeoutMilliseconds = rebalanceTimeoutMilliseconds
        self.protocolType = protocolType
        self.protocols = protocols
        self.requiresKnownMemberID = requiresKnownMemberID
        self.supportsSkippingAssignment = supportsSkippingAssignment
    }
}

/// What a member learns when it has joined.
public struct JoinAnswer: Hashable, Sendable {
    /// A member and what it said about itself in the chosen protocol.
    public struct Member: Hashable, Sendable {
        /// The member's id.
        public var memberID: String
        /// Its `group.instance.id`, where it is static.
        public var instanceID: String?
        /// From its ``GroupProtocol``.
        public var metadata: [UInt8]

        /// A member as its leader sees it.
        public init(memberID: String, instanceID: String? = nil, metadata: [UInt8]) {
            self.memberID = memberID
            self.instanceID = instanceID
            self.metadata = metadata
        }
    }

    /// The generation it has joined.
    public var generation: Int32
    /// What sort of group it is.
    public var protocolType: String
    /// The assignor's name.
    public var protocolName: String
    /// Who computes the assignment.
    public var leaderID: String
    /// The member's own id.
    public var memberID: String
    /// All members, for the leader; otherwise empty.
    public var members: [Member]
    /// The leader has nothing to compute: the assignment of before stands.
    public var skipsAssignment: Bool

    /// An answer to a join.
    public init(
        generation: Int32, protocolType: String, protocolName: String, leaderID: String,
        memberID: String, members: [Member], skipsAssignment: Bool
    ) {
        self.generation = generation
        self.protocolType = protocolType
        self.protocolName = protocolName
        self.leaderID = leaderID
        self.memberID = memberID
        self.members = members
        self.skipsAssignment = skipsAssignment
    }

    /// Whether the member leads the group. It computes the assignment, unless ``skipsAssignment``.
    public var isLeader: Bool { leaderID == memberID }
}

/// Who sends a request: the member and its generation, by which late ones are told.
public struct GroupCaller: Hashable, Sendable {
    /// The member's id; empty for somebody outside of the group.
    public var memberID: String
    /// Its `group.instance.id`, where it is static.
    public var instanceID: String?
    /// The generation it has joined; -1 for somebody outside of the group.
    public var generation: Int32

    /// A member in a generation.
    public init(memberID: String, instanceID: String? = nil, generation: Int32) {
        self.memberID = memberID
        self.instanceID = instanceID
        self.generation = generation
    }

    /// Somebody who is no member: an administrator, or a consumer that chooses its partitions.
    public static let outside = GroupCaller(memberID: "", generation: -1)
}

/// A member's request for its assignment; the leader's brings everybody's.
public struct SyncRequest: Hashable, Sendable {
    /// The group's id.
    public var group: String
    /// Who asks.
    public var caller: GroupCaller
    /// What the join was answered with, or nil (before SyncGroup version 5).
    public var protocolType: String?
    /// What the join was answered with, or nil (before SyncGroup version 5).
    public var protocolName: String?
    /// From the leader: each member's assignment, by member id.
    public var assignments: [String: [UInt8]]

    /// A request to sync.
    public init(
        group: String, caller: GroupCaller, protocolType: String? = nil,
        protocolName: String? = nil, assignments: [String: [UInt8]] = [:]
    ) {
        self.group = group
        self.caller = caller
        self.protocolType = protocolType
        self.protocolName = protocolName
        self.assignments = assignments
    }
}

/// What a member is to read.
public struct SyncAnswer: Hashable, Sendable {
    /// What sort of group it is.
    public var protocolType: String
    /// The assignor's name.
    public var protocolName: String
    /// For consumers: an encoded ``ConsumerAssignment``; empty where the leader gave none.
    public var assignment: [UInt8]

    /// An answer to a sync.
    public init(protocolType: String, protocolName: String, assignment: [UInt8]) {
        self.protocolType = protocolType
        self.protocolName = protocolName
        self.assignment = assignment
    }
}

/// Something the driver of a coordinator has to do after a call: answer a request of before.
public enum GroupEffect: Hashable, Sendable {
    /// Answer this join.
    case joinAnswered(GroupToken, Result<JoinAnswer, GroupError>)
    /// Answer this sync.
    case syncAnswered(GroupToken, Result<SyncAnswer, GroupError>)
}

/// One member of a leave request: by its id, by its instance id, or by both.
public struct LeavingMember: Hashable, Sendable {
    /// The member's id; empty where only the instance id is known.
    public var memberID: String
    /// Its `group.instance.id`.
    public var instanceID: String?

    /// A member that leaves.
    public init(memberID: String = "", instanceID: String? = nil) {
        self.memberID = memberID
        self.instanceID = instanceID
    }
}
