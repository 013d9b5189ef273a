public import TallyGroups
import TallyLog
public import TallyRecords
import TallyTransactions

extension Producer {
    // MARK: Transactions

    /// Takes the transactional id over: producers that had it before are fenced, and a transaction
    /// that one of them left open is aborted. Comes first, once.
    ///
    /// A transaction that is not ended is aborted after
    /// ``ProducerConfiguration/transactionTimeoutMilliseconds``; one of a cluster also where its
    /// producer is let go of, or its backend closed. Throws ``EngineError/transaction(_:)``,
    /// ``EngineError/closed``, and
    /// ``EngineError/invalidProducerState(reason:)`` where the producer has no transactional id or
    /// was told this before.
    public func initTransactions() async throws {
        let transaction = try requireTransaction()
        try transaction.beginInitialization()
        do {
            transaction.endInitialization(try await identity(for: transaction.transactionalID))
        } catch {
            transaction.endInitialization(nil)
            throw error
        }
    }

    private func identity(for transactionalID: String) async throws -> ProducerIdentity {
        if let transaction = remote?.transaction {
            do throws(TransactionError) {
                return try await transaction.link.takeOver()
            } catch {
                throw EngineError.transaction(error)
            }
        }
        let timeout = Int32(clamping: configuration.transactionTimeoutMilliseconds)
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            try engine.requireNotClosed()
            do throws(TransactionError) {
                return try await engine.transactions.ask(about: transactionalID) {
                    (coordinator, now) throws(TransactionError) in
                    try coordinator.initProducerID(
                        transactionalID, timeoutMilliseconds: timeout, now: now)
                }
            } catch {
                guard error == .concurrentTransactions, ContinuousClock.now < deadline else {
                    throw EngineError.transaction(error)
                }
            }
            // The one that was open is being aborted.
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Begins a transaction: what is sent from now on is seen by readers of committed records when
    /// it commits, all of it, or never.
    ///
    /// Throws ``EngineError/invalidProducerState(reason:)``.
    public func beginTransaction() throws {
        try requireTransaction().begin()
    }

    /// Commits: returns once the records, the decision and all markers are on stable storage,
    /// whatever the topics promise for records outside of transactions. On a cluster it returns
    /// once the records and the decision are where that promises they stay; readers of committed
    /// records may see them some moments later.
    ///
    /// What is sent while it commits is refused. Throws the error of a record that could not be
    /// sent, and the transaction must be aborted then; ``EngineError/transaction(_:)``: with
    /// `producerFenced` another producer has the transactional id and this one has ended; with
    /// `coordinatorNotAvailable` nobody knows yet, and committing again tells;
    /// ``EngineError/closed``; and ``EngineError/invalidProducerState(reason:)``, also where
    /// offsets are on their way to the transaction.
    public func commitTransaction() async throws {
        try await end(.commit)
    }

    /// Aborts: readers of committed records see nothing of the transaction. What was not sent yet
    /// to a cluster is not sent any more, and has failed.
    ///
    /// Throws as ``commitTransaction()``.
    public func abortTransaction() async throws {
        try await end(.abort)
    }

    /// Runs a closure in a transaction and commits it; aborts where the closure throws, or where
    /// something it sent could not be stored.
    ///
    /// Throws what the closure and committing throw.
    public func withTransaction<Success>(
        isolation: isolated (any Actor)? = #isolation,
        _ body: (Producer) async throws -> Success
    ) async throws -> Success {
        try beginTransaction()
        let result: Success
        do {
            result = try await body(self)
        } catch {
            try? await abortTransaction()
            throw error
        }
        do {
            try await commitTransaction()
        } catch {
            // Decided perhaps, or fenced: aborting is not ours any more.
            if transaction?.isUndecided ?? false { try? await abortTransaction() }
            throw error
        }
        return result
    }

    /// Makes a group's positions part of the transaction: they are committed when it commits. With
    /// what was read up to there and what is sent in the transaction, reading, processing and
    /// writing happen exactly once.
    ///
    /// Throws ``EngineError/group(_:)`` where the member is not the group's any more (the
    /// transaction must be aborted), ``EngineError/transaction(_:)``, and
    /// ``EngineError/invalidProducerState(reason:)``.
    public func sendOffsets(
        _ offsets: [TopicPartition: OffsetToCommit], of consumer: GroupConsumer
    ) async throws {
        let transaction = try requireTransaction()
        if let remote { return try await sendOffsets(offsets, of: consumer, to: remote) }
        guard consumer.remote == nil else {
            throw EngineError.invalidProducerState(
                reason: "the consumer reads a cluster, and the transaction is one of an engine")
        }
        let refusal = consumer.refusal(of: Set(offsets.keys))
        try await transaction.withGroup(consumer.group) { identity in
            try engine.requireNotClosed()
            do throws(GroupError) {
                let refused = try await consumer.asMember(offsets) { (request) throws(GroupError) in
                    try await engine.groups.commitInTransaction(
                        request, producer: identity, unless: refusal)
                }
                if let first = refused.min(by: { $0.key < $1.key }) { throw first.value }
            } catch {
                throw EngineError.group(error)
            }
        }
    }

    /// Makes the position behind these records part of the transaction; see
    /// ``sendOffsets(_:of:)-([TopicPartition:OffsetToCommit],_)``.
    public func sendOffsets(
        behind records: ConsumedRecords, of consumer: GroupConsumer
    ) async throws {
        let partition = TopicPartition(topic: records.topic, partition: records.partition)
        try await sendOffsets(
            [
                partition: OffsetToCommit(
                    offset: records.nextOffset, leaderEpoch: records.leaderEpoch)
            ], of: consumer)
    }

    private func sendOffsets(
        _ offsets: [TopicPartition: OffsetToCommit], of consumer: GroupConsumer,
        to remote: RemoteProducer
    ) async throws {
        let isSameCluster = consumer.remote.map { $0.readers.cluster === remote.cluster } ?? false
        guard isSameCluster, let transaction = remote.transaction else {
            throw EngineError.invalidProducerState(
                reason: "the transaction is one of a cluster, which the consumer does not read")
        }
        try await transaction.state.withGroup(consumer.group) { identity in
            try await transaction.commitOffsets(offsets, of: consumer, as: identity)
        }
    }

    /// Nil where the producer has no transactions.
    private var transaction: ProducerTransaction? {
        remote?.transaction?.state ?? parts?.transaction
    }

    private func requireTransaction() throws(EngineError) -> ProducerTransaction {
        guard let transaction else {
            throw .invalidProducerState(
                reason: "transactions need a transactional.id in the producer's configuration")
        }
        return transaction
    }

    private func end(_ decision: TransactionDecision) async throws {
        let transaction = try requireTransaction()
        try requireNotClosed()
        let number = try transaction.beginEnd(decision)
        // Whoever was taken before is in a batch when this has passed; the flush waits for those.
        deliverAll()
        do {
            try await flush()
        } catch  where decision == .commit {
            // What failed may be of the next transaction, which was told already.
            if try transaction.hasEnded(number, by: decision) { return }
            transaction.noteFailure(error, of: number)
            throw error
        } catch {
            // What could not be stored need not be taken back.
        }
        guard let ending = try transaction.participants(for: decision, of: number) else { return }
        // A cluster has promised for each record what it promises.
        if decision == .commit, remote == nil {
            try await sync(ending.partitions, of: number, in: transaction)
        }
        guard let asked = try transaction.noteAsked(decision, of: number) else { return }
        do throws(TransactionError) {
            let next = try await transaction.link.end(
                transaction.transactionalID, producer: ending.identity, decision,
                timeout: .milliseconds(configuration.transactionTimeoutMilliseconds))
            transaction.ended(number, by: decision, next: next)
            TransactionMetrics.noteEnd(decision)
        } catch {
            if try transaction.hasEnded(number, by: decision) { return }
            transaction.noteNotEnded(number, error, askedBefore: asked.before)
            try requireNotClosed()
            throw EngineError.transaction(error)
        }
    }

    private func requireNotClosed() throws(EngineError) {
        if remote == nil { try engine.requireNotClosed() }
    }

    /// Puts the records of a transaction on stable storage: the decision will be there, and it
    /// speaks of them.
    private func sync(
        _ partitions: Set<TopicPartition>, of number: Int, in transaction: ProducerTransaction
    ) async throws {
        let engine = engine
        do {
            try await withThrowingTaskGroup { group in
                for id in partitions {
                    let log: PartitionLog
                    do throws(EngineError) {
                        log = try engine.partition(id.partition, of: id.topic).log
                    } catch .unknownTopic {
                        // Deleted since, with what was written to it.
                        continue
                    }
                    group.addTask {
                        try await engine.workers.run { try log.flush(reaching: log.logEnd) }
                    }
                }
                try await group.waitForAll()
            }
        } catch {
            transaction.noteFailure(error, of: number)
            throw error
        }
    }
}
