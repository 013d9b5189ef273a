import Foundation
import Tally
import TallyCommand
import TallyTestSupport
import Testing

@Suite struct InspectCommandTests {
    @Test("batches are those of Kafka's log dump, byte for byte", arguments: Golden.names)
    func batches(_ name: String) async throws {
        let run = await CommandRun.inspect(Golden.partition(name), "--batches", "--json")
        #expect(run.exitCode == 0 && run.errors == "")
        #expect(run.output == (try Golden.expected("\(name)-0.batches")))
    }

    @Test(
        "records are those that Kafka's consumer got, byte for byte", arguments: Golden.readable,
        ["read_uncommitted", "read_committed"])
    func records(_ name: String, _ isolation: String) async throws {
        let run = await CommandRun.inspect(
            Golden.partition(name), "--records", "--json", "--isolation", isolation)
        #expect(run.exitCode == 0 && run.errors == "")
        #expect(run.output == (try Golden.expected("\(name).\(isolation)")))
    }

    @Test(
        "records in other codecs are an error that names codec, file and position",
        arguments: Golden.unreadable)
    func unsupportedCodec(_ name: String) async {
        let run = await CommandRun.inspect(Golden.partition(name), "--records", "--json")
        #expect(run.exitCode == ExitCodes.unsupportedCodec)
        #expect(run.output == "")
        let codec = name.dropFirst("golden-".count)
        #expect(run.errors.contains("codec not supported: \(codec)"))
        #expect(run.errors.contains("00000000000000000000.log: byte 0"))
    }

    @Test("one segment of a transaction's two is shown as the whole partition settles it")
    func oneSegment() async throws {
        var text = ""
        for base in ["00000000000000000000", "00000000000000000015"] {
            let run = await CommandRun.inspect(
                Golden.partition("golden-transactions") + "/\(base).log", "--records", "--json",
                "--isolation", "read_committed")
            #expect(run.exitCode == 0)
            text += run.output
        }
        #expect(text == (try Golden.expected("golden-transactions.read_committed")))
    }

    @Test("nothing is wrong with the golden partitions, one by one and all at once")
    func verify() async {
        for name in Golden.names {
            let run = await CommandRun.inspect(Golden.partition(name), "--verify")
            #expect(run.exitCode == 0 && run.output.hasPrefix("no problem found: "), "\(run)")
        }
        let all = await CommandRun.inspect(Golden.directory, "--verify")
        #expect(all.exitCode == 0)
        #expect(all.output.contains("9 partitions, 14 segments, 328 batches"), "\(all.output)")
        let json = await CommandRun.inspect(Golden.directory, "--verify", "--json")
        #expect(json.output == "" && json.exitCode == 0)
    }

