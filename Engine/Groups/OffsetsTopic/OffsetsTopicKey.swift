package import TallyRecords

/// What a record of `__consumer_offsets` is about. The bytes are Kafka's `OffsetCommitKey` and
/// `GroupMetadataKey`; see FORMAT.md.
package enum OffsetsTopicKey: Hashable, Sendable {
    /// How far a group has read a partition (versions 0 and 1; we write 1).
    case offset(group: String, TopicPartition)
    /// The group itself (version 2).
    case group(String)
    /// Something that a newer program wrote: to be passed over.
    case unknown(version: Int16)

    /// The newest version of the key of an offset.
    package static let offsetVersion: Int16 = 1
    /// The version of the key of a group.
    package static let groupVersion: Int16 = 2

    /// Reads a key.
    package init(decoding bytes: [UInt8]) throws(CoordinatorRecordError) {
        var reader = CoordinatorRecordReader(bytes)
        let version: Int16 = try reader.integer()
        switch version {
        case 0, Self.offsetVersion:
            let group = try reader.text()
            let topic = try reader.text()
            self = .offset(
                group: group, TopicPartition(topic: topic, partition: try reader.integer()))
        case Self.groupVersion:
            self = .group(try reader.text())
        default:
            self = .unknown(version: version)
            return
        }
        try reader.requireEnd()
    }

    /// The bytes.
    package func encoded() throws(CoordinatorRecordError) -> [UInt8] {
        var writer = CoordinatorRecordWriter()
        switch self {
        case .offset(let group, let partition):
            writer.integer(Self.offsetVersion)
            try writer.text(group)
            try writer.text(partition.topic)
            writer.integer(partition.partition)
        case .group(let group):
            writer.integer(Self.groupVersion)
            try writer.text(group)
        case .unknown(let version):
            throw .unknownVersion(of: "a key of __consumer_offsets", version)
        }
        return writer.bytes
    }
}
