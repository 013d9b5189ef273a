import TallyFiles

/// Those who wait for room in a producer's buffer, each for a limited time.
///
/// Thread rule: any thread.
final class RoomQueue: Sendable {
    private let state = UnfairLock(State())
    /// Goes off when the first of those who wait has waited long enough.
    private let alarm = Alarm()

    private struct State: Sendable {
        var nextNumber = 0
        var waiters: [Int: Waiter] = [:]
    }

    private struct Waiter: Sendable {
        var deadline: ContinuousClock.Instant
        /// Resumed with whether there is room: false where the time is over.
        var continuation: CheckedContinuation<Bool, any Error>
    }

    /// A place in the queue, kept by whoever finds that somebody else was quicker.
    struct Place: Sendable {
        fileprivate let number: Int
        /// Until when to wait.
        let deadline: ContinuousClock.Instant
    }

    /// How many wait.
    var count: Int { state.withLock { $0.waiters.count } }

    /// The last place, with so much time from now on.
    func place(for limit: Duration) -> Place {
        let number = state.withLock { state in
            defer { state.nextNumber += 1 }
            return state.nextNumber
        }
        return Place(number: number, deadline: .now + limit)
    }

    /// Waits until there may be room; false where the time is over.
    ///
    /// Throws `CancellationError`.
    ///
    /// - Parameters:
    ///   - isFull: whether there is none. Looked at once more before waiting: room that is made
    ///     behind that look comes with a ``wake()``.
    ///   - isWaiting: called when nothing that comes from now on can be missed.
    func wait(
        at place: Place, while isFull: @Sendable () -> Bool, isWaiting: () -> Void
    ) async throws -> Bool {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome: Result<Bool, any Error>? = state.withLock { state in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if !isFull() { return .success(true) }
                    if place.deadline <= .now { return .success(false) }
                    state.waiters[place.number] = Waiter(
                        deadline: place.deadline, continuation: continuation)
                    return nil
                }
                if let outcome { return continuation.resume(with: outcome) }
                setAlarm(for: place.deadline)
                isWaiting()
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: place.number) }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }

    /// There is room: everybody looks, whoever came first before the others.
    func wake() {
        let woken = state.withLock { state in
            defer { state.waiters = [:] }
            return state.waiters
        }
        guard !woken.isEmpty else { return }
        for (_, waiter) in woken.sorted(by: { $0.key < $1.key }) {
            waiter.continuation.resume(returning: true)
        }
    }

    private func setAlarm(for deadline: ContinuousClock.Instant) {
        // A limit may be longer than a clock can sleep: it rings once a day then.
        alarm.set(after: min(deadline - .now, .seconds(86_400))) { [weak self] in self?.expire() }
    }

    /// Tells those whose time is over.
    private func expire() {
        let now = ContinuousClock.now
        let (late, next) = state.withLock { state in
            let late = state.waiters.filter { $0.value.deadline <= now }
            for number in late.keys { state.waiters[number] = nil }
            return (late, state.waiters.values.map(\.deadline).min())
        }
        for (_, waiter) in late.sorted(by: { $0.key < $1.key }) {
            waiter.continuation.resume(returning: false)
        }
        if let next { setAlarm(for: next) }
    }
}
