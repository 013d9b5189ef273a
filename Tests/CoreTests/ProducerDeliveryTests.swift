import Foundation
import Synchronization
import TallyFiles
import TallyRecords
import TallyTestSupport
import Testing

@testable import Tally
@testable import TallyLog

/// How records are acknowledged, reported, counted and given up.
@Suite(.timeLimit(.minutes(10))) struct ProducerDeliveryTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func engine(partitions: Int = 1) async throws -> Engine {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("a", partitions: partitions)
        return engine
    }

    private func producer(
        _ engine: Engine, _ change: (inout ProducerConfiguration) -> Void
    ) throws -> Producer {
        var configuration = ProducerConfiguration()
        change(&configuration)
        return try engine.producer(configuration)
    }

    /// Producer id, epoch and first sequence of each batch of a partition.
    private func batchProducers(
        _ engine: Engine, partition: Int32 = 0
    ) async throws -> [BatchProducer] {
        var found: [BatchProducer] = []
        let consumer = try engine.consumer(
            of: "a", partitions: [partition], ConsumerConfiguration(end: .currentEnd))
        for try await records in consumer {
            try records.forEachBatch { batch in
                found.append(
                    BatchProducer(
                        id: batch.header.producerID, epoch: batch.header.producerEpoch,
                        baseSequence: batch.header.baseSequence))
            }
        }
        return found
    }

    // MARK: Idempotence

    @Test("sequences count records in each partition, under one id, and another producer's its own")
    func sequences() async throws {
        let engine = try await engine(partitions: 2)
        let producer = try producer(engine) { $0.lingerMilliseconds = 3_600_000 }
        for count in [3, 1, 2] {
            for partition in [Int32(0), 1] {
                for _ in 0..<(count + Int(partition)) {
                    try producer.enqueue("x", to: "a", partition: partition)
                }
            }
            try await producer.flush()
        }
        _ = try await engine.producer().send(
            ProducerRecord(topic: "a", partition: 0, key: nil as String?, value: "y"))
        let first = try await batchProducers(engine)
        #expect(first.map(\.baseSequence) == [0, 3, 4, 0])
        #expect(try await batchProducers(engine, partition: 1).map(\.baseSequence) == [0, 4, 6])
        #expect(Set(first.dropLast().map(\.id)).count == 1)
        #expect(first.last?.id != first.first?.id)
        #expect(first.allSatisfy { $0.id >= 0 && $0.epoch == 0 })
        try await engine.close()
    }

    @Test("without acks=all, or where it is said, batches name no producer")
    func withoutIdempotence() async throws {
        let engine = try await engine()
        for change: (inout ProducerConfiguration) -> Void in [
            { $0.acknowledgements = .leader }, { $0.isIdempotent = false },
        ] {
            _ = try await producer(engine, change).send(key: "k", value: "v", to: "a")
        }
        #expect(try await batchProducers(engine) == [.none, .none])
        let refused = await message {
            _ = try producer(engine) {
                $0.isIdempotent = true
                $0.acknowledgements = .leader
            }
        }
        #expect(refused.contains("enable.idempotence") && refused.contains("acks=all"))
        try await engine.close()
    }

    @Test("a producer goes on behind an end that was taken back, with a new epoch")
    func truncated() async throws {
        let engine = try await engine()
        let producer = try engine.producer()
        for value in ["kept", "lost", "lost"] {
            _ = try await producer.send(key: nil, value: value, to: "a")
        }
        let log = try engine.partition(0, of: "a").log
        try log.truncate(to: Offset(1)) { () throws(LogError) in }
        for value in ["next", "last"] {
            _ = try await producer.send(key: nil, value: value, to: "a")
        }
        #expect(try await engine.values(of: "a")[0] == ["kept", "next", "last"])
        let batches = try await batchProducers(engine)
        #expect(batches.map(\.epoch) == [0, 1, 1])
        #expect(batches.map(\.baseSequence) == [0, 0, 1])
        #expect(Set(batches.map(\.id)).count == 1)
        try await engine.close()
    }

    @Test("sequences go from the largest number to 0")
    func wrapping() {
        var sequence = ProducerSequence(ProducerIdentity(id: 7, epoch: 3))
        sequence.advance(by: Int(Int32.max) - 1)
        #expect(sequence.batchProducer.baseSequence == Int32.max - 1)
        sequence.advance(by: 3)
        #expect(sequence.batchProducer == BatchProducer(id: 7, epoch: 3, baseSequence: 1))
        sequence.reset()
        #expect(sequence.batchProducer == BatchProducer(id: 7, epoch: 4, baseSequence: 0))
        var last = ProducerSequence(ProducerIdentity(id: 7, epoch: .max))
        last.reset()
        #expect(last.batchProducer.epoch == 0 && last.batchProducer.id != 7)
    }

    // MARK: Acknowledgements

    @Test("with acks=0 a sender is not told where, with acks=1 at once, and consumers see both")
    func acknowledgements() async throws {
        let engine = try await engine()
        let careless = try producer(engine) { $0.acknowledgements = .none }
        #expect(try await careless.send(key: nil, value: "one", to: "a").offset == Offset(-1))
        try await careless.flush()
        let hasty = try producer(engine) { $0.acknowledgements = .leader }
        #expect(try await hasty.send(key: nil, value: "two", to: "a").offset == Offset(1))
        var records = try engine.consumer(of: "a").makeAsyncIterator()
        var end = Offset.zero
        while end < Offset(2) { end = try #require(try await records.next()).nextOffset }
        try await engine.close()
    }

    // MARK: Many at once

    @Test("an array of records: each has its own outcome, in order, and one refused harms no other")
    func array() async throws {
        let engine = try await engine(partitions: 3)
        let producer = try producer(engine) { $0.bufferBytesMax = 2_000 }
        let records = (0..<300).map { number in
            ProducerRecord(
                topic: number % 100 == 50 ? "nowhere" : "a", key: "\(number % 7)",
                value: "value \(number)")
        }
        let outcomes = await producer.send(records)
        #expect(outcomes.count == 300)
        let stored = try await engine.values(of: "a")
        for (number, outcome) in outcomes.enumerated() {
            if number % 100 == 50 {
                #expect(throws: EngineError.self) { try outcome.get() }
            } else {
                let sent = try outcome.get()
                #expect(
                    stored[sent.partition]?[Int(sent.offset.rawValue)] == "value \(number)")
            }
        }
        #expect(await producer.send([]).isEmpty)
        try await engine.close()
    }

    // MARK: Reports

    @Test("reports tell where each token went; those nobody takes hold the sender back")
    func reports() async throws {
        let engine = try await engine()
        let producer = try producer(engine) { $0.bufferBytesMax = 4_000 }
        var reports: DeliveryReports? = producer.deliveryReports()
        var iterator = reports?.makeAsyncIterator()
        var sent: UInt64 = 0
        while !producer.isFull {
            try producer.enqueue(
                topic: "a", key: nil, value: Array("\(sent)".utf8).span.bytes,
                token: sent % 2 == 0 ? sent : nil)
            sent += 1
        }
        try await producer.flush()
        #expect(producer.isFull, "delivered, but nobody took the reports")
        var offsets: [UInt64: Offset] = [:]
        var count = 0
        while count < sent {
            for report in try #require(try await iterator?.next()) {
                #expect(report.error == nil && report.topic == "a" && report.partition == 0)
                count += report.recordCount
                for record in report.records { offsets[record.token] = record.offset }
            }
        }
        #expect(!producer.isFull && producer.pendingByteCount == 0)
        #expect(offsets.count == (sent + 1) / 2)
        #expect(offsets.allSatisfy { UInt64($1.rawValue) == $0 })

        // With the last reader the reports end to count.
        try producer.enqueue("more", to: "a")
        try await producer.flush()
        #expect(producer.pendingByteCount > 0)
        (reports, iterator) = (nil, nil)
        #expect(producer.pendingByteCount == 0)
        withExtendedLifetime(reports) {}
        try await engine.close()
    }

    @Test("a report of a batch that was not stored says why")
    func failedReport() async throws {
        let engine = try await engine()
        let producer = try producer(engine) { $0.lingerMilliseconds = 3_600_000 }
        var reports = producer.deliveryReports().makeAsyncIterator()
        try producer.enqueue(topic: "a", key: nil, value: nil, token: 7)
        try await engine.deleteTopic("a")
        try? await producer.flush()
        let report = try #require(try await reports.next()?.first)
        #expect(report.error != nil && report.baseOffset == nil)
        #expect(report.records == [DeliveryReport.Record(token: 7, offset: nil)])
        try await engine.close()
    }

    // MARK: Partitioners

    @Test("a partitioner decides where records go; nil leaves it to the key, a number overrides it")
    func partitioner() async throws {
        let engine = try await engine(partitions: 4)
        let producer = try producer(engine) { configuration in
            configuration.partitioner = Partitioner { record in
                guard let key = record.key, key.byteCount > 3 else { return nil }
                return record.partitionCount - 1
            }
        }
        #expect(try await producer.send(key: "a large one", value: "", to: "a").partition == 3)
        let key = Array("k".utf8)
        #expect(
            try await producer.send(key: "k", value: "", to: "a").partition
                == Murmur2.partition(forKey: key.span.bytes, count: 4))
        let record = ProducerRecord(topic: "a", partition: 1, key: "a large one", value: "")
        #expect(try await producer.send(record).partition == 1)
        let wrong = try self.producer(engine) { $0.partitioner = Partitioner { _ in 4 } }
        await #expect(throws: EngineError.unknownPartition(topic: "a", partition: 4, count: 4)) {
            try await wrong.send(key: nil, value: "", to: "a")
        }
        try await engine.close()
    }

    @Test("large customers have a partition of their own, and nobody else gets there")
    func partitionOfTheirOwn() async throws {
        let engine = try await engine(partitions: 4)
        let producer = try producer(engine) { configuration in
            configuration.partitioner = Partitioner { record in
                let last = record.partitionCount - 1
                let isLarge = record.key?.byteCount == 5
                return isLarge ? last : record.partitionByKey(among: last)
            }
        }
        var used: Set<Int32> = []
        for number in 0..<60 {
            let key = "k\(number)"
            let partition = try await producer.send(key: key, value: "", to: "a").partition
            #expect(
                partition == Murmur2.partition(forKey: Array(key.utf8).span.bytes, count: 3))
            used.insert(partition)
        }
        #expect(used == [0, 1, 2])
        #expect(try await producer.send(key: "large", value: "", to: "a").partition == 3)
        try await engine.close()
    }

    // MARK: Time limits

    @Test("what is not begun within delivery.timeout.ms was not stored; what is written may be")
    func timeout() async throws {
        let engine = try await engine()
        let producer = try producer(engine) { $0.deliveryTimeoutMilliseconds = 200 }
        let log = try engine.partition(0, of: "a").log
        let isOver = await log.holdWriter()
        defer { isOver.signal() }
        let first = Task { await message { _ = try await producer.send(named("first")) } }
        // Written: it waits for the lock.
        #expect(try await eventually { producer.pendingByteCount > 0 })
        let one = producer.pendingByteCount
        try await Task.sleep(for: .milliseconds(50))
        let second = Task { await message { _ = try await producer.send(named("second")) } }
        #expect(try await eventually { producer.pendingByteCount > one })
        let (firstMessage, secondMessage) = (await first.value, await second.value)
        #expect(firstMessage.contains("200") && firstMessage.contains("may be stored"))
        #expect(secondMessage.contains("was not stored"))
        #expect(producer.pendingByteCount == one, "what is being written still takes its room")
        isOver.signal()
        try await producer.flush()
        #expect(producer.pendingByteCount == 0)
        #expect(try await producer.send(named("third")).offset == Offset(1))
        #expect(try await engine.values(of: "a")[0] == ["first", "third"])
        try await engine.close()
    }

    private func named(_ value: String) -> ProducerRecord {
        ProducerRecord(topic: "a", key: nil as String?, value: value)
    }
}
