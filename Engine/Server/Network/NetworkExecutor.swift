import NIOCore
import Synchronization
import Tally
import TallyFiles

/// Runs small requests on the thread of their connection, for as long as that keeps nobody waiting:
/// where a piece of one took long (a disk that is slow, pages that nobody has read for long), all
/// are run on the engine's threads for a second.
///
/// Falling asleep here, waking another thread and being woken by it cost more than such a request:
/// with ten thousand requests a second and a client on the same two cores the slowest hundredth
/// took 16 to 49 ms, and 1.2 ms in a trial where all ran here. Thread rule: any thread.
final class NetworkExecutor: TaskExecutor {
    /// A piece of a request that took longer has kept others waiting. With 2 ms as the limit one
    /// run had its slowest hundredth at 16 ms again.
    private static let quick = TimeAmount.milliseconds(10)
    /// How long others are spared after one.
    private static let pause = TimeAmount.seconds(1)

    private let loop: any EventLoop
    private let workers: WorkerPool
    /// In nanoseconds of the clock.
    private let pausedUntil = Atomic<UInt64>(0)
    private let isStopped = Atomic(false)

    init(loop: any EventLoop, workers: WorkerPool) {
        self.loop = loop
        self.workers = workers
    }

    /// Runs the next piece of a task.
    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        guard isAvailable(at: .now()) else {
            return workers.submit { [self] in run(job) }
        }
        loop.execute { [self] in
            let begin = NIODeadline.now()
            run(job)
            note(from: begin, to: .now())
        }
    }

    /// Whether the connection's thread runs requests itself.
    func isAvailable(at now: NIODeadline) -> Bool {
        now.uptimeNanoseconds >= pausedUntil.load(ordering: .relaxed)
            && !isStopped.load(ordering: .acquiring)
    }

    /// Notes how long a piece has kept the thread.
    func note(from begin: NIODeadline, to end: NIODeadline) {
        guard end - begin > Self.quick else { return }
        pausedUntil.store((end + Self.pause).uptimeNanoseconds, ordering: .relaxed)
    }

    /// The thread is about to end; what is left of requests runs elsewhere.
    func stop() async {
        isStopped.store(true, ordering: .releasing)
        // Behind all that it was given.
        try? await loop.submit {}.get()
    }
}
