public import TallyRecords

/// Why a replica refuses a request. Each has a code of the protocol, by the same name.
public enum ReplicationError: Error, Hashable, Sendable {
    /// The sender lives in an earlier leader epoch than the leader.
    case fencedLeaderEpoch(sender: LeaderEpoch, leader: LeaderEpoch)
    /// The sender knows of a later leader epoch than the leader: the news have not come here yet.
    case unknownLeaderEpoch(sender: LeaderEpoch, leader: LeaderEpoch)
    /// The sender is not among the replicas of the partition.
    case notReplica(ReplicaID)
    /// The sender is not the process that the cluster knows by the member's number: it is gone,
    /// or the news of it have not come here yet.
    case staleProcess(ReplicaID)
    /// Fewer replicas are in sync than `min.insync.replicas`; nothing was appended.
    case notEnoughReplicas(inSync: Int, min: Int)
    /// The record was appended, and fewer replicas than `min.insync.replicas` have it.
    case notEnoughReplicasAfterAppend(inSync: Int, min: Int)
    /// A new leader does not know yet how far the log is committed.
    case offsetNotAvailable
    /// The leader has asked for another, who may lead by now.
    case handingOver
}

extension ReplicationError: CustomStringConvertible {
    /// What is wrong, and what to do about it.
    public var description: String {
        switch self {
        case .fencedLeaderEpoch(let sender, let leader):
            "The request is of leader epoch \(sender); the partition is in \(leader). Ask for the "
                + "partition's leader anew."
        case .unknownLeaderEpoch(let sender, let leader):
            "The request is of leader epoch \(sender), of which this replica has not heard; it is "
                + "in \(leader). Try again."
        case .notReplica(let id):
            "Member \(id) keeps no replica of the partition."
        case .staleProcess(let id):
            "The request is not of the process that is registered as member \(id). Try again."
        case .notEnoughReplicas(let inSync, let min):
            "\(inSync) replicas are in sync, and min.insync.replicas is \(min). Nothing was "
                + "appended; try again when more are."
        case .notEnoughReplicasAfterAppend(let inSync, let min):
            "The record was appended, but \(inSync) replicas are in sync, and "
                + "min.insync.replicas is \(min). Sending it again may store it twice, unless the "
                + "producer is idempotent."
        case .offsetNotAvailable:
            "A new leader does not know yet how far the log is committed. Try again."
        case .handingOver:
            "The leader hands the partition over. Ask for the partition's leader anew."
        }
    }
}
