import TallyGroups
import TallyRecords

extension GroupConsumer: RecordSource {
    /// The records one at a time, each a copy of its own; see ``RecordSequence``.
    ///
    /// ```swift
    /// for try await record in consumer.records {
    ///     try await charge(record.keyText, record.valueText)
    ///     if isTimeToCommit { try await consumer.commit(record) }
    /// }
    /// ```
    public var records: RecordSequence { RecordSequence(source: self) }

    func keeper(of records: ConsumedRecords) -> PositionKeeper? {
        if let remote { return .cluster(remote.readers) }
        return readers.first(records.topicPartition).map { .log($0) }
    }

    /// Commits the position behind this record, and with it all before it in its partition.
    ///
    /// Throws as ``commit(_:)-(ConsumedRecords)``.
    public func commit(_ record: ConsumerRecord) async throws {
        try await commit([record.topicPartition: record.offsetToCommit])
    }
}

extension Consumer {
    /// The records one at a time, each a copy of its own; see ``RecordSequence``.
    public var records: RecordSequence { RecordSequence(source: self) }

    func keeper(of records: ConsumedRecords) -> PositionKeeper? {
        if let remote { return .cluster(remote) }
        return readers.first(records.topicPartition).map { .log($0) }
    }
}

extension Producer {
    /// Makes the position behind this record part of the transaction; see
    /// ``sendOffsets(_:of:)-([TopicPartition:OffsetToCommit],_)``.
    public func sendOffsets(
        behind record: ConsumerRecord, of consumer: GroupConsumer
    ) async throws {
        try await sendOffsets([record.topicPartition: record.offsetToCommit], of: consumer)
    }
}

extension ConsumerRecord {
    fileprivate var offsetToCommit: OffsetToCommit {
        OffsetToCommit(offset: nextOffset, leaderEpoch: leaderEpoch)
    }
}
