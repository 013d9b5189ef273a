import Foundation
import Tally
import TallyKafka
import TallyServed
import TallyTestSupport
import Testing

/// An application that reads orders and writes invoices, each exactly once, and ends in the middle
/// after some transactions, as a crash would. It knows nothing of where its records are.
///
/// - Returns: how many records it has read.
func writeInvoices(_ backend: Backend, transactions: Int) async throws -> Int {
    var reading = GroupConsumerConfiguration()
    reading.reading.reset = .earliest
    reading.reading.isolation = .readCommitted
    reading.reading.fetchBytesMax = 1
    reading.sessionTimeoutMilliseconds = 6_000
    let orders = try backend.consumer(group: "invoicing", topics: ["orders"], reading)
    let invoices = try await backend.transactionalProducer(id: "invoicing-1")
    var count = 0
    var number = 0
    for try await records in orders {
        number += 1
        try invoices.beginTransaction()
        try records.forEachRecord { record in
            count += 1
            let value = Array("invoice of \(record.valueText ?? "")".utf8)
            try invoices.enqueue(
                topic: "invoices", partition: records.partition, key: nil, value: value.span.bytes)
        }
        try await invoices.sendOffsets(behind: records, of: orders)
        if number % 4 == 0 {
            // Something was wrong with it: it is read again by whoever begins next.
            try await invoices.abortTransaction()
            break
        }
        if number == transactions {
            // Neither committed nor aborted.
            try await invoices.flush()
            break
        }
        try await invoices.commitTransaction()
        // As far as it knows there is nothing more.
        if orders.lag.values.allSatisfy({ $0 == 0 }) { break }
    }
    try await orders.close()
    return count
}

/// Positions of groups that are part of transactions.
@Suite("Offsets in transactions behind a backend", .timeLimit(.minutes(5)))
struct KafkaTransactionOffsetTests {
    @Test("read, process and write exactly once, by the same code", arguments: Place.allCases)
    func readProcessWrite(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await engine.createTopic("orders", partitions: 2)
            try await engine.createTopic("invoices", partitions: 2)
            let input = try backend.producer()
            for number in 0..<24 {
                _ = try await input.send(
                    ProducerRecord(
                        topic: "orders", partition: Int32(number % 2), key: nil,
                        value: "\(number)"))
            }
            var (written, rounds, readCount): ([Int32: [String]], Int, Int) = ([:], 0, 0)
            while written.values.reduce(0, { $0 + $1.count }) < 24, rounds < 40 {
                rounds += 1
                readCount += try await writeInvoices(backend, transactions: rounds % 3 + 2)
                written = try await values(of: "invoices", in: backend, .readCommitted)
            }
            for partition in 0..<2 {
                let wanted = stride(from: partition, to: 24, by: 2).map { "invoice of \($0)" }
                #expect(written[Int32(partition)] == wanted, "\(rounds) rounds")
            }
            // What was given up was read again.
            #expect(readCount > 24)
            let all = try await values(of: "invoices", in: backend)
            #expect(all.values.reduce(0) { $0 + $1.count } > 24)
            let committed = try await engine.committedOffsets(ofGroup: "invoicing")
            #expect(committed.count == 2)
        }
    }

    @Test(
        "offsets of a member that the group has gone on without fail the transaction",
        arguments: Place.allCases)
    func fencedMember(_ place: Place) async throws {
        try await place.with { backend, engine in
            for topic in ["a", "b"] { try await engine.createTopic(topic, partitions: 1) }
            var configuration = GroupConsumerConfiguration()
            configuration.reading.reset = .earliest
            let consumer = try backend.consumer(group: "g", topics: ["a"], configuration)
            _ = try await backend.producer().send(key: nil, value: "x", to: "a")
            var iterator = consumer.makeAsyncIterator()
            let records = try #require(try await iterator.next())
            try await consumer.close()
            let producer = try await backend.transactionalProducer()
            try producer.beginTransaction()
            _ = try await producer.send(key: nil, value: "lost", to: "b")
            do {
                try await producer.sendOffsets(behind: records, of: consumer)
                Issue.record("the group took them")
            } catch EngineError.group {
            }
            let refusal = await message { try await producer.commitTransaction() }
            #expect(refusal.contains("aborted"))
            try await producer.abortTransaction()
            #expect(try await values(of: "b", in: backend, .readCommitted).isEmpty)
            #expect(try await engine.committedOffsets(ofGroup: "g").isEmpty)
        }
    }

    @Test("offsets alone commit, and those of an aborted transaction do not count")
    func offsetsAlone() async throws {
        for place in Place.allCases {
            try await place.with { backend, engine in
                try await engine.createTopic("a", partitions: 1)
                for number in 0..<2 {
                    _ = try await backend.producer().send(key: nil, value: "\(number)", to: "a")
                }
                var configuration = GroupConsumerConfiguration()
                configuration.reading.reset = .earliest
                configuration.reading.fetchBytesMax = 1
                let consumer = try backend.consumer(group: "g", topics: ["a"], configuration)
                let producer = try await backend.transactionalProducer()
                let zero = TopicPartition(topic: "a", partition: 0)
                var iterator = consumer.makeAsyncIterator()
                let first = try #require(try await iterator.next())
                try await producer.withTransaction {
                    try await $0.sendOffsets(behind: first, of: consumer)
                }
                #expect(try await engine.committedOffsets(ofGroup: "g")[zero]?.offset == Offset(1))
                let second = try #require(try await iterator.next())
                try producer.beginTransaction()
                try await producer.sendOffsets(behind: second, of: consumer)
                try await producer.abortTransaction()
                #expect(try await engine.committedOffsets(ofGroup: "g")[zero]?.offset == Offset(1))
                try await consumer.close()
            }
        }
    }

    @Test("a transaction and a consumer of different places are refused together")
    func otherPlace() async throws {
        try await ServedEngine.withState { served in
            let engine = Backend.embedded(served.engine)
            let cluster = try Backend.kafka(bootstrap: served.address)
            let other = try Backend.kafka(bootstrap: served.address)
            try await served.engine.createTopic("a", partitions: 1)
            let offsets = [
                TopicPartition(topic: "a", partition: 0): OffsetToCommit(offset: .zero)
            ]
            for (writing, reading) in [(engine, cluster), (cluster, engine), (cluster, other)] {
                let producer = try await writing.transactionalProducer()
                let consumer = try reading.consumer(group: "g", topics: ["a"])
                try producer.beginTransaction()
                let refusal = await message {
                    try await producer.sendOffsets(offsets, of: consumer)
                }
                #expect(refusal.contains("cluster"))
                try await producer.abortTransaction()
                try await consumer.close()
            }
            try await cluster.close()
            try await other.close()
        }
    }
}
