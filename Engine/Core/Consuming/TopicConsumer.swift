public import TallyRecords

/// Reads partitions of one topic: a ``Consumer`` that knows its topic, so that partitions are plain
/// numbers.
///
/// A copyable handle; copies share the consumer and its positions. Thread rule: as ``Consumer``.
public struct TopicConsumer: AsyncSequence, Sendable {
    /// One fetch from one partition.
    public typealias Element = ConsumedRecords

    /// The topic.
    public let topic: String
    /// What reads, by topic and partition.
    public let consumer: Consumer

    /// Iterates from the current positions on.
    public func makeAsyncIterator() -> Consumer.Iterator { consumer.makeAsyncIterator() }

    /// The records one at a time, each a copy of its own; see ``RecordSequence``.
    public var records: RecordSequence { consumer.records }

    // MARK: Positions

    /// The offset each partition is read from next; nil where reading has not begun and nothing
    /// was sought.
    public var positions: [Int32: Offset?] {
        var positions: [Int32: Offset?] = [:]
        for reader in consumer.readers.all { positions[reader.id.partition] = reader.position }
        return positions
    }

    /// Records between the position and the high watermark, per partition; see ``Consumer/lag``.
    public var lag: [Int32: Int64] { byNumber(consumer.lag) }

    /// Goes on somewhere else in one partition; see ``Consumer/seek(_:to:)``.
    public func seek(partition: Int32, to target: StartingPosition) async throws {
        try await consumer.seek(id(partition), to: target)
    }

    /// Seeks on the calling thread, which may have to wait for the disk.
    package func seekBlocking(partition: Int32, to target: StartingPosition) throws {
        try consumer.seekBlocking(id(partition), to: target)
    }

    /// Passes partitions over until they are resumed; see ``Consumer/pause(_:)``.
    public func pause(_ partitions: [Int32]) throws(EngineError) {
        try consumer.pause(Set(partitions.map { id($0) }))
    }

    /// Reads partitions again that were paused; see ``Consumer/resume(_:)``.
    public func resume(_ partitions: [Int32]) throws(EngineError) {
        try consumer.resume(Set(partitions.map { id($0) }))
    }

    /// The first offset that can be read, of each partition that this consumer reads.
    ///
    /// Throws as ``Engine/beginningOffsets(of:)``.
    public func beginningOffsets() async throws -> [Int32: Offset] {
        byNumber(try await consumer.beginningOffsets())
    }

    /// Where each partition ends now for this consumer, by its isolation level.
    ///
    /// Throws as ``Engine/endOffsets(of:isolation:)``.
    public func endOffsets() async throws -> [Int32: Offset] {
        byNumber(try await consumer.endOffsets())
    }

    /// The first record of each partition, by number, whose timestamp is the given one or later.
    /// Partitions that have none are missing.
    ///
    /// Throws as ``Engine/offsetsForTimes(_:isolation:)``.
    public func offsetsForTimes(
        _ times: [Int32: Timestamp]
    ) async throws -> [Int32: OffsetAndTimestamp] {
        var all: [TopicPartition: Timestamp] = [:]
        for (partition, time) in times { all[id(partition)] = time }
        return byNumber(try await consumer.offsetsForTimes(all))
    }

    /// The next records, without waiting for more to arrive; see ``Consumer/poll()``.
    package func poll() throws -> ConsumedRecords? { try consumer.poll() }

    private func id(_ partition: Int32) -> TopicPartition {
        TopicPartition(topic: topic, partition: partition)
    }

    private func byNumber<Value>(_ values: [TopicPartition: Value]) -> [Int32: Value] {
        Dictionary(values.map { ($0.key.partition, $0.value) }, uniquingKeysWith: { $1 })
    }
}

extension Engine {
    /// A consumer of a topic's partitions, without a group: positions are the caller's to keep.
    ///
    /// - Parameter partitions: which ones; nil for all, also those that the topic gets while the
    ///   consumer lives (``Engine/createPartitions(ofTopic:count:)``).
    /// Throws ``EngineError`` for unknown topics and partitions, and for partitions offline.
    public func consumer(
        of topic: String, partitions: [Int32]? = nil,
        _ configuration: ConsumerConfiguration = ConsumerConfiguration()
    ) throws(EngineError) -> TopicConsumer {
        let all = try self.partitions(of: topic).map(\.index)
        let chosen = partitions ?? all
        let ids = chosen.map { TopicPartition(topic: topic, partition: $0) }
        return TopicConsumer(
            topic: topic,
            consumer: try consumer(
                assigning: Set(ids), isOfWholeTopic: partitions == nil, configuration))
    }
}
