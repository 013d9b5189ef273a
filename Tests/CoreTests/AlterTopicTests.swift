import Foundation
import TallyTestSupport
import Testing

@testable import Tally

@Suite(.timeLimit(.minutes(10)))
struct AlterTopicTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func engine(_ settings: [String: String] = [:]) async throws -> Engine {
        let engine = try await Engine.open(at: directory.path("data"))
        try await engine.createTopic(
            "a", partitions: 1, configuration: try TopicConfiguration(settings))
        return engine
    }

    @Test("settings change and are reset, those that are not named stay, and it lasts")
    func life() async throws {
        var engine = try await engine(["retention.ms": "5", "segment.bytes": "4096"])
        let changes = try await engine.alterTopic(
            "a", setting: ["retention.ms": "7", "max.message.bytes": "2000"])
        #expect(changes.map(\.setting) == [.maxMessageBytes, .retentionMilliseconds])
        #expect(changes.map(\.oldValue) == ["1048588", "5"])
        #expect(changes.map(\.newValue) == ["2000", "7"])
        #expect(try await engine.alterTopic("a", setting: ["retention.ms": "7"]).isEmpty)
        let expected = ["retention.ms": "7", "segment.bytes": "4096", "max.message.bytes": "2000"]
        #expect(try engine.describeTopic("a").configuration.values == expected)
        // As a crash at this moment leaves it.
        let image = try crashImage(of: directory.path("data"), in: directory)
        try await engine.close()
        engine = try await Engine.open(at: image)
        #expect(try engine.describeTopic("a").configuration.values == expected)
        let reset = try await engine.alterTopic("a", resetting: ["retention.ms", "segment.bytes"])
        #expect(reset.map(\.effect) == [.atOnce, .withNextOpening])
        let left = try engine.describeTopic("a").configuration.values
        #expect(left == ["max.message.bytes": "2000"])
        try await engine.close()
    }

    @Test("what cannot be is refused and changes nothing")
    func refusals() async throws {
        let engine = try await engine(["retention.ms": "5"])
        let before = try Data(contentsOf: URL(filePath: directory.path("data/topics.json")))
        await #expect(throws: EngineError.unknownTopic(name: "b", known: ["a"])) {
            try await engine.alterTopic("b", setting: ["retention.ms": "7"])
        }
        for settings in [
            ["retention.ms": "7", "segment.bytes": "1"], ["retention.ms": "7", "retention": "1"],
            ["retention.ms": "7", "min.compaction.lag.ms": "9", "max.compaction.lag.ms": "8"],
        ] {
            let text = await message { try await engine.alterTopic("a", setting: settings) }
            #expect(text.contains("cannot be used"), "\(text)")
        }
        let unknown = await message { try await engine.alterTopic("a", resetting: ["retention"]) }
        #expect(unknown.contains("there is no such setting"))
        #expect(
            try Data(contentsOf: URL(filePath: directory.path("data/topics.json"))) == before)
        try await engine.close()
        await #expect(throws: EngineError.closed) {
            try await engine.alterTopic("a", setting: ["retention.ms": "7"])
        }
    }

    @Test("a topic that was found again is stated as a whole before it is altered")
    func discovered() async throws {
        try await engine().close()
        try FileManager.default.removeItem(atPath: directory.path("data/topics.json"))
        let engine = try await Engine.open(at: directory.path("data"))
        await #expect(throws: EngineError.configurationIsNotStated(topic: "a")) {
            try await engine.alterTopic("a", setting: ["retention.ms": "7"])
        }
        try await engine.close()
    }

    @Test("retention, limits and keys follow at once, also for producers that exist")
    func atOnce() async throws {
        let engine = try await engine(["retention.ms": "-1"])
        let producer = try engine.producer()
        let old = Timestamp(milliseconds: 1000)
        _ = try await producer.send(
            ProducerRecord(topic: "a", key: nil as String?, value: "old", timestamp: old))
        try await engine.enforceRetention()
        #expect(try await engine.values(of: "a") == [0: ["old"]])
        try await engine.alterTopic("a", setting: ["retention.ms": "1000"])
        try await engine.enforceRetention()
        #expect(try await engine.values(of: "a").isEmpty)

        let long = String(repeating: "x", count: 5000)
        _ = try await producer.send(key: nil, value: long, to: "a")
        try await engine.alterTopic("a", setting: ["max.message.bytes": "1000"])
        let text = await message { _ = try await producer.send(key: nil, value: long, to: "a") }
        #expect(text.contains("max.message.bytes = 1000"), "\(text)")

        try await engine.alterTopic("a", setting: ["cleanup.policy": "compact"])
        await #expect(throws: EngineError.keyRequired(topic: "a")) {
            _ = try await producer.send(key: nil, value: "x", to: "a")
        }
        _ = try await producer.send(key: "k", value: "1", to: "a")
        _ = try await producer.send(key: "k", value: "2", to: "a")
        _ = try await engine.compact(topic: "a", rolling: true)
        #expect(try await engine.values(of: "a")[0]?.suffix(1) == ["2"])
        #expect(try await engine.values(of: "a")[0]?.contains("1") == false)
        try await engine.close()
    }

    @Test("the layout of files follows with the next opening")
    func nextOpening() async throws {
        var engine = try await engine()
        try await engine.alterTopic("a", setting: ["segment.bytes": "300"])
        func fill() async throws -> Int {
            for _ in 0..<10 {
                _ = try await engine.producer().send(
                    key: nil, value: String(repeating: "x", count: 100), to: "a")
            }
            return try engine.describeTopic("a").partitions[0].segmentCount
        }
        #expect(try await fill() == 1)
        try await engine.close()
        engine = try await Engine.open(at: directory.path("data"))
        #expect(try await fill() > 5)
        try await engine.close()
    }

    @Test("from buffered to synced, what was appended is synced, and so is what follows")
    func becomesSynced() async throws {
        let engine = try await engine(["tally.durability": "buffered"])
        let producer = try engine.producer()
        let log = try engine.partition(0, of: "a").log
        _ = try await producer.send(key: nil, value: "1", to: "a")
        #expect(log.recoveryPoint == .zero && log.highWatermark == Offset(1))
        try await engine.alterTopic("a", setting: ["tally.durability": "synced"])
        #expect(log.recoveryPoint == Offset(1))
        _ = try await producer.send(key: nil, value: "2", to: "a")
        #expect(log.recoveryPoint == Offset(2) && log.highWatermark == Offset(2))
        try await engine.alterTopic("a", setting: ["tally.durability": "buffered"])
        _ = try await producer.send(key: nil, value: "3", to: "a")
        #expect(log.recoveryPoint == Offset(2) && log.highWatermark == Offset(3))
        try await engine.close()
    }

    @Test("whoever waits for a sync that nobody owes any more is told")
    func noLongerSynced() async throws {
        let engine = try await engine()
        let log = try engine.partition(0, of: "a").log
        // Written, and its producer has not come to the sync yet.
        let batch = try ProducerBatch(
            for: TopicPartition(topic: "a", partition: 0), codec: .none, capacity: 1000,
            byteCountMax: 1000)
        let value = Array("1".utf8)
        _ = try batch.append(
            key: nil, value: value.span.bytes, timestamp: .now, headers: [],
            interest: ProducerBatch.Interest())
        _ = try batch.write(to: log, as: .none, now: .now)
        #expect(log.logEnd == Offset(1) && log.highWatermark == .zero)
        let consumer = try engine.consumer(of: "a")
        let first = Task {
            for try await records in consumer { return records.nextOffset }
            return Offset.zero
        }
        let waits = try await eventually {
            (try? engine.partition(0, of: "a").arrivals.count) == 1
        }
        #expect(waits)
        try await engine.alterTopic("a", setting: ["tally.durability": "buffered"])
        #expect(log.highWatermark == Offset(1))
        #expect(try await first.value == Offset(1))
        try await engine.close()
    }

    @Test("while durability and codec change, nothing is lost, hangs, or goes out of order")
    func underLoad() async throws {
        let engine = try await engine()
        let producer = try engine.producer()
        let alterer = Task {
            for round in 0..<60 {
                try await engine.alterTopic(
                    "a",
                    setting: [
                        "tally.durability": ["synced", "buffered", "interval:5"][round % 3],
                        "compression.type":
                            "\(Codec.ofThisBuild[round % Codec.ofThisBuild.count])",
                    ])
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for sender in 0..<4 {
                group.addTask {
                    for number in 0..<200 {
                        _ = try await producer.send(key: nil, value: "\(sender) \(number)", to: "a")
                    }
                }
            }
            try await group.waitForAll()
        }
        try await alterer.value
        let values = try await engine.values(of: "a")[0] ?? []
        for sender in 0..<4 {
            let own = values.filter { $0.hasPrefix("\(sender) ") }
            #expect(own == (0..<200).map { "\(sender) \($0)" })
        }
        try await engine.close()
    }
}
