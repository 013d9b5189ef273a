import Foundation
import GRDB
import Tally

/// Measures transactions: how many a second, and reading, processing and writing exactly once from
/// topic to topic. Beside the same rows in SQLite, in transactions of the same size.
struct TransactionBenchmark {
    let directory: String
    let runs: Int

    // MARK: Transactions a second

    /// Transactions of so many records, one after the other in each producer.
    func rate(of records: Int, from producers: Int) async throws -> BenchmarkLine {
        let count = 1000 / producers
        let (key, value) = (ClientBenchmark.keys[0], ClientBenchmark.value)
        let (committed, inserted) = try await ClientBenchmark.withPlaces(in: directory) {
            engine, queue in
            try await engine.createTopic("t", partitions: 8)
            let all = try await Self.producers(producers, of: engine)
            let (keyData, valueData) = (Data(key), Data(value))
            let inserted = try await Self.rate(count, all) { _, _ in
                try await queue.database.write {
                    try QueueTable.append(records, key: keyData, value: valueData, $0)
                }
            }
            let committed = try await Self.rate(count, all) { producer, index in
                try await producer.withTransaction { producer in
                    for _ in 0..<records {
                        try producer.enqueue(
                            topic: "t", partition: Int32(index), key: key.span.bytes,
                            value: value.span.bytes)
                    }
                }
            }
            return (committed, inserted)
        }
        return BenchmarkLine(
            name: "transactions of \(records) record" + (records == 1 ? "" : "s")
                + ", \(producers) producer" + (producers == 1 ? "" : "s"),
            valueBytes: ClientBenchmark.valueBytes, perSecond: committed, unit: "transactions",
            limitName: "SQLite inserts + commit, as many tasks", limitPerSecond: inserted)
    }

    /// Each with a transactional id of its own.
    private static func producers(_ count: Int, of engine: Engine) async throws -> [Producer] {
        var producers: [Producer] = []
        for number in 0..<count {
            var configuration = ProducerConfiguration()
            configuration.transactionalID = "bench-\(number)"
            let producer = try engine.producer(configuration)
            try await producer.initTransactions()
            producers.append(producer)
        }
        return producers
    }

    /// Calls a second, `count` of them one after the other for each producer.
    private static func rate(
        _ count: Int, _ producers: [Producer],
        _ body: @escaping @Sendable (Producer, Int) async throws -> Void
    ) async throws -> Double {
        let start = ContinuousClock.now
        try await withThrowingTaskGroup { group in
            for (index, producer) in producers.enumerated() {
                group.addTask { for _ in 0..<count { try await body(producer, index) } }
            }
            try await group.waitForAll()
        }
        return Double(count * producers.count) / ((ContinuousClock.now - start) / .seconds(1))
    }

    // MARK: From topic to topic

    /// Events are read, and each is written to another topic, with the position in the same
    /// transaction, about a thousand a transaction.
    func topicToTopic(_ eventCount: Int) async throws -> BenchmarkLine {
        let (moved, copied) = try await ClientBenchmark.withPlaces(in: directory) {
            engine, queue in
            for topic in ["in", "out"] { try await engine.createTopic(topic, partitions: 4) }
            try await fill(eventCount, engine, queue)
            let start = ContinuousClock.now
            while try await Self.copy(in: queue) > 0 {}
            let copied = Double(eventCount) / ((ContinuousClock.now - start) / .seconds(1))
            return (try await move(eventCount, in: engine), copied)
        }
        return BenchmarkLine(
            name: "exactly once, from topic to topic", valueBytes: ClientBenchmark.valueBytes,
            perSecond: moved, unit: "events",
            limitName: "SQLite select, insert, position, 1,000 a commit", limitPerSecond: copied)
    }

    private func fill(_ count: Int, _ engine: Engine, _ queue: QueueTable) async throws {
        let producer = try engine.producer()
        let (keys, value) = (ClientBenchmark.keys, ClientBenchmark.value)
        var number = 0
        while number < count {
            while number < count, !producer.isFull {
                let key = keys[number & 1023]
                try producer.enqueue(topic: "in", key: key.span.bytes, value: value.span.bytes)
                number += 1
            }
            try await producer.waitForRoom()
        }
        try await producer.flush()
        let valueData = Data(value)
        for first in stride(from: 0, to: count, by: 10_000) {
            try await queue.database.write { db in
                for number in first..<min(first + 10_000, count) {
                    try QueueTable.append(1, key: Data(keys[number & 1023]), value: valueData, db)
                }
            }
        }
    }

    private static func copy(in queue: QueueTable) async throws -> Int {
        try await queue.database.write { db in
            try QueueTable.take(1000, as: 2, db) { key, value in
                try QueueTable.append(1, key: key, value: value, to: "result", db)
            }
        }
    }

    private func move(_ count: Int, in engine: Engine) async throws -> Double {
        let producer = try await Self.producers(1, of: engine)[0]
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        configuration.reading.isolation = .readCommitted
        // About a thousand records.
        configuration.reading.fetchBytesMax = 128 << 10
        let consumer = try engine.consumer(group: "g", topics: ["in"], configuration)
        var moved = 0
        let start = ContinuousClock.now
        for try await records in consumer {
            try await producer.withTransaction { producer in
                try records.forEachRecord { record in
                    try producer.enqueue(topic: "out", key: record.key, value: record.value)
                    moved += 1
                }
                try await producer.sendOffsets(behind: records, of: consumer)
            }
            if moved >= count { break }
        }
        let time = (ContinuousClock.now - start) / .seconds(1)
        try await consumer.close()
        return Double(moved) / time
    }
}
