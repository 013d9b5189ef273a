import Foundation
import Tally
import TallyCommand
import TallyTestSupport
import Testing

/// An engine whose topics are those of a contract of the gallery, made by `tally topics apply`.
struct DesignEngine {
    let engine: Engine
    private let contract: String
    private let directory: TemporaryDirectory

    init(contract: String) async throws {
        self.contract = contract
        directory = try TemporaryDirectory()
        let run = try TallyProgram.run(
            ["topics", "apply", Self.path(of: contract), "--data", directory.path])
        #expect(run.exitCode == 0, "\(run.output)")
        engine = try await Engine.open(at: directory.path)
    }

    static func path(of contract: String) -> String {
        Fixtures.path("designs/\(contract).yaml")
    }

    func close() async throws {
        try await engine.close()
        directory.close()
    }

    /// The partitions of a topic.
    func partitions(of topic: String) throws -> [PartitionDescription] {
        try #require(try engine.topics().first { $0.name == topic }).partitions
    }

    /// Sends records of one topic in order, with the acknowledgements that the page promises for
    /// it, and fails the test where one of them is not stored.
    func send(
        _ records: [ProducerRecord], batchBytes: Int = 2_048, partitioner: Partitioner? = nil
    ) async throws {
        var configuration = ProducerConfiguration()
        configuration.batchBytes = batchBytes
        configuration.partitioner = partitioner
        let acknowledgements = try Set(records.map(\.topic)).map { topic in
            try DesignPromise.of(topic, in: contract).acknowledgements
        }
        let all = Set(acknowledgements)
        try #require(all.count <= 1, "records of one call want one kind of acknowledgement")
        configuration.acknowledgements = all.first ?? .all
        for outcome in try await engine.producer(configuration).send(records) {
            _ = try outcome.get()
        }
    }

    /// One record as it was read.
    struct Read {
        var partition: Int32
        var key: String?
        var value: String
        var timestamp: Timestamp

        /// The number of the event that it was made of; -1 where it was made of none.
        var number: Int { Self.number(of: value) }

        /// The number in a value.
        static func number(of value: String) -> Int {
            (Int(value.prefix(13)) ?? numberOffset - 1) - numberOffset
        }

        private static let numberOffset = 1_000_000_000_000

        /// The value for an event; all are of one length, so that bytes spread as records do.
        static func value(of event: DesignEvent) -> String {
            "\(numberOffset + event.number) and the rest"
        }
    }

    /// All records that a topic has now; those of a partition in their order.
    func records(of topic: String) async throws -> [Read] {
        var all: [Read] = []
        let configuration = ConsumerConfiguration(end: .currentEnd)
        for try await records in try engine.consumer(of: topic, configuration) {
            try records.forEachRecord { record in
                all.append(
                    Read(
                        partition: records.partition, key: record.keyText,
                        value: record.valueText ?? "", timestamp: record.timestamp))
            }
        }
        return all
    }

    /// How far a group is behind in each partition, after it has had the time to read `pace`
    /// records of each: it takes what is there up to that many, and commits.
    func lag(of topic: String, atRecordsPerPartition pace: Int) async throws -> [Int32: Int64] {
        var ends: [TopicPartition: Offset] = [:]
        for partition in try partitions(of: topic) {
            ends[TopicPartition(topic: topic, partition: partition.index)] =
                partition.highWatermark
        }
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        // A batch at a time, so that partitions take turns.
        configuration.reading.fetchBytesMax = 1
        let consumer = try engine.consumer(group: "readers", topics: [topic], configuration)
        var left = ends.filter { $0.value > .zero }.mapValues { _ in pace }
        var positions: [TopicPartition: OffsetToCommit] = [:]
        var iterator = consumer.makeAsyncIterator()
        while !left.isEmpty, let records = try await iterator.next() {
            let id = TopicPartition(topic: topic, partition: records.partition)
            guard var rest = left[id] else { continue }
            var position = records.startOffset
            try records.forEachRecord { record in
                guard rest > 0 else { return }
                rest -= 1
                position = record.offset.advanced(by: 1)
            }
            positions[id] = OffsetToCommit(offset: position)
            let isThrough = rest == 0 || position == ends[id]
            left[id] = isThrough ? nil : rest
            if isThrough { try consumer.pause([id]) }
        }
        try await consumer.commit(positions)
        try await consumer.close()
        let committed = try await engine.committedOffsets(ofGroup: "readers")
        var lag: [Int32: Int64] = [:]
        for (id, end) in ends {
            lag[id.partition] = end.rawValue - (committed[id]?.offset ?? .zero).rawValue
        }
        return lag
    }
}

extension DesignEngine.Read {
    /// The record of an event, as read from, or by, this one.
    init(partition: Int32, _ event: DesignEvent) {
        self.init(
            partition: partition, key: nil, value: Self.value(of: event), timestamp: event.time)
    }
}

extension [DesignEngine.Read] {
    /// Whether records of events that `name` gives the same text lie in one partition, in the
    /// order of sending: nil, or a text that tells where not. Each partition's records are in the
    /// log's order.
    func disorder(of events: [DesignEvent], by name: (DesignEvent) -> String) -> String? {
        var last: [String: (partition: Int32, number: Int)] = [:]
        for record in self {
            let (partition, number) = (record.partition, record.number)
            let name = name(events[number])
            if let last = last[name], last.partition != partition || last.number >= number {
                return "\(name): event \(number) of partition \(partition) came after event "
                    + "\(last.number) of partition \(last.partition)"
            }
            last[name] = (partition, number)
        }
        return nil
    }

    /// How they spread, as `tally topics skew` reckons it.
    func skew(partitionCount: Int) -> TopicSkew {
        var skew = TopicSkew(
            partitionCount: partitionCount, isCompacted: false, counterCount: 1_000)
        for record in self {
            let key = record.key.map { [UInt8]($0.utf8) }
            skew.note(
                partition: Int(record.partition), key: key?.span.bytes,
                byteCount: record.value.utf8.count)
        }
        return skew
    }
}
