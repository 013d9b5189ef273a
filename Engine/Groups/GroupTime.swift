public import TallyRecords

/// A moment on a monotonic clock, in milliseconds since any fixed point. Never taken from a clock
/// in this module: whoever drives a state machine says what time it is.
public struct GroupInstant: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The milliseconds.
    public var milliseconds: Int64

    /// A moment so many milliseconds after the clock's fixed point.
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The moment so many milliseconds later; saturates at the ends of `Int64`.
    public func advanced(byMilliseconds count: Int64) -> GroupInstant {
        let (sum, overflow) = milliseconds.addingReportingOverflow(count)
        return GroupInstant(milliseconds: overflow ? (count < 0 ? .min : .max) : sum)
    }

    /// The order in time.
    public static func < (left: GroupInstant, right: GroupInstant) -> Bool {
        left.milliseconds < right.milliseconds
    }

    /// The number and its unit.
    public var description: String { "\(milliseconds) ms" }
}

/// What time it is, by both clocks: timeouts run by the monotonic one, and what is stored bears the
/// time of the wall clock, which goes on counting while no engine is open.
public struct GroupTime: Hashable, Sendable {
    /// The moment on the monotonic clock; never earlier than in the call before.
    public var instant: GroupInstant
    /// The wall clock's time at that moment.
    public var timestamp: Timestamp

    /// One moment on both clocks.
    public init(instant: GroupInstant, timestamp: Timestamp) {
        self.instant = instant
        self.timestamp = timestamp
    }
}
