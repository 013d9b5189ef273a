public import TallyRecords

/// What the coordination store says of a partition: who keeps it, who leads it, in which epoch,
/// and who is in sync. Only a compare-and-swap of the store changes it.
public struct PartitionState: Hashable, Sendable {
    /// Who keeps a replica. The first is the preferred leader.
    public var replicas: [ReplicaID]
    /// Whose replica holds all that was acknowledged with `acks=all`. Never empty: the last one
    /// stays in it when its member dies, for nobody else may lead.
    public var inSyncReplicas: [ReplicaID]
    /// Who leads; nil while no member of the in-sync set is alive.
    public var leader: ReplicaID?
    /// Rises with each change of the leader.
    public var leaderEpoch: LeaderEpoch
    /// Rises with each change of any kind (Kafka's partition epoch).
    public var version: Int32
    /// Who is to keep replicas once all of them are in sync; nil where that is who does. See
    /// ``Reassignment``.
    public var target: [ReplicaID]?
    /// Whether somebody has asked the leader to let the preferred one lead. Not beside a target: a
    /// move ends so. See ``Election/asking(_:)``.
    public var wantsPreferredLeader = false

    /// A state as it is stored.
    public init(
        replicas: [ReplicaID], inSyncReplicas: [ReplicaID], leader: ReplicaID?,
        leaderEpoch: LeaderEpoch, version: Int32, target: [ReplicaID]? = nil
    ) {
        self.replicas = replicas
        self.inSyncReplicas = inSyncReplicas
        self.leader = leader
        self.leaderEpoch = leaderEpoch
        self.version = version
        self.target = target
    }

    /// A new partition: all of its replicas are empty, and so in sync.
    public init(newWith replicas: [ReplicaID]) {
        self.init(
            replicas: replicas, inSyncReplicas: replicas, leader: replicas.first,
            leaderEpoch: LeaderEpoch(0), version: 0)
    }

    /// The next state, with other members in sync.
    public func replacing(inSyncReplicas: [ReplicaID]) -> PartitionState {
        var next = self
        next.inSyncReplicas = inSyncReplicas
        next.version = version == .max ? .max : version + 1
        return next
    }
}
