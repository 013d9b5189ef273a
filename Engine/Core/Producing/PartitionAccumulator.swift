import DequeModule
import Synchronization
import TallyLog
import TallyRecords
import TallyTransactions

/// Gathers the records for one partition into batches and delivers them in order.
///
/// At most one delivery runs at a time; what is appended meanwhile goes into the next batch, so
/// that load makes batches larger (and under `.synced` shares syncs).
///
/// Thread rule: any thread.
final class PartitionAccumulator: Sendable {
    let partition: Partition
    private let log: PartitionLog
    private let batchBytes: Int
    /// Memory that a batch begins with at most: one that comes to it is full.
    private let batchCapacityMax: Int
    /// `max.request.size`.
    private let requestBytesMax: Int
    /// Told as soon as the log has it: what is left to be done for the sync comes after.
    private let isToldEarly: Bool
    /// Without a linger, a batch waits only for the delivery before it.
    private let isEager: Bool
    private let retriesMax: Int
    private let retryBackoff: Duration
    /// Held, so that the directory's lock is, for as long as something may still be written.
    private let engine: Engine
    private let account: ProducerAccount
    private let reports: DeliveryReportQueue
    private let transaction: ProducerTransaction?
    private let state: Mutex<State>

    private struct State {
        /// What new batches are compressed with.
        var codec: Codec
        var open: ProducerBatch?
        var openByteCount = 0
        /// Twice what the last batch took: the next one begins with as much memory, and grows where
        /// that is not enough. A partition with a record now and then does not get that of a full
        /// batch each time, and full ones are not copied while they fill.
        var batchCapacity = 0
        var ready: Deque<ProducerBatch> = []
        /// Being written.
        var delivering: [ProducerBatch] = []
        /// How often the oldest batch was tried in vain.
        var failedTries = 0
        var isDelivering = false
        /// Used by the delivery that runs. Nil where the log does not know the producer.
        var sequence: ProducerSequence?
    }

    init(
        _ partition: Partition, log: PartitionLog, codec: Codec,
        configuration: ProducerConfiguration, shared: ProducerParts
    ) {
        self.partition = partition
        self.log = log
        batchBytes = configuration.batchBytes
        batchCapacityMax = min(configuration.batchBytes, 1 << 20)
        requestBytesMax = configuration.requestBytesMax
        isToldEarly = configuration.acknowledgements != .all
        isEager = configuration.lingerMilliseconds == 0
        retriesMax = configuration.retriesMax
        retryBackoff = .milliseconds(configuration.retryBackoffMilliseconds)
        engine = shared.engine
        account = shared.account
        reports = shared.reports
        transaction = shared.transaction
        state = Mutex(
            State(codec: codec, sequence: shared.identity.map(ProducerSequence.init)))
    }

    /// Compresses batches with another codec from the next one on.
    func adopt(_ codec: Codec) { state.withLock { $0.codec = codec } }

    /// What appending a record led to.
    enum Added {
        /// It opened a batch, which should be delivered after the linger.
        case opened(ProducerBatch)
        /// It joined a batch.
        case joined
    }

