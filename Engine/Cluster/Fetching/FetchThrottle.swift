import Synchronization

/// Lets so many bytes a second through, with a second's worth ahead: for everything that a member
/// fetches of partitions in which it is not in sync, from whichever leader.
///
/// Thread rule: any thread.
final class FetchThrottle: Sendable {
    private let bytesPerSecond: Int?
    private let state: Mutex<(credit: Double, last: ContinuousClock.Instant)>

    /// - Parameter bytesPerSecond: nil for no limit.
    init(bytesPerSecond: Int?, now: ContinuousClock.Instant = .now) {
        self.bytesPerSecond = bytesPerSecond.map { max($0, 1) }
        state = Mutex((Double(bytesPerSecond ?? 0), now))
    }

    /// Whether there is a limit.
    var isLimited: Bool { bytesPerSecond != nil }

    /// Whether something may be fetched now.
    func isOpen(at now: ContinuousClock.Instant = .now) -> Bool {
        guard let bytesPerSecond else { return true }
        return state.withLock { state in
            let elapsed = (now - state.last) / .seconds(1)
            state.last = max(state.last, now)
            state.credit = min(
                state.credit + max(elapsed, 0) * Double(bytesPerSecond), Double(bytesPerSecond))
            return state.credit > 0
        }
    }

    /// So much was fetched; more than there was credit for is paid back by waiting.
    func take(_ byteCount: Int) {
        guard isLimited else { return }
        state.withLock { $0.credit -= Double(byteCount) }
    }
}
