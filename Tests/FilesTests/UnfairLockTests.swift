import Foundation
import TallyFiles
import Testing

@Suite("A lock for many threads")
struct UnfairLockTests {
    @Test("one thread at a time changes the value, and an error leaves the lock open")
    func exclusion() {
        let lock = UnfairLock(0)
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            for _ in 0..<10_000 {
                lock.withLock { value in
                    let before = value
                    if before % 97 == 0 { sched_yield() }
                    value = before + 1
                }
            }
        }
        #expect(throws: CancellationError.self) {
            try lock.withLock { _ in throw CancellationError() }
        }
        #expect(lock.withLock { $0 } == 80_000)
    }
}