    /// Encodes a record into the open batch, or into a new one where it does not fit.
    ///
    /// Throws ``EngineError/recordTooLarge(byteCount:limit:setting:)``,
    /// ``EngineError/invalidProducerState(reason:)`` outside of a transaction where the producer
    /// has transactions, and ``RecordError``.
    func add(
        key: RawSpan?, value: RawSpan?, timestamp: Timestamp, headers: [RecordHeader],
        interest: ProducerBatch.Interest
    ) throws -> Added {
        // Also where the record is refused: the batch it found full is ready.
        defer { deliverReady() }
        return try state.withLock { state -> Added in
            // Under the lock that the end of a transaction takes after it has begun: it finds the
            // record here, or the record is refused.
            try transaction?.requireOpen()
            let estimate =
                (key?.byteCount ?? 0) + (value?.byteCount ?? 0)
                + headers.reduce(0) { $0 + $1.name.utf8.count + ($1.value?.count ?? 0) }
            if state.open != nil, state.openByteCount + estimate > batchBytes {
                Self.seal(&state)
            }
            if let open = state.open {
                do {
                    try add(to: open, key, value, timestamp, headers, interest, &state)
                    return .joined
                } catch let error where error.isBatchFull {
                    Self.seal(&state)
                }
            }
            let byteCountMax = min(log.batchBytesMax, requestBytesMax)
            let batch = try ProducerBatch(
                for: id, codec: state.codec,
                capacity: max(min(state.batchCapacity, batchCapacityMax), estimate),
                byteCountMax: byteCountMax)
            do {
                try add(to: batch, key, value, timestamp, headers, interest, &state)
            } catch let error where error.isBatchFull {
                throw EngineError.recordTooLarge(
                    byteCount: estimate, limit: byteCountMax,
                    setting: requestBytesMax < log.batchBytesMax
                        ? "max.request.size" : TopicSetting.maxMessageBytes.rawValue)
            }
            // Under the lock that a flush takes after it has ended its round: it finds the batch
            // here, or the batch is of a later round.
            batch.round = account.open()
            state.open = batch
            return .opened(batch)
        }
    }

    private func add(
        to batch: ProducerBatch, _ key: RawSpan?, _ value: RawSpan?, _ timestamp: Timestamp,
        _ headers: [RecordHeader], _ interest: ProducerBatch.Interest, _ state: inout State
    ) throws(RecordError) {
        let byteCount = try batch.append(
            key: key, value: value, timestamp: timestamp, headers: headers, interest: interest)
        state.openByteCount += byteCount
        account.add(byteCount)
    }

    private static func seal(_ state: inout State) {
        guard let open = state.open else { return }
        state.ready.append(open)
        state.open = nil
        state.batchCapacity = 2 * state.openByteCount
        state.openByteCount = 0
    }

    /// Sends the open batch on its way, if it is still the one that was opened then.
    func deliver(_ batch: ProducerBatch? = nil) {
        state.withLock { state in
            if batch == nil || state.open === batch { Self.seal(&state) }
        }
        deliverReady()
    }

    /// Delivers the open batch now, unless a delivery runs: that one takes it along when it has
    /// finished what it has.
    ///
    /// - Parameter mayBlock: whether the caller's thread may do it.
    func deliverIfIdle(mayBlock: Bool) {
        state.withLock { state in
            if !state.isDelivering { Self.seal(&state) }
        }
        deliverReady(mayBlock: mayBlock)
    }

    /// Starts a delivery unless one runs or nothing is ready.
    private func deliverReady(mayBlock: Bool = false) {
        let start = state.withLock { state in
            guard !state.isDelivering, !state.ready.isEmpty else { return false }
            state.isDelivering = true
            return true
        }
        guard start else { return }
        guard let transaction else {
            return mayBlock ? deliverOnce() : engine.workers.submit { [self] in deliverAll() }
        }
        // The partition takes part in the transaction before anything is written to it.
        transaction.include(id) { [self] result in
            switch result {
            case .success: engine.workers.submit { [self] in deliverAll() }
            case .failure(let error): giveUp(error)
            }
        }
    }

    /// Nothing that was taken can be written.
    private func giveUp(_ error: any Error) {
        let batches = state.withLock { state in
            state.isDelivering = false
            // Whoever joined it meanwhile would have nobody to deliver it.
            Self.seal(&state)
            defer { state.ready = [] }
            return Array(state.ready)
        }
        for batch in batches { finish(batch, .failure(error)) }
    }

    private var id: TopicPartition {
        TopicPartition(topic: partition.topic, partition: partition.index)
    }

    /// Writes what is ready on the thread of a sender. What others send meanwhile is not for that
    /// one to wait for.
    private func deliverOnce() {
        let batches = takeReady()
        // Given up meanwhile: the delivery has ended, and another may have begun by now.
        if batches.isEmpty { return }
        guard deliver(batches) else { return tryAgainLater() }
        endDelivery()
    }

