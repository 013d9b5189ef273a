import Foundation
import TallyCommand
import TallyTestSupport
import Testing

/// A data directory and the built program.
struct CommandWorkplace {
    let directory: TemporaryDirectory
    var data: String { directory.path("data") }

    init() throws { directory = try TemporaryDirectory() }

    /// Runs the program on the data directory, with a text as its standard input.
    func run(_ arguments: String..., input: String = "") throws -> CommandRun {
        try run(arguments, input: Array(input.utf8))
    }

    /// Runs the program on the data directory.
    func run(_ arguments: [String], input: [UInt8]) throws -> CommandRun {
        let process = Process()
        process.executableURL = CommandRun.program
        process.arguments = arguments + ["--data", data]
        func file(_ name: String, _ bytes: [UInt8] = []) throws -> URL {
            let url = URL(fileURLWithPath: directory.path(name))
            try Data(bytes).write(to: url)
            return url
        }
        let (output, errors) = (try file("out"), try file("err"))
        process.standardInput = try FileHandle(forReadingFrom: try file("in", input))
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        process.waitUntilExit()
        return CommandRun(
            output: String(decoding: try Data(contentsOf: output), as: UTF8.self),
            errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self),
            exitCode: process.terminationStatus)
    }

    /// The objects of a run's output.
    func objects(_ run: CommandRun) throws -> [[String: Any]] {
        try run.lines.map { line in
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
            return try #require(object as? [String: Any])
        }
    }
}

@Suite struct TopicsCommandTests {
    @Test("one is not said to be many")
    func one() throws {
        let place = try CommandWorkplace()
        let one = try place.run("topics", "create", "a", "--partitions", "1")
        #expect(one.output == "Created topic a with 1 partition.\n")
        let produced = try place.run("produce", "a", input: "k\tv\n")
        #expect(produced.errors == "Produced 1 record to topic a.\n")
    }

    @Test("topics are created, listed, described and deleted")
    func life() throws {
        let place = try CommandWorkplace()
        let created = try place.run(
            "topics", "create", "a", "--partitions", "2", "--config", "retention.ms=-1")
        #expect(created.exitCode == 0 && created.output.contains("Created topic a"))
        let listed = try place.objects(try place.run("topics", "list", "--json"))
        #expect(listed.count == 1)
        #expect(listed[0]["topic"] as? String == "a" && listed[0]["partitions"] as? Int == 2)
        #expect(listed[0]["settings"] as? String == "retention.ms=-1")
        #expect(try place.run("topics", "list").output.contains("retention.ms=-1"))
        let described = try place.run("topics", "describe", "a")
        #expect(described.output.contains("retention.ms=-1\n"))
        #expect(described.output.contains("segment.bytes=1073741824 (default)"))
        let partitions = try place.objects(try place.run("topics", "describe", "a", "--json"))
        #expect(partitions.map { $0["partition"] as? Int } == [0, 1])
        #expect(try place.run("topics", "delete", "a").exitCode == 0)
        let none = try place.run("topics", "list")
        #expect(none.exitCode == 0 && none.output == "" && none.errors.contains("no topics"))
    }

