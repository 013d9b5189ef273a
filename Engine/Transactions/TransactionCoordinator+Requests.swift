public import TallyRecords

extension TransactionCoordinator {
    // MARK: Producers

    /// A producer id for an idempotent producer, which has no transactions.
    ///
    /// - Throws: `coordinatorNotAvailable`.
    public mutating func newProducer() throws(TransactionError) -> ProducerIdentity {
        do {
            return ProducerIdentity(id: try producerIDs.next(), epoch: 0)
        } catch {
            throw .coordinatorNotAvailable(reason: error.description)
        }
    }

    /// A producer begins with a transactional id. Those that had it before are fenced.
    ///
    /// A transaction that is under way is aborted first, and the caller hears
    /// `concurrentTransactions` and asks again, as with Kafka: every client knows to do that, and
    /// no request has to be kept waiting over a restart.
    ///
    /// - Parameters:
    ///   - timeoutMilliseconds: how long a transaction may take from now on.
    ///   - expected: the producer that the caller was until now, where it goes on after an error;
    ///     refused where somebody else has begun since. Unlike in Kafka, an epoch that is not the
    ///     current one aborts no transaction under way: it is a zombie's.
    /// - Returns: the producer id, and its epoch raised by one; a new id with epoch 0 where the
    ///   transactional id is new, or the epochs ran out.
    /// - Throws: `concurrentTransactions`, `producerFenced`, `invalidTransactionTimeout`,
    ///   `invalidRequest`, `coordinatorNotAvailable`.
    public mutating func initProducerID(
        _ transactionalID: String, timeoutMilliseconds: Int32,
        expected: ProducerIdentity? = nil, now: Timestamp
    ) throws(TransactionError) -> ProducerIdentity {
        try Self.checkName(transactionalID, of: "transactional id")
        try requireServed(transactionalID)
        guard timeoutMilliseconds > 0,
            timeoutMilliseconds <= configuration.transactionTimeoutMillisecondsMax
        else { throw .invalidTransactionTimeout }
        guard let record = entries[transactionalID]?.record else {
            let record = TransactionRecord(
                transactionalID: transactionalID, producer: try newProducer(),
                timeoutMilliseconds: timeoutMilliseconds, updatedAt: now)
            try save(record)
            return record.producer
        }
        // One that kept its epoch was given nothing that it could ask for again.
        let isRetry =
            expected != nil && expected == record.previous && record.state != .ongoing
            && !record.hasKeptEpoch
        guard expected == nil || expected == record.producer || isRetry else {
            throw .producerFenced
        }
        switch record.state {
        case .ongoing:
            fence(transactionalID, now: now)
            throw .concurrentTransactions
        case .prepareCommit, .prepareAbort, .prepareEpochFence, .dead:
            throw .concurrentTransactions
        case .empty, .completeCommit, .completeAbort:
            if isRetry { return record.producer }
        }
        var begun = TransactionRecord(
            transactionalID: transactionalID, producer: try successor(of: record.producer),
            timeoutMilliseconds: timeoutMilliseconds, updatedAt: now)
        // Whoever says who it was may ask again; a newcomer fences all others.
        begun.previous = expected == nil ? nil : record.producer
        try save(begun)
        return begun.producer
    }

    /// The next epoch, or a new id where there is none.
    mutating func successor(
        of producer: ProducerIdentity
    ) throws(TransactionError) -> ProducerIdentity {
        producer.isExhausted ? try newProducer() : producer.raised
    }

    // MARK: Taking part

    /// Notes, on stable storage, that partitions take part in the producer's transaction, and
    /// begins one where none is under way. To be done before the first record is written there.
    ///
    /// - Throws: `invalidProducerIDMapping`, `producerFenced`, `concurrentTransactions`,
    ///   `invalidRequest`, `coordinatorNotAvailable`.
    public mutating func addPartitions(
        _ partitions: some Collection<TopicPartition>, to transactionalID: String,
        producer: ProducerIdentity, now: Timestamp
    ) throws(TransactionError) {
        for partition in partitions {
            try Self.checkName(partition.topic, of: "topic")
            guard partition.partition >= 0 else {
                throw .invalidRequest(reason: "partition \(partition) is negative")
            }
        }
        try extend(transactionalID, by: producer, now: now) {
            $0.partitions.formUnion(partitions)
        }
    }

