import Tally

/// Copies a topic into another one with more partitions, so that each key's records keep their
/// order: source partitions one after the other, each from its beginning.
///
/// What goes where follows from the source alone, so that each target partition always holds a
/// prefix of what it shall hold: a copying that was interrupted goes on behind that, and needs no
/// note of how far it came. Records of transactions are copied where these were committed, as
/// records like others: what was aborted never happened. Nobody writes to either topic meanwhile:
/// the engine is the command's. Used by one task.
struct TopicMigration {
    let engine: Engine
    let source: String
    let target: String
    let partitionCount: Int
    let policy: MigratedPositions.Policy

    /// Records of one target partition, and a digest of them in their order.
    struct Digest: Equatable {
        var recordCount = 0
        /// FNV-1a, 64 bits.
        private var hash: UInt64 = 0xcbf2_9ce4_8422_2325

        private mutating func mix(byte: UInt8) {
            hash ^= UInt64(byte)
            hash &*= 0x100_0000_01b3
        }

        private mutating func mix(number: Int64) {
            for shift in stride(from: 0, to: 64, by: 8) {
                mix(byte: UInt8(truncatingIfNeeded: number >> Int64(shift)))
            }
        }

        /// The length first: or bytes could move from one field to the next.
        private mutating func mix(bytes: RawSpan?) {
            guard let bytes else { return mix(number: -1) }
            mix(number: Int64(bytes.byteCount))
            for at in 0..<bytes.byteCount { mix(byte: bytes.bigEndian(at: at, as: UInt8.self)) }
        }

        mutating func add(_ record: borrowing RecordView) throws {
            recordCount += 1
            mix(number: record.timestamp.rawValue)
            mix(bytes: record.key)
            mix(bytes: record.value)
            mix(number: Int64(record.headerCount))
            var headers = record.headers
            while let header = try headers.next() {
                mix(bytes: header.key)
                mix(bytes: header.value)
            }
        }
    }

    /// Settings of the target while it is filled: nothing goes, nothing is refused, and it is
    /// synced once, at the end.
    private static let fillingSettings = [
        "cleanup.policy": "delete", "max.message.bytes": "536870912",
        "message.timestamp.after.max.ms": "\(Int64.max)",
        "message.timestamp.before.max.ms": "\(Int64.max)", "message.timestamp.type": "CreateTime",
        "retention.bytes": "-1", "retention.ms": "-1", "tally.durability": "buffered",
    ]

    /// What a migration did.
    struct Report {
        var copiedCount = 0
        /// Records that an earlier attempt had copied.
        var keptCount = 0
        var target: [Digest] = []
        /// Groups that have positions in the target now.
        var groups: [String] = []
        /// Those that will read some records again, and how many.
        var repeats: [(group: String, recordCount: Int)] = []
    }

    /// Copies, or goes on copying, verifies, and gives the target its configuration.
    func run() async throws -> Report {
        let configuration = try engine.describeTopic(source).configuration
        let filling = try filling(configuration)
        let isResumed = try engine.topics().contains { $0.name == target }
        if isResumed {
            let found = try engine.describeTopic(target)
            guard found.configuration == filling, found.partitions.count == partitionCount else {
                throw EngineError.topicExists(name: target)
            }
        }
        try await requireNoOpenTransaction()
        // Looked at as a whole before anything is written.
        let there = isResumed ? try await digests() : emptyDigests
        var positions =
            policy == .none
            ? MigratedPositions()
            : try await MigratedPositions(of: source, in: engine, targetCount: partitionCount)
        let wanted = try await walk(behind: there, into: nil, &positions)
        if policy == .exact, !positions.repeats.isEmpty { throw inexact(positions) }
        if !isResumed {
            try await engine.createTopic(
                target, partitions: partitionCount, configuration: filling)
        }
        var producerConfiguration = ProducerConfiguration()
        producerConfiguration.compression = configuration.compression ?? .lz4
        // Flushed after each fetch: what one holds fits, however well it was compressed.
        producerConfiguration.bufferBytesMax = .max
        let producer = try engine.producer(producerConfiguration)
        var unused = MigratedPositions()
        _ = try await walk(behind: there, into: producer, &unused)
        var report = Report()
        report.target = try await digests()
        guard report.target == wanted else {
            throw CommandFailure(
                "topic \(target) does not hold what was copied from \(source): it stays as it is, "
                    + "and \(source) is untouched; delete \(target) and begin anew")
        }
        // Before the target is what it is to be: without this, going on does it again.
        for (group, offsets) in positions.offsets(in: target, counts: wanted.map(\.recordCount)) {
            try await engine.commitOffsets(offsets, ofGroup: group)
            report.groups.append(group)
        }
        report.repeats = positions.repeats
        // Synced by this, where the topic is to be.
        let names = Self.fillingSettings.keys.filter { configuration.values[$0] == nil }
        try await engine.alterTopic(
            target, setting: configuration.values, resetting: names.sorted())
        report.keptCount = there.reduce(0) { $0 + $1.recordCount }
        report.copiedCount = wanted.reduce(0) { $0 + $1.recordCount } - report.keptCount
        return report
    }

