/// The number of a member of a cluster, which keeps replicas of partitions: Kafka's broker id.
public struct ReplicaID: RawRepresentable, Hashable, Comparable, Sendable,
    CustomStringConvertible
{
    /// The number itself; 0 or more.
    public var rawValue: Int32

    /// The same as a plain number, as the protocol has it.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// A member's number.
    public init(_ rawValue: Int32) { self.rawValue = rawValue }

    /// The order of the numbers.
    public static func < (left: ReplicaID, right: ReplicaID) -> Bool {
        left.rawValue < right.rawValue
    }

    /// The number in decimal.
    public var description: String { String(rawValue) }
}
