/// A process of a member. A member that is started anew is another one, perhaps with an emptier
/// disk, and what the one before has said counts no more (Kafka: KIP-903).
public struct MemberProcess: Hashable, Sendable {
    /// The member.
    public var id: ReplicaID
    /// Drawn at each start: see ``ClusterMember/incarnation``.
    public var incarnation: UInt64

    /// A process.
    public init(_ id: ReplicaID, incarnation: UInt64) {
        self.id = id
        self.incarnation = incarnation
    }
}

extension MemberProcess: CustomStringConvertible {
    /// The member, and which of its processes.
    public var description: String { "\(id) (\(String(incarnation, radix: 16)))" }
}
