import Foundation
import Synchronization
import Tally
import TallyKafka
import TallyServed
import TallyTestSupport
import Testing

extension Backend {
    /// A producer with transactions that has its id.
    func transactionalProducer(
        id: String = "t", _ change: (inout ProducerConfiguration) -> Void = { _ in }
    ) async throws -> Producer {
        var configuration = ProducerConfiguration()
        configuration.transactionalID = id
        configuration.retryBackoffMilliseconds = 10
        change(&configuration)
        let producer = try producer(configuration)
        try await producer.initTransactions()
        return producer
    }
}

/// What an error says in words.
func message(_ body: () async throws -> Void) async -> String {
    do {
        try await body()
        return ""
    } catch {
        return "\(error)"
    }
}

/// Transactions, by the same code on an engine and on a cluster.
@Suite("Transactions behind a backend", .timeLimit(.minutes(5))) struct KafkaTransactionTests {
    @Test("several topics and partitions commit together, or not at all", arguments: Place.allCases)
    func atomic(_ place: Place) async throws {
        try await place.with { backend, engine in
            for topic in ["a", "b"] { try await engine.createTopic(topic, partitions: 2) }
            let producer = try await backend.transactionalProducer()
            for number in 0..<9 {
                try producer.beginTransaction()
                var records: [ProducerRecord] = []
                for topic in ["a", "b"] {
                    for partition in 0..<Int32(2) {
                        records.append(
                            ProducerRecord(
                                topic: topic, partition: partition, key: nil, value: "\(number)"))
                    }
                }
                for outcome in await producer.send(records) { _ = try outcome.get() }
                if number % 3 == 0 {
                    try await producer.abortTransaction()
                } else {
                    try await producer.commitTransaction()
                }
            }
            let wanted = (0..<9).filter { $0 % 3 != 0 }.map { "\($0)" }
            for topic in ["a", "b"] {
                let committed = try await values(of: topic, in: backend, .readCommitted)
                #expect(committed == [0: wanted, 1: wanted])
                #expect(try await values(of: topic, in: backend)[0]?.count == 9)
                #expect(try await engine.openTransactions(of: topic).isEmpty)
            }
        }
    }

    @Test(
        "withTransaction commits, and aborts where the closure throws; without records it is free",
        arguments: Place.allCases)
    func closure(_ place: Place) async throws {
        struct Mishap: Error {}
        try await place.with { backend, engine in
            try await engine.createTopic("a", partitions: 1)
            let producer = try await backend.transactionalProducer()
            let value = try await producer.withTransaction { producer in
                _ = try await producer.send(key: nil, value: "yes", to: "a")
                return 7
            }
            #expect(value == 7)
            await #expect(throws: Mishap.self) {
                try await producer.withTransaction { producer in
                    _ = try await producer.send(key: nil, value: "no", to: "a")
                    throw Mishap()
                }
            }
            try await producer.withTransaction { _ in }
            #expect(try await values(of: "a", in: backend, .readCommitted) == [0: ["yes"]])
        }
    }

    @Test("what cannot be done in a state is refused, and harms nothing", arguments: Place.allCases)
    func states(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await engine.createTopic("a", partitions: 1)
            let plain = try backend.producer()
            #expect(await message { try plain.beginTransaction() }.contains("transactional.id"))
            var configuration = ProducerConfiguration()
            configuration.transactionalID = "t"
            let early = try backend.producer(configuration)
            #expect(await message { try early.beginTransaction() }.contains("initTransactions"))
            let producer = try await backend.transactionalProducer()
            #expect(await message { try await producer.initTransactions() }.contains("already"))
            let outside = await message {
                _ = try await producer.send(key: nil, value: "x", to: "a")
            }
            #expect(outside.contains("begin"))
            #expect(await message { try await producer.commitTransaction() }.contains("begin"))
            try producer.beginTransaction()
            #expect(await message { try producer.beginTransaction() }.contains("open"))
            _ = try await producer.send(key: nil, value: "in", to: "a")
            try await producer.commitTransaction()
            let late = await message {
                _ = try await producer.send(key: nil, value: "y", to: "a")
            }
            #expect(late.contains("begin"))
            #expect(try await values(of: "a", in: backend, .readCommitted) == [0: ["in"]])
            configuration.acknowledgements = .leader
            #expect(throws: EngineError.self) { try backend.producer(configuration) }
            configuration.acknowledgements = .all
            configuration.transactionTimeoutMilliseconds = 1 << 40
            let endless = try backend.producer(configuration)
            await #expect(throws: EngineError.transaction(.invalidTransactionTimeout)) {
                try await endless.initTransactions()
            }
        }
    }

    @Test(
        "a second producer of the id fences the first, whose open transaction is aborted",
        arguments: Place.allCases)
    func zombie(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await engine.createTopic("a", partitions: 1)
            let zombie = try await backend.transactionalProducer()
            try zombie.beginTransaction()
            _ = try await zombie.send(key: nil, value: "zombie", to: "a")
            let successor = try await backend.transactionalProducer()
            try await successor.withTransaction {
                _ = try await $0.send(key: nil, value: "successor", to: "a")
            }
            await #expect(throws: EngineError.transaction(.producerFenced)) {
                try await zombie.commitTransaction()
            }
            #expect(await message { try zombie.beginTransaction() }.contains("ended"))
            #expect(await message { try await zombie.abortTransaction() }.contains("ended"))
            try await successor.withTransaction {
                _ = try await $0.send(key: nil, value: "again", to: "a")
            }
            let committed = try await values(of: "a", in: backend, .readCommitted)
            #expect(committed == [0: ["successor", "again"]])
        }
    }

    @Test("what a fenced producer sends is refused", arguments: Place.allCases)
    func fencedSender(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await engine.createTopic("a", partitions: 2)
            for partition in 0..<Int32(2) {
                let zombie = try await backend.transactionalProducer()
                try zombie.beginTransaction()
                _ = try await zombie.send(
                    ProducerRecord(topic: "a", partition: 0, key: nil, value: "zombie"))
                _ = try await backend.transactionalProducer()
                // To the partition that takes part already, and to one that would have to.
                await #expect(throws: (any Error).self) {
                    try await zombie.send(
                        ProducerRecord(topic: "a", partition: partition, key: nil, value: "x"))
                }
                #expect(await message { try zombie.beginTransaction() }.contains("ended"))
            }
            #expect(try await values(of: "a", in: backend, .readCommitted).isEmpty)
            #expect(try await engine.openTransactions(of: "a").isEmpty)
        }
    }

    @Test(
        "a transaction that takes too long is aborted, and its producer fenced",
        arguments: Place.allCases)
    func timeout(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await engine.createTopic("a", partitions: 1)
            let producer = try await backend.transactionalProducer {
                $0.transactionTimeoutMilliseconds = 3_000
            }
            try producer.beginTransaction()
            _ = try await producer.send(key: nil, value: "late", to: "a")
            try await noneIsOpen(in: engine, "a")
            await #expect(throws: EngineError.transaction(.producerFenced)) {
                try await producer.commitTransaction()
            }
            #expect(try await values(of: "a", in: backend, .readCommitted).isEmpty)
        }
    }

    @Test("a record that cannot be stored leaves only the abort", arguments: Place.allCases)
    func failure(_ place: Place) async throws {
        try await place.with { backend, engine in
            let small = try TopicConfiguration(["max.message.bytes": "2000"])
            try await engine.createTopic("a", partitions: 1)
            try await engine.createTopic("small", partitions: 1, configuration: small)
            let producer = try await backend.transactionalProducer()
            try producer.beginTransaction()
            _ = try await producer.send(key: nil, value: "in a", to: "a")
            let value = Array(repeating: UInt8.random(in: 0...255), count: 4000)
            // An engine refuses it at once, and a cluster when it has come there.
            do {
                try producer.enqueue(
                    topic: "small", partition: 0, key: nil, value: value.span.bytes)
                let refusal = await message { try await producer.commitTransaction() }
                #expect(refusal.contains("max.message.bytes"))
                let again = await message { try await producer.commitTransaction() }
                #expect(again.contains("aborted"))
            } catch {
                #expect("\(error)".contains("max.message.bytes"))
            }
            try await producer.abortTransaction()
            try await producer.withTransaction {
                for topic in ["a", "small"] {
                    _ = try await $0.send(key: nil, value: "next", to: topic)
                }
            }
            #expect(try await values(of: "a", in: backend, .readCommitted) == [0: ["next"]])
            #expect(try await values(of: "small", in: backend, .readCommitted) == [0: ["next"]])
        }
    }

    @Test("what is sent while a transaction is open waits for no linger", arguments: Place.allCases)
    func lingering(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await engine.createTopic("a", partitions: 1)
            let producer = try await backend.transactionalProducer {
                $0.lingerMilliseconds = 100_000
                $0.deliveryTimeoutMilliseconds = 200_000
            }
            let value = Array("x".utf8)
            for isCommitted in [true, false, true] {
                try producer.beginTransaction()
                for _ in 0..<3 {
                    try producer.enqueue(
                        topic: "a", partition: 0, key: nil, value: value.span.bytes)
                }
                if isCommitted {
                    try await producer.commitTransaction()
                } else {
                    try await producer.abortTransaction()
                }
            }
            #expect(try await values(of: "a", in: backend, .readCommitted)[0]?.count == 6)
        }
    }

    /// Waits until no transaction is open in a topic.
    private func noneIsOpen(in engine: Engine, _ topic: String) async throws {
        for _ in 0..<1500 {
            if try await engine.openTransactions(of: topic).isEmpty { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("a transaction is open still")
    }

    @Test("a producer that is let go of, and a backend that is closed, leave nothing open")
    func letGo() async throws {
        try await Place.served.with { backend, engine in
            try await engine.createTopic("a", partitions: 1)
            var producer: Producer? = try await backend.transactionalProducer()
            try producer?.beginTransaction()
            _ = try await producer?.send(key: nil, value: "let go", to: "a")
            #expect(try await engine.openTransactions(of: "a").count == 1)
            producer = nil
            try await noneIsOpen(in: engine, "a")
            let next = try await backend.transactionalProducer()
            try next.beginTransaction()
            _ = try await next.send(key: nil, value: "closed", to: "a")
            try await backend.close()
            #expect(try await engine.openTransactions(of: "a").isEmpty)
            await #expect(throws: EngineError.self) { try await next.commitTransaction() }
            let left = try await values(of: "a", in: .embedded(engine), .readCommitted)
            #expect(left.isEmpty)
        }
    }
}
