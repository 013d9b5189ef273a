import DequeModule
import Synchronization
import TallyLog
import TallyRecords

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
    /// Without a linger, a batch waits only for the delivery before it.
    private let isEager: Bool
    /// Held, so that the directory's lock is, for as long as something may still be written.
    private let engine: Engine
    private let account: ProducerAccount
    private let state: Mutex<State>

    private struct State {
        /// What new batches are compressed with.
        var codec: Codec
        var open: ProducerBatch?
        var openByteCount = 0
        var ready: Deque<ProducerBatch> = []
        var isDelivering = false
    }

    init(
        _ partition: Partition, log: PartitionLog, codec: Codec,
        configuration: ProducerConfiguration, engine: Engine, account: ProducerAccount
    ) {
        self.partition = partition
        self.log = log
        state = Mutex(State(codec: codec))
        batchBytes = configuration.batchBytes
        isEager = configuration.lingerMilliseconds == 0
        self.engine = engine
        self.account = account
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
    /// Throws ``EngineError/recordTooLarge(byteCount:limit:setting:)`` and ``RecordError``.
    func add(
        key: RawSpan?, value: RawSpan?, timestamp: Timestamp, headers: [RecordHeader],
        tell: (@Sendable (Int, Timestamp, ProducerBatch.Outcome) -> Void)?
    ) throws -> Added {
        // Also where the record is refused: the batch it found full is ready.
        defer { deliverReady() }
        return try state.withLock { state -> Added in
            let estimate =
                (key?.byteCount ?? 0) + (value?.byteCount ?? 0)
                + headers.reduce(0) { $0 + $1.name.utf8.count + ($1.value?.count ?? 0) }
            if state.open != nil, state.openByteCount + estimate > batchBytes {
                Self.seal(&state)
            }
            if let open = state.open {
                do {
                    try add(to: open, key, value, timestamp, headers, tell, &state)
                    return .joined
                } catch let error where error.isBatchFull {
                    Self.seal(&state)
                }
            }
            let byteCountMax = log.batchBytesMax
            let batch = try ProducerBatch(
                codec: state.codec, capacity: min(batchBytes, 1 << 20), byteCountMax: byteCountMax)
            do {
                try add(to: batch, key, value, timestamp, headers, tell, &state)
            } catch let error where error.isBatchFull {
                throw EngineError.recordTooLarge(
                    byteCount: estimate, limit: byteCountMax,
                    setting: TopicSetting.maxMessageBytes.rawValue)
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
        _ headers: [RecordHeader],
        _ tell: (@Sendable (Int, Timestamp, ProducerBatch.Outcome) -> Void)?,
        _ state: inout State
    ) throws(RecordError) {
        let byteCount = try batch.append(
            key: key, value: value, timestamp: timestamp, headers: headers, tell: tell)
        state.openByteCount += byteCount
        account.add(byteCount)
    }

    private static func seal(_ state: inout State) {
        guard let open = state.open else { return }
        state.ready.append(open)
        state.open = nil
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
    func deliverIfIdle() {
        state.withLock { state in
            if !state.isDelivering { Self.seal(&state) }
        }
        deliverReady()
    }

    /// Starts a delivery unless one runs or nothing is ready.
    private func deliverReady() {
        let start = state.withLock { state in
            guard !state.isDelivering, !state.ready.isEmpty else { return false }
            state.isDelivering = true
            return true
        }
        if start { engine.workers.submit { [self] in deliverAll() } }
    }

    /// Writes what is ready until nothing is; one sync covers all batches of a round. Blocks.
    private func deliverAll() {
        while true {
            let batches = state.withLock { state in
                if isEager, state.ready.isEmpty { Self.seal(&state) }
                let batches = Array(state.ready)
                state.ready.removeAll(keepingCapacity: true)
                if batches.isEmpty { state.isDelivering = false }
                return batches
            }
            if batches.isEmpty { return }
            deliver(batches)
            // Under steady load there is always more: partitions that wait get the thread first.
            if engine.workers.isBusy {
                return engine.workers.submit { [self] in deliverAll() }
            }
        }
    }

    private func deliver(_ batches: [ProducerBatch]) {
        var outcomes = batches.map { batch in
            ProducerBatch.Outcome {
                try batch.write(to: partition.log, now: .now)
            }
        }
        // Asked each time, and behind the append: the topic may have been altered.
        if log.durability == .synced { sync(&outcomes) }
        for (batch, outcome) in zip(batches, outcomes) {
            account.remove(batch, outcome)
            batch.complete(outcome)
        }
    }

    /// Nothing counts as delivered before it is on stable storage.
    private func sync(_ outcomes: inout [ProducerBatch.Outcome]) {
        let end = outcomes.compactMap { try? $0.get().nextOffset }.max()
        guard let end else { return }
        do {
            try partition.log.flush(reaching: end)
        } catch {
            outcomes = outcomes.map { outcome in
                guard case .success = outcome else { return outcome }
                return .failure(error)
            }
        }
    }
}

extension Error {
    /// Whether a builder refused a record only because the batch is full.
    fileprivate var isBatchFull: Bool {
        guard let error = self as? RecordError, case .batchTooLarge = error.kind else {
            return false
        }
        return true
    }
}
