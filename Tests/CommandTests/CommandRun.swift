import Foundation
import Tally
import TallyCommand
import TallyTestSupport

/// What a command printed, and how it ended.
struct CommandRun {
    var output: String
    var errors: String
    var exitCode: Int32

    /// The lines of the output.
    var lines: [Substring] { output.split(separator: "\n") }

    /// Runs `tally inspect` in this process.
    static func inspect(_ arguments: String...) async -> CommandRun {
        let streams = CommandStreams(output: Output(), errors: Output())
        let code = await InspectCommand.run(arguments, streams)
        return CommandRun(
            output: streams.output.text, errors: streams.errors.text, exitCode: code)
    }

    /// Runs `tally consume` in this process.
    static func consume(_ arguments: String...) async -> CommandRun {
        let streams = CommandStreams(output: Output(), errors: Output())
        let code = await ConsumeCommand.run(arguments, streams)
        return CommandRun(
            output: streams.output.text, errors: streams.errors.text, exitCode: code)
    }

    /// Runs `tally repair` in this process.
    static func repair(_ arguments: String...) async -> CommandRun {
        let streams = CommandStreams(output: Output(), errors: Output())
        let code = await RepairCommand.run(arguments, streams)
        return CommandRun(
            output: streams.output.text, errors: streams.errors.text, exitCode: code)
    }

    /// The program as it was built, beside the tests.
    static var program: URL {
        let tests = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        let beside = tests.appendingPathComponent("tally")
        if FileManager.default.isExecutableFile(atPath: beside.path) { return beside }
        return Fixtures.repositoryURL.appendingPathComponent(".build/debug/tally")
    }

    /// Runs the built program to its end.
    static func program(_ arguments: String...) throws -> CommandRun { try program(arguments) }

    /// The same with a list.
    static func program(_ arguments: [String]) throws -> CommandRun {
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        let directory = try TemporaryDirectory()
        defer { directory.close() }
        for name in ["out", "err"] {
            try Data().write(to: URL(fileURLWithPath: directory.path(name)))
        }
        process.standardOutput = FileHandle(forWritingAtPath: directory.path("out"))
        process.standardError = FileHandle(forWritingAtPath: directory.path("err"))
        try process.run()
        process.waitUntilExit()
        func text(_ name: String) throws -> String {
            let url = URL(fileURLWithPath: directory.path(name))
            return String(decoding: try Data(contentsOf: url), as: UTF8.self)
        }
        return CommandRun(
            output: try text("out"), errors: try text("err"), exitCode: process.terminationStatus)
    }
}

/// The partitions that Kafka wrote, and what it says is in them.
enum Golden {
    static let names = [
        "golden-append-time", "golden-compacted", "golden-gzip", "golden-idempotent",
        "golden-lz4", "golden-plain", "golden-snappy", "golden-transactions", "golden-zstd",
    ]
    static let readable = names.filter { !unreadable.contains($0) }
    /// Those whose codec the build lacks.
    static let unreadable = Codec.missing.map { "golden-\($0)" }

    static let directory = Fixtures.path("kafka-golden/partitions")

    static func partition(_ name: String) -> String { "\(directory)/\(name)-0" }

    static func expected(_ name: String) throws -> String {
        String(decoding: try Fixtures.bytes("kafka-golden/expected/\(name).jsonl"), as: UTF8.self)
    }

    /// A copy that may be changed.
    static func copy(_ name: String, to directory: TemporaryDirectory) throws -> String {
        let path = directory.path("\(name)-0")
        try FileManager.default.copyItem(atPath: partition(name), toPath: path)
        return path
    }
}
