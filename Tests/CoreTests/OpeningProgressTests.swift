import Foundation
import Logging
import TallyTestSupport
import Testing

@testable import Tally

/// What an opening after a crash looks at, and what it says meanwhile.
@Suite struct OpeningProgressTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path("data") }

    init() throws { directory = try TemporaryDirectory() }

    private func append(
        _ engine: Engine, batches: Int, bytes: Int, partitions: Int32
    ) async throws {
        let producer = try engine.producer()
        let value = String(repeating: "x", count: bytes)
        for number in 0..<batches {
            for partition in 0..<partitions {
                let record = ProducerRecord(
                    topic: "a", partition: partition, key: nil as String?,
                    value: "\(number) \(value)")
                _ = try await producer.send(record)
            }
        }
    }

    @Test(
        "after a crash no more is scanned than what was appended since the recovery points",
        arguments: [20, 400])
    func bounded(batchesBefore: Int) async throws {
        let partitions: Int32 = 3
        var configuration = EngineConfiguration()
        configuration.durability = .buffered
        let engine = try await Engine.open(at: path, configuration: configuration)
        try await engine.createTopic("a", partitions: Int(partitions))
        try await append(engine, batches: batchesBefore, bytes: 1000, partitions: partitions)
        for partition in engine.partitions { try partition.log.flush() }
        try engine.writeCheckpoints()
        let before = try engine.partitions.map { try $0.log.byteCount }
        try await append(engine, batches: 10, bytes: 1000, partitions: 1)
        let since = try zip(engine.partitions, before).map { try $0.0.log.byteCount - $0.1 }
        #expect(since.reduce(0, +) > 10_000)
        let crashed = try crashImage(of: path, in: directory)
        try await engine.close()

        let reopened = try await Engine.open(at: crashed)
        // From the index entry before the recovery point on: an interval, and a batch.
        let slack = 4096 + 2 * 1200
        for partition in reopened.partitions {
            let recovery = try partition.log.recovery
            #expect(!recovery.wasClean)
            let unsynced = partition.index == 0 ? since.reduce(0, +) : 0
            #expect(recovery.scannedByteCount >= unsynced)
            #expect(recovery.scannedByteCount <= unsynced + slack, "\(partition.name)")
        }
        #expect(
            try await reopened.values(of: "a").values.map(\.count).reduce(0, +)
                == batchesBefore * Int(partitions) + 10)
        try await reopened.close()
    }

    @Test("an opening says how far it is while it lasts, and what it did at its end")
    func told() async throws {
        let engine = try await Engine.open(at: path)
        try await engine.createTopic("a", partitions: 8)
        try await append(engine, batches: 5, bytes: 100, partitions: 8)
        let crashed = try crashImage(of: path, in: directory)
        try await engine.close()
        var lines: [String] = []
        func open(_ path: String, interval: Int64 = 5_000) async throws -> [String] {
            let messages = Messages()
            var configuration = EngineConfiguration()
            configuration.logger = Logger(label: "test") { _ in MessageHandler(messages: messages) }
            configuration.openProgressIntervalMilliseconds = interval
            try await Engine.open(at: path, configuration: configuration).close()
            return messages.all.filter { $0.hasPrefix("open") }
        }
        lines = try await open(crashed)
        #expect(lines.count == 1)
        let summary = try #require(lines.first)
        #expect(summary.hasPrefix("opened 8 partitions in "))
        #expect(summary.contains(" s: 8 after an unclean stop, "))
        #expect(summary.hasSuffix(" cut off; 0 offline") && !summary.contains(" 0 bytes scanned"))
        // Closed in order, there is nothing to scan.
        lines = try await open(crashed)
        #expect(
            lines.first?.contains(" s: 0 after an unclean stop, 0 bytes scanned, 0 cut") == true)
    }

    @Test("an opening that is to tell nothing on its way does not tell it without a pause")
    func silent() async throws {
        let messages = Messages()
        let progress = OpeningProgress(
            partitionCount: 1,
            logger: Logger(label: "t") { _ in MessageHandler(messages: messages) })
        for interval in [Duration.zero, .milliseconds(-1)] {
            let ticker = Task { await progress.tell(every: interval) }
            try await Task.sleep(for: .milliseconds(50))
            ticker.cancel()
            await ticker.value
        }
        #expect(messages.all == [])
    }

    @Test("as long as partitions are being opened their number and names are told")
    func ticking() async throws {
        let messages = Messages()
        let progress = OpeningProgress(
            partitionCount: 7,
            logger: Logger(label: "t") { _ in MessageHandler(messages: messages) })
        for name in ["a-0", "a-1", "a-2", "a-3", "a-4"] { progress.begin(name) }
        var recovery = RecoveryReport()
        recovery.wasClean = false
        recovery.scannedByteCount = 77
        progress.end("a-1", recovery)
        progress.end("a-4", nil)
        let ticker = Task { await progress.tell(every: .milliseconds(2)) }
        #expect(try await eventually { messages.all.count >= 3 })
        ticker.cancel()
        await ticker.value
        let line = try #require(messages.all.last)
        #expect(line.hasPrefix("opening: 2 of 7 partitions in "))
        #expect(line.hasSuffix(" s, 77 bytes scanned; at work on a-0, a-2, a-3"))
        progress.begin("a-5")
        progress.finish()
        #expect(
            messages.all.last?.hasSuffix(
                "s: 1 after an unclean stop, 77 bytes scanned, "
                    + "0 cut off; 1 offline") == true)
    }
}
