import DequeModule
import Foundation
import Synchronization

/// Threads for work that blocks, so that Swift's cooperative threads never do.
///
/// Threads start when there is more work than idle threads, up to a maximum, and end when the
/// pool is closed. Thread rule: any thread.
package final class WorkerPool: Sendable {
    /// Something to run. In a box of its own: a bare closure in a generic container is wrapped
    /// again, in memory of its own, each time it is put in and taken out.
    struct Job: Sendable {
        let run: @Sendable () -> Void
    }

    private let threadsMax: Int
    private let name: String
    private let state = UnfairLock(State())

    private struct State: Sendable {
        var jobs: Deque<Job> = []
        var threadCount = 0
        /// Threads that wait for a job, each at a semaphore of its own, so that one is woken where
        /// one is needed. The last to wait is the first to be woken: its stack is still warm.
        var idle: [DispatchSemaphore] = []
        var isClosed = false
    }

    /// What a new job needs besides its place in the queue; another pool where this one is closed.
    private enum Need {
        case nothing, thread, another
        case waking(DispatchSemaphore)
    }

    init(name: String, threadsMax: Int) {
        self.name = name
        self.threadsMax = max(threadsMax, 1)
    }

    /// Runs a job on one of the threads, some time soon. After ``close()`` it runs at once, on
    /// the caller's thread, so that nobody waits for ever.
    package func submit(_ body: @escaping @Sendable () -> Void) {
        let job = Job(run: body)
        if !take(job) { job.run() }
    }

    /// Takes a job to be run some time soon; false where the pool is closed.
    func take(_ job: Job) -> Bool {
        let need = state.withLock { state -> Need in
            if state.isClosed { return .another }
            state.jobs.append(job)
            if let idle = state.idle.popLast() { return .waking(idle) }
            guard state.threadCount < threadsMax else { return .nothing }
            state.threadCount += 1
            return .thread
        }
        switch need {
        case .nothing: break
        case .thread: startThread()
        case .another: return false
        case .waking(let thread): thread.signal()
        }
        return true
    }

    /// Whether jobs wait for a thread: who works for long should let them have a turn.
    var isBusy: Bool { state.withLock { !$0.jobs.isEmpty } }

    /// Threads that have not ended; for tests.
    var threadCount: Int { state.withLock { $0.threadCount } }

    /// Runs work on one of the threads and returns its outcome.
    package func run<Success: Sendable>(
        _ work: @escaping @Sendable () throws -> Success
    ) async throws -> Success {
        try await withCheckedThrowingContinuation { continuation in
            submit { continuation.resume(with: Result { try work() }) }
        }
    }

    /// Lets the threads end once the jobs are done.
    func close() {
        let idle = state.withLock { state in
            state.isClosed = true
            defer { state.idle = [] }
            return state.idle
        }
        for thread in idle { thread.signal() }
    }

    private func startThread() {
        let thread = Thread { [self] in work() }
        thread.name = name
        thread.stackSize = 512 << 10
        thread.start()
    }

    private func work() {
        let wake = DispatchSemaphore(value: 0)
        while let job = next(wake) { job.run() }
    }

    /// The next job, waited for; nil once the pool is closed and all jobs are taken.
    private func next(_ wake: DispatchSemaphore) -> Job? {
        // Falling asleep and being woken costs more than a turn for somebody else, who is likely
        // to bring the next job: 64 tasks that sync 64 partitions send a tenth more for it.
        if let job = state.withLock({ $0.jobs.popFirst() }) { return job }
        sched_yield()
        while true {
            let (job, isClosed) = state.withLock { state -> (Job?, Bool) in
                if let job = state.jobs.popFirst() { return (job, false) }
                if state.isClosed { state.threadCount -= 1 } else { state.idle.append(wake) }
                return (nil, state.isClosed)
            }
            if let job { return job }
            if isClosed { return nil }
            wake.wait()
        }
    }
}
