import Foundation
import FoundationNetworking
import TallyCommand
import TallyTestSupport
import Testing

/// `tally serve` as a person runs it.
@Suite struct ServeCommandTests {
    /// A server that runs, and what it has said.
    private final class Served {
        let process = Process()
        private let output = Pipe()
        private let errorPath: String

        init(
            _ directory: TemporaryDirectory, _ arguments: [String] = [],
            environment: [String: String] = [:]
        ) throws {
            errorPath = directory.path("serve.err")
            try Data().write(to: URL(fileURLWithPath: errorPath))
            process.executableURL = CommandRun.program
            process.arguments =
                ["serve", "--data", directory.path("data"), "--listen", "127.0.0.1:0"] + arguments
            process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
            process.standardOutput = output
            process.standardError = FileHandle(forWritingAtPath: errorPath)
            try process.run()
        }

        /// The first line: where it listens.
        func ready() -> String {
            String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        }

        var errors: String {
            let data = try? Data(contentsOf: URL(fileURLWithPath: errorPath))
            return String(decoding: data ?? Data(), as: UTF8.self)
        }

        func end(by signal: Int32 = SIGTERM) -> Int32 {
            kill(process.processIdentifier, signal)
            process.waitUntilExit()
            return process.terminationStatus
        }
    }

    @Test("says where it listens, and closes in order", arguments: [SIGTERM, SIGINT])
    func life(signal: Int32) throws {
        let directory = try TemporaryDirectory()
        // Twice: the second finds what the first closed in order.
        for _ in 0..<2 {
            let served = try Served(directory)
            let ready = served.ready()
            #expect(ready.hasPrefix("Listening on 127.0.0.1:"))
            #expect(Int(ready.split(separator: ":").last?.dropLast() ?? "") ?? 0 > 0)
            let second = try CommandRun.program(
                "serve", "--data", directory.path("data"), "--listen", "127.0.0.1:0")
            #expect(second.exitCode != 0 && second.errors.contains("in use"))
            #expect(served.end(by: signal) == 0)
            #expect(served.errors.contains("0 after an unclean stop"))
        }
    }

    @Test("a signal that comes while the server begins to hear of them is not lost")
    func earlySignal() throws {
        let directory = try TemporaryDirectory()
        /// Whether the mask of a line, `SigIgn` for one, has a signal.
        func mask(_ name: String, of status: String, has signal: Int32) throws -> Bool {
            let line = status.split(separator: "\n").first { $0.hasPrefix(name) }
            let mask = line.flatMap { UInt64($0.split(separator: "\t").last ?? "", radix: 16) }
            return try #require(mask) & 1 << UInt64(signal - 1) != 0
        }
        for _ in 0..<5 {
            let served = try Served(directory)
            let path = "/proc/\(served.process.processIdentifier)/status"
            // The first that it hears of: at the other it has not yet got, or just now.
            var hears = false
            while !hears {
                let status = try String(contentsOfFile: path, encoding: .utf8)
                #expect(try !mask("SigIgn", of: status, has: SIGTERM))
                hears = try mask("SigCgt", of: status, has: SIGINT)
            }
            kill(served.process.processIdentifier, SIGTERM)
            let limit = ContinuousClock.now + .seconds(60)
            while served.process.isRunning, ContinuousClock.now < limit { usleep(5000) }
            #expect(!served.process.isRunning, "the signal was lost")
            kill(served.process.processIdentifier, SIGKILL)
            served.process.waitUntilExit()
        }
        let served = try Served(directory)
        #expect(served.ready().hasPrefix("Listening on"))
        #expect(served.end() == 0)
    }

    @Test("tells metrics, and whether it is ready")
    func metrics() async throws {
        let directory = try TemporaryDirectory()
        let served = try Served(directory, ["--metrics-listen", "127.0.0.1:0"])
        _ = served.ready()
        let line = try #require(
            served.errors.split(separator: "\n").first { $0.hasPrefix("Metrics: ") })
        let address = line.dropFirst("Metrics: ".count)
        func get(_ path: String) async throws -> (Int, String) {
            let url = try #require(
                URL(string: address.replacingOccurrences(of: "/metrics", with: path)))
            let (data, response) = try await URLSession.shared.data(from: url)
            return (
                (response as? HTTPURLResponse)?.statusCode ?? 0,
                String(decoding: data, as: UTF8.self)
            )
        }
        #expect(try await get("/livez") == (200, "alive\n"))
        #expect(try await get("/readyz") == (200, "ready\n"))
        #expect(try await get("/nowhere").0 == 404)
        let (status, text) = try await get("/metrics")
        #expect(status == 200)
        #expect(text.contains("# TYPE tally_server_connections gauge\n"))
        #expect(text.contains("tally_server_requests_total{request=\"Produce\"} 0\n"))
        let bucket = "tally_server_request_seconds_bucket{request=\"Fetch\",le=\"0.001\"}"
        #expect(text.contains(bucket))
        #expect(served.end() == 0)
    }

    @Test("settings come from the file, the environment and options, the last of them first")
    func settings() throws {
        let directory = try TemporaryDirectory()
        let file = directory.path("server.properties")
        try "# a comment\n\nnum.partitions = 3\nfetch.max.bytes=1\n".write(
            toFile: file, atomically: true, encoding: .utf8)
        func failure(
            _ arguments: [String], _ environment: [String: String] = [:]
        ) throws -> String {
            let served = try Served(directory, arguments, environment: environment)
            served.process.waitUntilExit()
            #expect(served.process.terminationStatus != 0)
            return served.errors
        }
        // It is the file that says so.
        #expect(try failure(["--config", file]).contains("fetch.max.bytes"))
        let served = try Served(
            directory, ["--config", file], environment: ["TALLY_FETCH_MAX_BYTES": "100000"])
        #expect(served.ready().hasPrefix("Listening"))
        #expect(served.end() == 0)
        #expect(try failure([], ["TALLY_NUM_PARTITIONS": "many"]).contains("TALLY_NUM_PARTITIONS"))
        try "nonsense\n".write(toFile: file, atomically: true, encoding: .utf8)
        #expect(try failure(["--config", file]).contains("line 1"))
        try "no.such.name=1\n".write(toFile: file, atomically: true, encoding: .utf8)
        #expect(try failure(["--config", file]).contains("no setting no.such.name"))
        #expect(try failure(["--config", directory.path("none")]).contains("cannot be read"))
        #expect(try failure(["--listen", "nonsense"]).contains("--listen"))
        #expect(try failure(["--listen", "0.0.0.0:0"]).contains("no authentication"))
    }
}
