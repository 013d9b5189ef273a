import Foundation
import Synchronization
import Tally
import TallyCommand
import TallyServed
import TallyStateStore
import TallyTestSupport

/// A Tally that is the cluster from which topics are copied, in the test's own process.
typealias SourceCluster = ServedEngine

extension ServedEngine {
    /// Runs a closure with one, and with a place for commands.
    ///
    /// - Parameter fill: puts files into the data directory before it is opened.
    static func with(
        fill: (String) throws -> Void = { _ in },
        _ body: (ServedEngine, CommandWorkplace) async throws -> Void
    ) async throws {
        let change = { (configuration: inout EngineConfiguration) in
            configuration.state = .sqlite
            configuration.isCleanerEnabled = false
            configuration.retentionCheckIntervalMilliseconds = 86_400_000
        }
        try await with(change, fill: fill) { try await body($0, try CommandWorkplace()) }
    }

    /// Appends a batch of records to a partition.
    func append(
        _ values: [String], to topic: String, partition: Int32 = 0, codec: Codec = .none,
        producer: BatchProducer = .none, isTransactional: Bool = false
    ) throws {
        let log = try engine.partition(partition, of: topic).log
        var builder = try RecordBatchBuilder(codec: codec)
        for value in values {
            let bytes = Array(value.utf8)
            try builder.append(key: bytes.rawSpan, value: bytes.rawSpan, timestamp: .now)
        }
        var batch: [UInt8] = []
        batch.append(try builder.finish(producer: producer, isTransactional: isTransactional))
        _ = try batch.withMutableRawSpan { bytes in
            try log.append(&bytes, from: .outside, now: .now)
        }
        try log.flush()
    }
}

/// What a data directory has of some topics: all that a copy has to have too.
struct TopicContents: Equatable {
    var id: TopicID
    var settings: [String: String]
    var partitions: [Partition]

    struct Partition: Equatable {
        var logStart: Offset
        var logEnd: Offset
        var bytes: [UInt8]
    }

    /// As an engine has it; `tally.source` is left out.
    static func of(_ topics: [String], in engine: Engine) throws -> [String: TopicContents] {
        var found: [String: TopicContents] = [:]
        for name in topics {
            let topic = try engine.describeTopic(name)
            let partitions = try topic.partitions.map { partition in
                let log = try engine.partition(partition.index, of: name).log
                var bytes: [UInt8] = []
                var next = log.logStart
                while let slice = try log.read(from: next, bytesMax: 1 << 20) {
                    bytes.append(slice.content.all)
                    next = slice.nextOffset
                }
                return Partition(logStart: log.logStart, logEnd: log.logEnd, bytes: bytes)
            }
            var settings = topic.configuration.values
            settings["tally.source"] = nil
            found[name] = TopicContents(id: topic.id, settings: settings, partitions: partitions)
        }
        return found
    }

    /// As a directory has it that nobody has open.
    static func of(_ topics: [String], at directory: String) async throws -> [String: Self] {
        try await withEngine(at: directory) { try of(topics, in: $0) }
    }
}

/// Opens a directory that nobody else has open, and closes it.
func withEngine<Success>(
    at directory: String, _ body: (Engine) async throws -> Success
) async throws -> Success {
    var configuration = EngineConfiguration()
    configuration.state = .sqlite
    configuration.isCleanerEnabled = false
    let engine = try await Engine.open(at: directory, configuration: configuration)
    do {
        let result = try await body(engine)
        try await engine.close()
        return result
    } catch {
        try? await engine.close()
        throw error
    }
}

/// The program, running.
final class RunningCommand {
    let process = Process()
    private let output: String
    private let errorPath: String

    convenience init(_ place: CommandWorkplace, _ arguments: String...) throws {
        try self.init(place, arguments)
    }

    init(_ place: CommandWorkplace, _ arguments: [String]) throws {
        output = place.directory.path("running.out")
        errorPath = place.directory.path("running.err")
        for path in [output, errorPath] {
            try Data().write(to: URL(fileURLWithPath: path))
        }
        process.executableURL = CommandRun.program
        process.arguments = arguments + ["--data", place.data]
        process.standardOutput = FileHandle(forWritingAtPath: output)
        process.standardError = FileHandle(forWritingAtPath: errorPath)
        try process.run()
    }

    var lines: String { (try? String(contentsOfFile: output, encoding: .utf8)) ?? "" }
    var errors: String { (try? String(contentsOfFile: errorPath, encoding: .utf8)) ?? "" }

    /// Waits until something is so; false after a minute, or where the program has ended.
    func waits(until isSo: () throws -> Bool) async throws -> Bool {
        for _ in 0..<1200 {
            if try isSo() { return true }
            if !process.isRunning { return try isSo() }
            try await Task.sleep(for: .milliseconds(50))
        }
        return false
    }

    /// Ends it by a signal, and returns its exit code.
    @discardableResult
    func end(by signal: Int32) -> Int32 {
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        return process.terminationStatus
    }
}
