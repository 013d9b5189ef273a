import Synchronization
import Testing

@testable import Tally

/// What is called back in time, and what is not.
@Suite(.timeLimit(.minutes(5))) struct TimeLimitsTests {
    private let limits = TimeLimits()

    /// When it called back.
    private func fires(after pause: Duration) async -> ContinuousClock.Instant {
        await withCheckedContinuation { continuation in
            _ = limits.add(at: .now + pause) { continuation.resume(returning: .now) }
        }
    }

    @Test("a limit calls back when its time is over, and not before")
    func fires() async {
        let begin = ContinuousClock.now
        async let late = fires(after: .milliseconds(300))
        async let early = fires(after: .milliseconds(30))
        let (first, second) = await (early, late)
        #expect(first >= begin + .milliseconds(30) && second >= begin + .milliseconds(300))
        #expect(first < second)
        limits.close()
    }

    @Test("one that was taken back does not, and taking back what has been is nothing")
    func cancelled() async throws {
        let count = Atomic(0)
        let own = (0..<1000).map { number in
            limits.add(at: .now + .milliseconds(20 + number % 50)) {
                count.add(1, ordering: .relaxed)
            }
        }
        for (number, limit) in own.enumerated() where number % 2 == 0 { limits.cancel(limit) }
        _ = await fires(after: .milliseconds(200))
        #expect(count.load(ordering: .relaxed) == 500)
        for limit in own { limits.cancel(limit) }
        _ = await fires(after: .milliseconds(20))
        #expect(count.load(ordering: .relaxed) == 500)
        limits.close()
    }

    @Test("what comes after a long silence is called back too")
    func silence() async throws {
        _ = await fires(after: .milliseconds(1))
        // The thread has gone to sleep for good by then.
        try await Task.sleep(for: .seconds(2))
        let begin = ContinuousClock.now
        #expect(await fires(after: .milliseconds(10)) >= begin + .milliseconds(10))
        limits.close()
    }

    @Test("closing calls everybody back, and who comes later at once")
    func closing() async {
        let count = Atomic(0)
        for _ in 0..<3 {
            _ = limits.add(at: .now + .seconds(3600)) { count.add(1, ordering: .relaxed) }
        }
        limits.close()
        #expect(count.load(ordering: .relaxed) == 3)
        _ = limits.add(at: .now + .seconds(3600)) { count.add(1, ordering: .relaxed) }
        #expect(count.load(ordering: .relaxed) == 4)
    }
}
