import TallyRecords

/// Moves a partition to other members, without a moment in which fewer replicas have its records.
/// Pure: from what the store holds to what it should hold.
///
/// First all members, old and new, keep replicas; when all that are to keep it are in sync, the
/// others are let go (KIP-455), and the preferred leader leads. That last step is the leader's: see
/// ``PartitionLeader/change(_:now:)``.
public enum Reassignment {
    /// The state in which a partition begins to move; nil where there is nothing to move, or no
    /// member is named, or one twice.
    ///
    /// A move that is under way is turned: who was to come and is not named any more is dropped,
    /// unless it is in sync, then it goes when the new ones are.
    public static func begin(_ state: PartitionState, to target: [ReplicaID]) -> PartitionState? {
        guard !target.isEmpty, Set(target).count == target.count,
            target != state.target ?? state.replicas
        else { return nil }
        let needed = state.inSyncReplicas + (state.target == nil ? state.replicas : [])
        var next = state.replacing(inSyncReplicas: state.inSyncReplicas)
        next.replicas =
            target + state.replicas.filter { !target.contains($0) && needed.contains($0) }
        next.target = target
        next.wantsPreferredLeader = false
        return next
    }

    /// The state in which the move is done; nil where it is not time yet.
    ///
    /// - Parameter live: the members whose lease is valid. Of those that are to keep replicas the
    ///   preferred one leads, else who did, else the next.
    public static func finish(_ state: PartitionState, live: Set<ReplicaID>) -> PartitionState? {
        guard let target = state.target, target.allSatisfy(state.inSyncReplicas.contains) else {
            return nil
        }
        let candidates = target.prefix(1) + target.filter { $0 == state.leader } + target
        guard let leader = candidates.first(where: live.contains) else { return nil }
        var next = state.replacing(inSyncReplicas: target)
        next.replicas = target
        next.target = nil
        guard leader != state.leader else { return next }
        next.leader = leader
        next.leaderEpoch = state.leaderEpoch.next
        return next
    }
}
