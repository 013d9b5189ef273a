package import TallyGroups
package import TallyLog
package import TallyRecords
package import TallyTransactions

// Groups that are recorded in `__consumer_offsets`: which partitions of it are led here, and what
// transactions do to them. Everything happens on the lane.

extension GroupService {
    /// The partition of `__consumer_offsets` that keeps a group; nil where groups are not recorded.
    package func partition(of group: String) -> Int32? {
        partitionCount.map { InternalTopic.partition(of: group, count: $0) }
    }

    /// Calls back when all that is known of a group is committed; at once where nothing is
    /// recorded, or where it is. On the lane.
    func whenCommitted(_ group: String?, _ tell: @escaping @Sendable (GroupError?) -> Void) {
        guard let journal, let group, let partition = partition(of: group) else {
            return tell(nil)
        }
        journal.whenCommitted(partition) { tell($0?.groupError(of: group)) }
    }

    /// Runs something with the coordinator on the lane, and what follows from it.
    private func withCoordinator<Success: Sendable>(
        _ body:
            @escaping @Sendable (inout GroupCoordinator, GroupTime) throws(GroupError) -> Success
    ) async throws(GroupError) -> Success { try await ask(body) }

    // MARK: Which partitions are led here

    /// Begins to lead a partition: until it is loaded, its groups are told to ask again.
    ///
    /// - Returns: false where it is led in this epoch, or a newer one, already.
    func lead(_ partition: Int32, epoch: LeaderEpoch) async -> Bool {
        let begun = try? await withCoordinator { coordinator, _ in
            coordinator.partitions?.lead(partition, epoch: epoch) ?? false
        }
        return begun ?? false
    }

    /// Serves the groups of a partition, as they were read from its log; false where it is led in
    /// another epoch by now.
    func serve(_ groups: [StoredGroup], of partition: Int32, epoch: LeaderEpoch) async -> Bool {
        let isServed = try? await withCoordinator { coordinator, now in
            guard coordinator.partitions?.note(.active, of: partition, epoch: epoch) ?? false
            else { return false }
            coordinator.load(groups, ofPartition: partition, at: now)
            return true
        }
        return isServed ?? false
    }

    /// How things stand with a partition; nil where it is not led here.
    func led(_ partition: Int32) async -> CoordinatorPartitions.Entry? {
        let entry = try? await withCoordinator { coordinator, _ in
            coordinator.partitions?.led[partition]
        }
        return entry ?? nil
    }

    /// Says why a partition that is led here cannot be served.
    func fail(_ partition: Int32, epoch: LeaderEpoch, _ reason: String) async {
        _ = try? await withCoordinator { coordinator, _ in
            coordinator.partitions?.note(.failed(reason), of: partition, epoch: epoch)
        }
    }

    /// Forgets the groups of a partition that is led elsewhere from now on.
    ///
    /// - Parameter epoch: that of the next leader; nil where it is not known.
    func resign(_ partition: Int32, epoch: LeaderEpoch?) async -> Bool {
        let resigned = try? await withCoordinator { coordinator, _ in
            guard coordinator.partitions?.resign(partition, epoch: epoch) ?? false else {
                return false
            }
            coordinator.unload(partition)
            return true
        }
        if resigned ?? false { journal?.forget(partition) }
        return resigned ?? false
    }

    // MARK: Transactions

    /// Commits offsets as a part of a producer's transaction.
    ///
    /// - Parameters:
    ///   - verification: what the partition of the group said when the transaction's coordinator
    ///     was asked about it; nil where nobody was.
    ///   - refusal: asked on the lane, which is where groups forget a topic that was deleted: what
    ///     it refuses is not committed.
    /// - Returns: the partitions that were refused, with the reasons.
    package func commitInTransaction(
        _ request: OffsetCommitRequest, producer: ProducerIdentity,
        verification: TransactionStanding? = nil,
        unless refusal: @escaping Refusal
    ) async throws(GroupError) -> [TopicPartition: GroupError] {
        let journaled = journaledStore
        return try await ask(about: request.group) { (coordinator, now) throws(GroupError) in
            if let error = refusal() { throw error }
            func commit() throws(GroupError) -> [TopicPartition: GroupError] {
                try coordinator.commitInTransaction(
                    request, producerID: producer.id, producerEpoch: producer.epoch, at: now)
            }
            guard let journaled else { return try commit() }
            return try journaled.verified(verification) { () throws(GroupError) in try commit() }
        }
    }

    /// Writes a transaction's marker in a partition of `__consumer_offsets`, which ends what it has
    /// pending in the groups of that; returns when it is committed, or why it is not known to be.
    func write(
        _ marker: TransactionMarker, to partition: Int32
    ) async -> TransactionWorkOutcome {
        await withCheckedContinuation { continuation in
            submit { [self] in
                guard let journal else { return continuation.resume(returning: .failed) }
                let outcome = append(marker, to: partition, of: journal)
                guard outcome == .done else { return continuation.resume(returning: outcome) }
                journal.whenCommitted(partition) { failure in
                    continuation.resume(returning: failure == nil ? .done : .failed)
                }
            }
        }
    }

    private func append(
        _ marker: TransactionMarker, to partition: Int32,
        of journal: CoordinationJournal<OffsetStoreChange>
    ) -> TransactionWorkOutcome {
        let result = use { (state, _) throws(GroupError) -> TransactionWorkOutcome in
            guard state.coordinator?.partitions?.led[partition]?.standing == .active else {
                return .failed
            }
            do {
                try journal.append(marker, to: partition) {
                    state.coordinator?.transactionEnded(
                        inPartition: partition, producerID: marker.producerID,
                        isCommitted: marker.didCommit) ?? []
                }
                return .done
            } catch {
                return TransactionWorkOutcome(error)
            }
        }
        return (try? result.get()) ?? .failed
    }

    /// Has groups forget what is pending of a producer whose transaction has ended without it.
    ///
    /// - Parameter coordinatorEpoch: the newest that wrote a marker for the producer, where it is
    ///   known.
    func abortPending(of producer: ProducerIdentity, coordinatorEpoch: Int32) async {
        let partitions = try? await withCoordinator { coordinator, _ in
            coordinator.partitions(pendingOf: producer.id)
        }
        for partition in partitions ?? [] {
            _ = await write(
                TransactionMarker(
                    didCommit: false, producerID: producer.id, producerEpoch: producer.epoch,
                    coordinatorEpoch: coordinatorEpoch), to: partition)
        }
    }
}
