import DequeModule
import Synchronization
import TallyLog
import TallyRecords
import TallyTransactions

/// What the accumulators of a producer on a cluster share.
struct RemoteParts: Sendable {
    var cluster: any RemoteCluster
    var configuration: ProducerConfiguration
    var account: ProducerAccount
    var reports: DeliveryReportQueue
    /// Nil where the producer has no transactions.
    var transaction: RemoteTransaction?
}

/// Gathers the records for one partition of a cluster into batches and delivers them in order, one
/// at a time, each until it is there, is refused, or `delivery.timeout.ms` is over.
///
/// What is not known to be there is sent again with the numbers it had, by which the partition
/// knows it. In a transaction the partition takes part before the first batch, nothing that fails
/// is begun anew under other numbers, and what was not sent yet when the transaction fails or is
/// aborted is not sent any more. Thread rule: any thread.
final class RemoteAccumulator: Sendable {
    private let id: TopicPartition
    private let parts: RemoteParts
    private let state = Mutex(State())

    private struct State {
        var open: ProducerBatch?
        var openByteCount = 0
        var ready: Deque<ProducerBatch> = []
        var isDelivering = false
        /// Used by the delivery that runs. Nil before the first batch, and where the numbers mean
        /// nothing any more.
        var sequence: ProducerSequence?
    }

    init(_ id: TopicPartition, _ parts: RemoteParts) {
        self.id = id
        self.parts = parts
    }

    private var configuration: ProducerConfiguration { parts.configuration }

    /// Encodes a record into the open batch, or into a new one where it does not fit. Returns a
    /// batch that was opened.
    ///
    /// - Parameter isTaken: whether the record was taken before, while a transaction was open.
    /// Throws ``EngineError/recordTooLarge(byteCount:limit:setting:)``,
    /// ``EngineError/invalidProducerState(reason:)`` outside of a transaction where the producer
    /// has transactions, and ``RecordError``.
    func add(
        key: RawSpan?, value: RawSpan?, timestamp: Timestamp, headers: [RecordHeader],
        interest: ProducerBatch.Interest, isTaken: Bool = false
    ) throws -> ProducerBatch? {
        // Also where the record is refused: the batch it found full is ready.
        defer { deliverReady() }
        return try state.withLock { state in
            // Under the lock that the end of a transaction takes after it has begun: it finds the
            // record here, or the record is refused.
            if !isTaken { try parts.transaction?.state.requireOpen() }
            let estimate =
                (key?.byteCount ?? 0) + (value?.byteCount ?? 0)
                + headers.reduce(0) { $0 + $1.name.utf8.count + ($1.value?.count ?? 0) }
            if state.open != nil, state.openByteCount + estimate > configuration.batchBytes {
                Self.seal(&state)
            }
            let isNew = state.open == nil
            let batch =
                try state.open
                ?? ProducerBatch(
                    for: id, codec: configuration.compression, capacity: max(estimate, 512),
                    byteCountMax: max(configuration.requestBytesMax, configuration.batchBytes))
            guard !isNew || estimate <= configuration.requestBytesMax else {
                throw tooLarge(estimate)
            }
            do {
                let byteCount = try batch.append(
                    key: key, value: value, timestamp: timestamp, headers: headers,
                    interest: interest)
                state.openByteCount += byteCount
                parts.account.add(byteCount)
            } catch let error where error.isBatchFull {
                throw tooLarge(estimate)
            }
            guard isNew else { return nil }
            // Under the lock that a flush takes after it has ended its round.
            batch.round = parts.account.open()
            state.open = batch
            return batch
        }
    }

    private func tooLarge(_ byteCount: Int) -> EngineError {
        .recordTooLarge(
            byteCount: byteCount, limit: configuration.requestBytesMax,
            setting: "max.request.size")
    }

    private static func seal(_ state: inout State) {
        guard let open = state.open.take() else { return }
        state.ready.append(open)
        state.openByteCount = 0
    }

    /// Sends the open batch on its way, if it is still the one that was opened then.
    func deliver(_ batch: ProducerBatch? = nil) {
        state.withLock { state in
            if batch == nil || state.open === batch { Self.seal(&state) }
        }
        deliverReady()
    }

    /// Sends the open batch on its way, unless a delivery runs, which takes it along.
    func deliverIfIdle() {
        state.withLock { state in
            if !state.isDelivering { Self.seal(&state) }
        }
        deliverReady()
    }

    private func deliverReady() {
        let start = state.withLock { state in
            guard !state.isDelivering, !state.ready.isEmpty else { return false }
            state.isDelivering = true
            return true
        }
        guard start else { return }
        Task { await deliverAll() }
    }

    private func deliverAll() async {
        while let batch = takeReady() { finish(batch, await outcome(of: batch)) }
    }

    /// The next batch; where there is none, the delivery has ended.
    private func takeReady() -> ProducerBatch? {
        state.withLock { state in
            if configuration.lingerMilliseconds == 0, state.ready.isEmpty { Self.seal(&state) }
            let batch = state.ready.popFirst()
            if batch == nil { state.isDelivering = false }
            return batch
        }
    }

