import Synchronization

/// Calls back once, when the earliest time that was set has come. Thread rule: any thread.
final class Alarm: Sendable {
    private let state = Mutex(State())

    private struct State {
        var due: ContinuousClock.Instant?
        var task: Task<Void, Never>?
        var isStopped = false
    }

    deinit { stop() }

    /// Sets the alarm, unless it goes off earlier anyway.
    func set(after pause: Duration, _ ring: @escaping @Sendable () -> Void) {
        let due = ContinuousClock.now + pause
        state.withLock { state in
            guard !state.isStopped, state.due.map({ due < $0 }) ?? true else { return }
            state.task?.cancel()
            state.due = due
            state.task = Task { [weak self] in
                guard (try? await Task.sleep(until: due)) != nil else { return }
                self?.state.withLock { state in
                    if state.due == due { state.due = nil }
                }
                ring()
            }
        }
    }

    /// Calls nobody any more.
    func stop() {
        state.withLock { state in
            state.isStopped = true
            state.task?.cancel()
            state.task = nil
        }
    }
}
