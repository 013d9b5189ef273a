/// A partition by the name of its topic and its number there.
///
/// Names are not identities: a topic that is deleted and created again has the same partitions
/// under this type. Whoever stores one keeps the topic's id beside it where that matters.
public struct TopicPartition: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The topic's name.
    public var topic: String
    /// The partition's number, counted from 0.
    public var partition: Int32

    /// The partition with a number of a topic.
    public init(topic: String, partition: Int32) {
        self.topic = topic
        self.partition = partition
    }

    /// By topic, then by number.
    public static func < (left: TopicPartition, right: TopicPartition) -> Bool {
        (left.topic, left.partition) < (right.topic, right.partition)
    }

    /// As the partition's directory is named: `topic-partition`.
    public var description: String { "\(topic)-\(partition)" }
}
