import Synchronization

/// Wakes a consumer that waits for something new.
///
/// Counts, so that what happens between looking and waiting is not missed. Thread rule: any
/// thread signals; any number of tasks wait.
package final class Arrival: Sendable {
    private let state = Mutex(State())

    private struct State {
        var count = 0
        var nextID = 0
        var waiters: [Int: CheckedContinuation<Void, any Error>] = [:]
    }

    package init() {}

    /// Signals so far.
    package var count: Int { state.withLock { $0.count } }

    /// Wakes everybody who waits.
    package func signal() {
        let waiters = state.withLock { state in
            state.count += 1
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }

    /// Returns once there was a signal after the count that was seen. Throws
    /// `CancellationError`.
    package func wait(after seen: Int) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome: Result<Void, any Error>? = state.withLock { state in
                    if Task.isCancelled { return .failure(CancellationError()) }
                    if state.count != seen { return .success(()) }
                    state.waiters[id] = continuation
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let waiter = state.withLock { $0.waiters.removeValue(forKey: id) }
            waiter?.resume(throwing: CancellationError())
        }
    }
}
