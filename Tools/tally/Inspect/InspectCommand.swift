import ArgumentParser
import TallyFiles
import TallyLog

/// `tally inspect`: what is in a segment, a partition or a data directory.
package struct InspectCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show and check segments, partitions and data directories.",
        discussion: """
            PATH is a segment (a .log file), a partition directory, or a data directory, in use \
            or not, written by Tally or by Kafka. Nothing is locked and nothing is written.

            Without an option, a summary. --batches and --records show what is in the files; in a \
            data directory, batches name their file with its partition, and records begin with \
            topic and partition. read_committed looks at the whole partition to know which \
            transactions were aborted, even where PATH is one segment.

            --verify checks every checksum, record, offset, index entry and checkpoint, and lists \
            problems as severity, file, byte and reason. "damage": bytes of the log are not what \
            they must be. "mendable": an index is missing or wrong, or the last batch is not \
            written whole; opening the log mends it. "note": what a writer at work leaves, and \
            files that do not belong there; notes alone are no problem.

            With --records --json, keys and values are base64, whatever their bytes; \
            consume --json prints text.

            \(ExitCodes.discussion)
            """)

    @Argument(help: "A .log file, a partition directory, or a data directory.")
    var path: String

    @Flag(help: "Show each batch.")
    var batches = false

    @Flag(help: "Show each record; control records are not shown.")
    var records = false

    @Flag(help: "Check everything and list each problem.")
    var verify = false

    @Flag(help: "Print JSON Lines.")
    var json = false

    @Option(help: "With --records: read_uncommitted or read_committed.")
    var isolation = IsolationLevel.readUncommitted

    package init() {}

    package func validate() throws {
        let modes = [batches, records, verify].count { $0 }
        guard modes <= 1 else {
            throw ValidationError("Use one of --batches, --records and --verify at a time.")
        }
        guard records || isolation == .readUncommitted else {
            throw ValidationError("--isolation chooses records: use it with --records.")
        }
    }

    package func run() async throws {
        let streams = CommandStreams.standard()
        let code = await streams.run { try run(streams) }
        if code != ExitCodes.success { throw ExitCode(code) }
    }

    /// Does the work; the exit code.
    private func run(_ streams: CommandStreams) throws -> Int32 {
        let target = try InspectTarget(path, on: PosixFileSystem())
        if batches {
            return try InspectBatches(target, streams, isJSON: json).run()
        } else if records {
            return try InspectRecords(target, streams, isJSON: json, isolation).run()
        } else if verify {
            return try InspectVerify(target, streams, isJSON: json).run()
        } else {
            return try InspectSummary(target, streams, isJSON: json).run()
        }
    }

    /// Runs the command with these arguments, as the program would; its exit code.
    package static func run(_ arguments: [String], _ streams: CommandStreams) async -> Int32 {
        await streams.run {
            do {
                return try parse(arguments).run(streams)
            } catch let error where exitCode(for: error).rawValue == ExitCodes.usage {
                throw CommandFailure(message(for: error), exitCode: ExitCodes.usage)
            }
        }
    }
}

extension IsolationLevel: ExpressibleByArgument {}
