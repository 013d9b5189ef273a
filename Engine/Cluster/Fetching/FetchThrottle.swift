/// Lets so many bytes a second through, with a second's worth ahead. A value.
struct FetchThrottle: Hashable, Sendable {
    private let bytesPerSecond: Int?
    private var credit: Double
    private var last: ContinuousClock.Instant

    /// - Parameter bytesPerSecond: nil for no limit.
    init(bytesPerSecond: Int?, now: ContinuousClock.Instant = .now) {
        self.bytesPerSecond = bytesPerSecond.map { max($0, 1) }
        credit = Double(bytesPerSecond ?? 0)
        last = now
    }

    /// Whether something may be fetched now.
    mutating func isOpen(at now: ContinuousClock.Instant = .now) -> Bool {
        guard let bytesPerSecond else { return true }
        let elapsed = (now - last) / .seconds(1)
        last = max(last, now)
        credit = min(credit + max(elapsed, 0) * Double(bytesPerSecond), Double(bytesPerSecond))
        return credit > 0
    }

    /// So much was fetched; more than there was credit for is paid back by waiting.
    mutating func take(_ byteCount: Int) { credit -= Double(byteCount) }
}
