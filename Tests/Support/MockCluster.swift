import Foundation

/// librdkafka's mock cluster in a process of its own: several brokers over real sockets, that a
/// test can command. See `Tests/MockCluster/mock_cluster.c`.
///
/// Used by one task at a time; it ends when it is let go of.
package final class MockCluster: @unchecked Sendable {
    /// Whether this machine can build it.
    package static let isAvailable =
        FileManager.default.fileExists(atPath: "/usr/include/librdkafka/rdkafka_mock.h")

    /// Where its brokers listen: `HOST:PORT` each.
    package private(set) var addresses: [String] = []
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var unread = ""

    /// Why there is none.
    package struct Failure: Error { package var reason: String }

    /// - Parameter topics: the numbers of partitions of topics, by name.
    package init(brokers: Int, topics: [String: Int] = [:]) throws {
        process.executableURL = try Self.program.get()
        process.arguments =
            ["\(brokers)"] + topics.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        addresses = try line().split(separator: ",").map(String.init)
    }

    deinit {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// Gives a command, and returns when it is obeyed.
    package func tell(_ command: String) throws {
        try input.fileHandleForWriting.write(contentsOf: Data((command + "\n").utf8))
        guard try line() == "done" else { throw Failure(reason: "refused: \(command)") }
    }

    private func line() throws -> String {
        while true {
            if let end = unread.firstIndex(of: "\n") {
                defer { unread = String(unread[unread.index(after: end)...]) }
                return String(unread[..<end])
            }
            let data = output.fileHandleForReading.availableData
            if data.isEmpty { throw Failure(reason: "the mock cluster has ended") }
            unread += String(decoding: data, as: UTF8.self)
        }
    }

    /// The program, built once for all tests of a process.
    private static let program: Result<URL, any Error> = Result {
        let directory = FileManager.default.temporaryDirectory
            .appendingPathComponent("tally-mock-cluster-\(getpid())")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let program = directory.appendingPathComponent("mock_cluster")
        let compiler = Process()
        compiler.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        compiler.arguments = [
            "cc", "-O1", "-o", program.path,
            Fixtures.repositoryURL.appendingPathComponent("Tests/MockCluster/mock_cluster.c").path,
            "-lrdkafka",
        ]
        try compiler.run()
        compiler.waitUntilExit()
        guard compiler.terminationStatus == 0 else {
            throw Failure(reason: "mock_cluster.c could not be compiled")
        }
        return program
    }
}
