public import TallyRecords

extension TransactionCoordinator {
    /// The producer commits or aborts its transaction. The answer is an effect with `token`: the
    /// producer id and epoch with which the next transaction is to be written, when all who take
    /// part were told and that was stored, or an error at once.
    ///
    /// An end that was lost on the way may be asked for again, also after a restart: the same
    /// decision gets the same answer, the opposite one `invalidTransactionState`.
    ///
    /// Errors of the answer: `invalidProducerIDMapping`, `producerFenced`;
    /// `invalidTransactionState` where there is nothing to commit (an abort of nothing is done, and
    /// raises the epoch); `coordinatorNotAvailable`.
    ///
    /// - Parameter keepsEpoch: the producer speaks the first version of the protocol (EndTxn below
    ///   version 5): it goes on with the epoch that it has, which is then what markers carry.
    public mutating func endTransaction(
        _ transactionalID: String, producer: ProducerIdentity, _ decision: TransactionDecision,
        keepsEpoch: Bool = false, token: TransactionToken, now: Timestamp
    ) {
        do {
            let ended = try end(
                transactionalID, producer: producer, decision, keepsEpoch: keepsEpoch,
                token: token, now: now)
            if let ended { effects.append(.answer(token, .success(ended))) }
        } catch {
            effects.append(.answer(token, .failure(error)))
        }
    }

    /// The answer, or nil where it comes later.
    private mutating func end(
        _ transactionalID: String, producer: ProducerIdentity, _ decision: TransactionDecision,
        keepsEpoch: Bool, token: TransactionToken, now: Timestamp
    ) throws(TransactionError) -> ProducerIdentity? {
        try requireServed(transactionalID)
        guard let known = entries[transactionalID]?.record else {
            throw .invalidProducerIDMapping
        }
        if let decided = known.state.decision, known.previous == producer {
            guard decided == decision else { throw .invalidTransactionState }
            if !known.state.isPrepared { return known.producer }
            entries[transactionalID]?.waiters.append(token)
            return nil
        }
        var record = try record(transactionalID, of: producer)
        switch record.state {
        case .ongoing:
            record.previous = record.producer
            if !keepsEpoch {
                if record.producer.isExhausted { record.next = try newProducer() }
                record.producer = record.producer.raised
            }
            record.state = decision == .commit ? .prepareCommit : .prepareAbort
            record.updatedAt = now
            try save(record)
            entries[transactionalID]?.waiters = [token]
            tellAll(transactionalID)
            return nil
        case .empty, .completeCommit, .completeAbort:
            guard decision == .abort else { throw .invalidTransactionState }
            // Nobody takes part, so that there is nobody to tell.
            record.previous = record.producer
            if !keepsEpoch { record.producer = try successor(of: record.producer) }
            record.state = .completeAbort
            record.updatedAt = now
            try save(record)
            return record.producer
        case .prepareCommit, .prepareAbort, .prepareEpochFence, .dead:
            throw .concurrentTransactions
        }
    }

    // MARK: Fencing

    /// Aborts a transaction under way without its producer, whose epoch ends here: it may not ask
    /// what became of it.
    mutating func fence(_ transactionalID: String, now: Timestamp) {
        guard var record = entries[transactionalID]?.record, record.state == .ongoing else {
            return
        }
        record.state = .prepareEpochFence
        record.producer = record.producer.raised
        record.previous = nil
        entries[transactionalID]?.record = record
        storeFence(transactionalID, now: now)
    }

    /// Stores the abort of a fenced producer's transaction, or tries again later.
    mutating func storeFence(_ transactionalID: String, now: Timestamp) {
        guard var record = entries[transactionalID]?.record, record.state == .prepareEpochFence
        else { return }
        record.state = .prepareAbort
        record.updatedAt = now
        do {
            try save(record)
            tellAll(transactionalID)
        } catch {
            retryLater(transactionalID, now: now)
        }
    }

    // MARK: Telling

    /// Asks for a marker or an end in each that takes part.
    mutating func tellAll(_ transactionalID: String) {
        guard let record = entries[transactionalID]?.record else { return }
        var targets = Set(record.partitions.map { TransactionWork.Target.partition($0) })
        targets.formUnion(record.groups.map { .group($0) })
        tell(targets, of: transactionalID)
    }

    /// Asks for the work at these targets.
    mutating func tell(_ targets: Set<TransactionWork.Target>, of transactionalID: String) {
        guard let record = entries[transactionalID]?.record,
            let decision = record.state.decision
        else { return }
        entries[transactionalID]?.failed.subtract(targets)
        entries[transactionalID]?.retryAt = nil
        // Sorted, so that a simulation runs the same way each time.
        for target in targets.sorted(by: TransactionWork.Target.comesBefore) {
            lastAttempt += 1
            entries[transactionalID]?.inFlight[target] = lastAttempt
            effects.append(
                .perform(
                    TransactionWork(
                        transactionalID: transactionalID, producer: record.producer,
                        decision: decision, coordinatorEpoch: coordinatorEpoch(of: transactionalID),
                        attempt: lastAttempt, target: target,
                        transactionEpoch: record.transactionEpoch)))
        }
        schedule(transactionalID)
    }

    /// Says what became of a piece of work. What is not known, any more, is ignored, and so is what
    /// was told once more since: it may be about an earlier transaction of the same epoch.
    public mutating func report(
        _ work: TransactionWork, _ outcome: TransactionWorkOutcome, now: Timestamp
    ) {
        let id = work.transactionalID
        // In place: a transaction may have thousands of partitions.
        guard let state = entries[id]?.record.state, state.isPrepared,
            coordinatorEpoch(of: id) == work.coordinatorEpoch,
            entries[id]?.inFlight[work.target] == work.attempt
        else { return }
        entries[id]?.inFlight[work.target] = nil
        switch outcome {
        case .done, .refused: finishIfTold(id, now: now)
        case .failed:
            entries[id]?.failed.insert(work.target)
            if entries[id]?.retryAt == nil { retryLater(id, now: now) }
        }
    }

    /// Stores that all were told, and answers whoever waits for it; later where that fails.
    mutating func finishIfTold(_ transactionalID: String, now: Timestamp) {
        guard let entry = entries[transactionalID], entry.record.state.isPrepared,
            entry.inFlight.isEmpty, entry.failed.isEmpty
        else { return }
        var record = entry.record
        record.state = record.state == .prepareCommit ? .completeCommit : .completeAbort
        record.producer = record.next ?? record.producer
        record.next = nil
        record.partitions = []
        record.groups = []
        record.startedAt = nil
        record.updatedAt = now
        do {
            try save(record)
        } catch {
            return retryLater(transactionalID, now: now)
        }
        for token in entry.waiters {
            effects.append(.answer(token, .success(record.producer)))
        }
        entries[transactionalID]?.waiters = []
    }
}

extension TransactionWork.Target {
    /// Partitions before groups, each by name.
    static func comesBefore(_ left: Self, _ right: Self) -> Bool {
        switch (left, right) {
        case (.partition(let left), .partition(let right)): left < right
        case (.group(let left), .group(let right)): left < right
        case (.partition, .group): true
        case (.group, .partition): false
        }
    }
}
