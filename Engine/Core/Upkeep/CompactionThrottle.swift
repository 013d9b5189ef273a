import Foundation
import Synchronization

/// Keeps cleaning to a number of bytes a second, over all logs together, and ends it when the
/// engine is closed. Any thread.
final class CompactionThrottle: Sendable {
    private let bytesPerSecondMax: Int?
    private let condition = NSCondition()
    private let isStopped = Atomic<Bool>(false)
    private let state = Mutex(State())

    private struct State {
        /// From here on bytes are counted.
        var start = ContinuousClock.now
        var byteCount = 0

        /// How much time the bytes so far may take.
        func due(_ bytesPerSecond: Int) -> Duration {
            .seconds(Double(byteCount) / Double(bytesPerSecond))
        }
    }

    /// Time that was not used is made up for up to this: after a longer pause nothing goes faster.
    private static let window = Duration.seconds(1)

    init(bytesPerSecondMax: Int?) {
        self.bytesPerSecondMax = bytesPerSecondMax.map { max($0, 1) }
    }

    /// So long, in seconds, a cleaning that waits may be deaf to the end of its log.
    private static let napMax = 0.1

    /// Returns when it is time for the next bytes; false where cleaning is to end.
    ///
    /// - Parameter isEnding: asked now and then whether this cleaning need not wait any longer.
    func moved(_ byteCount: Int, unless isEnding: () -> Bool = { false }) -> Bool {
        if isStopped.load(ordering: .acquiring) { return false }
        guard let bytesPerSecondMax else { return true }
        let pause = state.withLock { state -> Duration in
            let now = ContinuousClock.now
            if now - state.start - state.due(bytesPerSecondMax) > Self.window {
                state = State(start: now)
            }
            state.byteCount += byteCount
            return state.due(bytesPerSecondMax) - (now - state.start)
        }
        // Sleeping for less is not worth the switch to another thread.
        guard pause > .milliseconds(2) else { return true }
        return sleep(for: pause, unless: isEnding)
    }

    private func sleep(for pause: Duration, unless isEnding: () -> Bool) -> Bool {
        let end = Date(timeIntervalSinceNow: pause / .seconds(1))
        condition.lock()
        defer { condition.unlock() }
        while !isStopped.load(ordering: .acquiring), !isEnding(), Date() < end {
            _ = condition.wait(until: min(end, Date(timeIntervalSinceNow: Self.napMax)))
        }
        return !isStopped.load(ordering: .acquiring) && !isEnding()
    }

    /// Ends all cleaning soon.
    func stop() {
        isStopped.store(true, ordering: .releasing)
        condition.lock()
        condition.broadcast()
        condition.unlock()
    }
}
