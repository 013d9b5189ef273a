import TallyRecords

/// Who leads a partition next. Pure: from what the store holds to what it should hold.
///
/// A leader comes from the in-sync set alone, for only there is all that was acknowledged; with
/// `unclean.leader.election.enable` anybody will do, and acknowledged records may be lost.
public struct Election: Hashable, Sendable {
    /// The members whose lease is valid.
    public var live: Set<ReplicaID>
    /// Whether a replica that is not in sync may lead where no other is left
    /// (`unclean.leader.election.enable`).
    public var isUncleanAllowed: Bool

    /// An election among these members.
    public init(live: Set<ReplicaID>, isUncleanAllowed: Bool = false) {
        self.live = live
        self.isUncleanAllowed = isUncleanAllowed
    }

    /// The state that should follow; nil where nothing needs to change: the leader and all who are
    /// in sync are alive, or there is nobody who may lead and none is named.
    ///
    /// Members that are gone leave the in-sync set, but for the last: the leader waits for them no
    /// longer than for the end of their lease.
    public func next(after state: PartitionState) -> PartitionState? {
        let inSync = state.inSyncReplicas.filter(live.contains)
        if let leader = state.leader, live.contains(leader) {
            return inSync == state.inSyncReplicas ? nil : state.replacing(inSyncReplicas: inSync)
        }
        if let leader = preferred(among: inSync, state) {
            return Self.elected(leader, inSync, state)
        }
        if isUncleanAllowed, let leader = preferred(among: Array(live), state) {
            return Self.elected(leader, [leader], state)
        }
        guard state.leader != nil else { return nil }
        return Self.elected(nil, state.inSyncReplicas, state)
    }

    /// The state without a member: out of the in-sync set, and led by somebody else. Nil where it
    /// is not in sync, or nobody else who is would be left.
    public func leaving(_ member: ReplicaID, _ state: PartitionState) -> PartitionState? {
        var others = self
        others.live.remove(member)
        let inSync = state.inSyncReplicas.filter(others.live.contains)
        guard state.inSyncReplicas.contains(member), !inSync.isEmpty else { return nil }
        if state.leader != member { return state.replacing(inSyncReplicas: inSync) }
        return others.next(after: state)
    }

    /// The state without a member that has lost what it had: all others who are in sync are left,
    /// alive or not, for they have it. Nil where the member is not in sync, or nobody else is.
    public func losing(_ member: ReplicaID, _ state: PartitionState) -> PartitionState? {
        let inSync = state.inSyncReplicas.filter { $0 != member }
        guard inSync.count < state.inSyncReplicas.count, !inSync.isEmpty else { return nil }
        guard state.leader == member else { return state.replacing(inSyncReplicas: inSync) }
        return Self.elected(preferred(among: inSync.filter(live.contains), state), inSync, state)
    }

    /// The state in which the preferred leader leads; nil where it does already, or cannot. For the
    /// leader to ask for, as all that takes the lead from one that is alive: see
    /// ``PartitionLeader/change(_:now:)``.
    public func preferring(_ state: PartitionState) -> PartitionState? {
        guard let preferred = state.replicas.first, preferred != state.leader,
            live.contains(preferred), state.inSyncReplicas.contains(preferred)
        else { return nil }
        return Self.elected(preferred, state.inSyncReplicas, state)
    }

    /// The state in which the leader is asked to let the preferred one lead, as
    /// ``preferring(_:)`` has it; nil where it is asked already, or a move is under way, which ends
    /// so.
    public func asking(_ state: PartitionState) -> PartitionState? {
        guard state.target == nil, !state.wantsPreferredLeader, preferring(state) != nil else {
            return nil
        }
        var next = state.replacing(inSyncReplicas: state.inSyncReplicas)
        next.wantsPreferredLeader = true
        return next
    }

    /// What a leader makes of that: the preferred one leads, or where it cannot, nobody asks any
    /// more. Nil where nobody does.
    public func answering(_ state: PartitionState) -> PartitionState? {
        guard state.wantsPreferredLeader else { return nil }
        if let next = preferring(state) { return next }
        var next = state.replacing(inSyncReplicas: state.inSyncReplicas)
        next.wantsPreferredLeader = false
        return next
    }

    /// The state in which the same leader leads in a new epoch.
    ///
    /// A member that was started anew must not go on in an epoch that it led before: what it had
    /// not synced is gone here, and may be at followers; other records at the same offsets, in the
    /// same epoch, would never be told from them.
    public static func renewing(_ state: PartitionState) -> PartitionState {
        elected(state.leader, state.inSyncReplicas, state)
    }

    /// The first in the order of the replicas.
    private func preferred(among members: [ReplicaID], _ state: PartitionState) -> ReplicaID? {
        state.replicas.first(where: members.contains)
    }

    private static func elected(
        _ leader: ReplicaID?, _ inSync: [ReplicaID], _ state: PartitionState
    ) -> PartitionState {
        var next = state.replacing(inSyncReplicas: inSync)
        next.leader = leader
        next.leaderEpoch = state.leaderEpoch.next
        next.wantsPreferredLeader = false
        return next
    }
}
