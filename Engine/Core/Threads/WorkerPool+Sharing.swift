import Foundation
import Synchronization

extension WorkerPool {
    /// Runs work for each number below a count, on this thread and some others of the pool, and
    /// returns when all of it is done. Few numbers are worth no other thread.
    ///
    /// Waits for nobody who has not begun: a thread of the pool may call it.
    func share(_ count: Int, _ work: @escaping @Sendable (Int) -> Void) {
        let shared = SharedWork(count, work)
        for _ in 0..<min(count / Self.shareMin, Self.helpersMax) { submit { shared.run() } }
        shared.run()
        shared.waitForAll()
    }

    /// Numbers for each thread that helps.
    private static let shareMin = 8
    /// As many syncs as a disk has use for at a time.
    private static let helpersMax = 7
}

/// Numbers that threads take, one after the other, until there are none.
private final class SharedWork: Sendable {
    private let count: Int
    private let work: @Sendable (Int) -> Void
    private let next = Atomic(0)
    private let done = Atomic(0)
    private let allDone = DispatchSemaphore(value: 0)

    init(_ count: Int, _ work: @escaping @Sendable (Int) -> Void) {
        self.count = count
        self.work = work
    }

    func run() {
        while true {
            let (index, _) = next.add(1, ordering: .relaxed)
            guard index < count else { return }
            work(index)
            if done.add(1, ordering: .acquiringAndReleasing).newValue == count { allDone.signal() }
        }
    }

    func waitForAll() {
        if count > 0 { allDone.wait() }
    }
}
