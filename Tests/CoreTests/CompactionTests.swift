import Foundation
import Synchronization
import TallyTestSupport
import Testing

@testable import Tally

@Suite(.timeLimit(.minutes(10))) struct CompactionTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func open(
        at path: String? = nil, _ change: (inout EngineConfiguration) -> Void = { _ in }
    ) async throws -> Engine {
        try await Engine.cleaning(at: path ?? directory.path, change)
    }

    private static let settings = [
        "cleanup.policy": "compact", "segment.bytes": "1000", "file.delete.delay.ms": "0",
    ]

    private func create(
        _ name: String, partitions: Int = 1, _ more: [String: String] = [:], in engine: Engine
    ) async throws {
        try await engine.createTopic(
            name, partitions: partitions,
            configuration: try TopicConfiguration(
                Self.settings.merging(more) { _, new in new }))
    }

    /// Sends values 0 to `count` - 1, each under one of five keys, in batches of their own.
    private func fill(_ topic: String, _ count: Int = 100, in engine: Engine) async throws {
        var producing = ProducerConfiguration()
        producing.lingerMilliseconds = 0
        let producer = try engine.producer(producing)
        for number in 0..<count {
            try producer.enqueue(
                topic: topic, partition: 0, key: Array("k\(number % 5)".utf8).span.bytes,
                value: Array("\(number)".utf8).span.bytes)
            try await producer.flush()
        }
    }

    private func map(of topic: String, in engine: Engine) async throws -> [String: String] {
        var map: [String: String] = [:]
        let configuration = ConsumerConfiguration(end: .currentEnd)
        for try await records in try engine.consumer(of: topic, configuration) {
            try records.forEachRecord { map[$0.keyText ?? ""] = $0.valueText }
        }
        return map
    }

    private static let latest = ["k0": "95", "k1": "96", "k2": "97", "k3": "98", "k4": "99"]

    @Test("a compacted topic is cleaned by itself, and goes on from there after a restart")
    func background() async throws {
        let engine = try await open()
        try await create("a", in: engine)
        try await fill("a", in: engine)
        // A first cleaning may have come while the records were sent: the next one takes the rest.
        #expect(
            try await eventually {
                engine.surveyCompaction().contains {
                    $0.history.removedRecordCount > 50 && $0.dirtyRatio <= 0.5
                }
            })
        // A hundred batches of a record each have 70 bytes or more.
        #expect(try engine.describeTopic("a").partitions[0].byteCount < 3500)
        #expect(try await map(of: "a", in: engine) == Self.latest)
        let status = try #require(try await engine.compactionStatus().first)
        #expect(status.firstDirtyOffset > .zero && status.dirtyRatio <= 0.5)
        try await engine.close()
        #expect(throws: Never.self) {
            let text = try String(
                contentsOfFile: directory.path("cleaner-offset-checkpoint"), encoding: .utf8)
            #expect(text.hasPrefix("0\n1\na 0 "))
        }
        let again = try await open()
        let after = try #require(try await again.compactionStatus().first)
        #expect(after.firstDirtyOffset == status.firstDirtyOffset)
        #expect(after.history.removedRecordCount >= status.history.removedRecordCount)
        #expect(try await map(of: "a", in: again) == Self.latest)
        try await again.close()
    }

    @Test("compact cleans at once, with rolling all that is there, and tells what it did")
    func atOnce() async throws {
        let engine = try await open { $0.isCleanerEnabled = false }
        try await create("a", in: engine)
        try await create("b", ["cleanup.policy": "delete"], in: engine)
        try await fill("a", in: engine)
        let results = try await engine.compact(topic: "a", rolling: true)
        #expect(results.map(\.removedRecordCount) == [95])
        #expect(results.map(\.firstDirtyOffset) == [Offset(100)])
        #expect(try await engine.values(of: "a") == [0: ["95", "96", "97", "98", "99"]])
        #expect(try await engine.compact(topic: "a").map(\.removedRecordCount) == [0])
        await #expect(throws: EngineError.notCompacted(topic: "b")) {
            try await engine.compact(topic: "b")
        }
        await #expect(throws: EngineError.unknownPartition(topic: "a", partition: 1, count: 1)) {
            try await engine.compact(topic: "a", partition: 1)
        }
        try await engine.close()
    }

    @Test("notes whose numbers make no sense are forgotten, and cleaning goes on")
    func senselessNotes() async throws {
        let engine = try await open { $0.isCleanerEnabled = false }
        try await create("a", in: engine)
        try await fill("a", in: engine)
        try await engine.compact(topic: "a")
        try await engine.close()
        let path = directory.path("compaction-status.json")
        let sound = try String(contentsOfFile: path, encoding: .utf8)
        let wrong = [
            ("\"runCount\" : 1", "\"runCount\" : 9223372036854775807"),
            ("\"readByteCount\" : ", "\"readByteCount\" : -"),
            ("\"pendingTombstoneCount\" : 0", "\"pendingTombstoneCount\" : -1"),
            (
                "\"runCount\" : 1",
                "\"failure\" : \"x\", \"failedAt\" : -9223372036854775808, \"runCount\" : 1"
            ),
        ]
        for (old, new) in wrong {
            let text = sound.replacing(old, with: new)
            #expect(text != sound, "\(old)")
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            let again = try await open { $0.isCleanerEnabled = false }
            #expect(try await again.compactionStatus().map(\.history) == [CompactionHistory()])
            try await again.compact(topic: "a")
            #expect(try await again.compactionStatus().map(\.history.runCount) == [1])
            try await again.close()
        }
    }

    @Test("a cleaner's checkpoint behind what was stored is not believed: no deletion is undone")
    func aheadOfTheLog() async throws {
        let engine = try await open { $0.isCleanerEnabled = false }
        try await create("a", ["delete.retention.ms": "0"], in: engine)
        let producer = try engine.producer()
        for value in ["old", nil] {
            let record = ProducerRecord(topic: "a", partition: 0, key: "gone", value: value)
            _ = try await producer.send(record)
        }
        _ = try await producer.send(key: "stays", value: "1", to: "a")
        try await engine.close()
        try "0\n1\na 0 999\n".write(
            toFile: directory.path("cleaner-offset-checkpoint"), atomically: true, encoding: .utf8)
        for _ in 0..<3 {
            let again = try await open { $0.isCleanerEnabled = false }
            try await again.compact(topic: "a", rolling: true)
            #expect(try await map(of: "a", in: again)["gone"] == nil)
            #expect(try await map(of: "a", in: again)["stays"] == "1")
            try await again.close()
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test("a record that waits longer than max.compaction.lag.ms makes a cleaning due")
    func overdue() async throws {
        let engine = try await open { $0.isCleanerEnabled = false }
        let lazy = ["min.cleanable.dirty.ratio": "1"]
        try await create("a", lazy, in: engine)
        try await create("b", lazy.merging(["max.compaction.lag.ms": "1"]) { $1 }, in: engine)
        for topic in ["a", "b"] { try await fill(topic, in: engine) }
        try await Task.sleep(for: .milliseconds(5))
        #expect(try await engine.compactionStatus().map(\.isDue) == [false, true])
        try await engine.close()
    }

    @Test("memory for three keys is enough, in more goes")
    func smallMemory() async throws {
        let engine = try await open {
            $0.isCleanerEnabled = false
            $0.cleanerDedupeBufferBytes = 1
        }
        try await create("a", in: engine)
        try await fill("a", in: engine)
        _ = try await engine.compact(topic: "a", rolling: true)
        #expect(try await engine.values(of: "a") == [0: ["95", "96", "97", "98", "99"]])
        try await engine.close()
    }

    @Test("a log that fails is marked with its reason, across restarts, and the others go on")
    func failure() async throws {
        let damaged = try TemporaryDirectory(holdsDamage: true)
        let engine = try await open(at: damaged.path) { $0.isCleanerEnabled = false }
        for name in ["a", "b"] {
            try await create(name, in: engine)
            try await fill(name, in: engine)
        }
        try await engine.close()
        try damage(damaged.path("a-0"))
        let again = try await open(at: damaged.path)
        #expect(
            try await eventually {
                (try? again.describeTopic("b").partitions[0].byteCount) ?? 5000 < 2000
            })
        func failure() async throws -> String? {
            try await again.compactionStatus().first { $0.topic == "a" }?.history.failure
        }
        for _ in 0..<500 where try await failure() == nil {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(try await failure()?.contains("a-0/00000000000000000000.log") == true)
        try await again.close()
        let notes = try String(
            contentsOfFile: damaged.path("compaction-status.json"), encoding: .utf8)
        #expect(notes.contains("checksum"))
    }

    private func damage(_ partition: String) throws {
        let path = partition + "/00000000000000000000.log"
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        bytes[70] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    @Test("a record without a key is refused by a compacted topic, and takes no other with it")
    func keys() async throws {
        let engine = try await open()
        try await create("a", in: engine)
        let producer = try engine.producer()
        async let good = producer.send(key: "k", value: "v", to: "a")
        await #expect(throws: EngineError.keyRequired(topic: "a")) {
            try await producer.send(key: nil, value: "v", to: "a")
        }
        #expect(try await good.offset == .zero)
        try await engine.close()
    }

    @Test("a timestamp too far from now is refused, unless the log sets the time")
    func timestamps() async throws {
        let engine = try await open()
        try await create("a", in: engine)
        try await create("b", ["message.timestamp.before.max.ms": "1000"], in: engine)
        try await create("c", ["message.timestamp.type": "LogAppendTime"], in: engine)
        let producer = try engine.producer()
        func send(_ topic: String, _ shift: Int64) async throws {
            let time = Timestamp(milliseconds: Timestamp.now.rawValue + shift)
            _ = try await producer.send(
                ProducerRecord(topic: topic, key: "k", value: "v", timestamp: time))
        }
        try await send("a", 3_000_000)
        try await send("a", -3_000_000_000)
        try await send("b", 0)
        try await send("c", 9_000_000)
        for (topic, shift) in [("a", Int64(4_000_000)), ("b", -2000), ("b", 4_000_000)] {
            let text = await message { try await send(topic, shift) }
            #expect(text.contains("cannot go to topic \"\(topic)\" now"), "\(text)")
        }
        try await engine.close()
    }

    @Test("the throttle holds cleaning to its bytes a second, and ends it at once at a close")
    func throttle() async throws {
        let engine = try await open {
            $0.isCleanerEnabled = false
            $0.cleanerBytesPerSecondMax = 10_000
        }
        try await create("a", in: engine)
        try await fill("a", in: engine)
        let cleaning = Task { try await engine.compact(topic: "a", rolling: true) }
        try await Task.sleep(for: .milliseconds(300))
        // Nearly 9,000 bytes are read twice: it cannot be through yet, and would be had the close
        // waited for it.
        try await engine.close()
        await #expect(throws: LogError.self) { try await cleaning.value }
        let again = try await open { $0.isCleanerEnabled = false }
        #expect(try await map(of: "a", in: again) == Self.latest)
        try await again.close()
    }

    @Test("the pace is kept on the whole, and time that was not used is not saved up")
    func pace() {
        let throttle = CompactionThrottle(bytesPerSecondMax: 1_000_000)
        let start = ContinuousClock.now
        for _ in 0..<100 { #expect(throttle.moved(3000)) }
        let time = ContinuousClock.now - start
        #expect(time >= .milliseconds(280))
        throttle.stop()
        #expect(!throttle.moved(1))
    }

    @Test("as many logs are cleaned at a time as there are threads for it, and no more")
    func severalAtATime() async throws {
        let filling = try await open { $0.isCleanerEnabled = false }
        for name in ["a", "b", "c"] {
            try await create(name, in: filling)
            try await fill(name, in: filling)
        }
        try await filling.close()
        // Slow enough that all of them wait for the throttle while we look.
        let engine = try await open {
            $0.cleanerThreadsMax = 2
            $0.cleanerBytesPerSecondMax = 5_000
        }
        func runningCount() -> Int { engine.surveyCompaction().count { $0.isRunning } }
        #expect(try await eventually { runningCount() == 2 })
        for _ in 0..<20 {
            #expect(runningCount() <= 2)
            try await Task.sleep(for: .milliseconds(5))
        }
        try await engine.close()
    }

    @Test("a topic that is deleted while it is cleaned is gone, and its name can be used again")
    func deletion() async throws {
        let engine = try await open { $0.cleanerBytesPerSecondMax = 20_000 }
        try await create("a", in: engine)
        try await fill("a", in: engine)
        _ = try await eventually { engine.isCleaning("a-0") }
        try await engine.deleteTopic("a")
        try await create("a", in: engine)
        try await fill("a", 7, in: engine)
        #expect(
            try await map(of: "a", in: engine)
                == ["k0": "5", "k1": "6", "k2": "2", "k3": "3", "k4": "4"])
        try await engine.close()
    }
}

extension Engine {
    fileprivate func isCleaning(_ partition: String) -> Bool {
        surveyCompaction().contains { "\($0.topic)-\($0.partition)" == partition && $0.isRunning }
    }
}
