public import TallyRecords

/// A record to be sent. A value type.
public struct ProducerRecord: Hashable, Sendable {
    /// The topic it goes to.
    public var topic: String
    /// The partition it goes to; nil lets the key decide, or without a key the producer.
    public var partition: Int32?
    /// The key; nil is not the same as empty.
    public var key: [UInt8]?
    /// The value; nil is a tombstone, which is not the same as empty.
    public var value: [UInt8]?
    /// When it happened; nil means now.
    public var timestamp: Timestamp?
    /// Headers, in order; names may repeat.
    public var headers: [RecordHeader]

    /// A record from bytes.
    public init(
        topic: String, partition: Int32? = nil, key: [UInt8]?, value: [UInt8]?,
        timestamp: Timestamp? = nil, headers: [RecordHeader] = []
    ) {
        self.topic = topic
        self.partition = partition
        self.key = key
        self.value = value
        self.timestamp = timestamp
        self.headers = headers
    }

    /// A record from text, written as UTF-8.
    public init(
        topic: String, partition: Int32? = nil, key: String?, value: String?,
        timestamp: Timestamp? = nil, headers: [RecordHeader] = []
    ) {
        self.init(
            topic: topic, partition: partition, key: key.map { Array($0.utf8) },
            value: value.map { Array($0.utf8) }, timestamp: timestamp, headers: headers)
    }
}

/// Where a record went.
public struct RecordMetadata: Hashable, Sendable {
    /// The topic.
    public var topic: String
    /// The partition.
    public var partition: Int32
    /// The record's offset; -1 where nobody waited for it (`acks=0`).
    public var offset: Offset
    /// The record's timestamp, as stored.
    public var timestamp: Timestamp
}
