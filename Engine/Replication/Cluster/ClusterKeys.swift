/// Where in the coordination store each record of a cluster stands. FORMAT.md has the list.
///
/// Numbers have leading zeros, so that the order of the keys is that of the numbers.
public enum ClusterKeys {
    /// The ``ClusterRecord``.
    public static let cluster = "cluster"
    /// The ``ControllerRecord``; it goes with the controller's lease.
    public static let controller = "controller"
    /// The ``ControllerEpochRecord``; it stays.
    public static let controllerEpoch = "controller-epoch"
    /// The ``ProducerIDsRecord``.
    public static let producerIDs = "producer-ids"

    /// What the keys of all ``ClusterMember``s begin with.
    public static let members = "members/"
    /// What the keys of all ``TopicRecord``s begin with.
    public static let topics = "topics/"
    /// What the keys of all ``PartitionBlock``s begin with.
    public static let partitions = "partitions/"

    /// The key of a member, such as `members/0000000003`. Goes with the member's lease.
    public static func member(_ id: ReplicaID) -> String {
        members + padded(id.rawValue, to: 10)
    }

    /// The key of a topic, such as `topics/stock`. The name must be one that Kafka allows.
    public static func topic(_ name: String) -> String { topics + name }

    /// The key of a block of partitions, such as `partitions/0007`.
    public static func partitionBlock(_ number: Int32) -> String {
        partitions + padded(number, to: 4)
    }

    /// The member whose key this is; nil where it is none of a member.
    public static func memberID(of key: String) -> ReplicaID? {
        number(of: key, below: members).map { ReplicaID($0) }
            .flatMap { member($0) == key ? $0 : nil }
    }

    /// The topic whose key this is; nil where it is none of a topic.
    public static func topicName(of key: String) -> String? {
        guard key.hasPrefix(topics), key.utf8.count > topics.utf8.count else { return nil }
        return String(key.dropFirst(topics.count))
    }

    /// The block whose key this is; nil where it is none of a block.
    public static func partitionBlockNumber(of key: String) -> Int32? {
        number(of: key, below: partitions).flatMap { partitionBlock($0) == key ? $0 : nil }
    }

    private static func number(of key: String, below prefix: String) -> Int32? {
        guard key.hasPrefix(prefix) else { return nil }
        return Int32(key.dropFirst(prefix.count)).flatMap { $0 >= 0 ? $0 : nil }
    }

    private static func padded(_ number: Int32, to count: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, count - digits.utf8.count)) + digits
    }
}
