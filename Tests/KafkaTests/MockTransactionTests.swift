import Foundation
import Tally
import TallyKafka
import TallyTestSupport
import TallyWire
import Testing

/// Transactions on librdkafka's mock cluster: several brokers, whose coordinators move and which
/// answer with errors. It writes no markers, so that readers of committed records see nothing of
/// how transactions end there.
@Suite(
    "Transactions on a mock cluster", .timeLimit(.minutes(5)),
    .enabled(if: MockCluster.isAvailable))
struct MockTransactionTests {
    private func with(
        limitMilliseconds: Int64 = 20_000, _ body: (Backend, MockCluster) async throws -> Void
    ) async throws {
        let mock = try MockCluster(brokers: 3, topics: ["t": 4])
        for partition in 0..<4 { try mock.tell("leader t \(partition) \(partition % 3 + 1)") }
        try mock.tell("coordinator transaction t 1")
        try mock.tell("coordinator group g 2")
        var settings = KafkaSettings()
        settings.apiTimeoutMilliseconds = limitMilliseconds
        let backend = try Backend.kafka(bootstrap: mock.addresses.joined(separator: ","), settings)
        try await body(backend, mock)
        try await backend.close()
    }

    private func send(_ producer: Producer, _ text: String) async throws {
        let records = (0..<4).map {
            ProducerRecord(topic: "t", partition: Int32($0), key: nil, value: "\(text)")
        }
        for outcome in await producer.send(records) { _ = try outcome.get() }
    }

    @Test("transactions commit and abort, with offsets, while their coordinator moves")
    func moving() async throws {
        try await with { backend, mock in
            let producer = try await backend.transactionalProducer()
            for number in 0..<8 {
                try producer.beginTransaction()
                try await send(producer, "\(number)")
                // Also in the middle: the next request comes to one that does not coordinate.
                try mock.tell("coordinator transaction t \((number + 1) % 3 + 1)")
                if number % 2 == 0 {
                    try await producer.commitTransaction()
                } else {
                    try await producer.abortTransaction()
                }
            }
            let read = try await values(of: "t", in: backend)
            let wanted = (0..<8).map { "\($0)" }
            #expect(read == [0: wanted, 1: wanted, 2: wanted, 3: wanted])
        }
    }

    /// Errors that pass, by the request that they answer; -195 ends the connection.
    static let passing: [(APIKey, [Int])] = [
        (.initProducerID, [15, 16, 14, 51, -195]),
        (.addPartitionsToTransaction, [51, 15, 16, 14, 3, -195]),
        (.addOffsetsToTransaction, [51, 15, 16, 14, -195]),
        (.transactionOffsetCommit, [15, 16, 14, 7, -195]),
        (.endTransaction, [51, 15, 16, 14, -195]),
        (.produce, [6, 7, 51, -195]),
    ]

    @Test("errors that pass are waited for", arguments: passing)
    func passes(_ api: APIKey, _ codes: [Int]) async throws {
        try await with { backend, mock in
            for number in 0..<6 {
                _ = try await backend.producer().send(
                    ProducerRecord(topic: "t", partition: 0, key: nil, value: "in \(number)"))
            }
            var configuration = GroupConsumerConfiguration()
            configuration.reading.reset = .earliest
            configuration.reading.fetchBytesMax = 1
            configuration.assignors = [.range]
            let consumer = try backend.consumer(group: "g", topics: ["t"], configuration)
            var iterator = consumer.makeAsyncIterator()
            let records = try #require(try await iterator.next())
            for code in codes { try mock.tell("error \(api.rawValue) \(code) 1") }
            let producer = try await backend.transactionalProducer()
            for number in 0..<3 {
                try producer.beginTransaction()
                try await send(producer, "\(number)")
                try await producer.sendOffsets(behind: records, of: consumer)
                if number == 1 {
                    try await producer.abortTransaction()
                } else {
                    try await producer.commitTransaction()
                }
                for code in codes { try mock.tell("error \(api.rawValue) \(code) 1") }
            }
            try await consumer.close()
            let read = try await values(of: "t", in: backend)
            #expect(read[1] == ["0", "1", "2"])
        }
    }

    @Test(
        "errors that end a producer are those of an engine",
        arguments: [
            (90, TransactionError.producerFenced), (47, .producerFenced),
            (49, .invalidProducerIDMapping),
        ],
        [APIKey.addPartitionsToTransaction, .endTransaction])
    func fatal(_ error: (Int, TransactionError), _ api: APIKey) async throws {
        try await with { backend, mock in
            let producer = try await backend.transactionalProducer()
            try producer.beginTransaction()
            try mock.tell("error \(api.rawValue) \(error.0) 1")
            await #expect(throws: EngineError.transaction(error.1)) {
                _ = try await producer.send(
                    ProducerRecord(topic: "t", partition: 0, key: nil, value: "x"))
                try await producer.commitTransaction()
            }
            let after = await message { try await producer.abortTransaction() }
            #expect(after.contains("ended"))
        }
    }

    @Test("a transaction that the coordinator has never heard of, perhaps, can be aborted")
    func neverHeardOf() async throws {
        try await with(limitMilliseconds: 400) { backend, mock in
            let producer = try await backend.transactionalProducer()
            try producer.beginTransaction()
            // Each connection ends without an answer, for longer than it is tried.
            try mock.tell("error \(APIKey.addPartitionsToTransaction.rawValue) -195 100")
            await #expect(throws: (any Error).self) { try await send(producer, "x") }
            // INVALID_TXN_STATE: Kafka knows of no transaction that is empty.
            try mock.tell("error \(APIKey.endTransaction.rawValue) 48 1")
            try await producer.abortTransaction()
        }
    }

    @Test(
        "errors that leave only the abort leave it, and the next transaction goes on",
        arguments: [
            // INVALID_TXN_STATE, TRANSACTION_ABORTABLE, OUT_OF_ORDER_SEQUENCE_NUMBER
            (APIKey.produce, 48), (.produce, 120), (.produce, 45),
            // INVALID_RECORD, TOPIC_AUTHORIZATION_FAILED, INVALID_TXN_STATE
            (.produce, 87), (.addPartitionsToTransaction, 29), (.addPartitionsToTransaction, 48),
        ])
    func abortable(_ api: APIKey, _ code: Int) async throws {
        try await with { backend, mock in
            let producer = try await backend.transactionalProducer()
            try producer.beginTransaction()
            _ = try await producer.send(
                ProducerRecord(topic: "t", partition: 1, key: nil, value: "before"))
            try mock.tell("error \(api.rawValue) \(code) 1")
            await #expect(throws: (any Error).self) {
                _ = try await producer.send(
                    ProducerRecord(topic: "t", partition: 0, key: nil, value: "x"))
            }
            let refused = await message {
                _ = try await producer.send(
                    ProducerRecord(topic: "t", partition: 2, key: nil, value: "x"))
            }
            #expect(refused.contains("aborted"))
            let commit = await message { try await producer.commitTransaction() }
            #expect(commit.contains("aborted"))
            try await producer.abortTransaction()
            try await producer.withTransaction { try await send($0, "next") }
            #expect(try await values(of: "t", in: backend)[0] == ["next"])
        }
    }
}
