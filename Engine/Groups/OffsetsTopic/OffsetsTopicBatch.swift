package import TallyRecords

/// What is appended to one partition of `__consumer_offsets` in one batch. A value.
package struct OffsetsTopicBatch: Hashable, Sendable {
    /// The partition.
    package var partition: Int32
    /// Whose transaction the records are part of; nil for records that count at once.
    package var producer: BatchProducer?
    /// The records, in order.
    package var records: [CoordinatorRecord]
    /// The changes that the records stand for, as a queryable store takes them.
    package var changes: [OffsetStoreChange]

    /// The batches that changes of groups become: for each partition in the order of the changes,
    /// as few as can be.
    ///
    /// That pending offsets go has no record of its own: the marker says it that ends the
    /// producer's transaction, or the producer's next epoch.
    ///
    /// - Parameters:
    ///   - count: the partitions of the topic.
    ///   - identify: the 16 bytes of the id that a topic has now; nil where nobody knows it. An
    ///     offset is kept with it, so that it does not count for another topic of the name.
    /// - Throws: `textTooLong`.
    package static func batches(
        of changes: [OffsetStoreChange], count: Int32,
        identify: (_ topic: String) -> [UInt8]? = { _ in nil }
    ) throws(CoordinatorRecordError) -> [OffsetsTopicBatch] {
        var batches: [OffsetsTopicBatch] = []
        var last: [Int32: Int] = [:]
        for change in changes {
            let partition = InternalTopic.partition(of: change.group, count: count)
            var producer: BatchProducer?
            if case .pendingOffsets(_, let id, let epoch, _) = change {
                producer = BatchProducer(id: id, epoch: epoch, baseSequence: -1)
            }
            let records = try change.records(identify)
            if let index = last[partition], batches[index].producer == producer {
                batches[index].records += records
                batches[index].changes.append(change)
            } else {
                last[partition] = batches.count
                batches.append(
                    OffsetsTopicBatch(
                        partition: partition, producer: producer, records: records,
                        changes: [change]))
            }
        }
        return batches
    }
}

extension OffsetStoreChange {
    /// The group that changes.
    package var group: String {
        switch self {
        case .metadata(let group, _), .offsets(let group, _), .pendingOffsets(let group, _, _, _),
            .removePendingOffsets(let group, _), .deleteOffsets(let group, _),
            .deleteGroup(let group):
            group
        }
    }

    /// The records that say it.
    fileprivate func records(
        _ identify: (String) -> [UInt8]?
    ) throws(CoordinatorRecordError) -> [CoordinatorRecord] {
        switch self {
        case .metadata(let group, let metadata):
            [
                CoordinatorRecord(
                    key: try OffsetsTopicKey.group(group).encoded(),
                    value: try GroupMetadataValue(metadata).encoded())
            ]
        case .offsets(let group, let offsets), .pendingOffsets(let group, _, _, let offsets):
            try Self.records(group, offsets, identify)
        case .deleteOffsets(let group, let partitions):
            try Self.tombstones(group, partitions)
        case .deleteGroup(let group):
            [CoordinatorRecord(key: try OffsetsTopicKey.group(group).encoded(), value: nil)]
        case .removePendingOffsets:
            []
        }
    }

    private static func records(
        _ group: String, _ offsets: [TopicPartition: CommittedOffset],
        _ identify: (String) -> [UInt8]?
    ) throws(CoordinatorRecordError) -> [CoordinatorRecord] {
        var records: [CoordinatorRecord] = []
        for (partition, offset) in offsets.sorted(by: { $0.key < $1.key }) {
            let value = OffsetCommitValue(
                offset: offset.offset, leaderEpoch: offset.leaderEpoch, metadata: offset.metadata,
                commitTimestamp: offset.commitTimestamp, topicID: identify(partition.topic))
            records.append(
                CoordinatorRecord(
                    key: try OffsetsTopicKey.offset(group: group, partition).encoded(),
                    value: try value.encoded()))
        }
        return records
    }

    private static func tombstones(
        _ group: String, _ partitions: Set<TopicPartition>
    ) throws(CoordinatorRecordError) -> [CoordinatorRecord] {
        var records: [CoordinatorRecord] = []
        for partition in partitions.sorted() {
            records.append(
                CoordinatorRecord(
                    key: try OffsetsTopicKey.offset(group: group, partition).encoded(), value: nil))
        }
        return records
    }
}

extension GroupMetadataValue {
    /// A group without members has none of their protocol either.
    fileprivate init(_ metadata: StoredGroupMetadata) {
        self.init(
            protocolType: metadata.protocolType ?? "", generation: metadata.generation,
            protocolName: metadata.protocolName, leaderID: metadata.leaderID,
            currentStateTimestamp: metadata.emptySince ?? .none, members: metadata.members)
    }
}

extension StoredGroupMetadata {
    /// What a record says of a group.
    init(_ value: GroupMetadataValue) {
        let isSimple = value.protocolType.isEmpty
        let isEmpty = value.members.isEmpty && value.currentStateTimestamp != .none
        self.init(
            generation: max(value.generation, 0),
            protocolType: isSimple ? nil : value.protocolType,
            emptySince: isEmpty && !isSimple ? value.currentStateTimestamp : nil)
        guard !value.members.isEmpty else { return }
        protocolName = value.protocolName
        leaderID = value.leaderID
        members = value.members
    }
}
