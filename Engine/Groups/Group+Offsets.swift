import TallyRecords

extension Group {
    /// Throws unless the caller may commit offsets now. In a transaction, whoever says nothing
    /// about itself is believed: old producers cannot do better, and are fenced by their epochs.
    func requireMayCommit(
        _ caller: GroupCaller, isTransactional: Bool
    ) throws(GroupError) {
        if caller.generation < 0, state == .empty { return }
        if caller.generation >= 0 || !caller.memberID.isEmpty || caller.instanceID != nil {
            try requireCurrent(caller)
        } else if !isTransactional {
            throw .unknownMemberID("")
        }
        // Between generations nobody owns anything; a member may still commit while a rebalance
        // is being prepared, which is when it gives up partitions.
        if !isTransactional, state == .completingRebalance { throw .rebalanceInProgress }
    }

    /// Commits what can be committed, to become visible with the producer's transaction, and gives
    /// the errors of the other partitions.
    mutating func commitPending(
        _ request: OffsetCommitRequest, producerID: Int64, producerEpoch: Int16,
        in context: inout GroupContext
    ) throws(GroupError) -> [TopicPartition: GroupError] {
        try requireMayCommit(request.caller, isTransactional: true)
        if let pending = pendingOffsets[producerID] {
            guard producerEpoch >= pending.producerEpoch else {
                throw .invalidProducerEpoch(given: producerEpoch, current: pending.producerEpoch)
            }
            guard producerEpoch == pending.producerEpoch else { throw .concurrentTransactions }
        }
        let (accepted, refused) = Self.check(request.offsets, in: &context)
        if !accepted.isEmpty {
            try Self.write(
                [
                    .pendingOffsets(
                        group: id, producerID: producerID, producerEpoch: producerEpoch, accepted)
                ], in: context)
            var pending =
                pendingOffsets[producerID]
                ?? PendingOffsets(
                    producerID: producerID, producerEpoch: producerEpoch, offsets: [:])
            pending.offsets.merge(accepted) { $1 }
            pendingOffsets[producerID] = pending
        }
        renewSession(of: request.caller.memberID, at: context.now)
        return refused
    }

    /// What becomes visible when the producer's transaction commits: what was not committed again
    /// since, outside of it.
    func visibleOffsets(of pending: PendingOffsets) -> [TopicPartition: CommittedOffset] {
        pending.offsets.filter { partition, offset in
            (offsets[partition]?.sequence ?? .min) < offset.sequence
        }
    }

    func hasPendingOffset(_ partition: TopicPartition) -> Bool {
        pendingOffsets.values.contains { $0.offsets[partition] != nil }
    }

    /// The topics that members want to read; nil where that cannot be known.
    var subscribedTopics: Set<String>? {
        guard protocolType == ConsumerSubscription.protocolType else { return nil }
        var topics: Set<String> = []
        for member in members.values {
            // Before the first choice of a protocol, whatever a member names counts.
            for known in member.protocols where protocolName.map({ $0 == known.name }) ?? true {
                guard let subscription = try? ConsumerSubscription(decoding: known.metadata) else {
                    return nil
                }
                topics.formUnion(subscription.topics)
            }
        }
        return topics
    }

    /// The offsets that are too old: only of a group without members, counted from when it lost
    /// the last one, and from the offset's own commit if that is later.
    func expiredOffsets(before limit: Timestamp) -> Set<TopicPartition> {
        guard state == .empty, (emptySince ?? limit) <= limit else { return [] }
        return Set(
            offsets.filter { partition, offset in
                offset.commitTimestamp <= limit && !hasPendingOffset(partition)
            }.keys)
    }

    /// Shares offsets into those that can be committed, and those that cannot.
    static func check(
        _ offsets: [TopicPartition: OffsetToCommit], in context: inout GroupContext
    ) -> (
        accepted: [TopicPartition: CommittedOffset], refused: [TopicPartition: GroupError]
    ) {
        var accepted: [TopicPartition: CommittedOffset] = [:]
        var refused: [TopicPartition: GroupError] = [:]
        let limit = context.configuration.offsetMetadataBytesMax
        for (partition, given) in offsets {
            let byteCount = given.metadata.utf8.count
            if byteCount > limit {
                refused[partition] = .offsetMetadataTooLarge(byteCount: byteCount, limit: limit)
            } else if given.offset < .zero || partition.partition < 0 {
                refused[partition] = .invalidRequest(
                    reason: "\(partition), offset \(given.offset): neither may be negative")
            } else if partition.topic.utf8.contains(0) {
                // No store could keep it, and it must not take others' commits along.
                refused[partition] = .invalidRequest(
                    reason: "\(partition): a topic's name must not have a NUL character in it")
            } else {
                accepted[partition] = CommittedOffset(
                    offset: given.offset, leaderEpoch: given.leaderEpoch,
                    metadata: given.metadata, commitTimestamp: context.now.timestamp,
                    sequence: context.nextSequence)
            }
        }
        // Only a damaged store comes so far; then the order of a transaction's commits is lost.
        if context.nextSequence < .max { context.nextSequence += 1 }
        return (accepted, refused)
    }

    private static func write(
        _ changes: [OffsetStoreChange], in context: GroupContext
    ) throws(GroupError) {
        do throws(OffsetStoreError) {
            try context.store.apply(changes)
        } catch {
            throw error.groupError
        }
    }
}
