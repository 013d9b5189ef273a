package import TallyRecords

/// What becomes of a transactional id, as `__transaction_state` keeps it. The bytes are Kafka's
/// `TransactionLogValue`, versions 0 and 1; see FORMAT.md.
package struct TransactionLogValue: Hashable, Sendable {
    /// The version that is written.
    package static let version: Int16 = 1

    /// The producer id that is in use.
    package var producerID: Int64
    /// The producer id of the last transaction that was ended; -1 where there is none (version 1).
    package var previousProducerID: Int64
    /// The producer id that follows, where the epochs ran out; -1 otherwise (version 1).
    package var nextProducerID: Int64
    /// The epoch that is in use.
    package var producerEpoch: Int16
    /// How long a transaction may take, in milliseconds.
    package var timeoutMilliseconds: Int32
    /// Where the transaction stands; see ``TransactionState/number``.
    package var status: Int8
    /// The partitions that take part, those of `__consumer_offsets` among them; nil where there is
    /// no transaction.
    package var partitions: [TopicPartition]?
    /// When anything of it changed last.
    package var lastUpdateTimestamp: Timestamp
    /// When the transaction began; `.none` where there is none.
    package var startTimestamp: Timestamp
    /// The version of the protocol that the producer speaks: 2 where each end raises the epoch, 0
    /// or 1 where it does not (version 1).
    package var clientTransactionVersion: Int16

    /// A value.
    package init(
        producerID: Int64, previousProducerID: Int64 = -1, nextProducerID: Int64 = -1,
        producerEpoch: Int16, timeoutMilliseconds: Int32, status: Int8,
        partitions: [TopicPartition]?, lastUpdateTimestamp: Timestamp,
        startTimestamp: Timestamp = .none, clientTransactionVersion: Int16 = 0
    ) {
        self.producerID = producerID
        self.previousProducerID = previousProducerID
        self.nextProducerID = nextProducerID
        self.producerEpoch = producerEpoch
        self.timeoutMilliseconds = timeoutMilliseconds
        self.status = status
        self.partitions = partitions
        self.lastUpdateTimestamp = lastUpdateTimestamp
        self.startTimestamp = startTimestamp
        self.clientTransactionVersion = clientTransactionVersion
    }

    /// Reads a value. A version that is not known is an error.
    package init(decoding bytes: [UInt8]) throws(CoordinatorRecordError) {
        var reader = CoordinatorRecordReader(bytes)
        let version: Int16 = try reader.integer()
        guard (0...1).contains(version) else {
            throw .unknownVersion(of: "the value of a transactional id", version)
        }
        reader.isFlexible = version >= 1
        producerID = try reader.integer()
        producerEpoch = try reader.integer()
        timeoutMilliseconds = try reader.integer()
        status = try reader.integer()
        partitions = try reader.nullableArray { (reader) throws(CoordinatorRecordError) in
            let topic = try reader.text()
            let numbers = try reader.array { (reader) throws(CoordinatorRecordError) in
                try reader.integer(Int32.self)
            }
            try reader.taggedFields()
            return numbers.map { TopicPartition(topic: topic, partition: $0) }
        }?.flatMap { $0 }
        lastUpdateTimestamp = Timestamp(milliseconds: try reader.integer())
        startTimestamp = Timestamp(milliseconds: try reader.integer())
        var previous: Int64 = -1
        var next: Int64 = -1
        var transactionVersion: Int16 = 0
        try reader.taggedFields { (tag, field) throws(CoordinatorRecordError) in
            switch tag {
            case 0: previous = try field.integer()
            case 1: next = try field.integer()
            case 2: transactionVersion = try field.integer()
            default: return
            }
            try field.requireEnd()
        }
        previousProducerID = previous
        nextProducerID = next
        clientTransactionVersion = transactionVersion
        try reader.requireEnd()
    }

    /// The bytes, of version 0 or 1; what that has no room for is not written. Partitions are
    /// written by topic, in order.
    package func encoded(
        version: Int16 = version
    ) throws(CoordinatorRecordError) -> [UInt8] {
        guard (0...1).contains(version) else {
            throw .unknownVersion(of: "the value of a transactional id", version)
        }
        var writer = CoordinatorRecordWriter()
        writer.integer(version)
        writer.isFlexible = version >= 1
        writer.integer(producerID)
        writer.integer(producerEpoch)
        writer.integer(timeoutMilliseconds)
        writer.integer(status)
        if let partitions {
            try writer.array(Self.byTopic(partitions)) {
                (topic, writer) throws(CoordinatorRecordError) in
                try writer.text(topic.name)
                try writer.array(topic.numbers) { (number, writer) in writer.integer(number) }
                writer.taggedFields()
            }
        } else if version >= 1 {
            writer.varint(0)
        } else {
            writer.integer(Int32(-1))
        }
        writer.integer(lastUpdateTimestamp.rawValue)
        writer.integer(startTimestamp.rawValue)
        var fields: [(tag: UInt32, bytes: [UInt8])] = []
        if previousProducerID != -1 { fields.append((0, Self.bytes(previousProducerID))) }
        if nextProducerID != -1 { fields.append((1, Self.bytes(nextProducerID))) }
        if clientTransactionVersion != 0 {
            fields.append((2, Self.bytes(clientTransactionVersion)))
        }
        writer.taggedFields(fields)
        return writer.bytes
    }

    private static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: value)
        return bytes
    }

    private static func byTopic(
        _ partitions: [TopicPartition]
    ) -> [(name: String, numbers: [Int32])] {
        var topics: [(name: String, numbers: [Int32])] = []
        for partition in partitions.sorted() {
            if topics.last?.name == partition.topic {
                topics[topics.count - 1].numbers.append(partition.partition)
            } else {
                topics.append((partition.topic, [partition.partition]))
            }
        }
        return topics
    }
}

extension TransactionState {
    /// Kafka's number of the state in `__transaction_state`.
    package var number: Int8 {
        switch self {
        case .empty: 0
        case .ongoing: 1
        case .prepareCommit: 2
        case .prepareAbort: 3
        case .completeCommit: 4
        case .completeAbort: 5
        case .dead: 6
        case .prepareEpochFence: 7
        }
    }

    /// The state with a number; nil for one that there is not.
    package init?(number: Int8) {
        guard let state = Self.allCases.first(where: { $0.number == number }) else { return nil }
        self = state
    }
}
