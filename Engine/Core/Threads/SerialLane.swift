import DequeModule
import TallyFiles

/// Runs jobs one after the other on a pool's threads: what they touch needs no other lock.
///
/// Thread rule: any thread.
final class SerialLane: Sendable {
    private let workers: WorkerPool
    private let state = UnfairLock(State())

    private struct State: Sendable {
        var jobs: Deque<WorkerPool.Job> = []
        var isRunning = false
    }

    init(on workers: WorkerPool) { self.workers = workers }

    /// Runs a job after those that were submitted before it.
    func submit(_ body: @escaping @Sendable () -> Void) {
        let job = WorkerPool.Job(run: body)
        let start = state.withLock { state in
            state.jobs.append(job)
            defer { state.isRunning = true }
            return !state.isRunning
        }
        if start { workers.submit { [self] in runAll() } }
    }

    private func runAll() {
        while true {
            let job = state.withLock { state in
                let job = state.jobs.popFirst()
                if job == nil { state.isRunning = false }
                return job
            }
            guard let job else { return }
            job.run()
        }
    }

    /// Runs work after what was submitted before it, and returns its outcome.
    func outcome<Success: Sendable>(
        _ work: @escaping @Sendable () throws -> Success
    ) async -> Result<Success, any Error> {
        await withCheckedContinuation { continuation in
            submit { continuation.resume(returning: Result { try work() }) }
        }
    }
}
