/// The name of a lease within a store; not used again by that store.
public struct LeaseID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number; above 0.
    public var rawValue: Int64

    /// The lease of this number.
    public init(_ rawValue: Int64) { self.rawValue = rawValue }

    /// The order of the numbers, which says nothing about time.
    public static func < (left: LeaseID, right: LeaseID) -> Bool { left.rawValue < right.rawValue }

    /// The number.
    public var description: String { "\(rawValue)" }
}

/// A lease as the store granted or renewed it.
public struct CoordinationLease: Hashable, Sendable {
    /// Its name.
    public var id: LeaseID
    /// For how long the store grants it, from the moment the request reached it.
    public var seconds: Int64

    /// A lease.
    public init(id: LeaseID, seconds: Int64) {
        self.id = id
        self.seconds = seconds
    }
}

/// A moment on a monotonic clock, in milliseconds since any fixed point. Never taken from a clock
/// in this module: whoever drives it says what time it is.
///
/// A process that takes it from the system must use a clock that runs on while the machine sleeps
/// (`CLOCK_BOOTTIME`), for the store's does.
public struct CoordinationInstant: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The milliseconds.
    public var milliseconds: Int64

    /// A moment so many milliseconds after the clock's fixed point.
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The moment so many milliseconds later; saturates at the ends of `Int64`.
    public func advanced(byMilliseconds count: Int64) -> CoordinationInstant {
        let (sum, overflow) = milliseconds.addingReportingOverflow(count)
        return CoordinationInstant(milliseconds: overflow ? (count < 0 ? .min : .max) : sum)
    }

    /// The moment so many seconds later; saturates.
    public func advanced(bySeconds count: Int64) -> CoordinationInstant {
        let (product, overflow) = count.multipliedReportingOverflow(by: 1000)
        return advanced(byMilliseconds: overflow ? (count < 0 ? .min : .max) : product)
    }

    /// The order in time.
    public static func < (left: CoordinationInstant, right: CoordinationInstant) -> Bool {
        left.milliseconds < right.milliseconds
    }

    /// The number and its unit.
    public var description: String { "\(milliseconds) ms" }
}
