import Foundation
import Tally
import TallyKafka
import TallyTestSupport
import Testing

/// The same code against an engine and against a cluster.
@Suite("Backends", .timeLimit(.minutes(5))) struct BackendTests {
    @Test("records are sent in all three ways, and read in order", arguments: Place.allCases)
    func sendAndRead(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await engine.createTopic("stock", partitions: 3)
            let producer = try backend.producer()
            let first = try await producer.send(key: "a", value: "0", to: "stock")
            #expect(first.topic == "stock" && first.offset == .zero)
            let second = try await producer.send(key: "a", value: "1", to: "stock")
            #expect(second.partition == first.partition && second.offset == Offset(1))
            let outcomes = await producer.send(
                (0..<30).map {
                    ProducerRecord(
                        topic: "stock", partition: Int32($0 % 3), key: nil, value: "batch \($0)")
                } + [ProducerRecord(topic: "stock", partition: 7, key: nil, value: "x")])
            #expect(outcomes.count == 31)
            for outcome in outcomes.dropLast() { _ = try outcome.get() }
            #expect(throws: EngineError.self) { try outcomes[30].get() }
            let reports = producer.deliveryReports()
            let value = Array("enqueued".utf8)
            for token in 0..<5 {
                try producer.enqueue(
                    topic: "stock", partition: 1, key: nil, value: value.span.bytes,
                    token: UInt64(token))
            }
            try await producer.flush()
            var tokens: [UInt64: Offset?] = [:]
            for try await batch in reports {
                for report in batch {
                    #expect(report.error == nil && report.partition == 1)
                    for record in report.records { tokens[record.token] = record.offset }
                }
                if tokens.count == 5 { break }
            }
            let offsets = (0..<5).compactMap { tokens[UInt64($0)] ?? nil }
            #expect(offsets == offsets.sorted() && offsets.count == 5)
            let read = try await values(of: "stock", in: backend)
            #expect(read == (try await values(of: "stock", in: .embedded(engine))))
            #expect(read[1]?.suffix(5) == Array(repeating: "enqueued", count: 5)[...])
            #expect(read[first.partition]?.prefix(2) == ["0", "1"])
            #expect(read.values.reduce(0) { $0 + $1.count } == 37)
        }
    }

    @Test("headers, nulls, times and codecs are what was sent", arguments: Place.allCases)
    func content(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await engine.createTopic("a", partitions: 1)
            for codec in Codec.allCases where codec.isSupported {
                var configuration = ProducerConfiguration()
                configuration.compression = codec
                let producer = try backend.producer(configuration)
                _ = try await producer.send(
                    ProducerRecord(
                        topic: "a", key: [1, 2], value: nil,
                        timestamp: Timestamp(milliseconds: 1_700_000_000_000),
                        headers: [
                            RecordHeader(name: "h", value: [9]), RecordHeader(name: "", value: nil),
                        ]))
            }
            var configuration = ConsumerConfiguration(end: .currentEnd)
            configuration.isolation = .readCommitted
            let zero = TopicPartition(topic: "a", partition: 0)
            let consumer = try backend.consumer(assigning: [zero], configuration)
            var count = 0
            for try await record in consumer.records {
                #expect(record.key == [1, 2] && record.value == nil)
                #expect(record.timestamp.rawValue == 1_700_000_000_000)
                #expect(record.headers.map(\.value) == [[9], nil])
                #expect(record.offset == Offset(Int64(count)))
                count += 1
            }
            #expect(count == Codec.allCases.filter(\.isSupported).count)
            #expect(consumer.positions == [zero: Offset(Int64(count))])
        }
    }

    @Test("positions, seeking, pausing and times are the same", arguments: Place.allCases)
    func positions(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await engine.createTopic("a", partitions: 2)
            let producer = try backend.producer()
            for number in 0..<20 {
                _ = try await producer.send(
                    ProducerRecord(
                        topic: "a", partition: Int32(number % 2), key: nil, value: "\(number)",
                        timestamp: Timestamp(milliseconds: 1000 * Int64(number + 1))))
            }
            let all = try await backend.partitions(ofTopic: "a")
            let (zero, one) = (
                TopicPartition(topic: "a", partition: 0), TopicPartition(topic: "a", partition: 1)
            )
            #expect(all == [zero, one])
            let consumer = try backend.consumer(assigning: [zero])
            #expect(try await consumer.beginningOffsets() == [zero: .zero])
            #expect(try await consumer.endOffsets(all) == [zero: Offset(10), one: Offset(10)])
            let found = try await consumer.offsetsForTimes([
                zero: Timestamp(milliseconds: 5000), one: Timestamp(milliseconds: 99_000),
            ])
            #expect(
                found == [
                    zero: OffsetAndTimestamp(
                        offset: Offset(2), timestamp: Timestamp(milliseconds: 5000))
                ])
            try await consumer.seek(zero, to: .time(Timestamp(milliseconds: 15_000)))
            var iterator = consumer.records.makeAsyncIterator()
            #expect(try await iterator.next()?.valueText == "14")
            #expect(consumer.positions == [zero: Offset(8)])
            #expect(consumer.lag == [zero: 2])
            #expect(consumer.offsetsToCommit[zero]?.offset == Offset(8))
            try await consumer.seek(zero, to: .earliest)
            #expect(try await iterator.next()?.valueText == "0")
            #expect(try await iterator.next()?.valueText == "2")
            try consumer.assign([zero, one])
            try consumer.pause([zero])
            #expect(try await iterator.next()?.valueText == "1")
            #expect(consumer.positions[zero] == Offset(2))
            try consumer.pause([one])
            try consumer.resume([zero])
            #expect(try await iterator.next()?.valueText == "4")
            try consumer.assign([one])
            #expect(consumer.assignment == [one])
            #expect(throws: EngineError.self) { try consumer.pause([zero]) }
            await #expect(throws: EngineError.self) { try await consumer.seek(zero, to: .latest) }
        }
    }

    @Test("a position that the log does not hold is thrown, or mended", arguments: Place.allCases)
    func outOfRange(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await engine.createTopic("a", partitions: 1)
            let producer = try backend.producer()
            for number in 0..<6 {
                _ = try await producer.send(key: nil, value: "\(number)", to: "a")
            }
            try await engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(4))
            let zero = TopicPartition(topic: "a", partition: 0)
            let strict = try backend.consumer(
                assigning: [zero], ConsumerConfiguration(start: .offset(Offset(1))))
            var iterator = strict.records.makeAsyncIterator()
            do {
                _ = try await iterator.next()
                Issue.record("it was read")
            } catch LogError.offsetOutOfRange(let range) {
                #expect(range.requested == Offset(1) && range.logStart == Offset(4))
                #expect(range.logEnd == Offset(6))
            }
            try await strict.seek(zero, to: .offset(Offset(5)))
            #expect(try await iterator.next()?.valueText == "5")
            var configuration = ConsumerConfiguration(start: .offset(Offset(1)))
            configuration.reset = .earliest
            let lenient = try backend.consumer(assigning: [zero], configuration)
            var records = lenient.records.makeAsyncIterator()
            #expect(try await records.next()?.valueText == "4")
        }
    }

    @Test("readers of committed records see what was committed", arguments: Place.allCases)
    func committed(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await engine.createTopic("a", partitions: 2)
            var configuration = ProducerConfiguration()
            configuration.transactionalID = "t"
            let producer = try engine.producer(configuration)
            try await producer.initTransactions()
            for number in 0..<12 {
                try producer.beginTransaction()
                for partition in 0..<Int32(2) {
                    _ = try await producer.send(
                        ProducerRecord(
                            topic: "a", partition: partition, key: nil, value: "\(number)"))
                }
                if number % 3 == 0 {
                    try await producer.abortTransaction()
                } else {
                    try await producer.commitTransaction()
                }
                _ = try await backend.producer().send(
                    ProducerRecord(topic: "a", partition: 1, key: nil, value: "plain \(number)"))
            }
            try producer.beginTransaction()
            _ = try await producer.send(
                ProducerRecord(topic: "a", partition: 0, key: nil, value: "open"))
            let committed = try await values(of: "a", in: backend, .readCommitted)
            let wanted = (0..<12).filter { $0 % 3 != 0 }.map { "\($0)" }
            #expect(committed[0] == wanted)
            #expect(committed[1]?.filter { !$0.hasPrefix("plain") } == wanted)
            #expect(committed[1]?.count == 20)
            let all = try await values(of: "a", in: backend)
            #expect(all[0]?.count == 13 && all[1]?.count == 24)
            try await producer.abortTransaction()
        }
    }

    @Test("a topic that is not there is told to whoever sends or reads", arguments: Place.allCases)
    func unknownTopic(_ place: Place) async throws {
        try await place.with { backend, engine in
            let producer = try backend.producer()
            await #expect(throws: EngineError.self) {
                try await producer.send(key: nil, value: "x", to: "nope")
            }
            await #expect(throws: EngineError.self) {
                try await backend.partitions(ofTopic: "nope")
            }
            await #expect(throws: EngineError.self) {
                let consumer = try backend.consumer(
                    assigning: [TopicPartition(topic: "nope", partition: 0)])
                for try await _ in consumer { break }
            }
            try await engine.createTopic("nope", partitions: 1)
            #expect(try await producer.send(key: nil, value: "x", to: "nope").offset == .zero)
        }
    }

    @Test("a cancelled iteration loses nothing", arguments: Place.allCases)
    func cancelled(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await engine.createTopic("a", partitions: 1)
            let zero = TopicPartition(topic: "a", partition: 0)
            let consumer = try backend.consumer(assigning: [zero])
            let waiting = Task {
                for try await record in consumer.records { return record.valueText }
                return nil
            }
            try await Task.sleep(for: .milliseconds(100))
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            _ = try await backend.producer().send(key: nil, value: "after", to: "a")
            var iterator = consumer.records.makeAsyncIterator()
            #expect(try await iterator.next()?.valueText == "after")
        }
    }

    @Test(
        "without acknowledgements, and with the leader's, records arrive", arguments: Place.allCases
    )
    func acknowledgements(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await engine.createTopic("a", partitions: 1)
            var configuration = ProducerConfiguration()
            configuration.acknowledgements = .none
            let careless = try backend.producer(configuration)
            #expect(try await careless.send(key: nil, value: "0", to: "a").offset == Offset(-1))
            try await careless.flush()
            try await waits(for: Offset(1), in: engine)
            configuration.acknowledgements = .leader
            let leader = try backend.producer(configuration)
            #expect(try await leader.send(key: nil, value: "1", to: "a").offset == Offset(1))
            // The leader has it; that readers see it comes with its sync.
            try await waits(for: Offset(2), in: engine)
            #expect(try await values(of: "a", in: backend) == [0: ["0", "1"]])
        }
    }

    /// Waits until readers of the partition come to an offset.
    private func waits(for end: Offset, in engine: Engine) async throws {
        let zero = TopicPartition(topic: "a", partition: 0)
        for _ in 0..<1000 {
            if try await engine.endOffsets(of: [zero])[zero] == end { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("nothing came")
    }
}