    /// What is to be delivered now; where that is nothing, the delivery has ended.
    private func takeReady() -> [ProducerBatch] {
        state.withLock { state in
            if isEager, state.ready.isEmpty { Self.seal(&state) }
            state.delivering = Array(state.ready)
            state.ready.removeAll(keepingCapacity: true)
            if state.delivering.isEmpty { state.isDelivering = false }
            return state.delivering
        }
    }

    /// Writes what is ready until nothing is; one sync covers all batches of a round. Blocks.
    private func deliverAll() {
        while true {
            let batches = takeReady()
            if batches.isEmpty { return }
            guard deliver(batches) else { return tryAgainLater() }
            // What comes next may be of the next transaction, which the partition has no part in
            // yet.
            if transaction != nil { return endDelivery() }
            // Under steady load there is always more: partitions that wait get the thread first.
            if hasMore, engine.workers.isBusy {
                return engine.workers.submit { [self] in deliverAll() }
            }
        }
    }

    private var hasMore: Bool {
        state.withLock { !$0.ready.isEmpty || isEager && $0.open != nil }
    }

    /// Ends this delivery, and begins another where there is more.
    private func endDelivery() {
        state.withLock { state in
            state.isDelivering = false
            if isEager { Self.seal(&state) }
        }
        deliverReady()
    }

    /// Writes batches and tells what became of them; false where some are to be tried again.
    private func deliver(_ ready: [ProducerBatch]) -> Bool {
        var outcomes: [ProducerBatch.Outcome] = []
        outcomes.reserveCapacity(ready.count)
        for batch in ready {
            let outcome = ProducerBatch.Outcome { try write(batch) }
            if isToBeTriedAgain(outcome) { break }
            outcomes.append(outcome)
        }
        let batches = ready.prefix(outcomes.count)
        if outcomes.count < ready.count { putBack(ready[outcomes.count...]) }
        settle(Array(batches), outcomes)
        return batches.count == ready.count
    }

    /// Waits for stable storage where that was promised, and tells everybody.
    private func settle(_ batches: [ProducerBatch], _ results: [ProducerBatch.Outcome]) {
        var outcomes = results
        if isToldEarly { finishDelivered(batches, outcomes) }
        // Asked each time, and behind the append: the topic may have been altered.
        if log.durability == .synced { sync(&outcomes) }
        if log.isReplicated, !isToldEarly { waitForReplicas(&outcomes) }
        if !isToldEarly { finishDelivered(batches, outcomes) }
    }

    // MARK: Trying again

    /// Whether the log kept nothing of the batch, and may have room for it later.
    private func isToBeTriedAgain(_ outcome: ProducerBatch.Outcome) -> Bool {
        guard retriesMax > 0 else { return false }
        let isInVain =
            if case .failure(LogError.file(let cause)) = outcome { cause.leavesNoTrace } else {
                false
            }
        return state.withLock { state in
            if isInVain, state.failedTries < retriesMax {
                state.failedTries += 1
                return true
            }
            state.failedTries = 0
            return false
        }
    }

    /// In front of what has come meanwhile: the order of sending is the order in the log.
    private func putBack(_ batches: ArraySlice<ProducerBatch>) {
        state.withLock { state in
            state.delivering.removeLast(batches.count)
            state.ready.prepend(contentsOf: batches)
        }
    }

    /// Nobody else delivers during the pause. Where the time limit takes the batches in it, what
    /// comes next may be of the next transaction, and takes part in that first.
    private func tryAgainLater() {
        Task {
            try? await Task.sleep(for: retryBackoff)
            endDelivery()
        }
    }

    /// Their time limit counts no more, before anybody hears of them: whoever hears goes on to the
    /// next transaction.
    private func finishDelivered(
        _ batches: [ProducerBatch], _ outcomes: [ProducerBatch.Outcome]
    ) {
        state.withLock { $0.delivering = [] }
        finish(batches, outcomes)
    }

