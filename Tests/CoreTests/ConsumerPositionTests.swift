import Foundation
import TallyTestSupport
import Testing

@testable import Tally
@testable import TallyLog

/// Where a consumer goes on when it may not see, or cannot have, what comes next.
@Suite(.timeLimit(.minutes(10))) struct ConsumerPositionTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// An engine with a topic "a" whose partition 0 holds records 3 to 9, an hour apart, the last
    /// one hour old.
    private func engine() async throws -> Engine {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("a", partitions: 2)
        let now = Timestamp.now.rawValue
        let producer = try engine.producer()
        for number in 0..<10 {
            _ = try await producer.send(
                ProducerRecord(
                    topic: "a", partition: 0, key: nil, value: "\(number)",
                    timestamp: Timestamp(
                        milliseconds: now - Int64(10 - number) * 3_600_000)))
        }
        _ = try await engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(3))
        return engine
    }

    /// The values from a position on.
    private func values(
        _ engine: Engine, at start: Int64, _ reset: OffsetReset
    ) async throws -> [String] {
        var configuration = ConsumerConfiguration(start: .offset(Offset(start)), end: .currentEnd)
        configuration.reset = reset
        var values: [String] = []
        let consumer = try engine.consumer(of: "a", partitions: [0], configuration)
        for try await records in consumer {
            try records.forEachRecord { values.append($0.valueText ?? "null") }
        }
        return values
    }

    @Test("a position that is not in the log: an error, or what auto.offset.reset says")
    func reset() async throws {
        let engine = try await engine()
        let all = (3..<10).map(String.init)
        for start in [Int64(1), 12] {
            do {
                _ = try await values(engine, at: start, .none)
                Issue.record("it went on in silence")
            } catch LogError.offsetOutOfRange(let range) {
                #expect(range.requested == Offset(start))
                #expect(range.logStart == Offset(3) && range.logEnd == Offset(10))
            }
            #expect(try await values(engine, at: start, .earliest) == all)
            #expect(try await values(engine, at: start, .latest) == [])
            #expect(
                try await values(engine, at: start, .duration(milliseconds: 9_000_000))
                    == ["8", "9"])
        }
        #expect(try await values(engine, at: 1, .nearest) == all)
        #expect(try await values(engine, at: 12, .nearest) == [])
        #expect(try await values(engine, at: 7, .earliest) == ["7", "8", "9"], "it is in the log")
        try await engine.close()
    }

    @Test("a paused partition is passed over until it is resumed")
    func pause() async throws {
        let engine = try await engine()
        _ = try await engine.producer().send(
            ProducerRecord(topic: "a", partition: 1, key: nil as String?, value: "other"))
        let consumer = try engine.consumer(of: "a")
        try consumer.pause([0])
        var iterator = consumer.makeAsyncIterator()
        #expect(try await iterator.next()?.partition == 1)
        let next = Task {
            var iterator = consumer.makeAsyncIterator()
            return try await iterator.next()?.startOffset
        }
        try await Task.sleep(for: .milliseconds(50))
        #expect(throws: EngineError.self) { try consumer.pause([2]) }
        try consumer.resume([0])
        #expect(try await next.value == Offset(3))
        try await engine.close()
    }

    // MARK: Transactions

    /// Appends a batch of one record of a transaction, or outside one.
    private func append(_ value: String, to log: PartitionLog, producerID: Int64?) throws {
        var builder = try RecordBatchBuilder()
        let bytes = Array(value.utf8)
        try builder.append(key: nil, value: bytes.span.bytes, timestamp: .now)
        let sequence = try log.producerStates().first { $0.producerID == producerID }?
            .batches.last.map { $0.lastSequence + 1 }
        var batch = try builder.finishMutable(
            producer: producerID.map {
                BatchProducer(id: $0, epoch: 0, baseSequence: sequence ?? 0)
            } ?? .none, isTransactional: producerID != nil)
        _ = try log.append(&batch, from: .outside, now: .now)
        try log.flush()
    }

    private func end(_ log: PartitionLog, _ producerID: Int64, didCommit: Bool) throws {
        _ = try log.append(
            TransactionMarker(
                didCommit: didCommit, producerID: producerID, producerEpoch: 0,
                coordinatorEpoch: 0), now: .now)
        try log.flush()
    }

    @Test(
        "read_committed waits at an open transaction, is woken by its end, and skips aborted ones")
    func isolation() async throws {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("a", partitions: 1)
        let log = try engine.partition(0, of: "a").log
        var configuration = ConsumerConfiguration()
        configuration.isolation = .readCommitted
        let consumer = try engine.consumer(of: "a", configuration)
        let reader = Task {
            var values: [String] = []
            for try await records in consumer {
                try records.forEachRecord { values.append($0.valueText ?? "null") }
                if values.last == "last" { break }
            }
            return values
        }
        try append("plain", to: log, producerID: nil)
        try append("lost", to: log, producerID: 1)
        try append("kept", to: log, producerID: 2)
        try append("lost too", to: log, producerID: 1)
        try append("between", to: log, producerID: nil)
        try await Task.sleep(for: .milliseconds(50))
        #expect(consumer.positions == [0: Offset(1)])
        try end(log, 2, didCommit: true)
        try await Task.sleep(for: .milliseconds(50))
        #expect(consumer.positions == [0: Offset(1)], "the other transaction is open")
        try end(log, 1, didCommit: false)
        try append("again", to: log, producerID: 1)
        try end(log, 1, didCommit: true)
        try append("last", to: log, producerID: nil)
        #expect(try await reader.value == ["plain", "kept", "between", "again", "last"])
        let all = try await engine.values(of: "a")[0]
        #expect(all?.count == 7, "read_uncommitted sees them all")
        try await engine.close()
    }
}
