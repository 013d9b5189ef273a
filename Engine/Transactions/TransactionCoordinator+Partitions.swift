package import TallyRecords

// Where transactional ids are recorded in `__transaction_state`, a coordinator answers for those of
// the partitions alone that are led here, and takes them over and gives them up partition by
// partition. The epoch of such a coordinator is the leader epoch of the partition.

extension TransactionCoordinator {
    /// Throws unless it answers for a transactional id now.
    package func requireServed(_ transactionalID: String) throws(TransactionError) {
        guard let partitions else { return }
        switch partitions.standing(of: transactionalID) {
        case .active: return
        case .loading: throw .coordinatorLoadInProgress
        case .failed(let reason): throw .coordinatorNotAvailable(reason: reason)
        case nil: throw .notCoordinator
        }
    }

    /// The term that the markers of a transactional id carry.
    func coordinatorEpoch(of transactionalID: String) -> Int32 {
        partitions?.epoch(of: transactionalID).rawValue ?? coordinatorEpoch
    }

    /// The partition of `__consumer_offsets` that a group is to a transaction; nil where it takes
    /// part by its name.
    func offsetsPartition(of group: String) -> TopicPartition? {
        offsetsPartitionCount.map { count in
            TopicPartition(
                topic: InternalTopic.consumerOffsets.rawValue,
                partition: InternalTopic.partition(of: group, count: count))
        }
    }

    /// Takes the transactional ids of a partition over, as they were read from it, and goes on with
    /// what was decided: what was known of them goes.
    ///
    /// - Throws: `corrupt` where a record breaks a rule; nothing has changed then.
    package mutating func load(
        _ records: [TransactionRecord], ofPartition partition: Int32,
        earlierProducers: EarlierProducers, now: Timestamp
    ) throws(TransactionStoreError) {
        var loaded: [Entry] = []
        for record in records {
            loaded.append(try Self.entry(record, earlierProducers: earlierProducers, now: now))
        }
        unload(partition)
        for entry in loaded {
            let id = entry.record.transactionalID
            entries[id] = entry
            if entry.record.state.isPrepared { tellAll(id) }
            schedule(id)
        }
    }

    /// Forgets the transactional ids of a partition. Whoever waits for an end of theirs is not told
    /// by the coordinator any more.
    package mutating func unload(_ partition: Int32) {
        for id in entries.keys where partitions?.partition(of: id) == partition {
            entries[id] = nil
            schedule(id)
        }
    }
}
