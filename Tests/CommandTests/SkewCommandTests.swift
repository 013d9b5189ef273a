import Foundation
import TallyCommand
import TallyTestSupport
import Testing

@testable import Tally

@Suite struct SkewCommandTests {
    let place: CommandWorkplace

    init() throws { place = try CommandWorkplace() }

    /// Records of a key each, in a topic.
    private func fill(
        partitions: Int, keys: [String?], settings: [String: String] = [:],
        value: (Int) -> Int = { _ in 10 }, partition: Int32? = nil
    ) async throws {
        let engine = try await Engine.open(at: place.data)
        try await engine.createTopic(
            "a", partitions: partitions, configuration: try TopicConfiguration(settings))
        let producer = try engine.producer()
        for (index, key) in keys.enumerated() {
            let key = key.map { Array($0.utf8) }
            let bytes = [UInt8](repeating: 120, count: value(index))
            try producer.enqueue(
                topic: "a", partition: partition, key: key?.span.bytes, value: bytes.span.bytes)
        }
        try await producer.flush()
        try await engine.close()
    }

    private func rows(_ kind: String, _ arguments: String...) throws -> [[String: Any]] {
        let run = try place.run(["topics", "skew", "a", "--json"] + arguments, input: [])
        #expect(run.exitCode == 0, "\(run.errors)")
        return try place.objects(run).filter { $0["row"] as? String == kind }
    }

    private func fits() throws -> [String: String] {
        let remedies = try rows("remedy")
        return Dictionary(
            uniqueKeysWithValues: remedies.map {
                ($0["remedy"] as? String ?? "", $0["fit"] as? String ?? "")
            })
    }

    @Test("each partition shows the group that is farthest behind")
    func lag() async throws {
        try await fill(partitions: 1, keys: Array(repeating: "k", count: 10))
        #expect(try rows("partition").first?["lag"] is NSNull)
        let engine = try await GroupsWorkplace.open(place)
        for (group, offset) in [("near", Int64(9)), ("far", 4)] {
            try await engine.commitOffsets(
                [TopicPartition(topic: "a", partition: 0): OffsetToCommit(offset: Offset(offset))],
                ofGroup: group)
        }
        try await engine.close()
        let part = try #require(try rows("partition").first)
        #expect(part["lag"] as? Int == 6 && part["lagGroup"] as? String == "far")
    }

    @Test("a hot key is named, with its partition's share and what helps")
    func hotKey() async throws {
        var keys = (0..<400).map { "key \($0)" as String? }
        keys += [String?](repeating: "celebrity", count: 400)
        try await fill(partitions: 8, keys: keys)
        let parts = try rows("partition")
        #expect(parts.count == 8)
        #expect(parts.compactMap { $0["records"] as? Int }.reduce(0, +) == 800)
        let summary = try #require(try rows("summary").first)
        #expect(summary["keys"] as? Int == 401 && summary["errorMax"] as? Int == 0)
        #expect(try #require(summary["ratio"] as? Double) > 4)
        let top = try #require(try rows("key", "--keys", "2").first)
        #expect(top["key"] as? String == "celebrity" && top["records"] as? Int == 400)
        #expect(top["error"] as? Int == 0)
        #expect(try fits()["shard suffix"] == "fits")
        let text = try place.run("topics", "skew", "a")
        #expect(text.output.contains("heaviest keys (exact)"))
        #expect(text.output.contains("celebrity"))
        #expect(text.output.contains("shard suffix: fits (KeyPattern.sharded)"))

        // With few counters the hot key stays, and the bound is shown.
        let few = try #require(try rows("key", "--counters", "10", "--keys", "1").first)
        let most = try #require(few["records"] as? Int)
        #expect(few["key"] as? String == "celebrity" && (400...480).contains(most))
        let bound = try place.run("topics", "skew", "a", "--counters", "10").output
        #expect(bound.contains("each at most 80 too large"))

        // The remedy is what it says it is.
        let sharded = keys.enumerated().map { index, key in
            key.map {
                $0 == "celebrity"
                    ? KeyPattern.sharded($0, by: "post \(index)", shards: 64) : $0
            }
        }
        let other = try SkewCommandTests()
        try await other.fill(partitions: 8, keys: sharded)
        let remedied = try #require(try other.rows("summary").first)
        #expect(try #require(remedied["ratio"] as? Double) < TopicSkew.ratioMax)
        #expect(try other.rows("remedy").isEmpty)
    }

