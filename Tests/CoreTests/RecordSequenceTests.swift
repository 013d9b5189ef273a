import Synchronization
import TallyTestSupport
import Testing

@testable import Tally

/// Records one at a time, and where a consumer stands meanwhile.
@Suite(.timeLimit(.minutes(10))) struct RecordSequenceTests {
    private let directory: TemporaryDirectory
    private let zero = TopicPartition(topic: "a", partition: 0)

    init() throws { directory = try TemporaryDirectory() }

    /// An engine with a topic "a", whose partitions have ten records each, in one batch.
    private func engine(
        partitions: Int32 = 1, _ settings: [String: String] = [:]
    ) async throws -> Engine {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic(
            "a", partitions: Int(partitions), configuration: try TopicConfiguration(settings))
        try await produce(0..<10, partitions, to: engine)
        return engine
    }

    private func produce(
        _ numbers: Range<Int>, _ partitions: Int32, to engine: Engine
    ) async throws {
        var configuration = ProducerConfiguration()
        configuration.lingerMilliseconds = 3_600_000
        let producer = try engine.producer(configuration)
        for partition in 0..<partitions {
            for number in numbers {
                try producer.enqueue("\(partition):\(number)", to: "a", partition: partition)
            }
        }
        try await producer.flush()
    }

    private func member(
        _ engine: Engine, _ change: (inout GroupConsumerConfiguration) -> Void = { _ in }
    ) throws -> GroupConsumer {
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        change(&configuration)
        return try engine.consumer(group: "g", topics: ["a"], configuration)
    }

    private func read(_ count: Int, from records: RecordSequence) async throws -> [String] {
        var values: [String] = []
        for try await record in records {
            values.append(record.valueText ?? "null")
            if values.count == count { break }
        }
        return values
    }

    private func committed(_ engine: Engine) async throws -> Offset? {
        try await engine.committedOffsets(ofGroup: "g")[zero]?.offset
    }

    @Test(
        "records come with everything they have",
        arguments: ["producer"] + Codec.ofThisBuild.map(\.description))
    func wholeRecords(compression: String) async throws {
        let engine = try await engine(["compression.type": compression])
        var record = ProducerRecord(
            topic: "a", key: "k", value: nil, timestamp: .now,
            headers: [
                RecordHeader(name: "trace", value: [1, 2]), RecordHeader(name: "", value: nil),
            ])
        record.partition = 0
        let sent = try await engine.producer().send(record)
        let consumer = try engine.consumer(of: "a", ConsumerConfiguration(end: .currentEnd))
        var all: [ConsumerRecord] = []
        for try await record in consumer.records { all.append(record) }
        #expect(all.map(\.offset) == (0...10).map { Offset($0) })
        #expect(all.dropLast().map(\.valueText) == (0..<10).map { "0:\($0)" })
        #expect(
            all.last
                == ConsumerRecord(
                    topic: "a", partition: 0, offset: sent.offset, timestamp: sent.timestamp,
                    leaderEpoch: all[0].leaderEpoch, key: Array("k".utf8), value: nil,
                    headers: record.headers))
        try await engine.close()
    }

    private func engine(_ settings: [String: String]) async throws -> Engine {
        try await engine(partitions: 1, settings)
    }

    @Test("readers of committed records see none of an aborted transaction")
    func aborted() async throws {
        let engine = try await engine()
        var configuration = ProducerConfiguration()
        configuration.transactionalID = "t"
        let producer = try engine.producer(configuration)
        try await producer.initTransactions()
        for isCommitted in [false, true] {
            try producer.beginTransaction()
            try producer.enqueue(isCommitted ? "yes" : "no", to: "a", partition: 0)
            try await isCommitted ? producer.commitTransaction() : producer.abortTransaction()
        }
        var reading = ConsumerConfiguration(start: .offset(Offset(9)), end: .currentEnd)
        reading.isolation = .readCommitted
        let consumer = try engine.consumer(of: "a", reading)
        #expect(try await read(9, from: consumer.records) == ["0:9", "yes"])
        #expect(consumer.lag == [0: 0])
        try await engine.close()
    }

    @Test("a loop that ends inside a batch commits behind its last record, and goes on there")
    func insideBatch() async throws {
        let engine = try await engine()
        let first = try member(engine)
        #expect(try await read(3, from: first.records) == ["0:0", "0:1", "0:2"])
        #expect(first.positions == [zero: Offset(3)] && first.lag == [zero: 7])
        try await first.commit()
        #expect(try await committed(engine) == Offset(3))
        // By records again, or by fetches: nothing is left out.
        #expect(try await read(2, from: first.records) == ["0:3", "0:4"])
        var iterator = first.makeAsyncIterator()
        let fetched = try await iterator.next()
        #expect(fetched?.startOffset == Offset(5) && fetched?.nextOffset == Offset(10))
        try await first.close()
        let second = try member(engine)
        var last: ConsumerRecord?
        for try await record in second.records {
            last = record
            if record.offset == Offset(6) { break }
        }
        try await second.commit(try #require(last))
        #expect(try await committed(engine) == Offset(7))
        try await second.close()
        try await engine.close()
    }

    @Test("automatic commits hold the record that was returned for more, and not its batch")
    func autoCommit() async throws {
        let engine = try await engine()
        let consumer = try member(engine) {
            $0.isAutoCommitting = true
            $0.autoCommitIntervalMilliseconds = 0
        }
        var iterator = consumer.records.makeAsyncIterator()
        for number in 0..<4 {
            #expect(try await iterator.next()?.offset == Offset(Int64(number)))
            // A position in front of the first record is one, too.
            #expect(try await committed(engine) ?? .zero == Offset(Int64(number)))
        }
        try await consumer.close()
        #expect(try await committed(engine) == Offset(3))
        try await engine.close()
    }

    @Test("seeking and pausing inside a batch count before the next record")
    func seekInside() async throws {
        let engine = try await engine(partitions: 2)
        let consumer = try engine.consumer(of: "a")
        var iterator = consumer.records.makeAsyncIterator()
        #expect(try await iterator.next()?.valueText == "0:0")
        try await consumer.seek(partition: 0, to: .offset(Offset(8)))
        var values: [String] = []
        for _ in 0..<12 { values.append(try await iterator.next()?.valueText ?? "end") }
        #expect(values.filter { $0.hasPrefix("0") } == ["0:8", "0:9"])
        #expect(values.filter { $0.hasPrefix("1") } == (0..<10).map { "1:\($0)" })

        try await consumer.seek(partition: 0, to: .earliest)
        #expect(try await iterator.next()?.valueText == "0:0")
        try consumer.pause([0])
        try await consumer.seek(partition: 1, to: .offset(Offset(9)))
        #expect(try await iterator.next()?.valueText == "1:9")
        #expect(consumer.positions[0] == Offset(1))
        try consumer.resume([0])
        #expect(try await iterator.next()?.valueText == "0:1")
        try await engine.close()
    }

    @Test(
        "a rebalance takes partitions between two records: none is lost, none is seen twice",
        arguments: [Assignor.range, .cooperativeSticky])
    func rebalance(assignor: Assignor) async throws {
        let engine = try await engine(partitions: 4)
        let seen = Mutex<[String]>([])
        let read = { @Sendable (consumer: GroupConsumer) async throws in
            for try await record in consumer.records {
                seen.withLock { $0.append(record.valueText ?? "null") }
                // Slow enough for the group to change inside of a batch.
                try await Task.sleep(for: .milliseconds(20))
                // A commit may be overtaken by the rebalance: then the record comes again.
                do { try await consumer.commit(record) } catch EngineError.group {}
            }
        }
        let first = try member(engine) { $0.assignors = [assignor] }
        let readings = [Task { try await read(first) }]
        #expect(try await eventually { seen.withLock { !$0.isEmpty } })
        let second = try member(engine) { $0.assignors = [assignor] }
        let later = Task { try await read(second) }
        #expect(try await eventually { first.assignment.count == 2 })
        #expect(seen.withLock { Set($0).count } < 40, "it was between two records")
        #expect(try await eventually { seen.withLock { Set($0).count } == 40 })
        try await first.close()
        try await second.close()
        for reading in readings + [later] { try await reading.value }
        let values = seen.withLock { $0 }
        #expect(values.count <= 42, "\(values)")
        for partition in 0..<4 {
            let numbers = values.filter { $0.hasPrefix("\(partition):") }.map { $0.dropFirst(2) }
            #expect(numbers == numbers.sorted())
        }
        try await engine.close()
    }
}
