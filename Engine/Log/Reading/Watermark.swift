import Synchronization
package import TallyRecords

/// An offset that one writer publishes and many readers follow: the log end or the high
/// watermark.
///
/// Thread rule: any thread reads and waits; publishing is serialised by the caller. Reading is one
/// atomic load.
package final class Watermark: Sendable {
    /// Told once, on the thread that appends or syncs (or at once, on the caller's), which holds
    /// no lock of the log. Keep it short: that thread does not go on before it returns.
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

    /// Publishes a larger offset; a smaller one changes nothing. Whoever waits is told by
    /// ``wake()``, which the caller owes as soon as it holds no lock.
    func publish(_ offset: Offset) {
        guard offset.rawValue > value.load(ordering: .relaxed) else { return }
        // Sequentially consistent with the count of waiters: either `wake` sees the waiter, or
        // the waiter sees the new value.
        value.store(offset.rawValue, ordering: .sequentiallyConsistent)
    }

    /// Publishes a smaller offset: what lies behind it is taken back. A larger one changes
    /// nothing. Whoever waits for what is gone is told by ``failWaiters(behind:_:)``.
    func lower(to offset: Offset) {
        guard offset.rawValue < value.load(ordering: .relaxed) else { return }
        value.store(offset.rawValue, ordering: .sequentiallyConsistent)
    }

    /// Fails everybody who waits for an offset behind `end`; later ones may wait for it again.
    func failWaiters(behind end: Offset, _ error: LogError) {
        let failed: [Callback] = state.withLock { state in
            let failed = state.waiters.filter { $0.offset > end.rawValue }
            state.waiters.removeAll { $0.offset > end.rawValue }
            waiterCount.store(state.waiters.count, ordering: .sequentiallyConsistent)
            return failed.map(\.callback)
        }
        for callback in failed { callback(error) }
    }

    /// Tells everybody whose offset was reached.
    func wake() {
        guard waiterCount.load(ordering: .sequentiallyConsistent) > 0 else { return }
        let reached: [Callback] = state.withLock { state in
            let offset = value.load(ordering: .sequentiallyConsistent)
            let due = state.waiters.filter { $0.offset <= offset }
            guard !due.isEmpty else { return [] }
            state.waiters.removeAll { $0.offset <= offset }
            waiterCount.store(state.waiters.count, ordering: .sequentiallyConsistent)
            return due.map(\.callback)
        }
        for callback in reached { callback(nil) }
    }

    /// Calls back once the published offset is `offset` or more, or the log has stopped or was
    /// closed.
    package func whenReached(_ offset: Offset, _ callback: @escaping Callback) {
        let outcome: (isNow: Bool, failure: LogError?) = state.withLock { state in
            // Counted before looking: an offset published in between finds somebody waiting.
            waiterCount.store(state.waiters.count + 1, ordering: .sequentiallyConsistent)
            let isReached = value.load(ordering: .sequentiallyConsistent) >= offset.rawValue
            if isReached || state.failure != nil {
                waiterCount.store(state.waiters.count, ordering: .sequentiallyConsistent)
                return (true, isReached ? nil : state.failure)
            }
            state.waiters.append((offset.rawValue, callback))
            return (false, nil)
        }
        if outcome.isNow { callback(outcome.failure) }
    }

    /// Fails everybody who waits, now and from now on. The first reason stays.
    func fail(_ error: LogError) {
        let waiters = state.withLock { state in
            if state.failure == nil { state.failure = error }
            waiterCount.store(0, ordering: .sequentiallyConsistent)
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.callback(error) }
    }
}
