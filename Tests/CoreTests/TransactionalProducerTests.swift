import Foundation
import Synchronization
import TallyTestSupport
import Testing

@testable import Tally

/// Transactions as applications use them.
@Suite(.timeLimit(.minutes(10))) struct TransactionalProducerTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func engine(openedAs name: String = "data") async throws -> Engine {
        let engine = try await Engine.open(at: directory.path(name))
        try await engine.createTopic("a", partitions: 2)
        try await engine.createTopic("b", partitions: 1)
        return engine
    }

    private func send(
        _ value: String, _ producer: Producer, to topic: String = "a", partition: Int32 = 0
    ) async throws {
        _ = try await producer.send(
            ProducerRecord(topic: topic, partition: partition, key: nil as String?, value: value))
    }

    @Test("several topics and partitions commit together, or not at all")
    func atomic() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer()
        try producer.beginTransaction()
        try await send("one", producer)
        try await send("two", producer, partition: 1)
        try await send("three", producer, to: "b")
        #expect(try await engine.committedValues(of: "a").isEmpty)
        try await producer.commitTransaction()
        #expect(try await engine.committedValues(of: "a").sorted() == ["one", "two"])
        #expect(try await engine.committedValues(of: "b") == ["three"])

        try producer.beginTransaction()
        try await send("lost", producer)
        try await send("lost", producer, to: "b")
        try await producer.abortTransaction()
        try producer.beginTransaction()
        try await send("kept", producer)
        try await producer.commitTransaction()
        #expect(try await engine.committedValues(of: "a").sorted() == ["kept", "one", "two"])
        #expect(try await engine.committedValues(of: "b") == ["three"])
        #expect(try await engine.openTransactions(of: "a").isEmpty)
        try await engine.close()
    }

    @Test(
        "withTransaction commits, and aborts where the closure throws; without records it is free")
    func closure() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer()
        let count = try await producer.withTransaction { producer in
            for number in 0..<5 { try producer.enqueue("\(number)", to: "a", partition: 0) }
            return 5
        }
        #expect(count == 5)
        await #expect(throws: CancellationError.self) {
            try await producer.withTransaction { producer in
                try await send("lost", producer)
                throw CancellationError()
            }
        }
        let end = try engine.partition(0, of: "a").log.logEnd
        try await producer.withTransaction { _ in }
        #expect(try engine.partition(0, of: "a").log.logEnd == end)
        #expect(try await engine.committedValues(of: "a") == ["0", "1", "2", "3", "4"])
        try await engine.close()
    }

    @Test("one short transaction after the other: each is committed, none is left open")
    func short() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer()
        for number in 0..<300 {
            try await producer.withTransaction { producer in
                // Not waited for: the delivery of the one before may not be over yet.
                try producer.enqueue("\(number)", to: "a", partition: 0)
            }
        }
        #expect(try await engine.committedValues(of: "a") == (0..<300).map(String.init))
        #expect(try await engine.openTransactions(of: "a").isEmpty)
        try await engine.close()
    }

    @Test("each transaction has an epoch of its own, and sequences begin anew")
    func epochs() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer()
        for number in 0..<3 {
            try await producer.withTransaction { try await send("\(number)", $0) }
        }
        var epochs: [Int16] = []
        var sequences: [Int32] = []
        for try await records in try engine.consumer(
            of: "a", partitions: [0], ConsumerConfiguration(end: .currentEnd))
        {
            try records.forEachBatch { batch in
                guard !batch.header.attributes.isControl else { return }
                epochs.append(batch.header.producerEpoch)
                sequences.append(batch.header.baseSequence)
                #expect(batch.header.attributes.isTransactional)
            }
        }
        #expect(epochs == [0, 1, 2] && sequences == [0, 0, 0])
        try await engine.close()
    }

    @Test("a second producer of the id fences the first, whose open transaction is aborted")
    func zombie() async throws {
        let engine = try await engine()
        let zombie = try await engine.transactionalProducer()
        try zombie.beginTransaction()
        try await send("zombie", zombie)
        let successor = try await engine.transactionalProducer()
        try await successor.withTransaction { try await send("successor", $0) }
        // Neither more records, nor the end, nor another beginning.
        await #expect(throws: (any Error).self) { try await send("late", zombie) }
        await #expect(throws: EngineError.self) { try await zombie.commitTransaction() }
        #expect(throws: EngineError.self) { try zombie.beginTransaction() }
        try await successor.withTransaction { try await send("again", $0) }
        #expect(try await engine.committedValues(of: "a") == ["successor", "again"])
        try await engine.close()
    }

    @Test("what cannot be done in a state is refused with the reason, and harms nothing")
    func states() async throws {
        let engine = try await engine()
        let plain = try engine.producer()
        #expect(await message { try plain.beginTransaction() }.contains("transactional.id"))
        var configuration = ProducerConfiguration()
        configuration.transactionalID = "t"
        let early = try engine.producer(configuration)
        #expect(await message { try early.beginTransaction() }.contains("initTransactions"))
        #expect(await message { try await send("x", early) }.contains("initTransactions"))
        let producer = try await engine.transactionalProducer()
        #expect(await message { try await send("x", producer) }.contains("begin"))
        #expect(await message { try await producer.commitTransaction() }.contains("begin"))
        try producer.beginTransaction()
        #expect(await message { try producer.beginTransaction() }.contains("open already"))
        try await send("kept", producer)
        try await producer.commitTransaction()
        #expect(try await engine.committedValues(of: "a") == ["kept"])
        let refused = await message {
            _ = try await engine.transactionalProducer { $0.acknowledgements = .leader }
        }
        #expect(refused.contains("transactional.id"))
        try await engine.close()
    }

    @Test("a record that cannot be stored leaves only the abort")
    func failure() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer { $0.lingerMilliseconds = 3_600_000 }
        try producer.beginTransaction()
        try producer.enqueue("stored", to: "a", partition: 0)
        try producer.enqueue("gone", to: "b", partition: 0)
        try await engine.deleteTopic("b")
        await #expect(throws: (any Error).self) { try await producer.commitTransaction() }
        #expect(await message { try producer.enqueue("x", to: "a") }.contains("aborted"))
        try await producer.abortTransaction()
        try await producer.withTransaction { try $0.enqueue("after", to: "a", partition: 0) }
        #expect(try await engine.committedValues(of: "a") == ["after"])
        try await engine.close()
    }

    @Test("a transaction that takes too long is aborted, and its producer fenced")
    func timeout() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer {
            $0.transactionTimeoutMilliseconds = 100
        }
        try producer.beginTransaction()
        try await send("slow", producer)
        let log = try engine.partition(0, of: "a").log
        #expect(try await eventually { (try? log.lastStableOffset()) == log.highWatermark })
        await #expect(throws: EngineError.self) { try await producer.commitTransaction() }
        #expect(try await engine.committedValues(of: "a").isEmpty)
        try await engine.close()
    }

    @Test("read, process and write exactly once: positions commit with what was written")
    func readProcessWrite() async throws {
        let engine = try await engine()
        let input = try engine.producer()
        for number in 0..<40 {
            _ = try await input.send(
                ProducerRecord(
                    topic: "a", partition: Int32(number % 2), key: nil, value: "\(number)"))
        }
        // Every third transaction is given up, with its member, as a crash would.
        var round = 0
        while try await engine.committedValues(of: "b").count < 40, round < 200 {
            round += 1
            var configuration = GroupConsumerConfiguration()
            configuration.reading.reset = .earliest
            configuration.reading.isolation = .readCommitted
            configuration.reading.fetchBytesMax = 1
            let consumer = try engine.consumer(group: "g", topics: ["a"], configuration)
            let producer = try await engine.transactionalProducer()
            var iterator = consumer.makeAsyncIterator()
            for step in 0..<3 {
                let done = try await engine.committedValues(of: "b").count
                guard done < 40, let records = try await iterator.next() else { break }
                try producer.beginTransaction()
                try records.forEachRecord { record in
                    try producer.enqueue("\(record.valueText ?? "null")'", to: "b", partition: 0)
                }
                try await producer.sendOffsets(behind: records, of: consumer)
                // The last one neither commits nor aborts: the next producer of the id does.
                if step < 2 { try await producer.commitTransaction() }
            }
            try await consumer.close()
        }
        let expected = (0..<40).map { "\($0)'" }
        let written = try await engine.committedValues(of: "b")
        #expect(written.sorted() == expected.sorted(), "\(round) rounds, \(written)")
        try await engine.close()
    }

    @Test("offsets of a member that the group has gone on without fail the transaction")
    func fencedMember() async throws {
        let engine = try await engine()
        let consumer = try engine.consumer(group: "g", topics: ["a"])
        try await consumer.close()
        let producer = try await engine.transactionalProducer()
        try producer.beginTransaction()
        try await send("lost", producer, to: "b")
        let partition = TopicPartition(topic: "a", partition: 0)
        await #expect(throws: EngineError.self) {
            try await producer.sendOffsets(
                [partition: OffsetToCommit(offset: Offset(1))], of: consumer)
        }
        await #expect(throws: EngineError.self) { try await producer.commitTransaction() }
        try await producer.abortTransaction()
        #expect(try await engine.committedValues(of: "b").isEmpty)
        #expect(try await engine.committedOffsets(ofGroup: "g").isEmpty)
        try await engine.close()
    }

    @Test("who gets a partition is told no position that a transaction is about to move")
    func unstablePosition() async throws {
        for isCommitted in [true, false] {
            let topic = "orders-\(isCommitted)"
            let engine = try await engine(openedAs: "\(isCommitted)")
            try await engine.createTopic(topic, partitions: 1)
            for value in ["one", "two"] {
                _ = try await engine.producer().send(key: nil, value: value, to: topic)
            }
            var configuration = GroupConsumerConfiguration()
            configuration.reading.reset = .earliest
            configuration.reading.fetchBytesMax = 1
            let first = try engine.consumer(group: "g", topics: [topic], configuration)
            let producer = try await engine.transactionalProducer()
            var iterator = first.makeAsyncIterator()
            let one = try #require(try await iterator.next())
            try producer.beginTransaction()
            try await producer.sendOffsets(behind: one, of: first)
            // The transaction is decided, one way or the other, when the partition is another's.
            try await first.close()
            let second = try engine.consumer(group: "g", topics: [topic], configuration)
            let isTold = Mutex(false)
            let next = Task {
                var iterator = second.makeAsyncIterator()
                let records = try await iterator.next()
                isTold.withLock { $0 = true }
                return records?.startOffset
            }
            #expect(try await eventually { second.generation > 0 })
            try await Task.sleep(for: .milliseconds(300))
            #expect(!isTold.withLock { $0 }, "it would do again what the first may have done")
            try await isCommitted ? producer.commitTransaction() : producer.abortTransaction()
            #expect(try await next.value == Offset(isCommitted ? 1 : 0))
            try await second.close()
            try await engine.close()
        }
    }
}
