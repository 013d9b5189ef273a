import Metrics
import Synchronization
import TallyRecords

/// What a producer has taken and not delivered: bytes, who waits for room or for everything that
/// was taken before, and the first error nobody was told of.
///
/// Thread rule: any thread.
final class ProducerAccount: Sendable {
    private let byteCountMax: Int
    private let isKeepingErrors: Bool
    private let pendingByteCount = Atomic<Int>(0)
    private let state = UnfairLock(State())
    private let recordCounter = Counter(label: "tally_producer_records_total")
    private let byteCounter = Counter(label: "tally_producer_bytes_total")
    private let errorCounter = Counter(label: "tally_producer_errors_total")

    private struct State: Sendable {
        var roomWaiters: [CheckedContinuation<Void, Never>] = []
        var rounds = ProducerRounds()
        var flushWaiters: [(round: Int, continuation: CheckedContinuation<Void, Never>)] = []
        var firstError: (any Error)?
    }

    /// - Parameter isKeepingErrors: whether ``takeError()`` tells of what nobody waited for.
    init(byteCountMax: Int, isKeepingErrors: Bool) {
        self.byteCountMax = byteCountMax
        self.isKeepingErrors = isKeepingErrors
    }

    /// Bytes that are not delivered yet.
    var byteCount: Int { pendingByteCount.load(ordering: .acquiring) }

    /// Whether more records must wait.
    var isFull: Bool { byteCount >= byteCountMax }

    func add(_ byteCount: Int) {
        pendingByteCount.add(byteCount, ordering: .acquiringAndReleasing)
    }

    /// Notes a batch that was opened, and returns its round.
    func open() -> Int {
        state.withLock { $0.rounds.open() }
    }

    /// Ends the round: batches that are opened from now on are of the next. Returns the one that
    /// has ended.
    func endRound() -> Int {
        state.withLock { $0.rounds.end() }
    }

    /// A batch has arrived, or failed to.
    ///
    /// - Parameter isReported: its bytes count on, until its report is taken.
    func remove(_ batch: ProducerBatch, _ outcome: ProducerBatch.Outcome, isReported: Bool) {
        let byteCount = batch.chargedByteCount
        switch outcome {
        case .success:
            recordCounter.increment(by: batch.recordCount)
            byteCounter.increment(by: byteCount)
        case .failure(let error):
            errorCounter.increment()
            if isKeepingErrors, batch.hasUnattended {
                state.withLock { $0.firstError = $0.firstError ?? error }
            }
        }
        let round = batch.round
        let left = subtract(isReported ? 0 : byteCount)
        let woken = state.withLock { state in
            var woken: [CheckedContinuation<Void, Never>] = []
            if left < byteCountMax { swap(&woken, &state.roomWaiters) }
            state.rounds.close(round)
            guard !state.flushWaiters.isEmpty else { return woken }
            let oldest = state.rounds.oldest
            let done = state.flushWaiters.filter { $0.round < oldest }
            state.flushWaiters.removeAll { $0.round < oldest }
            return woken + done.map(\.continuation)
        }
        for waiter in woken { waiter.resume() }
    }

    /// Reports were taken: the bytes of their batches count no more.
    func free(_ byteCount: Int) {
        guard subtract(byteCount) < byteCountMax else { return }
        let woken = state.withLock { state in
            defer { state.roomWaiters = [] }
            return state.roomWaiters
        }
        for waiter in woken { waiter.resume() }
    }

    private func subtract(_ byteCount: Int) -> Int {
        pendingByteCount.subtract(byteCount, ordering: .sequentiallyConsistent).newValue
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
                if state.rounds.oldest > round { return true }
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
