import TallyReplication

/// Which disks are lost, and whether the promise stands: while one member of the in-sync set keeps
/// its disk, everything that was acknowledged stays.
///
/// A disk is lost only where, for every partition that counts on it, somebody else who is in sync
/// has one. What the store holds may change before the next process of the member is registered:
/// the lease of the one before is valid, that of the others may end first, and requests that are
/// under way may be carried out. Where nobody with a disk is left in sync by that, the promise
/// says nothing, and the run ends without a verdict. From then on, that is the engine's mistake.
final class LostDisks {
    /// How many disks were lost.
    private(set) var count = 0
    /// Whether nobody has kept what was promised.
    private(set) var isPromiseVoid = false
    /// Members that have no disk, and that the store may count on: by their last process with one.
    private var lost: [ReplicaID: UInt64] = [:]
    private var revision = CoordinationRevision.absent

    /// Loses a disk of a process that is down, where the promise stands afterwards. Returns whether
    /// it did.
    func lose(diskOf victim: SimulatedMember, in world: World) -> Bool {
        guard !victim.isUp else { return false }
        let others = Set(world.members.map(\.id)).subtracting(lost.keys).subtracting([victim.id])
        for partition in 0..<world.partitionCount {
            let proposed = world.members.compactMap { member -> PartitionState? in
                guard case .leader(let leader) = member.replicas[partition].role else { return nil }
                return leader.proposal
            }
            for state in proposed + [world.state(of: partition)].compactMap(\.self)
            where state.inSyncReplicas.contains(victim.id) {
                if others.isDisjoint(with: state.inSyncReplicas) { return false }
            }
        }
        count += 1
        lost[victim.id] = victim.process.incarnation
        victim.loseDisk()
        return true
    }

    /// Looks at what the store holds, after each event.
    func look(at world: World) {
        guard !lost.isEmpty, world.store.revision != revision else { return }
        revision = world.store.revision
        let states = (0..<world.partitionCount).compactMap { world.state(of: $0) }
        for (id, incarnation) in lost {
            let counted = states.filter { $0.inSyncReplicas.contains(id) }
            let entry = world.store.entry(of: Keys.member(id))
            let registered = entry.flatMap { Keys.decodeProcess($0.value)?.incarnation }
            if let registered, registered > incarnation {
                if counted.isEmpty { lost[id] = nil }
            } else if counted.contains(where: { $0.inSyncReplicas.allSatisfy(isLost) }) {
                isPromiseVoid = true
            }
        }
    }

    private func isLost(_ id: ReplicaID) -> Bool { lost[id] != nil }
}
