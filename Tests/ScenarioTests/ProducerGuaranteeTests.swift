import Foundation
import TallyTestSupport
import Testing

@testable import Tally

/// What a producer promises: who hears of a record that is refused, and what becomes of one that
/// is sent again since nobody heard of it.
@Suite("Scenario: guarantees of producers", .timeLimit(.minutes(10)))
struct ProducerGuaranteeTests {
    // MARK: Whom a refusal is told

    /// An engine whose disk is full: small records have room in what was reserved, large ones not.
    private func engineOnFullDisk() async throws -> (Engine, SimulatedFileSystem) {
        let files = SimulatedFileSystem(directories: ["/data"])
        var configuration = EngineConfiguration()
        configuration.spaceReserveBytes = 0
        let workers = WorkerPool(name: "tally", threadsMax: configuration.threadsMax)
        let engine = try await EngineOpening(
            data: DataDirectory(path: "/data", fileSystem: files), configuration: configuration,
            workers: workers
        ).open()
        try await engine.createTopic("orders", partitions: 1)
        _ = try await engine.producer().send(key: nil, value: "before", to: "orders")
        files.capacityBytes = files.usedBytes
        return (engine, files)
    }

    /// What is in the topic, shortened to the names.
    private func names(in engine: Engine) async throws -> [String] {
        var names: [String] = []
        let configuration = ConsumerConfiguration(end: .currentEnd)
        for try await records in try engine.consumer(of: "orders", configuration) {
            try records.forEachRecord { record in
                names.append(String((record.valueText ?? "").prefix { $0 != "." }))
            }
        }
        return names
    }

    private static func isNoSpace(_ error: (any Error)?) -> Bool {
        guard case .file(let cause) = error as? LogError else { return false }
        return cause.isNoSpace
    }

    @Test(
        "a refused record: with acks=0 nobody is told, with acks=1 and acks=all the sender is",
        arguments: [Acknowledgements.none, .leader, .all])
    func refused(acknowledgements: Acknowledgements) async throws {
        let (engine, files) = try await engineOnFullDisk()
        var configuration = ProducerConfiguration()
        configuration.acknowledgements = acknowledgements
        let producer = try engine.producer(configuration)
        let isTold = acknowledgements != .none
        let large = "lost" + String(repeating: ".", count: 900_000)

        let error = await GroupScenario.error {
            let sent = try await producer.send(key: nil, value: large, to: "orders")
            #expect(sent.offset == Offset(-1), "taken; nobody knows where it goes")
        }
        #expect(isTold ? Self.isNoSpace(error) : error == nil, "\(String(describing: error))")
        // Who does not wait is told by the flush, or not at all.
        try producer.enqueue(topic: "orders", key: nil, value: Array(large.utf8).span.bytes)
        let flushed = await GroupScenario.error { try await producer.flush() }
        #expect(isTold ? Self.isNoSpace(flushed) : flushed == nil)
        // Both are gone all the same, and what comes behind them is not held up.
        files.capacityBytes = nil
        _ = try await producer.send(key: nil, value: "behind", to: "orders")
        try await producer.flush()
        #expect(try await names(in: engine) == ["before", "behind"])
        try await engine.close()
    }

    // MARK: Sent again

    /// How a sender that heard nothing sends again.
    enum Resending: CaseIterable, Sendable {
        /// The application sends the record once more, as a record like any other.
        case application
        /// The same, from a process that was started anew.
        case applicationAfterCrash
        /// The batch goes out as it was: with its producer's id and its sequence number.
        case batch
        /// The same, after a crash: the log finds out again what it has.
        case batchAfterCrash

        var isAfterCrash: Bool { self == .applicationAfterCrash || self == .batchAfterCrash }
        var isBatch: Bool { self == .batch || self == .batchAfterCrash }
    }

    /// Only the log can know a batch again, by what is in it. What an application sends once more
    /// has a new number, or a new producer: it doubles, idempotent or not.
    @Test(
        "sent again: at least once doubles; a batch of an idempotent producer is stored once",
        arguments: Resending.allCases, [false, true])
    func resent(_ resending: Resending, isIdempotent: Bool) async throws {
        let directory = try TemporaryDirectory()
        var path = directory.path("data")
        var engine = try await GroupScenario.open(at: path)
        try await GroupScenario.createTopic("orders", partitions: 1, in: engine)
        var configuration = ProducerConfiguration()
        configuration.isIdempotent = isIdempotent
        var producer = try engine.producer(configuration)
        for name in ["before", "order"] {
            _ = try await producer.send(key: nil, value: name, to: "orders")
        }
        // The answer is lost: the sender does not know whether the order is there.
        let batch = try #require(try await batches(in: engine).last)
        #expect(batch.producer.id >= 0 || !isIdempotent)
        if resending.isAfterCrash {
            let copy = directory.path("crashed")
            try copyLiveDirectory(path, to: copy)
            try await engine.close()
            path = copy
            engine = try await GroupScenario.open(at: path)
            producer = try engine.producer(configuration)
        }

        if resending.isBatch {
            let result = try append("order", batch, to: engine)
            #expect(result.isDuplicate == isIdempotent)
            // Who sends what is there already is told where it is.
            #expect(result.baseOffset == Offset(isIdempotent ? 1 : 2))
        } else {
            let sent = try await producer.send(key: nil, value: "order", to: "orders")
            #expect(sent.offset == Offset(2))
        }
        let isOnce = resending.isBatch && isIdempotent
        #expect(
            try await names(in: engine) == ["before", "order"] + (isOnce ? [] : ["order"]))
        // Another record of the producer, or of its successor, is stored as ever.
        _ = try await producer.send(key: nil, value: "next", to: "orders")
        #expect(try await names(in: engine).last == "next")
        try await engine.close()
    }

    /// What a batch says of itself.
    private struct SentBatch {
        var producer: BatchProducer
        var timestamp: Timestamp
    }

    private func batches(in engine: Engine) async throws -> [SentBatch] {
        var found: [SentBatch] = []
        let configuration = ConsumerConfiguration(end: .currentEnd)
        for try await records in try engine.consumer(of: "orders", configuration) {
            try records.forEachBatch { batch in
                let header = batch.header
                found.append(
                    SentBatch(
                        producer: BatchProducer(
                            id: header.producerID, epoch: header.producerEpoch,
                            baseSequence: header.baseSequence),
                        timestamp: header.maxTimestamp))
            }
        }
        return found
    }

    /// Appends a batch of one record as it was sent before.
    private func append(
        _ value: String, _ batch: SentBatch, to engine: Engine
    ) throws -> AppendResult {
        var builder = try RecordBatchBuilder()
        try builder.append(
            key: nil, value: Array(value.utf8).span.bytes, timestamp: batch.timestamp, headers: [])
        var bytes = try builder.finishMutable(producer: batch.producer)
        let log = try engine.partition(0, of: "orders").log
        return try log.append(&bytes, from: .outside, now: .now)
    }
}
