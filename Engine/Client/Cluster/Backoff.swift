/// The pauses between attempts, and when it has been tried for long enough.
///
/// A value, used by one task at a time.
struct Backoff: Sendable {
    private let begin = ContinuousClock.now
    private let configuration: ClientConfiguration
    private var milliseconds: Int64

    init(_ configuration: ClientConfiguration) {
        self.configuration = configuration
        milliseconds = max(configuration.backoffMilliseconds, 1)
    }

    /// Waits before the next attempt; each wait is twice as long as the one before, and a fifth
    /// longer or shorter by chance, so that many who failed together do not come back together.
    ///
    /// - Parameter error: why the last attempt failed.
    /// Throws ``ClientError/gaveUp(afterMilliseconds:last:)`` where the time is over, and
    /// `CancellationError`.
    mutating func pause(after error: ClientError) async throws {
        let pause = min(milliseconds, configuration.backoffMillisecondsMax)
        milliseconds = min(2 * pause, configuration.backoffMillisecondsMax)
        let varied = pause + Int64.random(in: -pause / 5...pause / 5)
        let elapsed = (ContinuousClock.now - begin) / .milliseconds(1)
        guard Int64(elapsed) + varied < configuration.totalMilliseconds else {
            throw ClientError.gaveUp(
                afterMilliseconds: configuration.totalMilliseconds, last: error)
        }
        try await Task.sleep(for: .milliseconds(varied))
    }
}
