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
    private let room = RoomQueue()
    private let recordCounter = Counter(label: "tally_producer_records_total")
    private let byteCounter = Counter(label: "tally_producer_bytes_total")
    private let errorCounter = Counter(label: "tally_producer_errors_total")

    private struct State: Sendable {
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

    /// How many wait for room; for tests.
    var roomWaiterCount: Int { room.count }

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
        if left < byteCountMax { room.wake() }
        let flushed = state.withLock { state in
            state.rounds.close(round)
            let oldest = state.rounds.oldest
            let flushed = state.flushWaiters.filter { $0.round < oldest }
            if !flushed.isEmpty { state.flushWaiters.removeAll { $0.round < oldest } }
            return flushed
        }
        for waiter in flushed { waiter.continuation.resume() }
    }

    /// Reports were taken: the bytes of their batches count no more.
    func free(_ byteCount: Int) {
        if subtract(byteCount) < byteCountMax { room.wake() }
    }

    private func subtract(_ byteCount: Int) -> Int {
        pendingByteCount.subtract(byteCount, ordering: .sequentiallyConsistent).newValue
    }

    /// Returns once there is room. Where there is none, `deliver` is asked to make some.
    ///
    /// Throws ``EngineError/bufferTimeout(byteCount:limit:milliseconds:)`` and
    /// `CancellationError`.
    func waitForRoom(milliseconds: Int64, deliver: () -> Void) async throws {
        try Task.checkCancellation()
        guard isFull else { return }
        let place = room.place(for: .milliseconds(milliseconds))
        // Again where others took the room that was made.
        repeat {
            let isInTime = try await room.wait(
                at: place, while: { isFull }, isWaiting: deliver)
            guard isInTime else {
                throw EngineError.bufferTimeout(
                    byteCount: byteCount, limit: byteCountMax, milliseconds: milliseconds)
            }
        } while isFull
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
