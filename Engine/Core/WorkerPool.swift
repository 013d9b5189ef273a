import DequeModule
import Foundation
import Synchronization

/// Threads for work that blocks, so that Swift's cooperative threads never do.
///
/// Threads start when there is more work than idle threads, up to a maximum, and end when the
/// pool is closed. Thread rule: any thread.
final class WorkerPool: Sendable {
    typealias Job = @Sendable () -> Void

    private let threadsMax: Int
    private let name: String
    private let condition = NSCondition()
    private let state = Mutex(State())

    private struct State {
        var jobs: Deque<Job> = []
        var threadCount = 0
        var idleCount = 0
        var isClosed = false
    }

    init(name: String, threadsMax: Int) {
        self.name = name
        self.threadsMax = max(threadsMax, 1)
    }

    /// Runs a job on one of the threads, some time soon. After ``close()`` it runs at once, on
    /// the caller's thread, so that nobody waits for ever.
    func submit(_ job: @escaping Job) {
        let (runNow, start) = state.withLock { state -> (Bool, Bool) in
            if state.isClosed { return (true, false) }
            state.jobs.append(job)
            guard state.idleCount < state.jobs.count, state.threadCount < threadsMax else {
                return (false, false)
            }
            state.threadCount += 1
            return (false, true)
        }
        if runNow { return job() }
        if start { startThread() }
        condition.lock()
        condition.signal()
        condition.unlock()
    }

    /// Whether jobs wait for a thread: who works for long should let them have a turn.
    var isBusy: Bool { state.withLock { !$0.jobs.isEmpty } }

    /// Threads that have not ended; for tests.
    var threadCount: Int { state.withLock { $0.threadCount } }

    /// Runs work on one of the threads and returns its outcome.
    func run<Success: Sendable>(
        _ work: @escaping @Sendable () throws -> Success
    ) async throws -> Success {
        try await withCheckedThrowingContinuation { continuation in
            submit { continuation.resume(with: Result { try work() }) }
        }
    }

    /// Lets the threads end once the jobs are done.
    func close() {
        state.withLock { $0.isClosed = true }
        condition.lock()
        condition.broadcast()
        condition.unlock()
    }

    private func startThread() {
        let thread = Thread { [self] in work() }
        thread.name = name
        thread.stackSize = 512 << 10
        thread.start()
    }

    private func work() {
        while let job = next() { job() }
    }

    private func next() -> Job? {
        condition.lock()
        defer { condition.unlock() }
        while true {
            let (job, isClosed) = state.withLock { state -> (Job?, Bool) in
                if let job = state.jobs.popFirst() { return (job, false) }
                if state.isClosed { state.threadCount -= 1 } else { state.idleCount += 1 }
                return (nil, state.isClosed)
            }
            if let job { return job }
            if isClosed { return nil }
            condition.wait()
            state.withLock { $0.idleCount -= 1 }
        }
    }
}
