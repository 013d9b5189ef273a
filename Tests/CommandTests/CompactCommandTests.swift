import Foundation
import TallyCommand
import TallyTestSupport
import Testing

@Suite struct CompactCommandTests {
    /// A compacted topic with a hundred records of five keys, in batches of ten.
    private func place() throws -> CommandWorkplace {
        let place = try CommandWorkplace()
        let created = try place.run(
            "topics", "create", "stock", "--partitions", "1", "--config", "cleanup.policy=compact",
            "--config", "segment.bytes=500")
        #expect(created.exitCode == 0, "\(created.errors)")
        for round in 0..<10 {
            let lines = (0..<10).map { "k\($0 % 5)\tv\(round * 10 + $0)\n" }.joined()
            let produced = try place.run(["produce", "stock"], input: Array(lines.utf8))
            #expect(produced.exitCode == 0, "\(produced.errors)")
        }
        return place
    }

    @Test("what is dirty is shown, cleaned when it is due or at once, and shown as clean")
    func life() throws {
        let place = try place()
        let dirty = try #require(
            try place.objects(try place.run("compaction", "status", "--json")).first)
        #expect(dirty["cleanBytes"] as? Int == 0 && dirty["isDue"] as? Bool == true)
        #expect(try #require(dirty["dirtyBytes"] as? Int) > 0)
        #expect(dirty["lastRunAt"] is NSNull)

        let due = try place.run("compact")
        #expect(due.exitCode == 0 && due.output.contains("stock"), "\(due.errors)")
        let none = try place.run("compact")
        #expect(none.exitCode == 0 && none.errors == "Nothing is due; --now does not wait.\n")

        let all = try place.run("compact", "stock", "--now", "--roll", "--json")
        let row = try #require(try place.objects(all).first)
        #expect(row["topic"] as? String == "stock" && row["partition"] as? Int == 0)
        #expect(row["firstDirtyOffset"] as? Int == 100)
        let consumed = try place.run("consume", "stock", "--json")
        let values = try place.objects(consumed).map { $0["value"] as? String }
        #expect(values == ["v95", "v96", "v97", "v98", "v99"])
        let clean = try #require(
            try place.objects(try place.run("compaction", "status", "--json")).first)
        #expect(clean["dirtyBytes"] as? Int == 0 && clean["isDue"] as? Bool == false)
        #expect(clean["removedRecords"] as? Int == 95 && clean["failure"] is NSNull)
        let verified = try CommandRun.program("inspect", "--verify", place.data + "/stock-0")
        #expect(verified.exitCode == 0, "\(verified.errors)")
    }

    @Test("what makes no sense is refused with a reason")
    func refusals() throws {
        let place = try place()
        #expect(try place.run("topics", "create", "plain", "--partitions", "1").exitCode == 0)
        let cases: [([String], String)] = [
            (["compact", "plain", "--now"], "Topic \"plain\" is not compacted"),
            (["compact", "nothing", "--now"], "There is no topic \"nothing\""),
            (["compact", "stock", "--partition", "3", "--now"], "there is no 3"),
            (["compact", "--roll"], "--roll wants --now"),
            (["compact", "--partition", "0"], "--partition wants a topic"),
            (["produce", "stock"], "A record without a key cannot go to topic \"stock\""),
        ]
        for (arguments, reason) in cases {
            let run = try place.run(arguments, input: Array("no key\n".utf8))
            #expect(run.exitCode != 0 && run.errors.contains(reason), "\(run.errors)")
        }
    }

    @Test("a partition that cannot be cleaned is named, and the others are cleaned")
    func failure() throws {
        let place = try place()
        #expect(
            try place.run(
                "topics", "create", "a", "--partitions", "1", "--config", "cleanup.policy=compact",
                "--config", "segment.bytes=200"
            ).exitCode == 0)
        for _ in 0..<3 {
            _ = try place.run(["produce", "a"], input: Array(repeating("k\tv\n", 9).utf8))
        }
        let path = place.data + "/a-0/00000000000000000000.log"
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        bytes[70] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let run = try place.run("compact", "--now")
        #expect(run.exitCode != 0 && run.output.contains("stock"))
        #expect(run.errors.contains("a-0") && run.errors.contains("checksum"), "\(run.errors)")
        let status = try place.objects(try place.run("compaction", "status", "--json"))
        #expect((status.first?["failure"] as? String)?.contains("checksum") == true)
        #expect(status.last?["failure"] is NSNull)
        // What was damaged on purpose is not held against the test.
        try FileManager.default.removeItem(atPath: path)
    }

    private func repeating(_ text: String, _ count: Int) -> String {
        String(repeating: text, count: count)
    }
}
