import Foundation
import TallyTestSupport
import Testing

@testable import Tally

@Suite struct TopicTests {
    @Test("topics are created, listed, described and deleted, also across a reopening")
    func life() async throws {
        let directory = try TemporaryDirectory()
        var engine = try await Engine.open(at: directory.path)
        #expect(try engine.topics().isEmpty)
        let settings = try TopicConfiguration(["retention.ms": "-1", "segment.bytes": "4096"])
        let made = try await engine.createTopic("b", partitions: 3, configuration: settings)
        try await engine.createTopic("a", partitions: 1)
        #expect(made.partitions.map(\.index) == [0, 1, 2])
        #expect(made.configuration == settings)
        #expect(!made.isDiscovered)
        try await engine.close()
        engine = try await Engine.open(at: directory.path)
        #expect(try engine.topics().map(\.name) == ["a", "b"])
        #expect(try engine.describeTopic("b").id == made.id)
        #expect(try engine.describeTopic("b").configuration == settings)
        try await engine.deleteTopic("b")
        #expect(try engine.topics().map(\.name) == ["a"])
        let left = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        #expect(!left.contains { $0.hasPrefix("b-") || $0.hasSuffix(".deleted") })
        #expect(throws: EngineError.unknownTopic(name: "b", known: ["a"])) {
            try engine.describeTopic("b")
        }
        await #expect(throws: EngineError.unknownTopic(name: "b", known: ["a"])) {
            try await engine.deleteTopic("b")
        }
        try await engine.close()
    }

    @Test("a name is taken once; ensuring it gives the topic that exists")
    func taken() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        let first = try await engine.createTopic("a", partitions: 2)
        await #expect(throws: EngineError.topicExists(name: "a")) {
            try await engine.createTopic("a", partitions: 2)
        }
        #expect(try await engine.ensureTopic("a", partitions: 7) == first)
        #expect(try await engine.ensureTopic("new", partitions: 7).partitions.count == 7)
        try await engine.close()
    }

    @Test("of many who create one topic, one does")
    func race() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        let made = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    do {
                        try await engine.createTopic("a", partitions: 2)
                        return true
                    } catch EngineError.topicExists {
                        return false
                    }
                }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(made == 1)
        try await engine.close()
    }

    @Test("a topic that is created again is another one, and keeps what a crash leaves it")
    func again() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path("data"))
        let first = try await engine.createTopic("a", partitions: 1)
        let producer = try engine.producer()
        for number in 0..<20 {
            _ = try await producer.send(key: nil, value: "old \(number)", to: "a")
        }
        try engine.writeCheckpoints()
        try await engine.deleteTopic("a")
        let second = try await engine.createTopic("a", partitions: 1)
        #expect(first.id != second.id)
        #expect(try await producer.send(key: nil, value: "new", to: "a").offset == .zero)
        // The recovery point of the first topic, 20, must not be taken for the second one's.
        let image = try crashImage(of: directory.path("data"), in: directory)
        let reopened = try await Engine.open(at: image)
        #expect(reopened.offlinePartitions.isEmpty)
        #expect(try await reopened.values(of: "a") == [0: ["new"]])
        try await reopened.close()
        try await engine.close()
    }

    @Test("checkpoints that outlived their topic are forgotten at the next opening")
    func oldCheckpoints() async throws {
        let directory = try TemporaryDirectory()
        try await Engine.open(at: directory.path).close()
        let path = directory.path("recovery-point-offset-checkpoint")
        try "0\n1\na 0 20\n".write(toFile: path, atomically: true, encoding: .utf8)
        let engine = try await Engine.open(at: directory.path)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "0\n0\n")
        try await engine.close()
    }

    @Test("the longest name works, also for deleting")
    func longest() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        let name = String(repeating: "x", count: TopicLimits.nameLengthMax)
        try await engine.createTopic(name, partitions: 1)
        try await engine.deleteTopic(name)
        #expect(try engine.topics().isEmpty)
        try await engine.close()
    }

    @Test(
        "names that Kafka refuses are refused",
        arguments: [
            "", ".", "..", "a/b", "å", "a b", "a\n", String(repeating: "x", count: 250),
        ])
    func names(_ name: String) async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        let text = await message { try await engine.createTopic(name, partitions: 1) }
        #expect(text.contains("cannot be the name of a topic"))
        try await engine.close()
    }

    @Test("numbers of partitions that make no sense are refused", arguments: [0, -1, 10_001])
    func counts(_ count: Int) async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        await #expect(throws: EngineError.invalidPartitionCount(count)) {
            try await engine.createTopic("a", partitions: count)
        }
        try await engine.close()
    }

    @Test("an unknown setting and a bad value say what is valid")
    func settings() async {
        let unknown = await message { _ = try TopicConfiguration(["retention": "1"]) }
        for setting in TopicSetting.allCases { #expect(unknown.contains(setting.rawValue)) }
        let cases = [
            ("segment.bytes", "1", "100 to 2147483647"), ("retention.ms", "-2", "from -1"),
            ("cleanup.policy", "keep", "delete, compact"),
            ("compression.type", "rar", "give producer, uncompressed"),
            ("compression.type", "Zstd", "lz4"),
            ("message.timestamp.type", "Now", "CreateTime or LogAppendTime"),
            ("tally.durability", "interval:0", "interval:MILLISECONDS"),
            ("segment.ms", "ten", "whole number"),
        ]
        let lacking = Codec.missing.map {
            ("compression.type", "\($0)", "build with the package trait \($0.trait ?? ""), or give")
        }
        for (name, value, expected) in cases + lacking {
            let text = await message { _ = try TopicConfiguration([name: value]) }
            #expect(text.contains("\(name)=\(value)") && text.contains(expected))
        }
        for setting in TopicSetting.allCases {
            #expect(setting.problem(with: setting.defaultValue) == nil)
        }
        for codec in Codec.ofThisBuild {
            let topic = try? TopicConfiguration(["compression.type": "\(codec)"])
            #expect(topic?.compression == codec)
            #expect(topic?.logConfiguration(EngineConfiguration()).compression == codec)
        }
        let uncompressed = try? TopicConfiguration(["compression.type": "uncompressed"])
        #expect(uncompressed?.compression == Codec.none)
        #expect(TopicConfiguration().compression == nil)
    }

    @Test("lags of compaction that contradict each other are refused, also where they are stated")
    func lags() async throws {
        let directory = try TemporaryDirectory()
        let lags = try TopicConfiguration([
            "min.compaction.lag.ms": "10", "max.compaction.lag.ms": "9",
        ])
        let expected = EngineError.invalidConfiguration(
            name: "min.compaction.lag.ms", value: "10",
            reason: "max.compaction.lag.ms=9 is less; give at most that")
        let engine = try await Engine.open(at: directory.path)
        await #expect(throws: expected) {
            try await engine.createTopic("a", partitions: 1, configuration: lags)
        }
        #expect(try engine.topics().isEmpty)
        try await engine.createTopic(
            "a", partitions: 1,
            configuration: try TopicConfiguration([
                "min.compaction.lag.ms": "10", "max.compaction.lag.ms": "10",
            ]))
        try await engine.close()
        try FileManager.default.removeItem(atPath: directory.path("topics.json"))
        let again = try await Engine.open(at: directory.path)
        await #expect(throws: expected) { try await again.stateConfiguration(ofTopic: "a", lags) }
        try await again.close()
    }

    @Test("records that no topic knows are not swallowed by a new topic")
    func leftOvers() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("a-0")
        let engine = try await Engine.open(at: directory.path)
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false)
        let log = path + "/00000000000000000000.log"
        try Data("records".utf8).write(to: URL(fileURLWithPath: log))
        await #expect(throws: EngineError.recordsWithoutTopic(directory: path)) {
            try await engine.createTopic("a", partitions: 1)
        }
        #expect(FileManager.default.fileExists(atPath: log))
        try Data().write(to: URL(fileURLWithPath: log))
        try await engine.createTopic("a", partitions: 1)
        try await engine.close()
    }

    @Test("a first topic whose creation was interrupted is none with fewer partitions")
    func interruptedCreation() async throws {
        let directory = try TemporaryDirectory()
        let whole = try TemporaryDirectory()
        let other = try await Engine.open(at: whole.path)
        try await other.createTopic("a", partitions: 4)
        try await other.close()
        let engine = try await Engine.open(at: directory.path)
        // The directories come one after the other, and the process dies between two of them.
        for name in ["a-0", "a-1"] {
            try FileManager.default.copyItem(
                atPath: whole.path(name), toPath: directory.path(name))
        }
        try await engine.close()
        let again = try await Engine.open(at: directory.path)
        #expect(try again.topics().isEmpty)
        #expect(try await again.createTopic("a", partitions: 4).partitions.count == 4)
        try await again.close()
    }
}
