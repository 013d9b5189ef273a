import TallyLog
public import TallyRecords

/// One record with its own copy of everything: it can be kept, and handed to others. A value type.
///
/// Copying costs an allocation or two a record; who reads millions a second walks over
/// ``ConsumedRecords`` instead.
public struct ConsumerRecord: Hashable, Sendable {
    /// The topic it was read from.
    public var topic: String
    /// The partition it was read from.
    public var partition: Int32
    /// Its place in the partition.
    public var offset: Offset
    /// When it was made, or appended, as its topic says.
    public var timestamp: Timestamp
    /// The epoch of its batch; a position behind it is stored with this.
    public var leaderEpoch: LeaderEpoch
    /// The key; nil is not the same as empty.
    public var key: [UInt8]?
    /// The value; nil for a tombstone, which is not the same as empty.
    public var value: [UInt8]?
    /// Headers, in order; names may repeat.
    public var headers: [RecordHeader]

    /// A record, for tests of what handles them.
    public init(
        topic: String, partition: Int32, offset: Offset, timestamp: Timestamp,
        leaderEpoch: LeaderEpoch = .none, key: [UInt8]?, value: [UInt8]?,
        headers: [RecordHeader] = []
    ) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.timestamp = timestamp
        self.leaderEpoch = leaderEpoch
        self.key = key
        self.value = value
        self.headers = headers
    }

    /// The key as text: UTF-8, with replacement characters where it is not.
    public var keyText: String? { key.map { String(decoding: $0, as: UTF8.self) } }

    /// The value as text: UTF-8, with replacement characters where it is not.
    public var valueText: String? { value.map { String(decoding: $0, as: UTF8.self) } }

    /// Where to go on once it is done with.
    var nextOffset: Offset { offset.advanced(by: 1) }

    /// Topic and number of the partition.
    var topicPartition: TopicPartition { TopicPartition(topic: topic, partition: partition) }
}

extension ConsumedRecords {
    /// Copies the records of the batch that begins at a position in the slice.
    ///
    /// - Returns: them, and where the next batch begins. Throws as ``forEachRecord(_:)``.
    func copyRecords(ofBatchAt position: Int) throws -> ([ConsumerRecord], next: Int) {
        try batches.withBytes { try copyRecords(of: RecordBatch($0, at: position), position) }
    }

    private func copyRecords(
        of batch: borrowing RecordBatch, _ position: Int
    ) throws -> ([ConsumerRecord], next: Int) {
        let header = batch.header
        let next = position + header.sizeInBytes
        guard !header.attributes.isControl, aborted.isEmpty || !isAborted(header) else {
            return ([], next)
        }
        var records: [ConsumerRecord] = []
        var decoder = RecordDecoder()
        try decoder.forEachRecord(in: batch) { record in
            guard record.offset >= startOffset else { return }
            var headers: [RecordHeader] = []
            if record.headerCount > 0 {
                var cursor = record.headers
                while let header = try cursor.next() {
                    let name = RecordView.copy(header.key) ?? []
                    headers.append(
                        RecordHeader(
                            name: String(decoding: name, as: UTF8.self),
                            value: RecordView.copy(header.value)))
                }
            }
            records.append(
                ConsumerRecord(
                    topic: topic, partition: partition, offset: record.offset,
                    timestamp: record.timestamp, leaderEpoch: header.partitionLeaderEpoch,
                    key: record.keyBytes, value: record.valueBytes, headers: headers))
        }
        return (records, next)
    }
}