    @Test("a problem is printed with file, position and reason, and the exit code is 1")
    func damage() async throws {
        let directory = try TemporaryDirectory(holdsDamage: true)
        let path = try Golden.copy("golden-lz4", to: directory)
        let file = path + "/00000000000000000000.log"
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: file)))
        bytes[2300] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: file))
        for target in [path, file, directory.path] {
            let run = await CommandRun.inspect(target, "--verify")
            #expect(run.exitCode == ExitCodes.failure)
            #expect(run.lines.count == 2)
            #expect(run.output.hasPrefix("damage: \(file): byte 2194: "))
            #expect(run.output.contains("checksum mismatch"))
        }
        let json = await CommandRun.inspect(path, "--verify", "--json")
        #expect(json.output.hasPrefix("{\"severity\": \"damage\", \"file\": \"\(file)\", \"posi"))
        // Batches are shown as they are, the wrong checksum with them.
        let batches = await CommandRun.inspect(path, "--batches", "--json")
        #expect(batches.lines.count { $0.contains("\"isvalid\": false") } == 1)
        let records = await CommandRun.inspect(path, "--records", "--json")
        #expect(records.exitCode == ExitCodes.failure && records.lines.count == 100)
        #expect(records.errors.contains("batch at byte 2194"))
        let summary = await CommandRun.inspect(path)
        #expect(summary.output.contains("DAMAGED"))
        withExtendedLifetime(directory) {}
    }

    @Test("the summary tells what a person wants to know")
    func summary() async {
        let run = await CommandRun.inspect(Golden.partition("golden-lz4"))
        for part in [
            "offsets       0 to 4999, in 2 segments", "5,000 in 100 batches, 100,964 bytes",
            "2010-12-01T08:26:00.000Z to 2010-12-02T18:08:00.000Z", "lz4 100; ratio 7.5",
            "health        sound", "00000000000000003300.log",
        ] { #expect(run.output.contains(part), "\(part) in \(run.output)") }
        let json = await CommandRun.inspect(Golden.partition("golden-lz4"), "--json")
        #expect(json.lines.count == 2)
        let all = await CommandRun.inspect(Golden.directory)
        #expect(all.output.contains("golden-zstd-0"))
        #expect(all.output.contains("not readable") == !Golden.unreadable.isEmpty)
    }

    @Test("tables and lines for people are printed too")
    func tables() async {
        let batches = await CommandRun.inspect(Golden.partition("golden-lz4"), "--batches")
        #expect(batches.lines.count == 101)
        let records = await CommandRun.inspect(Golden.partition("golden-plain"), "--records")
        #expect(records.lines.count == 120)
        let all = await CommandRun.inspect(Golden.directory, "--batches", "--json")
        #expect(all.output.contains("{\"file\": \"golden-plain-0/00000000000000000000.log\", "))
    }

    @Test("a torn last batch of a writer at work ends the batches quietly")
    func tornTail() async throws {
        let directory = try TemporaryDirectory()
        let path = try Golden.copy("golden-plain", to: directory)
        let file = URL(fileURLWithPath: path + "/00000000000000000000.log")
        try Data(contentsOf: file).dropLast(20).write(to: file)
        let run = await CommandRun.inspect(path, "--batches", "--json")
        #expect(run.exitCode == 0 && run.lines.count == 18)
        #expect(run.errors.contains("not written whole"))
        let verify = await CommandRun.inspect(path, "--verify")
        #expect(verify.exitCode == ExitCodes.failure)
        #expect(verify.output.contains("a writer is at work, or a crash left them"))
        withExtendedLifetime(directory) {}
    }

    @Test("nothing is ever written, and nothing needs to be writable")
    func writesNothing() async throws {
        let directory = try TemporaryDirectory()
        let path = try Golden.copy("golden-transactions", to: directory)
        let manager = FileManager.default
        try manager.removeItem(atPath: path + "/00000000000000000000.index")
        func state() throws -> [String: [Data]] {
            var state: [String: [Data]] = [:]
            for name in try manager.contentsOfDirectory(atPath: path) + ["."] {
                let full = name == "." ? path : path + "/" + name
                let attributes = try manager.attributesOfItem(atPath: full)
                let time = attributes[.modificationDate] as? Date
                let contents =
                    name == "."
                    ? Data()
                    : try Data(
                        contentsOf: URL(fileURLWithPath: full))
                state[name] = [contents, Data("\(time?.timeIntervalSince1970 ?? 0)".utf8)]
            }
            return state
        }
        for name in try manager.contentsOfDirectory(atPath: path) {
            try manager.setAttributes([.posixPermissions: 0o444], ofItemAtPath: path + "/" + name)
        }
        try manager.setAttributes([.posixPermissions: 0o555], ofItemAtPath: path)
        let before = try state()
        for options in [[], ["--batches"], ["--records"], ["--verify"]] {
            let streams = CommandStreams(output: Output(), errors: Output())
            _ = await InspectCommand.run([path] + options, streams)
            #expect(!streams.output.text.isEmpty)
        }
        let consumed = await CommandRun.consume("golden-transactions", "--data", directory.path)
        #expect(consumed.lines.count == 65)
        #expect(try state() == before)
        try manager.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    }

    @Test("wrong arguments and missing files are told apart by their exit codes")
    func wrongArguments() async throws {
        #expect(await CommandRun.inspect().exitCode == ExitCodes.usage)
        let both = await CommandRun.inspect("x", "--batches", "--records")
        #expect(both.exitCode == ExitCodes.usage && both.errors.contains("at a time"))
        let isolation = await CommandRun.inspect("x", "--isolation", "read_committed")
        #expect(isolation.exitCode == ExitCodes.usage)
        let absent = await CommandRun.inspect("/nowhere/at/all")
        #expect(absent.exitCode == ExitCodes.noInput && absent.errors.contains("not exist"))
        let index = await CommandRun.inspect(
            Golden.partition("golden-plain") + "/00000000000000000000.index")
        #expect(index.exitCode == ExitCodes.noInput && index.errors.contains("not a segment"))
        let directory = try TemporaryDirectory()
        let empty = await CommandRun.inspect(directory.path)
        #expect(empty.exitCode == ExitCodes.noInput && empty.errors.contains("holds neither"))
    }

    @Test("a data directory without topics is sound, and says that it has none")
    func noTopics() async throws {
        let directory = try TemporaryDirectory()
        try await Engine.open(at: directory.path).close()
        let verified = await CommandRun.inspect(directory.path, "--verify")
        #expect(verified.exitCode == ExitCodes.success)
        #expect(verified.output == "no problem found: no topics\n")
        let told = await CommandRun.inspect(directory.path)
        #expect(told.exitCode == ExitCodes.success && told.output == "no topics\n")
    }
}
