import Foundation
import TallyTestSupport
import Testing

@testable import Tally

/// A consumer that reads partitions of several topics, without a group.
@Suite(.timeLimit(.minutes(10))) struct AssignedConsumerTests {
    private let directory: TemporaryDirectory
    private let a0 = TopicPartition(topic: "a", partition: 0)
    private let a1 = TopicPartition(topic: "a", partition: 1)
    private let b0 = TopicPartition(topic: "b", partition: 0)
    private let b2 = TopicPartition(topic: "b", partition: 2)

    init() throws { directory = try TemporaryDirectory() }

    /// Topics "a" with two partitions and "b" with three, with so many records in each partition,
    /// a batch each; the values are partition and offset.
    private func engine(
        records: Int = 10, more: [TopicPartition: Int] = [:]
    ) async throws -> Engine {
        let engine = try await Engine.open(at: directory.path)
        for (topic, partitions) in [("a", 2), ("b", 3)] {
            try await engine.createTopic(topic, partitions: partitions)
            for partition in 0..<Int32(partitions) {
                let id = TopicPartition(topic: topic, partition: partition)
                try await fill(engine, id, from: 0, count: more[id] ?? records)
            }
        }
        return engine
    }

    private func fill(
        _ engine: Engine, _ id: TopicPartition, from first: Int, count: Int
    ) async throws {
        // Each a batch of its own.
        var configuration = ProducerConfiguration()
        configuration.batchBytes = 1
        let producer = try engine.producer(configuration)
        for number in first..<(first + count) {
            try producer.enqueue("\(id) \(number)", to: id.topic, partition: id.partition)
        }
        try await producer.flush()
    }

    /// An element of one batch each.
    private func batchwise(_ end: StoppingPosition = .currentEnd) -> ConsumerConfiguration {
        var configuration = ConsumerConfiguration(end: end)
        configuration.fetchBytesMax = 1
        return configuration
    }

    private func values(_ records: ConsumedRecords) throws -> [String] {
        var values: [String] = []
        try records.forEachRecord { values.append($0.valueText ?? "null") }
        return values
    }

    /// Everything up to the end, in the order of reading.
    private func rest(_ consumer: Consumer) async throws -> [String] {
        var values: [String] = []
        for try await records in consumer { values += try self.values(records) }
        return values
    }

    private func expected(_ id: TopicPartition, _ offsets: Range<Int>) -> [String] {
        offsets.map { "\(id) \($0)" }
    }

    @Test("partitions of several topics take turns, each in its order, and no others are read")
    func turns() async throws {
        let engine = try await engine(more: [b2: 40])
        let consumer = try engine.consumer(assigning: [a1, b0, b2], batchwise())
        #expect(consumer.assignment == [a1, b0, b2])
        var order: [TopicPartition] = []
        var read: [TopicPartition: [String]] = [:]
        for try await records in consumer {
            let id = TopicPartition(topic: records.topic, partition: records.partition)
            order.append(id)
            read[id, default: []] += try values(records)
        }
        #expect(
            read == [
                a1: expected(a1, 0..<10), b0: expected(b0, 0..<10), b2: expected(b2, 0..<40),
            ])
        // The one with many records holds nobody up: as long as all have some, each has its turn.
        for round in 0..<10 {
            #expect(Set(order.dropFirst(3 * round).prefix(3)) == [a1, b0, b2])
        }
        try await engine.close()
    }

    @Test("each partition is sought, paused and resumed, and has its position and lag, by itself")
    func positions() async throws {
        let engine = try await engine()
        let consumer = try engine.consumer(assigning: [a0, b0], batchwise())
        #expect(consumer.positions == [:] && consumer.lag == [a0: 10, b0: 10])
        try await consumer.seek(b0, to: .offset(Offset(8)))
        try consumer.pause([a0])
        var iterator = consumer.makeAsyncIterator()
        for offset in 8..<10 {
            let records = try #require(try await iterator.next())
            #expect(try values(records) == expected(b0, offset..<(offset + 1)))
        }
        #expect(consumer.positions[b0] == Offset(10) && consumer.lag == [a0: 10, b0: 0])
        try await consumer.seek(a0, to: .offset(Offset(7)))
        #expect(consumer.lag[a0] == 3)
        try consumer.resume([a0])
        #expect(try await rest(consumer) == expected(a0, 7..<10))
        #expect(consumer.positions == [a0: Offset(10), b0: Offset(10)])
        #expect(try await consumer.beginningOffsets() == [a0: .zero, b0: .zero])
        #expect(try await consumer.endOffsets([b0]) == [b0: Offset(10)])
        let found = try await consumer.offsetsForTimes([a1: Timestamp(milliseconds: 0)])
        #expect(found[a1]?.offset == .zero)

        let refusal = EngineError.notAssigned(partition: "a-1", group: nil)
        await #expect(throws: refusal) { try await consumer.seek(a1, to: .earliest) }
        #expect(throws: refusal) { try consumer.pause([a1]) }
        #expect("\(refusal)".contains("does not read a-1"))
        let a7 = TopicPartition(topic: "a", partition: 7)
        await #expect(throws: EngineError.unknownPartition(topic: "a", partition: 7, count: 2)) {
            try await consumer.seek(a7, to: .earliest)
        }
        try await engine.close()
    }

    @Test("a position that is not in the log is mended, or thrown, for its partition alone")
    func reset() async throws {
        let engine = try await engine()
        for topic in ["a", "b"] {
            _ = try await engine.deleteRecords(ofTopic: topic, partition: 0, before: Offset(4))
        }
        var configuration = batchwise()
        configuration.start = .offset(Offset(2))
        configuration.reset = .earliest
        let mending = try engine.consumer(assigning: [a0, a1, b0], configuration)
        try await mending.seek(b0, to: .offset(Offset(9)))
        let values = try await rest(mending)
        #expect(values.filter { $0.hasPrefix("a-0") } == expected(a0, 4..<10))
        #expect(values.filter { $0.hasPrefix("a-1") } == expected(a1, 2..<10))
        #expect(values.filter { $0.hasPrefix("b-0") } == expected(b0, 9..<10))

        configuration.reset = .none
        let telling = try engine.consumer(assigning: [a0, b2], configuration)
        var read: [String] = []
        var refused = 0
        var iterator = telling.makeAsyncIterator()
        for _ in 0..<16 {
            do {
                read += try self.values(try #require(try await iterator.next()))
            } catch LogError.offsetOutOfRange(let range) {
                #expect(range.partition == "a-0" && range.logStart == Offset(4))
                refused += 1
            }
        }
        #expect(read == expected(b2, 2..<10) && refused == 8, "they take turns all the same")
        try await telling.seek(a0, to: .offset(Offset(8)))
        #expect(try await rest(telling) == expected(a0, 8..<10))
        try await engine.close()
    }

    @Test("its offsets are committed for a group, and another consumer goes on behind them")
    func commits() async throws {
        let engine = try await engine()
        let first = try engine.consumer(assigning: [a0, b2], batchwise())
        var before: [String] = []
        var iterator = first.makeAsyncIterator()
        for _ in 0..<6 { before += try values(try #require(try await iterator.next())) }
        #expect(first.offsetsToCommit.mapValues(\.offset) == first.positions)
        try await engine.commitOffsets(first.offsetsToCommit, ofGroup: "audit")
        let committed = try await engine.committedOffsets(ofGroup: "audit")
        #expect(committed.mapValues(\.offset) == [a0: Offset(3), b2: Offset(3)])
        #expect(committed.values.allSatisfy { $0.leaderEpoch != .none })
        let lags = try await engine.lag(ofGroup: "audit").filter { $0.committed != nil }
        #expect(lags.map(\.lag) == [7, 7])

        let second = try engine.consumer(assigning: [a0, b2], batchwise())
        for (partition, offset) in committed {
            try await second.seek(partition, to: .offset(offset.offset))
        }
        let all = before + (try await rest(second))
        for id in [a0, b2] {
            #expect(all.filter { $0.hasPrefix("\(id) ") } == expected(id, 0..<10))
        }
        try await engine.close()
    }

    @Test("assigned anew, what stays goes on where it is, what is new begins, what is gone is gone")
    func assignment() async throws {
        let engine = try await engine()
        let consumer = try engine.consumer(assigning: [a0, b0], batchwise())
        for id in [a0, b0] { try await consumer.seek(id, to: .offset(Offset(8))) }
        try consumer.pause([b0])
        #expect(throws: EngineError.self) {
            try consumer.assign([a1, TopicPartition(topic: "none", partition: 0)])
        }
        #expect(throws: EngineError.self) { try consumer.assign([]) }
        #expect(consumer.assignment == [a0, b0], "nothing has changed")
        try consumer.assign([b0, a1])
        try consumer.resume([b0])
        let values = try await rest(consumer)
        #expect(values.filter { $0.hasPrefix("b-0") } == expected(b0, 8..<10))
        #expect(values.filter { $0.hasPrefix("a-1") } == expected(a1, 0..<10))
        #expect(values.count == 12)
        try await engine.close()
    }

    @Test("a consumer that waits reads what it is assigned meanwhile, and waits for nothing else")
    func assignedWhileWaiting() async throws {
        let engine = try await engine(records: 1)
        var configuration = batchwise(.never)
        configuration.start = .latest
        let consumer = try engine.consumer(assigning: [a0], configuration)
        let waiting = Task {
            for try await records in consumer { return try values(records) }
            return []
        }
        let waited = try engine.partition(0, of: "a")
        #expect(try await eventually { waited.arrivals.count == 1 })
        try consumer.assign([b2])
        let awaited = try engine.partition(2, of: "b")
        #expect(
            try await eventually { awaited.arrivals.count == 1 && waited.arrivals.count == 0 })
        try await fill(engine, a0, from: 1, count: 1)
        try await fill(engine, b2, from: 1, count: 1)
        #expect(try await waiting.value == expected(b2, 1..<2))
        try await engine.close()
    }

    @Test("a topic that was deleted is an error until it is let go of, or taken anew")
    func deletedTopic() async throws {
        let engine = try await engine()
        let consumer = try engine.consumer(assigning: [a0, b0], batchwise())
        for id in [a0, b0] { try await consumer.seek(id, to: .offset(Offset(9))) }
        try await engine.deleteTopic("a")
        await #expect(throws: EngineError.unknownTopic(name: "a", known: ["b"])) {
            try await rest(consumer)
        }
        try consumer.assign([b0])
        #expect(try await rest(consumer) == expected(b0, 9..<10))
        try consumer.assign([b0, b2])
        try await engine.deleteTopic("b")
        try await engine.createTopic("b", partitions: 3)
        try await fill(engine, b0, from: 0, count: 2)
        await #expect(throws: EngineError.topicReplaced(name: "b")) { try await rest(consumer) }
        try consumer.assign([b0])
        #expect(try await rest(consumer) == expected(b0, 0..<2), "from its beginning")
        try await engine.close()
    }
}
