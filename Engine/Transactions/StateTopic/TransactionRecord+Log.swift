package import TallyRecords

// A transactional id as a value of `__transaction_state`, and back. Groups of a transaction are
// the partitions of `__consumer_offsets` that keep them, as in Kafka.

extension TransactionLogValue {
    /// What is stored of a transactional id.
    ///
    /// Which epoch the producer before had is not said: it is one less, or the last that there is
    /// where the producer id is another one. A producer that has kept its epoch is told by its
    /// version of the protocol.
    ///
    /// - Parameter offsetsPartitionCount: the partitions of `__consumer_offsets`.
    package init(_ record: TransactionRecord, offsetsPartitionCount: Int32) {
        let groups = Set(
            record.groups.map { InternalTopic.partition(of: $0, count: offsetsPartitionCount) })
        let partitions = record.partitions.union(
            groups.map {
                TopicPartition(topic: InternalTopic.consumerOffsets.rawValue, partition: $0)
            })
        self.init(
            producerID: record.producer.id, previousProducerID: record.previous?.id ?? -1,
            nextProducerID: record.next?.id ?? -1, producerEpoch: record.producer.epoch,
            timeoutMilliseconds: record.timeoutMilliseconds, status: record.state.number,
            partitions: record.state == .empty ? nil : partitions.sorted(),
            lastUpdateTimestamp: record.updatedAt, startTimestamp: record.startedAt ?? .none,
            clientTransactionVersion: record.hasKeptEpoch ? 1 : 2)
    }
}

extension TransactionRecord {
    /// A transactional id from what `__transaction_state` says of it.
    ///
    /// - Throws: `badValue` for a state that is never stored.
    package init(
        transactionalID: String, _ value: TransactionLogValue
    ) throws(CoordinatorRecordError) {
        guard let state = TransactionState(number: value.status), state != .prepareEpochFence else {
            throw .badValue(field: "transactionStatus", value: Int64(value.status))
        }
        self.init(
            transactionalID: transactionalID,
            producer: ProducerIdentity(id: value.producerID, epoch: value.producerEpoch),
            timeoutMilliseconds: value.timeoutMilliseconds, updatedAt: value.lastUpdateTimestamp)
        self.state = state
        previous = Self.previous(of: value, state)
        if value.nextProducerID != -1, state.isPrepared {
            next = ProducerIdentity(id: value.nextProducerID, epoch: 0)
        }
        guard state == .ongoing || state.isPrepared else { return }
        partitions = Set(value.partitions ?? [])
        startedAt =
            value.startTimestamp == .none ? value.lastUpdateTimestamp : value.startTimestamp
    }

    private static func previous(
        of value: TransactionLogValue, _ state: TransactionState
    ) -> ProducerIdentity? {
        let now = ProducerIdentity(id: value.producerID, epoch: value.producerEpoch)
        if state.decision != nil, value.clientTransactionVersion < 2 { return now }
        guard value.previousProducerID != -1 else { return nil }
        if value.previousProducerID != now.id {
            return ProducerIdentity(id: value.previousProducerID, epoch: ProducerIdentity.epochMax)
        }
        return now.epoch > 0 ? ProducerIdentity(id: now.id, epoch: now.epoch - 1) : nil
    }
}

/// Reads a partition of `__transaction_state` from its beginning: of each transactional id the last
/// record counts. A value.
package struct TransactionTopicReplay: Sendable {
    /// Records whose kind only a newer program knows; they were passed over, as Kafka does.
    package private(set) var unknownCount = 0
    /// Records that said something.
    package private(set) var knownCount = 0
    private var found: [String: TransactionRecord] = [:]

    /// Nothing was read yet.
    package init() {}

    /// The next record.
    ///
    /// - Throws: where key or value are none, or of a version that is not known of a value.
    package mutating func read(_ record: CoordinatorRecord) throws(CoordinatorRecordError) {
        guard case .transactionalID(let id) = try TransactionLogKey(decoding: record.key) else {
            unknownCount += 1
            return
        }
        knownCount += 1
        found[id] = try record.value.map { (bytes) throws(CoordinatorRecordError) in
            try TransactionRecord(
                transactionalID: id, try TransactionLogValue(decoding: bytes))
        }
        // Kafka stores this just before it forgets the id.
        if found[id]?.state == .dead { found[id] = nil }
    }

    /// The transactional ids there are, by name.
    package var records: [TransactionRecord] {
        found.values.sorted { $0.transactionalID < $1.transactionalID }
    }
}
