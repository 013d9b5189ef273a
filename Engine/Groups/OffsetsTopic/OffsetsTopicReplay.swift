package import TallyRecords

/// Reads a partition of `__consumer_offsets` from its beginning, record by record, and says what
/// its groups are then: of each key the last record counts, of transactions only those that were
/// committed, and those that are open are pending.
///
/// The number of a commit (``CommittedOffset/sequence``) is the offset of its record. A value.
package struct OffsetsTopicReplay: Sendable {
    /// Records whose kind only a newer program knows; they were passed over, as Kafka does.
    package private(set) var unknownCount = 0
    /// Records that said something.
    package private(set) var knownCount = 0

    private let isCurrent: @Sendable (_ topic: String, _ topicID: [UInt8]) -> Bool
    private var metadata: [String: StoredGroupMetadata] = [:]
    private var offsets: [String: [TopicPartition: CommittedOffset]] = [:]
    private var pending: [Int64: Transaction] = [:]

    private struct Transaction: Sendable {
        var epoch: Int16
        var offsets: [String: [TopicPartition: CommittedOffset]] = [:]
    }

    /// Nothing was read yet.
    ///
    /// - Parameter isCurrent: whether a topic has this id now, or none that is known: offsets of
    ///   another are those of a topic that was deleted, and say nothing.
    package init(
        isCurrent: @escaping @Sendable (_ topic: String, _ topicID: [UInt8]) -> Bool = { _, _ in
            true
        }
    ) {
        self.isCurrent = isCurrent
    }

    /// The next record.
    ///
    /// - Parameter producer: whose transaction it is part of; nil for one that counts at once.
    /// - Throws: where key or value are none, or of a version that is not known of a value.
    package mutating func read(
        _ record: CoordinatorRecord, at offset: Offset, in producer: BatchProducer? = nil
    ) throws(CoordinatorRecordError) {
        switch try OffsetsTopicKey(decoding: record.key) {
        case .unknown:
            unknownCount += 1
            return
        case .group(let group):
            metadata[group] = try record.value.map { (bytes) throws(CoordinatorRecordError) in
                StoredGroupMetadata(try GroupMetadataValue(decoding: bytes))
            }
        case .offset(let group, let partition):
            let value = try record.value.map { (bytes) throws(CoordinatorRecordError) in
                try OffsetCommitValue(decoding: bytes)
            }
            let isOfAnother = value?.topicID.map { !isCurrent(partition.topic, $0) } ?? false
            let committed =
                isOfAnother ? nil : value.map { CommittedOffset($0, sequence: offset.rawValue) }
            guard let producer else {
                offsets[group, default: [:]][partition] = committed
                break
            }
            var transaction = pending[producer.id] ?? Transaction(epoch: producer.epoch)
            transaction.epoch = producer.epoch
            transaction.offsets[group, default: [:]][partition] = committed
            pending[producer.id] = transaction
        }
        knownCount += 1
    }

    /// The marker that ends a producer's transaction.
    package mutating func endTransaction(ofProducer producerID: Int64, isCommitted: Bool) {
        guard let transaction = pending.removeValue(forKey: producerID), isCommitted else { return }
        for (group, committed) in transaction.offsets {
            // What was committed later, outside of the transaction, stays.
            offsets[group, default: [:]].merge(committed) { known, new in
                known.sequence < new.sequence ? new : known
            }
        }
    }

    /// The groups there are, by id.
    package var groups: [StoredGroup] {
        var groups = metadata.mapValues { StoredGroup(group: "", metadata: $0) }
        for (id, committed) in offsets where !committed.isEmpty {
            groups[id, default: StoredGroup(group: "")].offsets = committed
        }
        for (producerID, transaction) in pending.sorted(by: { $0.key < $1.key }) {
            for (id, committed) in transaction.offsets where !committed.isEmpty {
                groups[id, default: StoredGroup(group: "")].pendingOffsets.append(
                    PendingOffsets(
                        producerID: producerID, producerEpoch: transaction.epoch,
                        offsets: committed))
            }
        }
        return groups.sorted { $0.key < $1.key }.map { id, found in
            var group = found
            group.group = id
            return group
        }
    }
}

extension CommittedOffset {
    fileprivate init(_ value: OffsetCommitValue, sequence: Int64) {
        self.init(
            offset: value.offset, leaderEpoch: value.leaderEpoch, metadata: value.metadata,
            commitTimestamp: value.commitTimestamp, sequence: sequence)
    }
}
