import TallyRecords
import TallyTransactions

/// Those who wait for a partition to take part in a transaction, by partition.
typealias TransactionJoiners = [TopicPartition: [@Sendable (Result<Void, any Error>) -> Void]]

/// What a transactional producer needs of whoever coordinates its transactions: the service of an
/// engine, or a cluster. Thread rule: any thread and task.
protocol TransactionLink: AnyObject, Sendable {
    /// Who the partitions or the group take part as; nil where that is who was given.
    typealias Answer = @Sendable (Result<ProducerIdentity?, TransactionError>) -> Void

    /// Whether a request that nobody has answered may have begun a transaction.
    var mayHaveBegun: Bool { get }

    /// Has partitions take part, before anything is written there.
    ///
    /// - Parameter gather: called once, when the request is made up: who the producer is, and who
    ///   waits for which partition.
    func addPartitions(
        to transactionalID: String,
        gather: @escaping @Sendable () -> (ProducerIdentity?, TransactionJoiners),
        answer: @escaping Answer)

    /// Has a group take part, before its offsets are handed over.
    func addGroup(
        _ group: String, to transactionalID: String, producer: ProducerIdentity
    ) async throws(TransactionError) -> ProducerIdentity?

    /// Comes behind the handing over of a group's offsets: throws where the transaction has ended
    /// meanwhile, and has them dropped.
    func confirmGroup(
        _ group: String, in transactionalID: String, producer: ProducerIdentity
    ) async throws(TransactionError)

    /// Ends a transaction; returns the producer of the next one.
    ///
    /// - Parameter timeout: how long everybody may take to be told.
    func end(
        _ transactionalID: String, producer: ProducerIdentity, _ decision: TransactionDecision,
        timeout: Duration
    ) async throws(TransactionError) -> ProducerIdentity
}

extension TransactionService: TransactionLink {
    var mayHaveBegun: Bool { false }

    func addPartitions(
        to transactionalID: String,
        gather: @escaping @Sendable () -> (ProducerIdentity?, TransactionJoiners),
        answer: @escaping TransactionLink.Answer
    ) {
        ask(about: transactionalID) {
            (coordinator, now) throws(TransactionError) -> ProducerIdentity? in
            let (identity, joiners) = gather()
            guard let identity else { throw .invalidTransactionState }
            try coordinator.addPartitions(
                joiners.keys, to: transactionalID, producer: identity, now: now)
            return nil
        } answer: {
            answer($0)
        }
    }

    func addGroup(
        _ group: String, to transactionalID: String, producer: ProducerIdentity
    ) async throws(TransactionError) -> ProducerIdentity? {
        try await ask(about: transactionalID) { (coordinator, now) throws(TransactionError) in
            try coordinator.addGroup(group, to: transactionalID, producer: producer, now: now)
        }
        return nil
    }

    func confirmGroup(
        _ group: String, in transactionalID: String, producer: ProducerIdentity
    ) async throws(TransactionError) {
        do throws(TransactionError) {
            // Once more: where its time was over meanwhile, the offsets came behind its end.
            _ = try await addGroup(group, to: transactionalID, producer: producer)
        } catch {
            await dropOffsets(of: producer)
            throw error
        }
    }

    func end(
        _ transactionalID: String, producer: ProducerIdentity, _ decision: TransactionDecision,
        timeout: Duration
    ) async throws(TransactionError) -> ProducerIdentity {
        try await end(
            transactionalID, producer: producer, decision, keepsEpoch: false, timeout: timeout)
    }
}
