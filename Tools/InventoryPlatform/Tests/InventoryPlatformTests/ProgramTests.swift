import Foundation
import Testing

/// The whole platform in a process of its own, as `make example` runs it.
@Suite("The program", .serialized, .timeLimit(.minutes(5)))
struct ProgramTests {
    private static let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("inventory-platform")
    private static let rows = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("../../fixtures/online-retail-slice.csv").standardized.path

    /// How a run ended, and the page it printed.
    private struct Run {
        var output: String
        var status: Int32
        /// The part that says how things stand, and not what this run did.
        var standing: String {
            output.range(of: "\n\nOrders\n").map { String(output[$0.lowerBound...]) } ?? ""
        }
    }

    /// - Parameters:
    ///   - signal: which one it gets, and after how many milliseconds.
    ///   - afterFirstLine: whether that is after its first line, and not after its start.
    private func run(
        in directory: TestDirectory, signal: (number: Int32, after: Int)? = nil,
        afterFirstLine: Bool = false
    ) async throws -> Run {
        let process = Process()
        let output = Pipe()
        process.executableURL = Self.program
        process.arguments = ["run", "--rows", Self.rows, "--data", directory.path + "/data"]
        process.standardOutput = output
        try process.run()
        var bytes = Data()
        if let signal {
            if afterFirstLine { bytes = output.fileHandleForReading.availableData }
            try await Task.sleep(for: .milliseconds(signal.after))
            kill(process.processIdentifier, signal.number)
        }
        bytes += try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Run(
            output: String(decoding: bytes, as: UTF8.self), status: process.terminationStatus)
    }

    @Test("killed again and again, it comes to the same stocks, orders and alerts in the end")
    func killed() async throws {
        var generator = SeededGenerator()
        let undisturbed = try await run(in: TestDirectory())
        #expect(undisturbed.status == 0 && undisturbed.standing.contains("none was oversold"))
        let directory = try TestDirectory()
        for _ in 0..<10 {
            _ = try await run(
                in: directory,
                signal: (SIGKILL, Int.random(in: 30...900, using: &generator)))
        }
        let last = try await run(in: directory)
        #expect(last.status == 0)
        #expect(last.standing == undisturbed.standing)
    }

    @Test("Ctrl-C stops it in order, and run again it goes on")
    func interrupted() async throws {
        let directory = try TestDirectory()
        let first = try await run(in: directory, signal: (SIGINT, 50), afterFirstLine: true)
        #expect(first.status == 0, "\(first.output)")
        #expect(first.output.hasSuffix("Stopped. Run it again, and it goes on from here.\n"))
        let second = try await run(in: directory)
        let third = try await run(in: directory)
        #expect(second.status == 0 && third.status == 0)
        #expect(third.output.contains("0 accepted, 701 known already, 0 refused"))
        #expect(second.standing == third.standing && !third.standing.isEmpty)
        // Closed in order: no directory of a process that died.
        #expect(
            FileManager.default.fileExists(atPath: directory.path + "/data/.kafka_cleanshutdown"))
    }
}