    /// Writes one batch, with the next sequence numbers. One caller at a time.
    private func write(_ batch: ProducerBatch) throws -> AppendResult {
        guard var sequence = state.withLock({ Self.sequence(&$0, of: transaction?.identity) })
        else {
            return try batch.write(to: log, as: .none, now: .now)
        }
        // What was not written uses up no numbers: the next batch gets them.
        defer { state.withLock { $0.sequence = sequence } }
        let result: AppendResult
        do {
            result = try batch.write(
                to: log, as: sequence.batchProducer, isTransactional: transaction != nil,
                now: .now)
        } catch LogError.producer(let refusal) where refusal.isOutOfOrder && transaction == nil {
            // The log's end was taken back, and our last batches with it.
            sequence.reset()
            result = try batch.write(to: log, as: sequence.batchProducer, now: .now)
        }
        sequence.advance(by: batch.recordCount)
        return result
    }

    /// The sequence to go on with: a new one for each transaction, which has its own epoch.
    private static func sequence(
        _ state: inout State, of identity: ProducerIdentity?
    ) -> ProducerSequence? {
        if let identity, state.sequence?.identity != identity {
            state.sequence = ProducerSequence(identity)
        }
        return state.sequence
    }

    private func finish(_ batches: [ProducerBatch], _ outcomes: [ProducerBatch.Outcome]) {
        for (batch, outcome) in zip(batches, outcomes) { finish(batch, outcome) }
    }

    /// Nothing more happens to the batch: counts it out and tells everybody.
    private func finish(_ batch: ProducerBatch, _ outcome: ProducerBatch.Outcome) {
        if let transaction, case .failure(let error) = outcome { transaction.noteFailure(error) }
        let isReported = reports.add(batch, outcome)
        account.remove(batch, outcome, isReported: isReported)
        batch.complete(outcome)
    }

    /// Nothing counts as delivered before it is on stable storage.
    private func sync(_ outcomes: inout [ProducerBatch.Outcome]) {
        var end: Offset?
        for case .success(let result) in outcomes { end = max(end ?? .zero, result.nextOffset) }
        guard let end else { return }
        do {
            try log.flush(reaching: end)
        } catch {
            outcomes = outcomes.map { outcome in
                guard case .success = outcome else { return outcome }
                return .failure(error)
            }
        }
    }

    /// In a cluster nothing counts as delivered before all replicas in sync have it.
    private func waitForReplicas(_ outcomes: inout [ProducerBatch.Outcome]) {
        outcomes = outcomes.map { outcome in
            guard case .success(let result) = outcome else { return outcome }
            return ProducerBatch.Outcome {
                try log.waitUntilCommitted(before: result.nextOffset, in: result.leaderEpoch)
                return result
            }
        }
    }

    // MARK: Time limits

    /// Gives up what was taken before a time and is not delivered yet. What is being written goes
    /// on, but nobody waits for it any longer.
    func giveUp(takenBefore time: ContinuousClock.Instant, after milliseconds: Int64) {
        func timeout(isStored: Bool) -> EngineError {
            EngineError.deliveryTimeout(
                partition: partition.name, milliseconds: milliseconds, mayBeStored: isStored)
        }
        let (late, writing) = state.withLock { state in
            if let open = state.open, open.openedAt < time { Self.seal(&state) }
            let late = state.ready.filter { $0.openedAt < time }
            if !late.isEmpty {
                state.ready.removeAll { $0.openedAt < time }
                state.failedTries = 0
            }
            let writing = state.delivering.filter { $0.openedAt < time }
            // Its senders are told that it failed: a commit would say the opposite. Under the lock,
            // since a transaction ends only when what is delivered for it has left the list.
            if !writing.isEmpty { transaction?.noteFailure(timeout(isStored: true)) }
            return (late, writing)
        }
        for batch in late { finish(batch, .failure(timeout(isStored: false))) }
        for batch in writing { batch.complete(.failure(timeout(isStored: true))) }
    }
}

extension ProducerRefusal {
    fileprivate var isOutOfOrder: Bool {
        if case .outOfOrderSequence = reason { return true }
        return false
    }
}

extension Error {
    /// Whether a builder refused a record only because the batch is full.
    var isBatchFull: Bool {
        guard let error = self as? RecordError, case .batchTooLarge = error.kind else {
            return false
        }
        return true
    }
}