    @Test("a topic that was found again gets its configuration back, once")
    func configure() throws {
        let place = try CommandWorkplace()
        #expect(try place.run("topics", "create", "a", "--partitions", "1").exitCode == 0)
        try FileManager.default.removeItem(atPath: place.data + "/topics.json")
        let found = try place.run("topics", "describe", "a")
        #expect(found.output.contains("until its configuration is stated (tally topics configure)"))
        let arguments = ["topics", "configure", "a", "--config", "retention.ms=5"]
        #expect(try place.run(arguments, input: []).exitCode == 0)
        let stated = try place.run("topics", "describe", "a")
        #expect(stated.output.contains("  retention.ms=5\n"))
        #expect(!stated.output.contains("configuration is stated"))
        let again = try place.run(arguments, input: [])
        #expect(
            again.exitCode == ExitCodes.failure && again.errors.contains("has its configuration"))
    }

    @Test("what cannot be done is said in one form, with the documented code")
    func failures() throws {
        let place = try CommandWorkplace()
        let missing = try place.run("topics", "list")
        #expect(missing.exitCode == ExitCodes.noInput && missing.errors.hasPrefix("error: "))
        _ = try place.run("topics", "create", "a", "--partitions", "1")
        for arguments in [
            ["topics", "delete", "b"], ["topics", "describe", "b"], ["produce", "b"],
        ] {
            let run = try place.run(arguments, input: [])
            #expect(run.exitCode == ExitCodes.noInput)
            #expect(run.errors.hasPrefix("error: ") && run.errors.contains("Topics are: a"))
        }
        let taken = try place.run("topics", "create", "a", "--partitions", "1")
        #expect(taken.exitCode == ExitCodes.failure && taken.errors.contains("exists already"))
        let setting = try place.run(
            "topics", "create", "c", "--partitions", "1", "--config", "retention=1")
        #expect(setting.exitCode == ExitCodes.failure && setting.errors.contains("retention.ms"))
        let form = try place.run("topics", "create", "c", "--partitions", "1", "--config", "x")
        #expect(form.exitCode == ExitCodes.usage && form.errors.contains("name=value"))
        #expect(try place.run("topics", "create", "c").errors.hasPrefix("error: "))
    }

    @Test(
        "a data directory that is not there is refused and not created",
        arguments: [
            ["topics", "list"], ["topics", "describe", "a"], ["topics", "delete", "a"],
            ["produce", "a"], ["consume", "a"], ["projection", "rebuild"],
            ["transactions", "hanging"], ["topics", "export"], ["topics", "skew", "a"],
            ["topics", "alter", "a", "--partitions", "2"],
            ["topics", "migrate", "a", "--to", "b", "--partitions", "2"],
            ["transactions", "abort", "--topic", "a", "--partition", "0", "--producer-id", "1"],
        ])
    func noDirectory(_ arguments: [String]) throws {
        let place = try CommandWorkplace()
        let run = try place.run(arguments, input: [])
        #expect(run.exitCode == ExitCodes.noInput && run.output.isEmpty)
        #expect(
            run.errors == "error: there is no data directory \(place.data); "
                + "name it with --data DIR\n")
        #expect(!FileManager.default.fileExists(atPath: place.data))
        try Data().write(to: URL(fileURLWithPath: place.data))
        let file = try place.run(arguments, input: [])
        #expect(file.exitCode == ExitCodes.noInput && file.errors.contains("no directory"))
    }

    @Test("a directory in use names the holder; commands that only read work")
    func inUse() throws {
        let place = try CommandWorkplace()
        _ = try place.run("topics", "create", "a", "--partitions", "1")
        let holder = Process()
        holder.executableURL = CommandRun.program
        holder.arguments = ["produce", "a", "--data", place.data]
        let input = Pipe()
        holder.standardInput = input
        holder.standardError = FileHandle.nullDevice
        try holder.run()
        // It holds the lock once its process id stands in the file.
        let lock = place.data + "/.lock"
        for _ in 0..<500 where (try String(contentsOfFile: lock, encoding: .utf8)).isEmpty {
            Thread.sleep(forTimeInterval: 0.02)
        }
        let refused = try place.run("topics", "create", "b", "--partitions", "1")
        #expect(refused.exitCode == ExitCodes.failure)
        #expect(refused.errors.contains("process with id \(holder.processIdentifier)"))
        #expect(try place.run("topics", "list", "--json").lines.count == 1)
        // Ctrl-C ends it, although its standard input stays open.
        holder.interrupt()
        holder.waitUntilExit()
        #expect(holder.terminationStatus == 130)
        #expect(try place.run("topics", "create", "b", "--partitions", "1").exitCode == 0)
        withExtendedLifetime(input) {}
    }
}
