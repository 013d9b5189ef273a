/// Why a coordinator refuses a request. Cases have the names of Kafka's errors, and their codes on
/// the wire.
public enum GroupError: Error, Hashable, Sendable {
    /// The store could not be read or written, or what it was told is not known to be safe in time:
    /// it may count or not. The request may be sent again.
    case coordinatorNotAvailable(reason: String)
    /// Another member of the cluster answers for this group: ask who (FindCoordinator).
    case notCoordinator(String)
    /// What is known of the group is being read: ask again soon.
    case coordinatorLoadInProgress
    /// The group has no such member: it never joined, has left, or was too late with a heartbeat.
    case unknownMemberID(String)
    /// The request is of another generation than the group.
    case illegalGeneration(given: Int32, current: Int32)
    /// The members are about to join again: do so too.
    case rebalanceInProgress
    /// No protocol that all members know, another protocol type, or none at all.
    case inconsistentGroupProtocol(reason: String)
    /// Another member has come with the same `group.instance.id`.
    case fencedInstanceID(String)
    /// Join again with the member id that is given here (KIP-394).
    case memberIDRequired(memberID: String)
    /// The group has `group.max.size` members.
    case groupMaxSizeReached(limit: Int)
    /// The session timeout is not between `group.min.session.timeout.ms` and
    /// `group.max.session.timeout.ms`.
    case invalidSessionTimeout(milliseconds: Int64, allowed: ClosedRange<Int64>)
    /// A group id is empty.
    case invalidGroupID(String)
    /// No group of this id.
    case groupIDNotFound(String)
    /// The group has members.
    case nonEmptyGroup(String)
    /// The group's members are subscribed to the topic.
    case groupSubscribedToTopic(String)
    /// The note beside a committed offset is longer than `offset.metadata.max.bytes`.
    case offsetMetadataTooLarge(byteCount: Int, limit: Int)
    /// A transaction that is not decided yet has written an offset for this partition.
    case unstableOffsetCommit
    /// The producer's epoch is older than one that was seen.
    case invalidProducerEpoch(given: Int16, current: Int16)
    /// An older transaction of the producer has offsets pending in the group and must end first.
    case concurrentTransactions
    /// A request that makes no sense, and why.
    case invalidRequest(reason: String)

    /// Kafka's code of the error in responses.
    public var code: Int16 {
        switch self {
        case .coordinatorNotAvailable: 15
        case .notCoordinator: 16
        case .coordinatorLoadInProgress: 14
        case .unknownMemberID: 25
        case .illegalGeneration: 22
        case .rebalanceInProgress: 27
        case .inconsistentGroupProtocol: 23
        case .fencedInstanceID: 82
        case .memberIDRequired: 79
        case .groupMaxSizeReached: 81
        case .invalidSessionTimeout: 26
        case .invalidGroupID: 24
        case .groupIDNotFound: 69
        case .nonEmptyGroup: 68
        case .groupSubscribedToTopic: 86
        case .offsetMetadataTooLarge: 12
        case .unstableOffsetCommit: 88
        case .invalidProducerEpoch: 47
        case .concurrentTransactions: 51
        case .invalidRequest: 42
        }
    }
}

extension GroupError: CustomStringConvertible {
    /// Kafka's name, what is wrong, and what to do about it.
    public var description: String {
        switch self {
        case .coordinatorNotAvailable(let reason):
            "COORDINATOR_NOT_AVAILABLE: \(reason). Try again."
        case .notCoordinator(let id):
            "NOT_COORDINATOR: another member of the cluster answers for the group '\(id)'. Ask who."
        case .coordinatorLoadInProgress:
            "COORDINATOR_LOAD_IN_PROGRESS: what is known of the group is being read. Try again."
        case .unknownMemberID(let id):
            "UNKNOWN_MEMBER_ID: the group has no member '\(id)'. Join again as a new one."
        case .illegalGeneration(let given, let current):
            "ILLEGAL_GENERATION: \(given) is not the group's generation \(current). Join again."
        case .rebalanceInProgress:
            "REBALANCE_IN_PROGRESS: the group is about to share out its partitions. Join again."
        case .inconsistentGroupProtocol(let reason):
            "INCONSISTENT_GROUP_PROTOCOL: \(reason)"
        case .fencedInstanceID(let id):
            "FENCED_INSTANCE_ID: another member has joined as '\(id)'. Stop one of the two."
        case .memberIDRequired(let id):
            "MEMBER_ID_REQUIRED: join again as '\(id)'."
        case .groupMaxSizeReached(let limit):
            "GROUP_MAX_SIZE_REACHED: the group has \(limit) members (group.max.size)."
        case .invalidSessionTimeout(let milliseconds, let allowed):
            "INVALID_SESSION_TIMEOUT: \(milliseconds) ms is not between "
                + "\(allowed.lowerBound) ms (group.min.session.timeout.ms) and "
                + "\(allowed.upperBound) ms (group.max.session.timeout.ms)."
        case .invalidGroupID(let id):
            "INVALID_GROUP_ID: '\(id)' cannot be the id of a group. Give it some characters."
        case .groupIDNotFound(let id):
            "GROUP_ID_NOT_FOUND: there is no group '\(id)'."
        case .nonEmptyGroup(let id):
            "NON_EMPTY_GROUP: the group '\(id)' has members. Stop them first."
        case .groupSubscribedToTopic(let topic):
            "GROUP_SUBSCRIBED_TO_TOPIC: members of the group read '\(topic)'. Stop them first."
        case .offsetMetadataTooLarge(let byteCount, let limit):
            "OFFSET_METADATA_TOO_LARGE: \(byteCount) bytes of metadata, \(limit) are allowed "
                + "(offset.metadata.max.bytes)."
        case .unstableOffsetCommit:
            "UNSTABLE_OFFSET_COMMIT: a transaction with an offset for the partition has not "
                + "ended. Try again."
        case .invalidProducerEpoch(let given, let current):
            "INVALID_PRODUCER_EPOCH: \(given) is older than \(current). Another producer of the "
                + "same transactional.id has taken over."
        case .concurrentTransactions:
            "CONCURRENT_TRANSACTIONS: the producer's transaction before has not ended. Try again."
        case .invalidRequest(let reason):
            "INVALID_REQUEST: \(reason)"
        }
    }
}
