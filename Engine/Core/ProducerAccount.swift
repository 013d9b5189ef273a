import Metrics
import Synchronization
import TallyRecords

/// What a producer has taken and not delivered: bytes, who waits for room or for everything, and
/// the first error nobody was told of.
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
        var idleWaiters: [CheckedContinuation<Void, Never>] = []
        var firstError: (any Error)?
    }

    init(byteCountMax: Int) { self.byteCountMax = byteCountMax }

    /// Bytes that are not delivered yet.
    var byteCount: Int { pendingByteCount.load(ordering: .acquiring) }

    /// Whether more records must wait.
    var isFull: Bool { byteCount >= byteCountMax }

    func add(_ byteCount: Int) {
        pendingByteCount.add(byteCount, ordering: .acquiringAndReleasing)
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
            state.withLock { $0.firstError = $0.firstError ?? error }
        }
        let left = pendingByteCount.subtract(byteCount, ordering: .sequentiallyConsistent).newValue
        let (room, idle) = state.withLock { state in
            var woken: ([CheckedContinuation<Void, Never>], [CheckedContinuation<Void, Never>]) =
                ([], [])
            if left < byteCountMax { swap(&woken.0, &state.roomWaiters) }
            if left == 0 { swap(&woken.1, &state.idleWaiters) }
            return woken
        }
        for waiter in room { waiter.resume() }
        for waiter in idle { waiter.resume() }
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

    /// Returns once everything was delivered or has failed.
    func waitUntilIdle() async {
        await withCheckedContinuation { continuation in
            let now = state.withLock { state in
                if byteCount == 0 { return true }
                state.idleWaiters.append(continuation)
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
