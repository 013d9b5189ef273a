import Foundation
import TallyTestSupport
import Testing

@testable import Tally

/// What the files of a data directory say of cleanings, where it is out of date or untrue.
@Suite(.timeLimit(.minutes(10))) struct CompactionStateTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func open(
        at path: String? = nil, _ change: (inout EngineConfiguration) -> Void = { _ in }
    ) async throws -> Engine {
        try await Engine.cleaning(at: path ?? directory.path) {
            $0.isCleanerEnabled = false
            change(&$0)
        }
    }

    private func create(
        _ name: String, _ more: [String: String] = [:], in engine: Engine
    ) async throws {
        let settings = [
            "cleanup.policy": "compact", "segment.bytes": "1000", "file.delete.delay.ms": "0",
        ]
        try await engine.createTopic(
            name, partitions: 1,
            configuration: try TopicConfiguration(settings.merging(more) { _, new in new }))
    }

    private func fill(_ topic: String, _ count: Int, in engine: Engine) async throws {
        let producer = try engine.producer()
        for number in 0..<count {
            _ = try await producer.send(key: "k\(number % 5)", value: "\(number)", to: topic)
        }
    }

    @Test("where a deleted topic was clean says nothing of a new topic of the name, after a crash")
    func deleted() async throws {
        let engine = try await open()
        try await create("a", in: engine)
        try await fill("a", 60, in: engine)
        let results = try await engine.compact(topic: "a", rolling: true)
        #expect(results.map(\.firstDirtyOffset.rawValue) == [60])
        try await engine.deleteTopic("a")
        try await create("a", in: engine)
        try await fill("a", 100, in: engine)
        let elsewhere = try TemporaryDirectory()
        let crashed = try crashImage(of: directory.path, in: elsewhere)
        try await engine.close()
        let again = try await open(at: crashed)
        #expect(try await again.compactionStatus().map(\.firstDirtyOffset.rawValue) == [0])
        _ = try await again.compact(topic: "a", rolling: true)
        #expect(try await again.values(of: "a") == [0: ["95", "96", "97", "98", "99"]])
        try await again.close()
    }

    @Test("numbers in compaction-status.json that cannot be are no reason to stop")
    func hostileNumbers() async throws {
        let engine = try await open()
        try await create("a", in: engine)
        try await fill("a", 30, in: engine)
        try await engine.close()
        for number in [Int64.max, Int64.min] {
            let history = """
                {"runCount":\(number),"lastRunAt":\(number),"lastRunMilliseconds":\(number),\
                "readByteCount":\(number),"writtenByteCount":\(number),\
                "removedRecordCount":\(number),"pendingTombstoneCount":\(number),\
                "firstDeleteHorizon":\(number),"failure":"x","failedAt":\(number)}
                """
            try Data("{\"version\":1,\"partitions\":{\"a-0\":\(history)}}".utf8).write(
                to: URL(fileURLWithPath: directory.path("compaction-status.json")))
            let again = try await open { $0.isCleanerEnabled = true }
            #expect(try await again.compactionStatus().count == 1)
            try await Task.sleep(for: .milliseconds(100))
            _ = try await again.compact(topic: "a", rolling: true)
            #expect(try await again.values(of: "a") == [0: ["25", "26", "27", "28", "29"]])
            try await again.close()
        }
    }

    @Test("a tombstone that went from among other records is no reason to clean for ever")
    func endless() async throws {
        let engine = try await open { $0.isCleanerEnabled = true }
        try await create("a", ["delete.retention.ms": "0"], in: engine)
        var producing = ProducerConfiguration()
        producing.lingerMilliseconds = 50
        let producer = try engine.producer(producing)
        let (kept, gone) = (Array("kept".utf8), Array("gone".utf8))
        for _ in 0..<20 {
            try producer.enqueue(
                topic: "a", partition: 0, key: kept.span.bytes, value: kept.span.bytes)
            try producer.enqueue(topic: "a", partition: 0, key: gone.span.bytes, value: nil)
        }
        try await producer.flush()
        #expect(try await engine.batchSizes(of: "a").contains(40))
        _ = try await engine.compact(topic: "a", rolling: true)
        func history() async throws -> CompactionHistory {
            try await engine.compactionStatus()[0].history
        }
        for _ in 0..<500 where try await history().pendingTombstoneCount > 0 {
            try await Task.sleep(for: .milliseconds(10))
        }
        let before = try await history()
        #expect(before.pendingTombstoneCount == 0 && before.firstDeleteHorizon == nil)
        // More than a round of the housekeeper.
        try await Task.sleep(for: .milliseconds(1500))
        #expect(try await history().runCount == before.runCount)
        #expect(try await engine.values(of: "a") == [0: ["kept"]])
        try await engine.close()
    }

    @Test(
        "a topic whose configuration was just stated is cleaned after the next opening, and says so"
    )
    func stated() async throws {
        let engine = try await open()
        try await create("a", in: engine)
        try await fill("a", 30, in: engine)
        try await engine.close()
        try FileManager.default.removeItem(atPath: directory.path("topics.json"))
        let again = try await open()
        try await again.stateConfiguration(
            ofTopic: "a", try TopicConfiguration(["cleanup.policy": "compact"]))
        let text = await message { try await again.compact(topic: "a") }
        #expect(text.contains("next opening"), "\(text)")
        try await again.close()
        let third = try await open()
        _ = try await third.compact(topic: "a", rolling: true)
        #expect(try await third.values(of: "a") == [0: ["25", "26", "27", "28", "29"]])
        try await third.close()
    }

    @Test("of two cleanings of a partition the second is running still when the first is over")
    func twice() async throws {
        let engine = try await open { $0.cleanerBytesPerSecondMax = 500 }
        try await create("a", in: engine)
        try await fill("a", 20, in: engine)
        let compactor = engine.compactor
        let log = try engine.partition(0, of: "a").log
        let partition = try engine.partition(0, of: "a")
        try log.roll()
        // One at a time holds the log; the other waits for it.
        let isRunning = try log.withCleaning { () throws(LogError) in
            let first = Thread { _ = try? compactor.cleanNow(partition, log) }
            let second = Thread { _ = try? compactor.cleanNow(partition, log) }
            first.start()
            second.start()
            Thread.sleep(forTimeInterval: 0.2)
            return compactor.status(of: partition, now: .now).isRunning
        }
        #expect(isRunning)
        func status() -> CompactionStatus { compactor.status(of: partition, now: .now) }
        #expect(
            try await eventually {
                let status = status()
                return status.history.runCount == 1 && status.isRunning
            })
        #expect(try await eventually { status().history.runCount == 2 && !status().isRunning })
        try await engine.close()
    }

    @Test("a topic is deleted at once, however slowly it is being cleaned")
    func slow() async throws {
        let engine = try await open { $0.cleanerBytesPerSecondMax = 10 }
        try await create("a", in: engine)
        try await fill("a", 20, in: engine)
        let cleaning = Task { try await engine.compact(topic: "a", rolling: true) }
        try await Task.sleep(for: .milliseconds(200))
        try await engine.deleteTopic("a")
        // Had the deletion waited for it, it would have come to its end.
        await #expect(throws: (any Error).self) { try await cleaning.value }
        try await engine.close()
    }
}
