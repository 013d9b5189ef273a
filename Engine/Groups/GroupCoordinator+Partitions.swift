import TallyRecords

// Where groups are recorded in `__consumer_offsets`, a coordinator answers for the groups of those
// partitions alone that are led here, and takes them over and gives them up partition by partition.

extension GroupCoordinator {
    /// Throws unless it answers for a group now.
    package func requireServed(_ id: String) throws(GroupError) {
        guard let partitions else { return }
        switch partitions.standing(of: id) {
        case .active: return
        case .loading: throw .coordinatorLoadInProgress
        case .failed(let reason): throw .coordinatorNotAvailable(reason: reason)
        case nil: throw .notCoordinator(id)
        }
    }

    /// Takes the groups of a partition over, as they were read from it: what was known of them
    /// goes. Members that are stored go on as if nothing had happened.
    package mutating func load(
        _ stored: [StoredGroup], ofPartition partition: Int32, at now: GroupTime
    ) {
        forget(partition, answering: .coordinatorLoadInProgress)
        for stored in stored {
            var group = Group(stored, at: now)
            if group.protocolType != nil, group.emptySince == nil, group.members.isEmpty {
                group.emptySince = now.timestamp
            }
            add(group)
        }
    }

    /// Forgets the groups of a partition; who waits for an answer is told to ask another.
    package mutating func unload(_ partition: Int32) {
        for id in groups.keys where partitions?.partition(of: id) == partition {
            forget(id, answering: .notCoordinator(id))
        }
    }

    private mutating func forget(_ partition: Int32, answering error: GroupError) {
        for id in groups.keys where partitions?.partition(of: id) == partition {
            forget(id, answering: error)
        }
    }

    private mutating func forget(_ id: String, answering error: GroupError) {
        guard let group = groups.removeValue(forKey: id) else { return }
        memberBytes -= group.memberBytes
        var effects: [GroupEffect] = []
        for member in group.membersInOrder {
            if let token = member.joinToken {
                effects.append(.joinAnswered(token, .failure(error)))
            }
            if let token = member.syncToken {
                effects.append(.syncAnswered(token, .failure(error)))
            }
        }
        add(effects)
    }

    /// A producer's transaction has ended in a partition, whose marker is in its log: its offsets
    /// become visible in the groups of the partition, or go. Nothing is written.
    ///
    /// - Returns: what has changed, for a store that people look into.
    package mutating func transactionEnded(
        inPartition partition: Int32, producerID: Int64, isCommitted: Bool
    ) -> [OffsetStoreChange] {
        var changes: [OffsetStoreChange] = []
        for id in groups.keys.sorted() where partitions?.partition(of: id) == partition {
            guard let pending = groups[id]?.pendingOffsets[producerID] else { continue }
            let visible = isCommitted ? groups[id]?.visibleOffsets(of: pending) ?? [:] : [:]
            if !visible.isEmpty { changes.append(.offsets(group: id, visible)) }
            changes.append(.removePendingOffsets(group: id, producerID: producerID))
            groups[id]?.pendingOffsets[producerID] = nil
            groups[id]?.offsets.merge(visible) { $1 }
        }
        return changes
    }

    /// The partitions whose groups have something pending of a producer.
    package func partitions(pendingOf producerID: Int64) -> Set<Int32> {
        let waiting = groups.values.filter { $0.pendingOffsets[producerID] != nil }
        return Set(waiting.compactMap { partitions?.partition(of: $0.id) })
    }
}
