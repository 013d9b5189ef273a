/// A position in a partition's log: the number of a record, counted from 0.
///
/// Offsets rise by at least one from record to record; compaction and transaction markers leave
/// gaps. A value type, safe to share between threads.
@frozen
public struct Offset: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number itself; 0 or more in a log.
    public var rawValue: Int64

    /// The same as a plain number, as stored.
    @inlinable
    public init(rawValue: Int64) { self.rawValue = rawValue }

    /// An offset from a plain number.
    @inlinable
    public init(_ rawValue: Int64) { self.rawValue = rawValue }

    /// The first offset a new log assigns.
    @inlinable
    public static var zero: Offset { Offset(0) }

    /// The offset that comes `count` records later (or earlier, when negative). Saturates at the
    /// ends of `Int64`, so that an offset read from hostile bytes cannot trap.
    @inlinable
    public func advanced(by count: Int64) -> Offset {
        let (sum, overflow) = rawValue.addingReportingOverflow(count)
        return Offset(overflow ? (count < 0 ? .min : .max) : sum)
    }

    /// The order of the numbers.
    @inlinable
    public static func < (left: Offset, right: Offset) -> Bool { left.rawValue < right.rawValue }

    /// The number in decimal.
    public var description: String { String(rawValue) }
}

/// Milliseconds since 1970-01-01 00:00:00 UTC, as Kafka stores them; -1 stands for "no timestamp".
@frozen
public struct Timestamp: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The milliseconds.
    public var rawValue: Int64

    /// The same as a plain number, as stored.
    @inlinable
    public init(rawValue: Int64) { self.rawValue = rawValue }

    /// A timestamp from milliseconds since 1970.
    @inlinable
    public init(milliseconds: Int64) { self.rawValue = milliseconds }

    /// Kafka's mark for a record or batch without a timestamp.
    @inlinable
    public static var none: Timestamp { Timestamp(rawValue: -1) }

    /// The order of the numbers.
    @inlinable
    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The number in decimal.
    public var description: String { String(rawValue) }
}

/// The term of a partition's leader: rises whenever somebody new (or, in one process, a log
/// reopened after a crash) starts to assign offsets; -1 where none is known.
@frozen
public struct LeaderEpoch: RawRepresentable, Hashable, Comparable, Sendable,
    CustomStringConvertible
{
    /// The number itself; -1 where none is known.
    public var rawValue: Int32

    /// The same as a plain number, as stored.
    @inlinable
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// A leader epoch from a plain number.
    @inlinable
    public init(_ rawValue: Int32) { self.rawValue = rawValue }

    /// Kafka's mark for an unknown epoch.
    @inlinable
    public static var none: LeaderEpoch { LeaderEpoch(-1) }

    /// The epoch after it. Saturates at the end of `Int32`, which two thousand million changes of
    /// leader would reach.
    @inlinable
    public var next: LeaderEpoch { LeaderEpoch(rawValue == .max ? .max : rawValue + 1) }

    /// The order of the numbers.
    @inlinable
    public static func < (left: LeaderEpoch, right: LeaderEpoch) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The number in decimal.
    public var description: String { String(rawValue) }
}
