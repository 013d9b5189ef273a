import Synchronization

/// An ``OffsetStore`` that forgets everything with the process: for tests, and for engines without
/// a state database. Any thread.
public final class InMemoryOffsetStore: OffsetStore {
    private let groups = Mutex<[String: StoredGroup]>([:])

    /// A store with nothing in it.
    public init() {}

    /// All groups, ordered by their ids. Never throws.
    public func loadGroups() throws(OffsetStoreError) -> [StoredGroup] {
        groups.withLock { groups in groups.values.sorted { $0.group < $1.group } }
    }

    /// Makes the changes. Never throws.
    public func apply(_ changes: [OffsetStoreChange]) throws(OffsetStoreError) {
        groups.withLock { groups in
            for change in changes { Self.apply(change, to: &groups) }
        }
    }

    private static func apply(
        _ change: OffsetStoreChange, to groups: inout [String: StoredGroup]
    ) {
        switch change {
        case .metadata(let id, let metadata):
            groups[id, default: StoredGroup(group: id)].metadata = metadata
        case .offsets(let id, let offsets):
            groups[id, default: StoredGroup(group: id)].offsets.merge(offsets) { $1 }
        case .pendingOffsets(let id, let producerID, let producerEpoch, let offsets):
            var group = groups[id, default: StoredGroup(group: id)]
            if let index = group.pendingOffsets.firstIndex(where: { $0.producerID == producerID }) {
                group.pendingOffsets[index].producerEpoch = producerEpoch
                group.pendingOffsets[index].offsets.merge(offsets) { $1 }
            } else {
                group.pendingOffsets.append(
                    PendingOffsets(
                        producerID: producerID, producerEpoch: producerEpoch, offsets: offsets))
            }
            groups[id] = group
        case .removePendingOffsets(let id, let producerID):
            groups[id]?.pendingOffsets.removeAll { $0.producerID == producerID }
        case .deleteOffsets(let id, let partitions):
            for partition in partitions { groups[id]?.offsets[partition] = nil }
        case .deleteGroup(let id):
            groups[id] = nil
        }
    }
}
