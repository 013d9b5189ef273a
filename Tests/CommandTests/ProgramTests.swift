import Foundation
import TallyCommand
import TallyTestSupport
import Testing

/// The program as a person runs it.
@Suite struct ProgramTests {
    @Test("the program prints batches and records byte for byte", arguments: Golden.readable)
    func golden(_ name: String) throws {
        let batches = try CommandRun.program(
            "inspect", Golden.partition(name), "--batches", "--json")
        #expect(batches.exitCode == 0)
        #expect(batches.output == (try Golden.expected("\(name)-0.batches")))
        let records = try CommandRun.program(
            "inspect", Golden.partition(name), "--records", "--json", "--isolation",
            "read_committed")
        #expect(records.exitCode == 0)
        #expect(records.output == (try Golden.expected("\(name).read_committed")))
    }

    @Test("the program's exit codes are those that are documented")
    func exitCodes() throws {
        #expect(try CommandRun.program("inspect").exitCode == ExitCodes.usage)
        #expect(try CommandRun.program("inspect", "/nowhere").exitCode == ExitCodes.noInput)
        for name in Golden.unreadable {
            let run = try CommandRun.program("inspect", Golden.partition(name), "--records")
            #expect(run.exitCode == ExitCodes.unsupportedCodec)
            #expect(run.errors.hasPrefix("error: "))
        }
        let help = try CommandRun.program("inspect", "--help")
        #expect(help.exitCode == 0 && help.output.contains("Exit codes"))
    }

    @Test("a reader that goes away ends the program quietly")
    func closedOutput() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        let errors = Pipe()
        process.standardError = errors
        process.arguments = [
            "-c",
            "{ \"$0\" inspect \"$1\" --records --json; echo $? >&2; } | head -1 > /dev/null",
            CommandRun.program.path, Golden.partition("golden-lz4"),
        ]
        try process.run()
        let text = String(
            decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(text == "0\n")
    }

    @Test("Ctrl-C ends following with exit code 0")
    func interrupted() throws {
        let process = Process()
        process.executableURL = CommandRun.program
        process.arguments = ["consume", "golden-plain", "--data", Golden.directory, "--follow"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        var lines = 0
        while lines < 120 {
            let data = output.fileHandleForReading.availableData
            if data.isEmpty { break }
            lines += data.count { $0 == UInt8(ascii: "\n") }
        }
        #expect(lines == 120 && process.isRunning)
        process.interrupt()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 0)
    }
}
