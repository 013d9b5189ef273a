import Synchronization
package import TallyRecords

/// An offset that one writer publishes and many readers follow: the log end or the high
/// watermark.
///
/// Thread rule: any thread reads and waits; advancing is serialised by the caller. Reading is one
/// atomic load.
package final class Watermark: Sendable {
    /// Told once, on the thread that advances (or at once, on the caller's): keep it short.
    package typealias Callback = @Sendable (LogError?) -> Void

    private let value: Atomic<Int64>
    private let waiterCount = Atomic<Int>(0)
    private let state = Mutex<State>(State())

    private struct State {
        var waiters: [(offset: Int64, callback: Callback)] = []
        var failure: LogError?
    }

    init(_ offset: Offset) { value = Atomic(offset.rawValue) }

    /// The published offset. What lies before it may be read.
    package var offset: Offset { Offset(value.load(ordering: .acquiring)) }

    /// Publishes a larger offset and tells whom it concerns; a smaller one changes nothing.
    func advance(to offset: Offset) {
        guard offset.rawValue > value.load(ordering: .relaxed) else { return }
        // Sequentially consistent with the waiters' count: either we see the waiter here, or it
        // sees the new value there.
        value.store(offset.rawValue, ordering: .sequentiallyConsistent)
        guard waiterCount.load(ordering: .sequentiallyConsistent) > 0 else { return }
        let reached: [Callback] = state.withLock { state in
            let due = state.waiters.filter { $0.offset <= offset.rawValue }
            state.waiters.removeAll { $0.offset <= offset.rawValue }
            waiterCount.store(state.waiters.count, ordering: .sequentiallyConsistent)
            return due.map(\.callback)
        }
        for callback in reached { callback(nil) }
    }

    /// Calls back once the published offset is `offset` or more, or the log has stopped.
    package func whenReached(_ offset: Offset, _ callback: @escaping Callback) {
        let outcome: (now: Bool, failure: LogError?) = state.withLock { state in
            waiterCount.add(1, ordering: .sequentiallyConsistent)
            if value.load(ordering: .sequentiallyConsistent) >= offset.rawValue {
                waiterCount.store(state.waiters.count, ordering: .sequentiallyConsistent)
                return (true, nil)
            }
            if let failure = state.failure {
                waiterCount.store(state.waiters.count, ordering: .sequentiallyConsistent)
                return (true, failure)
            }
            state.waiters.append((offset.rawValue, callback))
            return (false, nil)
        }
        if outcome.now { callback(outcome.failure) }
    }

    /// Fails everybody who waits, now and from now on.
    func fail(_ error: LogError) {
        let waiters = state.withLock { state in
            state.failure = error
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.callback(error) }
    }
}
