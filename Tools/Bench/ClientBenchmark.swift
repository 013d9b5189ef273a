import Foundation
import GRDB
import Synchronization
import Tally
import TallyStateStore

/// Measures what applications use, producers and members of groups, beside the same work done with
/// plain SQLite tables as a queue. Both as durable as the engine's default.
struct ClientBenchmark {
    let directory: String
    let runs: Int
    /// Records that are produced and consumed.
    let recordCount: Int

    static let valueBytes = 100
    static let value = [UInt8](repeating: 7, count: valueBytes)
    static let keys = (0..<1024).map { Array("GOT-\($0 % 8):SKU-\($0)".utf8) }

    func measure(_ report: (BenchmarkLine) throws -> Void) async throws {
        for tasks in [1, 16] {
            for linger in [Int64(0), 5] {
                try report(await latency(lingerMilliseconds: linger, tasks: tasks))
            }
        }
        for line in try await throughput() { try report(line) }
        let groups = GroupBenchmark(directory: directory, runs: runs)
        for partitions in [12, 1000] { try report(await groups.rebalance(partitions)) }
        for tasks in [1, 16] { try report(await groups.commits(from: tasks)) }
        let transactions = TransactionBenchmark(directory: directory, runs: runs)
        for producers in [1, 8] {
            for records in [1, 10] {
                try report(await transactions.rate(of: records, from: producers))
            }
        }
        try report(await transactions.topicToTopic(max(recordCount / 10, 1000)))
    }

    private func withPlaces<Value>(
        _ body: (Engine, QueueTable) async throws -> Value
    ) async throws -> Value {
        try await Self.withPlaces(in: directory, body)
    }

    /// An engine with its state in SQLite, and a queue, both new and removed afterwards.
    static func withPlaces<Value>(
        in directory: String, _ body: (Engine, QueueTable) async throws -> Value
    ) async throws -> Value {
        let path = directory + "/clients"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        var configuration = EngineConfiguration()
        configuration.state = .sqlite
        let engine = try await Engine.open(at: path + "/data", configuration: configuration)
        let queue = try QueueTable(in: path)
        let value = try await body(engine, queue)
        try await engine.close()
        try queue.remove()
        return value
    }

    // MARK: Sending

    /// How long a send takes, one after the other in each task.
    private func latency(lingerMilliseconds: Int64, tasks: Int) async throws -> BenchmarkLine {
        let count = lingerMilliseconds == 0 ? 4000 : 1500
        let (sent, inserted) = try await withPlaces { engine, queue in
            try await engine.createTopic("t", partitions: 1)
            var configuration = ProducerConfiguration()
            configuration.lingerMilliseconds = lingerMilliseconds
            let producer = try engine.producer(configuration)
            let key = Self.keys[0]
            let record = ProducerRecord(topic: "t", key: key, value: Self.value)
            let (keyData, valueData) = (Data(key), Data(Self.value))
            _ = try await producer.send(record)
            let inserted = try await Self.latencies(count / tasks, tasks) {
                try await queue.database.write {
                    try QueueTable.append(1, key: keyData, value: valueData, $0)
                }
            }
            let sent = try await Self.latencies(count / tasks, tasks) {
                _ = try await producer.send(record)
            }
            return (sent, inserted)
        }
        return BenchmarkLine(
            name: "send p50, linger \(lingerMilliseconds) ms, \(tasks) task"
                + (tasks == 1 ? "" : "s"),
            valueBytes: Self.valueBytes, perSecond: sent.milliseconds(0.5) * 1000, unit: "µs",
            limitName: "SQLite insert + commit", limitPerSecond: inserted.milliseconds(0.5) * 1000,
            isDuration: true, note: "\(sent); SQLite \(inserted)")
    }

    /// How long each of `count` calls of some tasks takes.
    static func latencies(
        _ count: Int, _ tasks: Int, _ body: @escaping @Sendable () async throws -> Void
    ) async throws -> Quantiles {
        let all = try await withThrowingTaskGroup(of: [Duration].self) { group in
            for _ in 0..<tasks {
                group.addTask {
                    var latencies: [Duration] = []
                    var now = ContinuousClock.now
                    for _ in 0..<count {
                        try await body()
                        let next = ContinuousClock.now
                        latencies.append(next - now)
                        now = next
                    }
                    return latencies
                }
            }
            var all: [Duration] = []
            for try await some in group { all += some }
            return all
        }
        return Quantiles(all)
    }

    // MARK: Throughput

    private func throughput() async throws -> [BenchmarkLine] {
        try await withPlaces { engine, queue in
            try await engine.createTopic("t", partitions: 4)
            // As many as SQLite can be waited for.
            let rowCount = max(recordCount / 10, 1000)
            let inserted = try await insert(rowCount, into: queue)
            let produced = try await produce(to: engine)
            let taken = try await rate(of: rowCount) {
                while try await takeBatch(from: queue) > 0 {}
            }
            var lines = [
                line(
                    "produce, enqueue and flush", produced, "SQLite insert, 1,000 a commit",
                    inserted, target: nil)
            ]
            for isCommitting in [false, true] {
                var rates: [Double] = []
                for run in 0..<runs {
                    rates.append(
                        try await consume(engine, group: "g\(isCommitting)\(run)", isCommitting))
                }
                lines.append(
                    line(
                        isCommitting
                            ? "consume in a group, a commit an element" : "consume in a group",
                        rates.sorted()[rates.count / 2],
                        "SQLite select + update position, 1,000 a commit", taken,
                        target: isCommitting ? nil : "10 M records/s"))
            }
            lines.append(try await exactlyOnce(engine, queue, rowCount))
            return lines
        }
    }

