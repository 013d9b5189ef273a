/// The number of a change to a store: each transaction that changes anything takes the next one.
public struct CoordinationRevision: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number. 0 is before all changes.
    public var rawValue: Int64

    /// A revision.
    public init(_ rawValue: Int64) { self.rawValue = rawValue }

    /// The modification revision of a key that is not there.
    public static let absent = CoordinationRevision(0)

    /// The one after it; saturates.
    package var next: CoordinationRevision {
        CoordinationRevision(rawValue == .max ? .max : rawValue + 1)
    }

    /// The order of the changes.
    public static func < (left: CoordinationRevision, right: CoordinationRevision) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The number.
    public var description: String { "\(rawValue)" }
}
