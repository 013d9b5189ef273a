import Synchronization
import TallyLog
package import TallyRecords
package import TallyTransactions

// Transactional ids that are recorded in `__transaction_state`: which partitions of it are led
// here; and what takes part in transactions of coordinators at other members, or the other way
// round.

/// How other members of a cluster are asked. A value.
package struct OtherMembers: Sendable {
    /// Has whoever leads a partition write a transaction's marker there, and says what became of
    /// it. Called on a task; may take as long as it takes.
    package typealias MarkerWriter =
        @Sendable (TopicPartition, TransactionWork) async -> TransactionWorkOutcome

    /// Asks the coordinator of a transactional id at another member whether a partition takes part
    /// in its producer's transaction (`verifyOnly`), or has it take part: AddPartitionsToTxn.
    package typealias Participation =
        @Sendable (
            TopicPartition, _ transactionalID: String, ProducerIdentity, _ verifyOnly: Bool
        ) async throws(TransactionError) -> Void

    /// Nil where all partitions are led here.
    package var writeMarker: MarkerWriter?
    /// Nil where all transactional ids are coordinated here.
    package var participate: Participation?
    /// Writes a marker here, where all partitions are led here, and says what became of it when it
    /// is committed: the engine's own.
    var writeHere: MarkerWriter?

    /// There are none.
    package init() {}
}

extension TransactionService {
    /// The partition of `__transaction_state` that keeps a transactional id; nil where those are
    /// not recorded.
    package func partition(of transactionalID: String) -> Int32? {
        journal?.partition(of: transactionalID)
    }

    /// Says how other members are asked. Before anything is led that concerns them. Any thread.
    package func ask(_ others: OtherMembers) {
        self.others.withLock { known in
            known.writeMarker = others.writeMarker
            known.participate = others.participate
        }
    }

    /// Says how markers are written here where that is recorded.
    func write(_ writeHere: @escaping OtherMembers.MarkerWriter) {
        others.withLock { $0.writeHere = writeHere }
    }

    /// Has a partition take part in a producer's transaction, or asks whether it does, wherever the
    /// transaction is coordinated.
    ///
    /// Throws as ``TransactionCoordinator/addPartitions(_:to:producer:now:)`` and
    /// ``TransactionCoordinator/verify(_:in:producer:)``.
    package func participate(
        _ partition: TopicPartition, in transactionalID: String, producer: ProducerIdentity,
        verifyOnly: Bool
    ) async throws(TransactionError) {
        do throws(TransactionError) {
            try await ask(about: transactionalID) {
                (coordinator, now) throws(TransactionError) in
                guard verifyOnly else {
                    return try coordinator.addPartitions(
                        [partition], to: transactionalID, producer: producer, now: now)
                }
                try coordinator.verify(partition, in: transactionalID, producer: producer)
            }
        } catch {
            let participate = others.withLock { $0.participate }
            guard error == .notCoordinator, let participate else { throw error }
            try await participate(partition, transactionalID, producer, verifyOnly)
        }
    }

    /// Has a partition told how a transaction ended, wherever it is led.
    func tell(_ partition: TopicPartition, _ work: TransactionWork) {
        let others = others.withLock { $0 }
        guard journal != nil, let write = others.writeMarker ?? others.writeHere else {
            return writeHere(partition, work)
        }
        Task { [weak self] in
            let outcome = await write(partition, work)
            self?.report(work, outcome)
        }
    }

    // MARK: Which partitions are led here

    /// Begins to lead a partition: until it is loaded, its transactional ids are told to ask again.
    ///
    /// - Returns: false where it is led in this epoch, or a newer one, already.
    func lead(_ partition: Int32, epoch: LeaderEpoch) async -> Bool {
        let begun = try? await ask { coordinator, _ in
            coordinator.partitions?.lead(partition, epoch: epoch) ?? false
        }
        return begun ?? false
    }

    /// Serves the transactional ids of a partition, as they were read from its log, and goes on
    /// with what was decided; false where it is led in another epoch by now.
    ///
    /// - Parameter earlierProducers: what is known of the producers of before.
    /// - Throws: `corrupt` where a record breaks a rule.
    func serve(
        _ records: [TransactionRecord], of partition: Int32, epoch: LeaderEpoch,
        earlierProducers: TransactionCoordinator.EarlierProducers
    ) async throws(TransactionError) -> Bool {
        try await ask { (coordinator, now) throws(TransactionError) in
            guard coordinator.partitions?.led[partition]?.epoch == epoch else { return false }
            do throws(TransactionStoreError) {
                try coordinator.load(
                    records, ofPartition: partition, earlierProducers: earlierProducers, now: now)
            } catch {
                throw .coordinatorNotAvailable(reason: error.description)
            }
            return coordinator.partitions?.note(.active, of: partition, epoch: epoch) ?? false
        }
    }

    /// How things stand with a partition; nil where it is not led here.
    func led(_ partition: Int32) async -> CoordinatorPartitions.Entry? {
        let entry = try? await ask { coordinator, _ in coordinator.partitions?.led[partition] }
        return entry ?? nil
    }

    /// Says why a partition that is led here cannot be served.
    func fail(_ partition: Int32, epoch: LeaderEpoch, _ reason: String) async {
        _ = try? await ask { coordinator, _ in
            coordinator.partitions?.note(.failed(reason), of: partition, epoch: epoch)
        }
    }

    /// Forgets the transactional ids of a partition that is led elsewhere from now on.
    ///
    /// - Parameter epoch: that of the next leader; nil where it is not known.
    func resign(_ partition: Int32, epoch: LeaderEpoch?) async -> Bool {
        let resigned = try? await ask { coordinator, _ in
            guard coordinator.partitions?.resign(partition, epoch: epoch) ?? false else {
                return false
            }
            coordinator.unload(partition)
            return true
        }
        if resigned ?? false { journal?.journal.forget(partition) }
        return resigned ?? false
    }

    /// Has groups forget what is pending of a producer whose transaction has ended without it.
    func dropRecordedOffsets(of producer: ProducerIdentity) async {
        let epoch = try? await ask { coordinator, now in
            let record = coordinator.list(producerIDs: [producer.id], now: now).first
            return record.map { coordinator.partitions?.epoch(of: $0.transactionalID) ?? .none }
        }
        await groups.abortPending(
            of: producer, coordinatorEpoch: max((epoch ?? nil)?.rawValue ?? 0, 0))
    }
}
