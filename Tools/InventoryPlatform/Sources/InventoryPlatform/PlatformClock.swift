import Synchronization
import Tally

/// What time it is: the system's, or one that is set, for replaying a day of the past and for
/// tests. Any thread.
public final class PlatformClock: Sendable {
    private let fixed: Mutex<Timestamp?>

    /// A clock that shows the system's time, or one that stands until it is set.
    public init(at time: Timestamp? = nil) { fixed = Mutex(time) }

    /// The time.
    public var now: Timestamp { fixed.withLock { $0 } ?? .now }

    /// Sets a time, which then stands.
    public func set(_ time: Timestamp) { fixed.withLock { $0 = time } }
}
