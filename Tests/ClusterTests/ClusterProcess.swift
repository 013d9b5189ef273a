import Foundation
import TallyTestSupport

/// A process that shares a `cluster.db`, and what it says.
final class ClusterProcess {
    private static let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("TallyClusterChild")

    private let process = Process()
    private let output: URL

    init(_ arguments: String..., in directory: String) throws {
        output = URL(fileURLWithPath: directory).appendingPathComponent("out-\(UUID().uuidString)")
        try Data().write(to: output)
        process.executableURL = Self.program
        process.arguments = arguments
        process.standardOutput = try FileHandle(forWritingTo: output)
        try process.run()
    }

    deinit {
        if process.isRunning { end() }
    }

    /// What it has said so far; a line that is not complete is left out.
    var lines: [String] {
        let text = (try? String(contentsOf: output, encoding: .utf8)) ?? ""
        return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            .map(String.init)
    }

    /// Waits until it has said something, half a minute at most.
    func waitForLine(_ line: String? = nil) async throws {
        for _ in 0..<3000 {
            if line.map(lines.contains) ?? !lines.isEmpty { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw CocoaError(.fileReadUnknown)
    }

    /// Waits until one of several has said something, half a minute at most.
    static func waitForAny(of processes: [ClusterProcess]) async throws {
        for _ in 0..<3000 {
            if processes.contains(where: { !$0.lines.isEmpty }) { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw CocoaError(.fileReadUnknown)
    }

    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Its process id.
    var identifier: Int32 { process.processIdentifier }

    /// A moment at which a process believed to hold a key, which was put at that revision.
    struct Claim {
        let moment: Int64
        let revision: Int64
        let owner: String
    }

    /// What a process of the kind `own` has said.
    var claims: [Claim] {
        lines.compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 3, let moment = Int64(words[0]), let revision = Int64(words[1])
            else { return nil }
            return Claim(moment: moment, revision: revision, owner: String(words[2]))
        }
    }

    /// Kills it, stopped or not.
    func end() {
        signal(SIGKILL)
        process.waitUntilExit()
    }

    /// Waits for its end; whether that was in order.
    func finish() async -> Bool {
        while process.isRunning { try? await Task.sleep(for: .milliseconds(10)) }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}
