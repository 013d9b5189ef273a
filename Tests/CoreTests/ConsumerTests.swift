import Foundation
import TallyTestSupport
import Testing

@testable import Tally

@Suite(.timeLimit(.minutes(10))) struct ConsumerTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// An engine with a topic "a", ten records in one batch of partition 0, a second apart.
    private func engine(
        partitions: Int = 1, _ settings: [String: String] = [:]
    ) async throws -> Engine {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic(
            "a", partitions: partitions, configuration: try TopicConfiguration(settings))
        var configuration = ProducerConfiguration()
        configuration.lingerMilliseconds = 3_600_000
        let producer = try engine.producer(configuration)
        for number in 0..<10 {
            let value = Array("\(number)".utf8)
            try producer.enqueue(
                topic: "a", partition: 0, key: nil, value: value.span.bytes,
                timestamp: Timestamp(milliseconds: Int64(number) * 1000))
        }
        try await producer.flush()
        return engine
    }

    /// The values of the next element.
    private func next(_ consumer: TopicConsumer) async throws -> [String] {
        var iterator = consumer.makeAsyncIterator()
        var values: [String] = []
        try await iterator.next()?.forEachRecord { values.append($0.valueText ?? "null") }
        return values
    }

    @Test("a position behind the log is an error with the bounds, and no silent end")
    func behindLog() async throws {
        let engine = try await engine()
        for end in [StoppingPosition.currentEnd, .never] {
            let consumer = try engine.consumer(
                of: "a", ConsumerConfiguration(start: .offset(Offset(11)), end: end))
            do {
                _ = try await next(consumer)
                Issue.record("it ended in silence")
            } catch LogError.offsetOutOfRange(let range) {
                #expect(range.requested == Offset(11) && range.logEnd == Offset(10))
            }
        }
        // At the end there is nothing wrong.
        let consumer = try engine.consumer(
            of: "a", ConsumerConfiguration(start: .offset(Offset(10)), end: .currentEnd))
        #expect(try await next(consumer) == [])
        try await engine.close()
    }

    @Test("the lag of a position before the log counts what the log has")
    func lagBeforeLog() async throws {
        let engine = try await engine()
        let consumer = try engine.consumer(of: "a")
        for (offset, lag) in [(Int64.min, Int64(10)), (-1, 10), (4, 6), (.max, 0)] {
            try await consumer.seek(partition: 0, to: .offset(Offset(offset)))
            #expect(consumer.lag == [0: lag])
        }
        try await engine.close()
    }

    @Test("seeking goes to an offset in the middle of a batch, to a time, and to the ends")
    func seek() async throws {
        let engine = try await engine()
        let consumer = try engine.consumer(of: "a", ConsumerConfiguration(end: .currentEnd))
        #expect(consumer.positions[0] == .some(nil) && consumer.lag == [0: 10])
        #expect(try await next(consumer) == (0..<10).map(String.init))
        #expect(consumer.positions == [0: Offset(10)] && consumer.lag == [0: 0])
        let targets: [(StartingPosition, [String])] = [
            (.offset(Offset(7)), ["7", "8", "9"]), (.earliest, (0..<10).map(String.init)),
            (.time(Timestamp(milliseconds: 7500)), ["8", "9"]), (.latest, []),
            (.time(Timestamp(milliseconds: 9001)), []), (.offset(Offset(10)), []),
        ]
        for (target, values) in targets {
            try await consumer.seek(partition: 0, to: target)
            #expect(try await next(consumer) == values)
        }
        try await consumer.seek(partition: 0, to: .offset(Offset(3)))
        #expect(consumer.positions == [0: Offset(3)] && consumer.lag == [0: 7])
        await #expect(
            throws: EngineError.unknownPartition(topic: "a", partition: 4, count: 1)
        ) { try await consumer.seek(partition: 4, to: .earliest) }
        try await engine.close()
    }

    @Test("an offset outside the log is thrown with the bounds")
    func outOfRange() async throws {
        let engine = try await engine()
        for offset in [Int64(-1), 11] {
            let start = ConsumerConfiguration(start: .offset(Offset(offset)))
            do {
                _ = try await next(engine.consumer(of: "a", start))
                Issue.record("offset \(offset) was read")
            } catch LogError.offsetOutOfRange(let range) {
                #expect(range.requested == Offset(offset))
                #expect(range.logStart == .zero && range.logEnd == Offset(10))
            }
        }
        try await engine.close()
    }

    @Test("from the latest on, only what comes later is seen")
    func latest() async throws {
        let engine = try await engine()
        let consumer = try engine.consumer(of: "a", ConsumerConfiguration(start: .latest))
        try await consumer.seek(partition: 0, to: .latest)
        let waiting = Task { try await next(consumer) }
        _ = try await engine.producer().send(key: nil, value: "later", to: "a")
        #expect(try await waiting.value == ["later"])
        try await engine.close()
    }

    @Test("two consumers follow one log, each for itself")
    func two() async throws {
        let engine = try await engine(partitions: 2)
        let counts = (0..<2).map { _ in
            Task {
                var count = 0
                for try await records in try engine.consumer(of: "a") {
                    try records.forEachRecord { _ in count += 1 }
                    if count >= 110 { break }
                }
                return count
            }
        }
        let producer = try engine.producer()
        for number in 0..<100 {
            _ = try await producer.send(key: "\(number)", value: "x", to: "a")
        }
        for count in counts { #expect(try await count.value == 110) }
        try await engine.close()
    }

    @Test("cancelling ends a consumer that waits")
    func cancel() async throws {
        let engine = try await engine()
        let consumer = try engine.consumer(of: "a", ConsumerConfiguration(start: .latest))
        let waiting = Task { try await next(consumer) }
        #expect(try await eventually { engine.partitions[0].arrivals.count == 1 })
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        try await engine.close()
    }

    @Test("closing the engine, and deleting the topic, end consumers that wait")
    func end() async throws {
        for isDeleting in [false, true] {
            let engine = try await engine()
            let consumer = try engine.consumer(of: "a", ConsumerConfiguration(start: .latest))
            let waiting = Task { try await next(consumer) }
            #expect(try await eventually { engine.partitions[0].arrivals.count == 1 })
            if isDeleting {
                try await engine.deleteTopic("a")
                await #expect(throws: EngineError.unknownTopic(name: "a", known: [])) {
                    try await waiting.value
                }
                try await engine.createTopic("a", partitions: 1)
                await #expect(throws: EngineError.topicReplaced(name: "a")) {
                    try await next(consumer)
                }
            }
            try await engine.close()
            if !isDeleting {
                await #expect(throws: EngineError.closed) { try await waiting.value }
                let reopened = try await Engine.open(at: directory.path)
                try await reopened.deleteTopic("a")
                try await reopened.close()
            }
        }
    }

    @Test("a consumer that waits behind the end keeps no other one from being woken")
    func farWatcher() async throws {
        let engine = try await engine()
        let partition = engine.partitions[0]
        let mark = try partition.log.highWatermarkWatermark
        // Sought there while it was about to wait, so that no read has refused the offset.
        let far = Arrival()
        partition.arrivals.wake(far, behind: Offset(1000), of: mark)
        let near = Arrival()
        partition.arrivals.wake(near, behind: mark.offset, of: mark)
        #expect(near.count == 0)
        _ = try await engine.producer().send(key: nil, value: "new", to: "a")
        #expect(try await eventually { near.count == 1 })
        try await engine.close()
    }

    @Test("a stopped partition does not keep its consumers busy")
    func stopped() async throws {
        let engine = try await engine()
        let mark = try engine.partitions[0].log.highWatermarkWatermark
        let arrivals = Arrivals()
        let arrival = Arrival()
        arrivals.wake(arrival, behind: mark.offset, of: mark)
        _ = try engine.partitions[0].log.close()
        // The log has failed whoever waited; asking it again would fail at once, for ever.
        arrivals.wake(arrival, behind: mark.offset, of: mark)
        #expect(arrival.count == 0)
        arrivals.end()
        #expect(arrival.count == 1)
        try await engine.close()
    }

    @Test("consumers that come and go leave nothing behind in quiet partitions")
    func watchers() async throws {
        let engine = try await engine(partitions: 4)
        for _ in 0..<20 {
            let start = ConsumerConfiguration(start: .latest)
            let waiting = Task { try await next(try engine.consumer(of: "a", start)) }
            let all = engine.partitions
            #expect(try await eventually { all.allSatisfy { $0.arrivals.count == 1 } })
            waiting.cancel()
            _ = try? await waiting.value
            #expect(try await eventually { all.allSatisfy { $0.arrivals.count == 0 } })
        }
        // One that stays while one partition gets records waits once in each.
        let consumer = try engine.consumer(of: "a", ConsumerConfiguration(start: .latest))
        for partition in Int32(0)..<4 {
            try await consumer.seek(partition: partition, to: .latest)
        }
        let producer = try engine.producer()
        for number in 0..<50 {
            let waiting = Task { try await next(consumer) }
            let record = ProducerRecord(
                topic: "a", partition: 2, key: nil as String?, value: "\(number)")
            _ = try await producer.send(record)
            #expect(try await waiting.value == ["\(number)"])
            #expect(engine.partitions.allSatisfy { $0.arrivals.count <= 1 })
        }
        try await engine.close()
    }

    @Test("in LogAppendTime topics the log's time counts, for sender and reader")
    func logAppendTime() async throws {
        let engine = try await engine(["message.timestamp.type": "LogAppendTime"])
        let before = Timestamp.now
        let record = ProducerRecord(
            topic: "a", key: nil as String?, value: "x", timestamp: Timestamp(milliseconds: 5))
        let sent = try await engine.producer().send(record)
        #expect(sent.timestamp >= before)
        var stamps: [Timestamp] = []
        let start = ConsumerConfiguration(start: .offset(sent.offset), end: .currentEnd)
        for try await records in try engine.consumer(of: "a", start) {
            try records.forEachRecord { stamps.append($0.timestamp) }
        }
        #expect(stamps == [sent.timestamp])
        try await engine.close()
    }

    @Test("a topic's compression is used whatever the producer says", arguments: Codec.ofThisBuild)
    func compressed(codec: Codec) async throws {
        let engine = try await engine(["compression.type": "\(codec)"])
        var codecs: [Codec] = []
        let configuration = ConsumerConfiguration(end: .currentEnd)
        for try await records in try engine.consumer(of: "a", configuration) {
            try records.forEachBatch { codecs.append($0.header.attributes.codec) }
        }
        #expect(codecs == [codec])
        #expect(try await engine.values(of: "a")[0] == (0..<10).map(String.init))
        let offset = StartingPosition.offset(Offset(8))
        #expect(try await engine.values(of: "a", from: offset)[0] == ["8", "9"])
        try await engine.close()
    }

    @Test("markers of transactions are no records, in a partition that Kafka wrote")
    func transactions() async throws {
        let name = "golden-transactions"
        try FileManager.default.copyItem(
            atPath: Fixtures.path("kafka-golden/partitions/\(name)-0"),
            toPath: directory.path("\(name)-0"))
        let engine = try await Engine.open(at: directory.path)
        var markers = 0
        let configuration = ConsumerConfiguration(end: .currentEnd)
        for try await records in try engine.consumer(of: name, configuration) {
            try records.forEachBatch { markers += $0.header.attributes.isControl ? 1 : 0 }
        }
        #expect(markers > 0)
        #expect(try await engine.values(of: name)[0]?.count == 71 - markers)
        #expect(try engine.describeTopic(name).partitions[0].logEnd == Offset(71))
        try await engine.close()
    }
}
