import ArgumentParser
import TallyFiles
import TallyLog

/// `tally consume`: prints the records of a topic.
package struct ConsumeCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "consume",
        abstract: "Print the records of a topic.",
        discussion: """
            Reads the files without a lock: an application may have the directory open. What the \
            application has written is shown, also where it is not synced yet. Control records are \
            not shown. Without --follow the command ends at the end of the log, partition after \
            partition; with it, it waits for more until Ctrl-C.

            --from: earliest (the default), latest, an OFFSET (with --partition), or a TIME, which \
            is ISO-8601, in UTC unless it says otherwise (2011-12-09, 2011-12-09T12:50:00Z), or @ \
            and milliseconds since 1970 (@1323435000000).

            --json prints an object a line: topic, partition, offset, timestamp (milliseconds), \
            key, value, headers ([[name, value], ...]). Keys and values are text, or base64 with \
            --encoding base64; a null is null.

            \(ExitCodes.discussion)
            """)

    @Argument(help: "The topic.")
    var topic: String

    @Option(help: "The data directory.")
    var data = "./tally-data"

    @Option(help: "Only this partition.")
    var partition: Int32?

    @Option(help: "earliest, latest, OFFSET, or TIME.")
    var from = ConsumeStart.earliest

    @Option(help: "End after this many records.")
    var max: Int?

    @Flag(help: "Wait for new records at the end of the log.")
    var follow = false

    @Flag(help: "Print JSON Lines.")
    var json = false

    @Option(help: "utf8 or base64.")
    var encoding = ConsumeEncoding.utf8

    @Option(help: "read_uncommitted or read_committed.")
    var isolation = IsolationLevel.readUncommitted

    package init() {}

    package func validate() throws {
        if case .offset = from, partition == nil {
            throw ValidationError(
                "--from OFFSET needs --partition: each partition counts its own offsets.")
        }
        if let max, max < 0 { throw ValidationError("--max is a number of records: 0 or more.") }
        if let partition, partition < 0 { throw ValidationError("--partition begins at 0.") }
    }

    package func run() async throws {
        let streams = CommandStreams.standard()
        let interrupt = follow ? ConsumeInterrupt.install() : nil
        let code = await streams.run { try await run(streams) { interrupt?.isSet ?? false } }
        if code != ExitCodes.success { throw ExitCode(code) }
    }

    /// Does the work until it is done or `isStopped` says so; the exit code.
    private func run(
        _ streams: CommandStreams, until isStopped: @Sendable () -> Bool
    ) async throws -> Int32 {
        let printer = ConsumePrinter(streams, isJSON: json, encoding, isolation, max: max)
        let readers = try openReaders()
        defer { try? printer.finish() }
        while true {
            for reader in readers {
                guard !isStopped(), !printer.isFull else { break }
                try reader.printNew(to: printer, until: isStopped)
            }
            guard follow, !isStopped(), !printer.isFull else { return ExitCodes.success }
            try streams.output.flush()
            try await Task.sleep(for: Self.pollInterval)
            for reader in readers { try reader.refresh(streams) }
        }
    }

    private static var pollInterval: Duration { .milliseconds(200) }

    private func openReaders() throws -> [ConsumeReader] {
        let fileSystem = PosixFileSystem()
        try DataOptions.requireDirectory(data)
        let all = try PartitionDirectory.all(in: data, on: fileSystem)
        let ofTopic = all.filter { $0.topic == topic }
        guard !ofTopic.isEmpty else {
            let others = Set(all.map(\.topic)).sorted().prefix(20).joined(separator: ", ")
            throw CommandFailure(
                "there is no topic \(topic) in \(data); topics there: "
                    + (others.isEmpty ? "none" : others), exitCode: ExitCodes.noInput)
        }
        let wanted = ofTopic.filter { partition == nil || $0.partition == partition }
        guard !wanted.isEmpty else {
            throw CommandFailure(
                "topic \(topic) has no partition \(partition ?? 0); it has "
                    + ofTopic.map { String($0.partition) }.joined(separator: ", "),
                exitCode: ExitCodes.noInput)
        }
        let environment = LogEnvironment.readOnly(on: fileSystem)
        let logStarts = try OffsetCheckpoint.read(.logStart, in: data, from: fileSystem)
        return try wanted.map { directory in
            try ConsumeReader(
                directory, environment: environment,
                logStart: logStarts[directory.name] ?? .zero, from: from)
        }
    }

    /// Runs the command with these arguments, as the program would; its exit code.
    package static func run(
        _ arguments: [String], _ streams: CommandStreams,
        until isStopped: @escaping @Sendable () -> Bool = { false }
    ) async -> Int32 {
        await streams.run {
            do {
                return try await parse(arguments).run(streams, until: isStopped)
            } catch let error where exitCode(for: error).rawValue == ExitCodes.usage {
                throw CommandFailure(message(for: error), exitCode: ExitCodes.usage)
            }
        }
    }
}
