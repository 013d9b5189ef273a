import Foundation
import Synchronization
import Tally
import TallyKafka
import TallyServed
import TallyTestSupport
import TallyWire
import Testing

/// Transactions whose requests and answers are lost on their way.
@Suite("Transactions over a bad network", .timeLimit(.minutes(5))) struct TransactionFaultTests {
    private func with(
        _ change: (inout KafkaSettings) -> Void = { _ in },
        _ body: (Backend, Engine, Interceptor) async throws -> Void
    ) async throws {
        try await ServedEngine.withState { served in
            let interceptor = try await Interceptor.start(before: served)
            try await served.engine.createTopic("a", partitions: 1)
            var settings = KafkaSettings()
            change(&settings)
            let backend = try Backend.kafka(bootstrap: interceptor.address, settings)
            try await body(backend, served.engine, interceptor)
            try await backend.close()
        }
    }

    /// What a transaction asks for, in its order.
    static let requests: [APIKey] = [
        .initProducerID, .addPartitionsToTransaction, .produce,
        .addOffsetsToTransaction, .transactionOffsetCommit, .endTransaction,
    ]

    @Test(
        "requests and answers that are lost are asked for again, and everything is there once",
        arguments: requests, [Interceptor.Fault.lost, .unanswered])
    func lost(_ api: APIKey, _ fault: Interceptor.Fault) async throws {
        try await with { backend, engine, interceptor in
            try await engine.createTopic("in", partitions: 1)
            for number in 0..<4 {
                _ = try await engine.producer().send(key: nil, value: "\(number)", to: "in")
            }
            var configuration = GroupConsumerConfiguration()
            configuration.reading.reset = .earliest
            configuration.reading.fetchBytesMax = 1
            let consumer = try backend.consumer(group: "g", topics: ["in"], configuration)
            var iterator = consumer.makeAsyncIterator()
            let first = try #require(try await iterator.next())
            interceptor.fail(api, fault)
            let producer = try await backend.transactionalProducer()
            var records: ConsumedRecords? = first
            for number in 0..<4 {
                if number == 1 { interceptor.fail(api, fault, fault) }
                let behind = try #require(records)
                try await producer.withTransaction { producer in
                    try await producer.sendOffsets(behind: behind, of: consumer)
                    _ = try await producer.send(key: nil, value: "\(number)", to: "a")
                }
                if number < 3 { records = try await iterator.next() }
            }
            if api != .initProducerID { #expect(interceptor.leftCount == 0) }
            let wanted = (0..<4).map { "\($0)" }
            #expect(try await values(of: "a", in: backend, .readCommitted) == [0: wanted])
            #expect(try await values(of: "a", in: backend) == [0: wanted])
            let zero = TopicPartition(topic: "in", partition: 0)
            #expect(try await engine.committedOffsets(ofGroup: "g")[zero]?.offset == Offset(4))
            try await consumer.close()
        }
    }

    @Test("who coordinates is asked until somebody does")
    func noCoordinator() async throws {
        try await with { backend, engine, interceptor in
            interceptor.fail(.findCoordinator, .noCoordinator, .lost, .unanswered, .noCoordinator)
            let producer = try await backend.transactionalProducer()
            #expect(interceptor.leftCount == 0)
            // The connection to the coordinator ends: it is looked for anew.
            interceptor.fail(.endTransaction, .lost)
            interceptor.fail(.findCoordinator, .noCoordinator)
            try await producer.withTransaction {
                _ = try await $0.send(key: nil, value: "one", to: "a")
            }
            #expect(interceptor.leftCount == 0)
            #expect(try await values(of: "a", in: backend, .readCommitted) == [0: ["one"]])
        }
        try await with({ $0.apiTimeoutMilliseconds = 200 }) { backend, engine, interceptor in
            for _ in 0..<100 { interceptor.fail(.findCoordinator, .noCoordinator) }
            do {
                _ = try await backend.transactionalProducer()
                Issue.record("nobody coordinates")
            } catch EngineError.transaction(.coordinatorNotAvailable) {
            }
        }
    }

    @Test("a commit that nobody knows the outcome of says so, and committing again tells")
    func unknownOutcome() async throws {
        for fault in [Interceptor.Fault.lost, .unanswered] {
            try await with({ $0.apiTimeoutMilliseconds = 300 }) { backend, engine, interceptor in
                let producer = try await backend.transactionalProducer()
                try producer.beginTransaction()
                _ = try await producer.send(key: nil, value: "one", to: "a")
                for _ in 0..<200 { interceptor.fail(.endTransaction, fault) }
                do {
                    try await producer.commitTransaction()
                    Issue.record("it cannot know")
                } catch EngineError.transaction(.coordinatorNotAvailable) {
                }
                let refused = await message {
                    _ = try await producer.send(key: nil, value: "x", to: "a")
                }
                #expect(refused.contains("ended"))
                #expect(await message { try producer.beginTransaction() }.contains("ended"))
                interceptor.relent()
                try await producer.commitTransaction()
                try await producer.withTransaction {
                    _ = try await $0.send(key: nil, value: "two", to: "a")
                }
                let committed = try await values(of: "a", in: backend, .readCommitted)
                #expect(committed == [0: ["one", "two"]])
            }
        }
    }

    @Test("a transaction that was committed, and nobody knew, is not said to be aborted")
    func abortedTooLate() async throws {
        try await with({ $0.apiTimeoutMilliseconds = 300 }) { backend, engine, interceptor in
            let producer = try await backend.transactionalProducer()
            try producer.beginTransaction()
            _ = try await producer.send(key: nil, value: "one", to: "a")
            for _ in 0..<200 { interceptor.fail(.endTransaction, .unanswered) }
            await #expect(throws: EngineError.self) { try await producer.commitTransaction() }
            interceptor.relent()
            await #expect(throws: EngineError.transaction(.invalidTransactionState)) {
                try await producer.abortTransaction()
            }
            try await producer.commitTransaction()
            #expect(try await values(of: "a", in: backend, .readCommitted) == [0: ["one"]])
        }
    }

    @Test("a commit that comes late does not commit the next transaction")
    func lateCommit() async throws {
        try await with { backend, engine, interceptor in
            let producer = try await backend.transactionalProducer()
            try producer.beginTransaction()
            _ = try await producer.send(key: nil, value: "one", to: "a")
            interceptor.fail(.endTransaction, .late)
            try await producer.commitTransaction()
            try producer.beginTransaction()
            _ = try await producer.send(key: nil, value: "two", to: "a")
            try await interceptor.deliverLate()
            #expect(try await values(of: "a", in: backend, .readCommitted) == [0: ["one"]])
            try await producer.abortTransaction()
            try await producer.withTransaction {
                _ = try await $0.send(key: nil, value: "three", to: "a")
            }
            let committed = try await values(of: "a", in: backend, .readCommitted)
            #expect(committed == [0: ["one", "three"]])
            // Asked for once more: by the transaction behind the doubt, and by no other.
            #expect(interceptor.count(.initProducerID) == 2)
        }
    }

    @Test("a batch in doubt whose time is over is aborted, and does not come back")
    func lateBatch() async throws {
        try await with { backend, engine, interceptor in
            let producer = try await backend.transactionalProducer {
                $0.deliveryTimeoutMilliseconds = 400
            }
            try await producer.withTransaction {
                _ = try await $0.send(key: nil, value: "zero", to: "a")
            }
            try producer.beginTransaction()
            interceptor.fail(.produce, .late)
            for _ in 0..<200 { interceptor.fail(.produce, .lost) }
            do {
                _ = try await producer.send(key: nil, value: "late", to: "a")
                Issue.record("sent, though nothing comes through")
            } catch EngineError.deliveryTimeout(_, _, let mayBeStored) {
                #expect(mayBeStored)
            }
            let refusal = await message { try await producer.commitTransaction() }
            #expect(refusal.contains("aborted"))
            try await producer.abortTransaction()
            interceptor.relent()
            try producer.beginTransaction()
            _ = try await producer.send(key: nil, value: "one", to: "a")
            try await interceptor.deliverLate()
            _ = try await producer.send(key: nil, value: "two", to: "a")
            try await producer.commitTransaction()
            let committed = try await values(of: "a", in: backend, .readCommitted)
            #expect(committed == [0: ["zero", "one", "two"]])
        }
    }

    @Test("partitions that nobody knows to take part are aborted with the transaction")
    func unknownParticipation() async throws {
        for fault in [Interceptor.Fault.lost, .unanswered] {
            try await with({ $0.apiTimeoutMilliseconds = 300 }) { backend, engine, interceptor in
                let producer = try await backend.transactionalProducer()
                try producer.beginTransaction()
                for _ in 0..<200 { interceptor.fail(.addPartitionsToTransaction, fault) }
                await #expect(throws: EngineError.self) {
                    try await producer.send(key: nil, value: "x", to: "a")
                }
                interceptor.relent()
                try await producer.abortTransaction()
                // Asked again where an answer was slow; nothing is left of it at the coordinator.
                #expect(interceptor.count(.endTransaction) >= 1)
                let states = try await engine.transactions.ask { coordinator, now in
                    coordinator.list(now: now).map(\.state)
                }
                #expect(states == [.completeAbort])
                try await producer.withTransaction {
                    _ = try await $0.send(key: nil, value: "next", to: "a")
                }
                #expect(try await values(of: "a", in: backend, .readCommitted) == [0: ["next"]])
            }
        }
    }

    @Test("an abort does not wait for a partition that nobody leads")
    func abortAtOnce() async throws {
        try await with { backend, engine, interceptor in
            let producer = try await backend.transactionalProducer()
            try await producer.withTransaction {
                _ = try await $0.send(key: nil, value: "one", to: "a")
            }
            for _ in 0..<2000 { interceptor.fail(.produce, .lost) }
            try producer.beginTransaction()
            let value = Array("x".utf8)
            try producer.enqueue(topic: "a", partition: 0, key: nil, value: value.span.bytes)
            try await Task.sleep(for: .milliseconds(50))
            let begin = ContinuousClock.now
            try await producer.abortTransaction()
            #expect(ContinuousClock.now - begin < .seconds(60))
            interceptor.relent()
            try await producer.withTransaction {
                _ = try await $0.send(key: nil, value: "two", to: "a")
            }
            let committed = try await values(of: "a", in: backend, .readCommitted)
            #expect(committed == [0: ["one", "two"]])
        }
    }

    @Test("only the first version of the protocol is spoken, and each partition is added once")
    func versions() async throws {
        try await with { backend, engine, interceptor in
            let producer = try await backend.transactionalProducer()
            for number in 0..<3 {
                try await producer.withTransaction { producer in
                    for _ in 0..<3 {
                        _ = try await producer.send(key: nil, value: "\(number)", to: "a")
                    }
                }
            }
            let newest: [APIKey: Int16] = [
                .addPartitionsToTransaction: 3, .endTransaction: 4, .produce: 11,
                .initProducerID: 5,
            ]
            for (api, version) in newest {
                let versions = Set(interceptor.requests.filter { $0.api == api }.map(\.version))
                #expect(versions == [version], "\(api)")
            }
            #expect(interceptor.count(.initProducerID) == 1)
            #expect(interceptor.count(.addPartitionsToTransaction) == 3)
            #expect(interceptor.count(.endTransaction) == 3)
            // Who coordinates is asked once.
            #expect(interceptor.count(.findCoordinator) == 1)
        }
    }

    @Test("offsets come with who the member is, so that the group can refuse them")
    func memberOfOffsets() async throws {
        try await with { backend, engine, interceptor in
            _ = try await engine.producer().send(key: nil, value: "x", to: "a")
            var configuration = GroupConsumerConfiguration()
            configuration.reading.reset = .earliest
            let consumer = try backend.consumer(group: "g", topics: ["a"], configuration)
            var iterator = consumer.makeAsyncIterator()
            let records = try #require(try await iterator.next())
            let producer = try await backend.transactionalProducer()
            try await producer.withTransaction {
                try await $0.sendOffsets(behind: records, of: consumer)
            }
            let commit = try #require(
                interceptor.requests.first { $0.api == .transactionOffsetCommit })
            let body = try RequestFrame<TransactionOffsetCommitRequest>(decoding: commit.frame).body
            #expect(commit.version == 4)
            #expect(!body.memberID.isEmpty && body.generationID == consumer.generation)
            try await consumer.close()
        }
    }

    @Test("a server that goes away in the middle and comes back gets every transaction once")
    func restarts() async throws {
        try await ServedEngine.withState { served in
            try await served.engine.createTopic("a", partitions: 3)
            let backend = try Backend.kafka(bootstrap: served.address)
            let producer = try await backend.transactionalProducer()
            let isDone = Mutex(false)
            let restarting = Task {
                while !isDone.withLock({ $0 }) {
                    try await Task.sleep(for: .milliseconds(40))
                    await served.stop()
                    try await Task.sleep(for: .milliseconds(20))
                    try await served.start()
                }
            }
            var wanted: [String] = []
            for number in 0..<60 {
                try producer.beginTransaction()
                for partition in 0..<Int32(3) {
                    let value = Array("\(number)".utf8)
                    try producer.enqueue(
                        topic: "a", partition: partition, key: nil, value: value.span.bytes)
                }
                if number % 5 == 4 {
                    try await producer.abortTransaction()
                } else {
                    try await producer.commitTransaction()
                    wanted.append("\(number)")
                }
            }
            isDone.withLock { $0 = true }
            try await restarting.value
            let committed = try await values(of: "a", in: backend, .readCommitted)
            #expect(committed == [0: wanted, 1: wanted, 2: wanted])
            try await backend.close()
        }
    }
}
