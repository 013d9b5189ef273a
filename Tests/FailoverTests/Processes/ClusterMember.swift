import Foundation
import TallyTestSupport
import Testing

/// One `tally serve --cluster` on a data directory of its own, which may be killed, paused, ended
/// and started again. Its address stays the same.
///
/// Thread rule: one task at a time, which is the test's.
final class ClusterMember: @unchecked Sendable {
    let id: Int32
    let host: String
    let port = 9092
    /// Where its data are.
    let data: String
    /// What the command line says before the program's name: `ip netns exec NAME`.
    private let wrapper: [String]
    private let store: String
    private let folder: String
    private let settings: [String: String]
    private var process: Process?

    init(
        _ id: Int32, host: String, data: String, folder: String, store: String,
        settings: [String: String], wrapper: [String]
    ) {
        self.id = id
        self.host = host
        self.data = data
        self.folder = folder
        self.store = store
        self.settings = settings
        self.wrapper = wrapper
    }

    deinit { kill() }

    /// The program as it was built, beside the tests.
    static let program = URL(fileURLWithPath: CommandLine.arguments[0])
        .deletingLastPathComponent().appendingPathComponent("tally").path

    /// Starts it, or starts it again.
    func launch() throws {
        let process = Process()
        var words =
            wrapper + [
                Self.program, "serve", "--data", data, "--listen", "\(host):\(port)",
                "--cluster", store, "--node-id", "\(id)",
            ]
        if !wrapper.isEmpty { words.append("--allow-remote") }
        process.executableURL = URL(fileURLWithPath: words[0])
        process.arguments = Array(words.dropFirst())
        var environment = ProcessInfo.processInfo.environment
        for (name, value) in settings {
            let word = name.hasPrefix("tally.") ? name : "tally." + name
            environment[word.uppercased().replacingOccurrences(of: ".", with: "_")] = value
        }
        process.environment = environment
        try Data().write(to: URL(fileURLWithPath: path("out")))
        process.standardOutput = FileHandle(forWritingAtPath: path("out"))
        // What it wrote before stays: it tells the story of all its starts.
        if !FileManager.default.fileExists(atPath: path("err")) {
            try Data().write(to: URL(fileURLWithPath: path("err")))
        }
        let errors = FileHandle(forWritingAtPath: path("err"))
        try errors?.seekToEnd()
        process.standardError = errors
        try process.run()
        self.process = process
    }

    private func path(_ name: String) -> String { "\(folder)/member-\(id).\(name)" }

    /// Waits until it is registered and answers: it says so then.
    func waitUntilReady() async throws {
        for _ in 0..<3000 {
            let told = (try? String(contentsOfFile: path("out"), encoding: .utf8)) ?? ""
            if told.hasPrefix("Listening on"), told.hasSuffix("\n") { return }
            guard process?.isRunning == true else { break }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("member \(id) is not ready: \(errors)")
        throw CocoaError(.fileNoSuchFile)
    }

    /// The end of what it wrote about itself.
    var errors: String {
        String(((try? String(contentsOfFile: path("err"), encoding: .utf8)) ?? "").suffix(4000))
    }

    var isRunning: Bool { process?.isRunning == true }

    /// With SIGSTOP, or SIGCONT.
    func signal(_ number: Int32) {
        guard let process, process.isRunning else { return }
        _ = Glibc.kill(process.processIdentifier, number)
    }

    /// With SIGSTOP; returns when all of its threads stand still, which takes a moment.
    func pause() throws {
        guard let process, process.isRunning else { return }
        signal(SIGSTOP)
        let tasks = URL(fileURLWithPath: "/proc/\(process.processIdentifier)/task")
        let names = try FileManager.default.contentsOfDirectory(atPath: tasks.path)
        for name in names {
            let file = tasks.appendingPathComponent(name).appendingPathComponent("stat")
            // The state is the first field behind the program's name, which stands in brackets.
            while let stat = try? String(contentsOf: file, encoding: .utf8),
                let end = stat.lastIndex(of: ")"), !stat[end...].hasPrefix(") T")
            { usleep(100) }
        }
    }

    /// With SIGKILL, as a crash would end it.
    func kill() {
        guard let process else { return }
        signal(SIGKILL)
        process.waitUntilExit()
        self.process = nil
    }

    /// With SIGTERM. Returns its exit code; nil where it has not ended in time, and was killed.
    func end(withinSeconds limit: Int = 20) async throws -> Int32? {
        guard let process else { return nil }
        signal(SIGTERM)
        for _ in 0..<(limit * 100) where process.isRunning {
            try await Task.sleep(for: .milliseconds(10))
        }
        guard !process.isRunning else {
            kill()
            return nil
        }
        self.process = nil
        return process.terminationStatus
    }
}
