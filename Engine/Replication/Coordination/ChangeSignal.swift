import Synchronization

/// Wakes those who wait for something to happen. Any task and thread.
package final class ChangeSignal: Sendable {
    private struct State {
        var count: UInt64 = 0
        var isClosed = false
        var nextWaiter: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }

    private let state = Mutex(State())

    /// A signal that nobody has given yet.
    package init() {}

    /// How often it was given. Asked before looking at what it is about, and handed to
    /// ``wait(past:)`` behind that, so that what happens in between is not slept through.
    package var count: UInt64 { state.withLock { $0.count } }

    /// Wakes all who wait.
    package func notify() { wake { $0.count += 1 } }

    /// Wakes all, now and from now on.
    package func close() { wake { $0.isClosed = true } }

    /// Returns once the signal was given more than `seen` times, it is closed, or the task is
    /// cancelled.
    package func wait(past seen: UInt64) async {
        let number = state.withLock { state -> UInt64 in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDone = state.withLock { state -> Bool in
                    // Looked at under the lock, or a cancellation in between would be missed.
                    if state.count > seen || state.isClosed || Task.isCancelled { return true }
                    state.waiters[number] = continuation
                    return false
                }
                if isDone { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: number) }?.resume()
        }
    }

    private func wake(_ change: (inout sending State) -> Void) {
        let woken = state.withLock { state in
            change(&state)
            let waiters = state.waiters
            state.waiters = [:]
            return waiters
        }
        for (_, continuation) in woken { continuation.resume() }
    }
}
