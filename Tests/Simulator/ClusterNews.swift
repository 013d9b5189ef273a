import TallyReplication

/// What a member has heard from the store, and when that was so.
struct ClusterNews {
    /// A partition, and the revision that wrote its state.
    struct Partition {
        var state: PartitionState
        var revision: CoordinationRevision
    }

    /// Which process of a member is registered, and the revision that did so.
    struct Member {
        var incarnation: UInt64
        var revision: CoordinationRevision
    }

    /// Who controls, by which lease and since which revision.
    struct Controller {
        var id: ReplicaID
        var revision: CoordinationRevision
        var lease: LeaseID?
    }

    /// What to watch after; nil before the first reading.
    private(set) var revision: CoordinationRevision?
    private(set) var members: [ReplicaID: Member] = [:]
    private(set) var controller: Controller?
    private(set) var partitions: [Int: Partition] = [:]

    init() {}

    init(_ snapshot: CoordinationSnapshot) {
        revision = snapshot.revision
        for entry in snapshot.entries { put(entry) }
    }

    mutating func learn(_ changes: CoordinationChanges) {
        for change in changes.changes {
            switch change {
            case .put(let entry): put(entry)
            case .delete(let key, _): delete(key)
            }
        }
        revision = changes.revision
    }

    private mutating func put(_ entry: CoordinationEntry) {
        if entry.key == Keys.controller, let id = Keys.decodeID(entry.value) {
            controller = Controller(
                id: id, revision: entry.modificationRevision, lease: entry.lease)
        } else if entry.key.hasPrefix(Keys.members),
            let process = Keys.decodeProcess(entry.value)
        {
            members[process.id] = Member(
                incarnation: process.incarnation, revision: entry.modificationRevision)
        } else if entry.key.hasPrefix(Keys.partitions),
            let number = Int(entry.key.dropFirst(Keys.partitions.count)),
            let state = Keys.decodeState(entry.value)
        {
            partitions[number] = Partition(state: state, revision: entry.modificationRevision)
        }
    }

    private mutating func delete(_ key: String) {
        if key == Keys.controller { controller = nil }
        if key.hasPrefix(Keys.members), let id = Int32(key.dropFirst(Keys.members.count)) {
            members[ReplicaID(id)] = nil
        }
    }
}