    @Test("of a compacted topic the remedies that would break it do not fit")
    func compacted() async throws {
        var keys = (0..<100).map { "key \($0)" as String? }
        keys += [String?](repeating: "hot", count: 200)
        try await fill(partitions: 8, keys: keys, settings: ["cleanup.policy": "compact"])
        let fits = try fits()
        #expect(fits["shard suffix"] == "no" && fits["time bucket"] == "no")
        #expect(fits["null key with aggregation"] == "no" && fits["finer key"] == "perhaps")
    }

    @Test("few keys, records without keys, and large records are told apart")
    func causes() async throws {
        try await fill(
            partitions: 8, keys: (0..<300).map { ["uk", "de", "fr", "no"][$0 % 4] })
        #expect(try fits()["finer key"] == "fits")
        let keyless = try SkewCommandTests()
        try await keyless.fill(
            partitions: 4, keys: [String?](repeating: nil, count: 50), partition: 2)
        #expect(try keyless.fits()["null key with aggregation"] == "fits")
        let part = try #require(try keyless.rows("partition").last { $0["records"] as? Int == 50 })
        #expect(part["partition"] as? Int == 2 && part["keylessRecords"] as? Int == 50)
        let large = try SkewCommandTests()
        try await large.fill(
            partitions: 2, keys: (0..<400).map { "key \($0)" },
            value: { $0 == 7 ? 100_000 : 10 })
        #expect(try large.fits()["separate topic"] == "fits")
    }

    @Test("busy keys that came together in one partition are no hot key, and want finer ones")
    func collisions() async throws {
        // Of 200 keys those of one partition have 9 records each: none of them stands out.
        var keys: [String?] = []
        for key in (0..<200).map({ "key \($0)" }) {
            let isBusy = Murmur2.partition(forKey: Array(key.utf8).span.bytes, count: 4) == 2
            keys += [String?](repeating: key, count: isBusy ? 9 : 1)
        }
        try await fill(partitions: 4, keys: keys)
        let summary = try #require(try rows("summary").first)
        #expect(summary["busiestPartition"] as? Int == 2 && summary["keys"] as? Int == 200)
        #expect(
            try fits() == [
                "finer key": "fits", "shard suffix": "perhaps", "time bucket": "perhaps",
                "null key with aggregation": "perhaps", "separate topic": "no",
            ])
        let text = try place.run("topics", "skew", "a").output
        #expect(text.contains("because several busy keys share it"), "\(text)")
    }

    @Test("an even topic and an empty one have nothing to remedy")
    func even() async throws {
        try await fill(partitions: 2, keys: (0..<400).map { "key \($0)" })
        #expect(try rows("remedy").isEmpty)
        #expect(try place.run("topics", "skew", "a").output.contains("nothing to remedy"))
        let empty = try SkewCommandTests()
        try await empty.fill(partitions: 2, keys: [])
        #expect(try empty.place.run("topics", "skew", "a").output.contains("no records"))
        let summary = try #require(try empty.rows("summary").first)
        #expect(summary["ratio"] as? Double == 0)
        #expect(try place.run("topics", "skew", "b").exitCode == ExitCodes.noInput)
        for arguments in [["--counters", "0"], ["--keys", "-1"]] {
            let run = try place.run(["topics", "skew", "a"] + arguments, input: [])
            #expect(run.exitCode == ExitCodes.usage)
        }
    }

    @Test("the plan shows its arithmetic")
    func plan() throws {
        let arguments = [
            "partitions", "plan", "--throughput", "500MB/s", "--producer", "10MB/s", "--consumer",
            "20MB/s", "--consumers", "20",
        ]
        func run(_ more: String...) throws -> CommandRun {
            let all = arguments + more
            return try CommandRun.program(all)
        }
        let text = try run()
        #expect(text.exitCode == 0, "\(text.errors)")
        #expect(text.output.hasPrefix("50 partitions, because of the producers\n"))
        #expect(text.output.contains("500.0 MB/s / 10.0 MB/s = 50:"))
        #expect(text.output.contains("20 consumers cannot keep up: it takes 25"))
        let json = try #require(try place.objects(try run("--json", "--growth", "1.5")).first)
        #expect(json["partitions"] as? Int == 75 && json["reason"] as? String == "producers")
        #expect(json["forConsumers"] as? Int == 38 && json["forMembers"] as? Int == 20)
        for more in ["--growth=0.5", "--growth=nan", "--consumers=0", "--producer=fast"] {
            #expect(try run(more).exitCode == ExitCodes.usage)
        }
        #expect(try run("--producer=0.000000001B/s").exitCode == ExitCodes.usage)
    }
}
