import TallyWire

/// What a client asks for and cannot have, where the engine has no error for it.
enum ClientRequestError: Error {
    case offsetOutOfRange
    /// The client knows an older leader epoch than the partition has.
    case fencedLeaderEpoch
    /// The client knows a newer one.
    case unknownLeaderEpoch
    case invalidRequest(String)
    case invalidReplicationFactor(Int16)
    case invalidReplicaAssignment(String)
    case unknownTopicID
    case invalidRequiredAcks
    /// The coordinator cannot say yet whether a write belongs to a transaction.
    case notEnoughReplicas

    var code: ErrorCode {
        switch self {
        case .offsetOutOfRange: .offsetOutOfRange
        case .fencedLeaderEpoch: .fencedLeaderEpoch
        case .unknownLeaderEpoch: .unknownLeaderEpoch
        case .invalidRequest: .invalidRequest
        case .invalidReplicationFactor: .invalidReplicationFactor
        case .invalidReplicaAssignment: .invalidReplicaAssignment
        case .unknownTopicID: .unknownTopicID
        case .invalidRequiredAcks: .invalidRequiredAcks
        case .notEnoughReplicas: .notEnoughReplicas
        }
    }
}

extension ClientRequestError: CustomStringConvertible {
    var description: String {
        switch self {
        case .offsetOutOfRange: "The offset is out of range."
        case .fencedLeaderEpoch: "The leader epoch is older than the partition's."
        case .unknownLeaderEpoch: "The leader epoch is newer than the partition's."
        case .invalidRequest(let reason): reason
        case .invalidReplicationFactor(let factor):
            "The replication factor \(factor) is not possible: there is one broker; give 1 or -1."
        case .invalidReplicaAssignment(let reason): reason
        case .unknownTopicID: "No topic has this id."
        case .invalidRequiredAcks: "acks is -1, 0 or 1."
        case .notEnoughReplicas: "The transaction cannot be looked up now; try again."
        }
    }
}
