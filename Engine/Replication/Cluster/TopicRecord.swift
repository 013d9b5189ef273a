/// A topic of the cluster: `topics/<name>`. Its partitions stand in ``PartitionBlock``s.
public struct TopicRecord: Hashable, Sendable {
    /// The topic's identity, 128 bits. One that is deleted and created again has another.
    public var id: UInt128
    /// How many partitions it has; above 0.
    public var partitionCount: Int32
    /// Its configuration, by Kafka's names; what is not here has the default.
    public var configuration: [String: String]

    /// A topic.
    public init(id: UInt128, partitionCount: Int32, configuration: [String: String] = [:]) {
        self.id = id
        self.partitionCount = partitionCount
        self.configuration = configuration
    }

    /// The value of the key: equal records give equal bytes.
    public func encoded() -> [UInt8] {
        var writer = ClusterRecordWriter(version: 1)
        writer.write(id)
        writer.write(partitionCount)
        writer.write(UInt16(clamping: configuration.count))
        let settings = configuration.sorted { $0.key < $1.key }.prefix(Int(UInt16.max))
        for (name, value) in settings {
            writer.write(name)
            writer.write(value)
        }
        return writer.bytes
    }

    /// Reads the value of the key.
    public init(decoding bytes: [UInt8]) throws(ClusterRecordError) {
        var reader = try ClusterRecordReader(
            bytes, of: "topic record", newest: ClusterMember.newestVersion)
        id = try reader.integer(UInt128.self)
        partitionCount = try reader.number("the number of partitions")
        guard partitionCount > 0 else { throw reader.fault("no partitions") }
        configuration = [:]
        for _ in 0..<(try reader.integer(UInt16.self)) {
            let name = try reader.text()
            guard configuration.updateValue(try reader.text(), forKey: name) == nil else {
                throw reader.fault("'\(name)' is set twice")
            }
        }
        try reader.finish()
    }
}