    /// Notes, on stable storage, that a group's offsets are part of the producer's transaction, and
    /// begins one where none is under way. To be done before they are put into the group.
    ///
    /// - Throws: as ``addPartitions(_:to:producer:now:)``.
    public mutating func addGroup(
        _ group: String, to transactionalID: String, producer: ProducerIdentity, now: Timestamp
    ) throws(TransactionError) {
        try Self.checkName(group, of: "group")
        let partition = offsetsPartition(of: group)
        try extend(transactionalID, by: producer, now: now) { record in
            if let partition {
                record.partitions.insert(partition)
            } else {
                record.groups.insert(group)
            }
        }
    }

    private mutating func extend(
        _ transactionalID: String, by producer: ProducerIdentity, now: Timestamp,
        _ change: (inout TransactionRecord) -> Void
    ) throws(TransactionError) {
        let record = try record(transactionalID, of: producer)
        guard record.state.isIdle || record.state == .ongoing else {
            throw .concurrentTransactions
        }
        var extended = record
        change(&extended)
        // Nothing new, or nothing at all.
        guard extended != record else { return }
        if record.state != .ongoing {
            extended.state = .ongoing
            extended.startedAt = now
            extended.previous = nil
        }
        extended.updatedAt = now
        try save(extended)
    }

    /// Whether a partition may append a record of this producer's transaction: the question that a
    /// partition asks before the first one (KIP-890), so that no record that comes late begins a
    /// transaction that nobody will end.
    ///
    /// - Throws: `invalidProducerEpoch`, `invalidProducerIDMapping`, `concurrentTransactions`;
    ///   `transactionAbortable` where the partition takes no part.
    public func verify(
        _ partition: TopicPartition, in transactionalID: String, producer: ProducerIdentity
    ) throws(TransactionError) {
        let record: TransactionRecord
        do {
            record = try self.record(transactionalID, of: producer)
        } catch {
            throw error == .producerFenced ? .invalidProducerEpoch : error
        }
        guard record.state.isIdle || record.state == .ongoing else {
            throw .concurrentTransactions
        }
        guard record.partitions.contains(partition) else { throw .transactionAbortable }
    }

    /// Whether a group may take offsets of this producer's transaction.
    ///
    /// - Throws: `invalidProducerIDMapping`, `producerFenced`, `concurrentTransactions`;
    ///   `invalidTransactionState` where the group takes no part in a transaction under way.
    public func verify(
        group: String, in transactionalID: String, producer: ProducerIdentity
    ) throws(TransactionError) {
        let record = try record(transactionalID, of: producer)
        guard record.state.isIdle || record.state == .ongoing else {
            throw .concurrentTransactions
        }
        let takesPart =
            offsetsPartition(of: group).map { record.partitions.contains($0) }
            ?? record.groups.contains(group)
        guard record.state == .ongoing, takesPart else {
            throw .invalidTransactionState
        }
    }

    /// The record of an id that this producer, and no other, has now.
    func record(
        _ transactionalID: String, of producer: ProducerIdentity
    ) throws(TransactionError) -> TransactionRecord {
        try requireServed(transactionalID)
        guard let record = entries[transactionalID]?.record, record.producer.id == producer.id
        else { throw .invalidProducerIDMapping }
        guard record.producer.epoch == producer.epoch else { throw .producerFenced }
        return record
    }

    /// Names are stored as text and sent with 16-bit lengths.
    private static func checkName(
        _ name: String, of what: String
    ) throws(TransactionError) {
        let bytes = name.utf8
        guard !bytes.isEmpty, bytes.count <= Int(Int16.max), !bytes.contains(0) else {
            throw .invalidRequest(
                reason: "a \(what) has 1 to \(Int16.max) bytes and no NUL character")
        }
    }
}