    /// Nothing more happens to the batch: counts it out and tells everybody.
    private func finish(_ batch: ProducerBatch, _ outcome: ProducerBatch.Outcome) {
        if case .failure(let error) = outcome { parts.transaction?.state.noteFailure(error) }
        let isReported = parts.reports.add(batch, outcome)
        parts.account.remove(batch, outcome, isReported: isReported)
        batch.complete(outcome)
    }

    // MARK: Delivering

    /// So often a batch begins anew under a new identity: each time the partition has said that it
    /// is not there.
    private static let renewalCountMax = 3

    /// Sends a batch until there is something to tell.
    private func outcome(of batch: ProducerBatch) async -> ProducerBatch.Outcome {
        var mayBeStored = false
        var renewalCount = 0
        var pause = max(configuration.retryBackoffMilliseconds, 1)
        while true {
            guard let left = millisecondsLeft(batch) else {
                return .failure(giveUp(mayBeStored: mayBeStored))
            }
            if let stop = parts.transaction?.state.stop {
                if mayBeStored { forgetNumbers() }
                return .failure(stop)
            }
            let attempt = await attempt(batch, timeout: left)
            switch attempt {
            case .appended(let offset, let time):
                state.withLock { $0.sequence?.advance(by: batch.recordCount) }
                return .success(
                    AppendResult(
                        baseOffset: offset, recordCount: batch.recordCount, logAppendTime: time))
            case .retry(_, let isInDoubt):
                mayBeStored = mayBeStored || isInDoubt
                try? await Task.sleep(for: .milliseconds(min(pause, left)))
                pause = min(2 * pause, max(1_000, configuration.retryBackoffMilliseconds))
            case .unknownProducer(let error):
                forgetNumbers()
                renewalCount += 1
                // An earlier attempt may have brought it there, under the numbers of then.
                guard !mayBeStored, renewalCount <= Self.renewalCountMax,
                    parts.transaction == nil
                else {
                    return .failure(error)
                }
            case .refused(let error):
                // Whether the partition has used the numbers up, nobody knows.
                if mayBeStored { forgetNumbers() }
                return .failure(error)
            }
        }
    }

    private func giveUp(mayBeStored: Bool) -> EngineError {
        if mayBeStored { forgetNumbers() }
        return .deliveryTimeout(
            partition: "\(id)", milliseconds: configuration.deliveryTimeout,
            mayBeStored: mayBeStored)
    }

    /// How much longer a batch may take; nil where its time is over.
    private func millisecondsLeft(_ batch: ProducerBatch) -> Int64? {
        let limit = configuration.deliveryTimeout
        guard limit > 0 else { return .max / 4 }
        let elapsed = Int64((ContinuousClock.now - batch.openedAt) / .milliseconds(1))
        return elapsed < limit ? limit - elapsed : nil
    }

    private func attempt(_ batch: ProducerBatch, timeout: Int64) async -> RemoteAppend {
        do {
            guard let producer = try await producer(within: timeout) else {
                return .retry(giveUp(mayBeStored: false), mayBeStored: false)
            }
            let remote = RemoteBatch(
                partition: id,
                bytes: try batch.encoded(
                    as: producer, isTransactional: parts.transaction != nil),
                recordCount: batch.recordCount,
                acknowledgements: configuration.acknowledgements,
                timeoutMilliseconds: timeout, transactionalID: configuration.transactionalID)
            guard let transaction = parts.transaction else {
                return await parts.cluster.append(remote)
            }
            return await transaction.link.transactions.append(remote)
        } catch let error as RecordError {
            return .refused(error)
        } catch let error where parts.transaction != nil {
            // The partition could not take part, which was tried for long enough.
            return .refused(error)
        } catch {
            return .retry(error, mayBeStored: false)
        }
    }

    /// Who the next batch is from, with its numbers; nil where the time was over before the
    /// partition took part in the transaction.
    private func producer(within milliseconds: Int64) async throws -> BatchProducer? {
        let identity: ProducerIdentity
        if let transaction = parts.transaction {
            let joined = try await transaction.join(id, within: milliseconds)
            guard let joined else { return nil }
            identity = joined
        } else {
            guard configuration.usesIdempotence else { return BatchProducer.none }
            if let known = state.withLock({ $0.sequence?.batchProducer }) { return known }
            identity = try await parts.cluster.newProducer()
        }
        return state.withLock { state in
            // A transaction goes on with the numbers of the last one, unless its epoch is new.
            if state.sequence?.identity != identity { state.sequence = ProducerSequence(identity) }
            return state.sequence?.batchProducer
        }
    }

    /// What becomes of the numbers is not known: they are not used again.
    private func forgetNumbers() {
        state.withLock { $0.sequence = nil }
        parts.transaction?.link.noteDoubt()
    }
}