    private var emptyDigests: [Digest] { Array(repeating: Digest(), count: partitionCount) }

    private func filling(_ configuration: TopicConfiguration) throws -> TopicConfiguration {
        var filling = configuration
        for (name, value) in Self.fillingSettings { try filling.set(name, to: value) }
        return filling
    }

    /// What the target holds now.
    private func digests() async throws -> [Digest] {
        var digests = emptyDigests
        let consumer = try engine.consumer(of: target, ConsumerConfiguration(end: .currentEnd))
        for try await records in consumer {
            try Task.checkCancellation()
            try records.forEachRecord { try digests[Int(records.partition)].add($0) }
        }
        return digests
    }

    /// Walks over the source. With a producer, sends what lies behind what is there.
    ///
    /// - Parameter positions: told of each record.
    /// - Returns: what each target partition shall hold in the end.
    private func walk(
        behind there: [Digest], into producer: Producer?, _ positions: inout MigratedPositions
    ) async throws -> [Digest] {
        var digests = emptyDigests
        var keylessCount = 0
        let sourceCount = try engine.describeTopic(source).partitions.count
        var reading = ConsumerConfiguration(end: .currentEnd)
        reading.isolation = .readCommitted
        for index in 0..<Int32(sourceCount) {
            let consumer = try engine.consumer(of: source, partitions: [index], reading)
            for try await records in consumer {
                try Task.checkCancellation()
                try records.forEachRecord { record in
                    let chosen = try choose(
                        record, in: index, of: sourceCount, &keylessCount)
                    positions.note(
                        partition: index, offset: record.offset, target: chosen,
                        behind: digests[chosen].recordCount)
                    try digests[chosen].add(record)
                    let count = digests[chosen].recordCount
                    if count == there[chosen].recordCount, digests[chosen] != there[chosen] {
                        throw mismatch
                    }
                    guard let producer, count > there[chosen].recordCount else { return }
                    try producer.enqueue(
                        topic: target, partition: Int32(chosen), key: record.key,
                        value: record.value, timestamp: record.timestamp,
                        headers: try Self.headers(of: record))
                }
                if let producer { try await producer.flush() }
            }
        }
        let isBeyond = zip(digests, there).contains { $0.recordCount < $1.recordCount }
        if isBeyond { throw mismatch }
        return digests
    }

    private var mismatch: CommandFailure {
        CommandFailure(
            "topic \(target) holds something else than the beginning of \(source), which may have "
                + "been cleaned or retired from since the copying began: delete \(target) and "
                + "begin anew")
    }

    private func inexact(_ positions: MigratedPositions) -> CommandFailure {
        let groups = positions.repeats.map { group, count in
            "\(group) (\(Format.count(count, "record")))"
        }
        return CommandFailure(
            "groups are not through with topic \(source), and would read records of \(target) "
                + "again that they have read: \(groups.joined(separator: ", ")). Let them read on "
                + "to its end first; or choose --group-offsets at-least-once, or none. Nothing was "
                + "copied")
    }

    /// What lies behind the beginning of an open transaction cannot be read as committed, and would
    /// be left out.
    private func requireNoOpenTransaction() async throws {
        guard let open = try await engine.openTransactions(of: source).first else { return }
        throw CommandFailure(
            "\(source)-\(open.partition) holds a transaction that has not ended (producer "
                + "\(open.producerID), from offset \(open.firstOffset) on): nobody can tell yet "
                + "whether its records count. Let its producer end it, or see 'tally transactions "
                + "hanging'. Nothing was copied")
    }

    /// The target partition. Throws where a key lies where it does not belong: it may lie elsewhere
    /// too, and nobody could tell in which order.
    private func choose(
        _ record: borrowing RecordView, in index: Int32, of sourceCount: Int,
        _ keylessCount: inout Int
    ) throws -> Int {
        guard let key = record.key else {
            keylessCount += 1
            return (keylessCount - 1) % partitionCount
        }
        guard Murmur2.partition(forKey: key, count: Int32(sourceCount)) == index else {
            throw CommandFailure(
                "\(source)-\(index) holds at offset \(record.offset) a key that belongs to another "
                    + "partition: the topic was given more partitions, or written with a "
                    + "partitioner of its own, and the order of such keys cannot be told")
        }
        return Int(Murmur2.partition(forKey: key, count: Int32(partitionCount)))
    }

    private static func headers(of record: borrowing RecordView) throws -> [RecordHeader] {
        guard record.headerCount > 0 else { return [] }
        var headers: [RecordHeader] = []
        var cursor = record.headers
        while let header = try cursor.next() {
            headers.append(
                RecordHeader(
                    name: String(decoding: header.key.array, as: UTF8.self),
                    value: header.value?.array))
        }
        return headers
    }
}
