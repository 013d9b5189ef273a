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

    @Test("where nothing is compacted, or nobody has said what is, that is said")
    func nothingCompacted() throws {
        let none = try CommandWorkplace()
        #expect(try none.run("topics", "create", "plain", "--partitions", "1").exitCode == 0)
        for arguments in [["compact"], ["compact", "--now"], ["compaction", "status"]] {
            let run = try none.run(arguments, input: [])
            #expect(run.exitCode == 0)
            #expect(run.errors == "No topic is compacted (cleanup.policy=compact).\n")
        }
        let empty = try CommandWorkplace()
        try FileManager.default.createDirectory(
            atPath: empty.data, withIntermediateDirectories: false)
        #expect(try empty.run("compact", "--now").errors.hasPrefix("No topic is compacted"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: empty.data).isEmpty)
        let place = try place()
        try FileManager.default.removeItem(atPath: place.data + "/topics.json")
        let found = "Found without topics.json: stock. Nothing of them is compacted until"
        for arguments in [["compact", "--now"], ["compaction", "status"], ["compact", "stock"]] {
            let run = try place.run(arguments, input: [])
            #expect(run.errors.contains(found), "\(run.errors)")
            #expect(run.exitCode == (arguments.last == "stock" ? 1 : 0))
        }
    }

    @Test("Ctrl-C ends a cleaning in order: the directory is closed, and nothing is lost")
    func interrupted() throws {
        let place = try CommandWorkplace()
        _ = try place.run(
            "topics", "create", "big", "--partitions", "4", "--config", "cleanup.policy=compact",
            "--config", "segment.bytes=100000")
        let lines = (0..<100_000).map { "k\($0 % 50000)\tvalue number \($0)\n" }.joined()
        #expect(try place.run(["produce", "big"], input: Array(lines.utf8)).exitCode == 0)
        let process = Process()
        process.executableURL = CommandRun.program
        process.arguments = ["compact", "--now", "--roll", "--data", place.data]
        let errors = Pipe()
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        let mark = place.data + "/.kafka_cleanshutdown"
        #expect(FileManager.default.fileExists(atPath: mark))
        try process.run()
        // It is at work once the mark of a clean stop is gone.
        while process.isRunning, FileManager.default.fileExists(atPath: mark) { usleep(200) }
        process.interrupt()
        process.waitUntilExit()
        let text = String(
            decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(process.terminationReason == .exit)
        #expect(
            process.terminationStatus == 130 && text == "Interrupted.\n",
            "\(process.terminationStatus) \(text)")
        #expect(FileManager.default.fileExists(atPath: mark))
        #expect(try place.run("compact", "--now", "--roll").exitCode == 0)
        let consumed = try place.run("consume", "big")
        #expect(consumed.lines.count == 50000)
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
