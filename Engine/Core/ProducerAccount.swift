import Metrics
import Synchronization
import TallyRecords

/// What a producer has taken and not delivered: bytes, who waits for room or for everything that
/// was taken before, and the first error nobody was told of.
///
/// Thread rule: any thread.
final class ProducerAccount: Sendable {
    private let byteCountMax: Int
    private let pendingByteCount = Atomic<Int>(0)
    private let state = Mutex(State())
    private let recordCounter = Counter(label: "tally_producer_records_total")
    private let byteCounter = Counter(label: "tally_producer_bytes_total")
    private let errorCounter = Counter(label: "tally_producer_errors_total")

    private struct State {
        var roomWaiters: [CheckedContinuation<Void, Never>] = []
        /// Rises with each flush: it waits for the batches of its round and of earlier ones, and
        /// not for what others send meanwhile.
        var round = 0
        /// Batches by the round they were opened in.
        var batchCounts: [Int: Int] = [:]
        var flushWaiters: [(round: Int, continuation: CheckedContinuation<Void, Never>)] = []
        var firstError: (any Error)?

        /// All batches of earlier rounds have arrived or failed.
        var oldestRound: Int { batchCounts.keys.min() ?? .max }
    }

    init(byteCountMax: Int) { self.byteCountMax = byteCountMax }

    /// Bytes that are not delivered yet.
    var byteCount: Int { pendingByteCount.load(ordering: .acquiring) }

    /// Whether more records must wait.
    var isFull: Bool { byteCount >= byteCountMax }

    func add(_ byteCount: Int) {
        pendingByteCount.add(byteCount, ordering: .acquiringAndReleasing)
    }

    /// Notes a batch that was opened, and returns its round.
    func open() -> Int {
        state.withLock { state in
            state.batchCounts[state.round, default: 0] += 1
            return state.round
        }
    }

    /// Ends the round: batches that are opened from now on are of the next. Returns the one that
    /// has ended.
    func endRound() -> Int {
        state.withLock { state in
            defer { state.round += 1 }
            return state.round
        }
    }

    /// A batch has arrived, or failed to.
    func remove(_ batch: ProducerBatch, _ outcome: ProducerBatch.Outcome) {
        // A batch's estimate counts its header, which no record was charged for.
        let byteCount = batch.byteCount - RecordBatchHeader.byteCount
        switch outcome {
        case .success:
            recordCounter.increment(by: batch.recordCount)
            byteCounter.increment(by: byteCount)
        case .failure(let error):
            errorCounter.increment()
            if batch.hasUnattended { state.withLock { $0.firstError = $0.firstError ?? error } }
        }
        let left = pendingByteCount.subtract(byteCount, ordering: .sequentiallyConsistent).newValue
        let woken = state.withLock { state in
            var woken: [CheckedContinuation<Void, Never>] = []
            if left < byteCountMax { swap(&woken, &state.roomWaiters) }
            let count = (state.batchCounts[batch.round] ?? 0) - 1
            state.batchCounts[batch.round] = count > 0 ? count : nil
            guard count <= 0 else { return woken }
            let oldest = state.oldestRound
            let done = state.flushWaiters.filter { $0.round < oldest }
            state.flushWaiters.removeAll { $0.round < oldest }
            return woken + done.map(\.continuation)
        }
        for waiter in woken { waiter.resume() }
    }

    /// Returns once there is room.
    func waitForRoom() async {
        await withCheckedContinuation { continuation in
            let now = state.withLock { state in
                if !isFull { return true }
                state.roomWaiters.append(continuation)
                return false
            }
            if now { continuation.resume() }
        }
    }

    /// Returns once the batches of a round and of those before it were delivered or have failed.
    func waitUntilDone(through round: Int) async {
        await withCheckedContinuation { continuation in
            let now = state.withLock { state in
                if state.oldestRound > round { return true }
                state.flushWaiters.append((round, continuation))
                return false
            }
            if now { continuation.resume() }
        }
    }

    /// The first error since it was last taken.
    func takeError() -> (any Error)? {
        state.withLock { state in
            defer { state.firstError = nil }
            return state.firstError
        }
    }
}
