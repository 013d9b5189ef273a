import Foundation
import TallyTestSupport
import Testing

@testable import Tally

/// Data directories that are not as they were left.
@Suite struct DamageTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path }

    init() throws { directory = try TemporaryDirectory(holdsDamage: true) }

    /// A directory with a topic "a" of two partitions, ten records in each, closed.
    private func prepare() async throws {
        let engine = try await Engine.open(at: path)
        try await engine.createTopic("a", partitions: 2)
        let producer = try engine.producer()
        for number in 0..<20 {
            let record = ProducerRecord(
                topic: "a", partition: Int32(number % 2), key: nil as String?, value: "\(number)")
            _ = try await producer.send(record)
        }
        try await engine.close()
    }

    @Test("without topics.json topics are found by their directories")
    func discovered() async throws {
        try await prepare()
        try FileManager.default.removeItem(atPath: path + "/topics.json")
        for _ in 0..<2 {
            let engine = try await Engine.open(at: path)
            let topic = try engine.describeTopic("a")
            #expect(topic.isDiscovered && topic.partitions.count == 2)
            #expect(try await engine.values(of: "a").values.map(\.count) == [10, 10])
            try await engine.close()
        }
    }

    @Test(
        "a damaged topics.json is a typed error that names the file, and frees the directory",
        arguments: [
            "", "{", "[]", #"{"version":2,"topics":[]}"#,
            #"{"version":1,"topics":[{"name":"a","id":"x","partitions":1,"config":{}}]}"#,
            #"{"version":1,"topics":[{"name":"..","id":"AAAAAAAAAAAAAAAAAAAAAA","#
                + #""partitions":1,"config":{}}]}"#,
            #"{"version":1,"topics":[{"name":"a","id":"AAAAAAAAAAAAAAAAAAAAAA","#
                + #""partitions":0,"config":{}}]}"#,
            #"{"version":1,"topics":[{"name":"a","id":"AAAAAAAAAAAAAAAAAAAAAA","#
                + #""partitions":1,"config":{"nope":"1"}}]}"#,
        ])
    func damagedTopics(_ text: String) async throws {
        try await prepare()
        let file = path + "/topics.json"
        let sound = try Data(contentsOf: URL(fileURLWithPath: file))
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        do {
            _ = try await Engine.open(at: path)
            Issue.record("it was opened")
        } catch EngineError.unreadableFile(let named, _) {
            #expect(named == file)
        }
        try sound.write(to: URL(fileURLWithPath: file))
        let engine = try await Engine.open(at: path)
        #expect(try await engine.values(of: "a").values.map(\.count) == [10, 10])
        #expect(engine.partitions.allSatisfy { $0.onlineLog?.recovery.wasClean == true })
        try await engine.close()
    }

    @Test(
        "a damaged checkpoint or identity is an error, and frees the directory",
        arguments: ["recovery-point-offset-checkpoint", "meta.properties"])
    func damagedFiles(_ name: String) async throws {
        try await prepare()
        let file = URL(fileURLWithPath: path + "/" + name)
        let sound = try Data(contentsOf: file)
        try Data("nonsense".utf8).write(to: file)
        let text = await message { _ = try await Engine.open(at: path) }
        #expect(text.contains(file.path))
        try sound.write(to: file)
        try await Engine.open(at: path).close()
    }

    @Test("damage below the recovery point stops that partition and no other, for good")
    func offline() async throws {
        try await prepare()
        let file = path + "/a-0/00000000000000000000.log"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        bytes[100] ^= 1
        try bytes.write(to: URL(fileURLWithPath: file))
        // Only a scan finds it.
        try FileManager.default.removeItem(atPath: path + "/.kafka_cleanshutdown")
        for _ in 0..<2 {
            let engine = try await Engine.open(at: path)
            #expect(Array(engine.offlinePartitions.keys) == ["a-0"])
            let problem = try engine.describeTopic("a").partitions[0].problem ?? ""
            #expect(problem.contains("00000000000000000000.log"))
            #expect(try await engine.values(of: "a", partitions: [1])[1]?.count == 10)
            let producer = try engine.producer()
            let text = await message {
                _ = try await producer.send(
                    ProducerRecord(topic: "a", partition: 0, key: nil as String?, value: "x"))
            }
            #expect(text.contains("a-0 is offline"))
            try await engine.close()
            #expect(try Data(contentsOf: URL(fileURLWithPath: file)) == bytes)
        }
    }

    @Test("a partition directory that was removed is offline, not silently empty")
    func removedPartition() async throws {
        try await prepare()
        try FileManager.default.removeItem(atPath: path + "/a-1")
        let engine = try await Engine.open(at: path)
        let reason = "\(engine.offlinePartitions["a-1"], default: "nothing")"
        #expect(reason.contains("offsets up to 10"))
        #expect(!FileManager.default.fileExists(atPath: path + "/a-1"))
        #expect(try await engine.values(of: "a", partitions: [0])[0]?.count == 10)
        try await engine.deleteTopic("a")
        try await engine.close()
    }

    @Test("a directory of another topic's identity is refused")
    func foreignPartition() async throws {
        try await prepare()
        let file = path + "/a-1/partition.metadata"
        try "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ".write(
            toFile: file, atomically: true, encoding: .utf8)
        let engine = try await Engine.open(at: path)
        #expect(Array(engine.offlinePartitions.keys) == ["a-1"])
        try await engine.close()
    }

    @Test("a deletion that was interrupted is ended; what no topic knows is left alone")
    func sweep() async throws {
        try await prepare()
        for name in ["AAAAAAAAAAAAAAAAAAAAAQ-7.deleted", "b-0.deleted", "stranger-3", "other"] {
            let made = path + "/" + name
            try FileManager.default.createDirectory(
                atPath: made, withIntermediateDirectories: false)
            try Data("x".utf8).write(to: URL(fileURLWithPath: made + "/file"))
        }
        let engine = try await Engine.open(at: path)
        let left = Set(try FileManager.default.contentsOfDirectory(atPath: path))
        #expect(left.isSuperset(of: ["stranger-3", "other", "a-0", "a-1"]))
        // A name without a topic's identity is none of ours: it may be somebody's copy.
        #expect(left.filter { $0.hasSuffix(".deleted") } == ["b-0.deleted"])
        try await engine.close()
    }
}