    private func line(
        _ name: String, _ figure: Double, _ limitName: String, _ limit: Double, target: String?
    ) -> BenchmarkLine {
        BenchmarkLine(
            name: name, valueBytes: Self.valueBytes, perSecond: figure, unit: "records",
            bytesPerSecond: figure * Double(Self.valueBytes), limitName: limitName,
            limitPerSecond: limit, target: target)
    }

    private func rate(of count: Int, _ body: () async throws -> Void) async throws -> Double {
        let start = ContinuousClock.now
        try await body()
        return Double(count) / ((ContinuousClock.now - start) / .seconds(1))
    }

    private func insert(_ count: Int, into queue: QueueTable) async throws -> Double {
        let keys = Self.keys.map { Data($0) }
        let value = Data(Self.value)
        return try await rate(of: count) {
            for batch in 0..<(count / 1000) {
                try await queue.database.write { db in
                    for number in 0..<1000 {
                        let key = keys[(batch * 1000 + number) & 1023]
                        try QueueTable.append(1, key: key, value: value, db)
                    }
                }
            }
        }
    }

    private func produce(to engine: Engine) async throws -> Double {
        var configuration = ProducerConfiguration()
        configuration.lingerMilliseconds = 5
        configuration.batchBytes = 64 << 10
        let producer = try engine.producer(configuration)
        return try await rate(of: recordCount) {
            var number = 0
            while number < recordCount {
                number = try fill(producer, from: number)
                if number < recordCount { try await producer.waitForRoom() }
            }
            try await producer.flush()
        }
    }

    /// Hands records over until the producer is full.
    private func fill(_ producer: Producer, from number: Int) throws -> Int {
        var number = number
        let value = Self.value
        while number < recordCount, !producer.isFull {
            let key = Self.keys[number & 1023]
            try producer.enqueue(topic: "t", key: key.rawSpan, value: value.rawSpan)
            number += 1
        }
        return number
    }

    private func takeBatch(from queue: QueueTable) async throws -> Int {
        try await queue.database.write { db in
            var sum = 0
            let count = try QueueTable.take(1000, as: 0, db) { sum &+= $0.count + $1.count }
            keep(UInt32(truncatingIfNeeded: sum))
            return count
        }
    }

    /// Reads all records as the only member of a group, from its first element on.
    private func consume(
        _ engine: Engine, group: String, _ isCommitting: Bool
    ) async throws -> Double {
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        let consumer = try engine.consumer(group: group, topics: ["t"], configuration)
        var (count, first, sum) = (0, 0, 0)
        var start = ContinuousClock.now
        var iterator = consumer.makeAsyncIterator()
        while count < recordCount, let records = try await iterator.next() {
            try records.forEachRecord { record in
                sum &+= (record.key?.byteCount ?? 0) + (record.value?.byteCount ?? 0)
                count += 1
            }
            if isCommitting { try await consumer.commit(records) }
            if first == 0 { (first, start) = (count, .now) }
        }
        let time = (ContinuousClock.now - start) / .seconds(1)
        keep(UInt32(truncatingIfNeeded: sum))
        try await consumer.close()
        return Double(count - first) / time
    }

    // MARK: Exactly once

    /// Events are read, and a row for each key and the position are written in one transaction.
    private func exactlyOnce(
        _ engine: Engine, _ queue: QueueTable, _ rowCount: Int
    ) async throws -> BenchmarkLine {
        let beside = try await rate(of: rowCount) {
            while try await Self.countBatch(from: queue) > 0 {}
        }
        let positions = try PositionTable(in: queue.database, consumer: "stock")
        var configuration = ConsumerConfiguration(end: .currentEnd)
        // About a thousand records.
        configuration.fetchBytesMax = 128 << 10
        var count = 0
        let start = ContinuousClock.now
        let consumer = try engine.consumer(of: "t", configuration)
        try await positions.take(for: consumer)
        for try await records in consumer {
            let more = Mutex(0)
            try await positions.apply(records) { db in
                var found = 0
                try records.forEachRecord { record in
                    let key = record.key?.withUnsafeBytes { Data($0) } ?? Data()
                    try QueueTable.count(key, db)
                    found += 1
                }
                more.withLock { $0 = found }
            }
            count += more.withLock { $0 }
            if count >= rowCount { break }
        }
        let time = (ContinuousClock.now - start) / .seconds(1)
        var result = line(
            "exactly once: read, count, position", Double(count) / time,
            "SQLite select, count, position, 1,000 a commit", beside, target: nil)
        result.unit = "events"
        return result
    }

    private static func countBatch(from queue: QueueTable) async throws -> Int {
        try await queue.database.write { db in
            try QueueTable.take(1000, as: 1, db) { key, _ in try QueueTable.count(key, db) }
        }
    }
}
