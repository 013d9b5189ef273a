public import TallyReplication

/// What a cluster refuses, and why.
public enum ClusterError: Error, Hashable, Sendable {
    /// More replicas are wanted than members are there.
    case notEnoughMembers(replicationFactor: Int, alive: Int)
    /// No member with this number is there now.
    case unknownMember(ReplicaID)
    /// Replicas cannot be so: none, or one twice.
    case invalidAssignment([ReplicaID])
}

extension ClusterError: CustomStringConvertible {
    /// What is wrong, and what to do about it.
    public var description: String {
        switch self {
        case .notEnoughMembers(let factor, let alive):
            "The replication factor \(factor) is not possible: \(alive) members are there. Start "
                + "more, or give a smaller one."
        case .unknownMember(let id):
            "Member \(id) is not there now. Start it, or name another."
        case .invalidAssignment(let replicas):
            "A partition cannot be kept by \(replicas.map(\.description)): name each member once."
        }
    }
}
