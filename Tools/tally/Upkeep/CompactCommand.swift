import ArgumentParser
import Tally

/// `tally compact`.
struct CompactCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compact",
        abstract: "Clean compacted topics: of each key the newest record stays.",
        discussion: """
            An open engine does this by itself, in the background. This command is for directories \
            that no application has open; one that has calls Engine.compact instead.

            Without --now only partitions are cleaned that are due: those of which more is dirty \
            than min.cleanable.dirty.ratio allows, or a record waits longer than \
            max.compaction.lag.ms, or tombstones' time is over. The active segment, records of \
            transactions that are open, and records younger than min.compaction.lag.ms are never \
            cleaned; --roll closes the active segment first. Tombstones stay for \
            delete.retention.ms after the cleaning that met them first. After Ctrl-C what was \
            cleaned stays so, and the rest is as it was.

            --json prints an object a line: topic, partition, firstDirtyOffset, removedRecords, \
            oldBytes, newBytes, pendingTombstones.

            \(ExitCodes.discussion)
            """)

    @Argument(help: "The topic; all compacted topics if not given.")
    var topic: String?

    @Option(help: "Only this partition of the topic.")
    var partition: Int32?

    @Flag(help: "Clean at once what can be cleaned, whether or not it is due.")
    var now = false

    @Flag(help: "Close the active segment first, so that it is cleaned too; wants --now.")
    var roll = false

    @OptionGroup var rows: RowOptions
    @OptionGroup var data: DataOptions

    func validate() throws {
        if roll, !now { throw ValidationError("--roll wants --now") }
        if partition != nil, topic == nil { throw ValidationError("--partition wants a topic") }
    }

    func run() async throws {
        try data.requireDirectory()
        let (topic, partition, now, roll) = (topic, partition, now, roll)
        let data = data.data
        // An engine would make a data directory of one that is none.
        let found = try DirectoryReader(path: data).topics()
        guard topic != nil || !found.isEmpty else { return Console.note(Self.nothingCompacted) }
        let outcome = try await interruptible {
            try await withEngine(at: data) { engine in
                do {
                    // Cleaning ends soon once the engine is being closed.
                    return try await withTaskCancellationHandler {
                        try await Self.compact(engine, topic, partition, now: now, rolling: roll)
                    } onCancel: {
                        Task { try? await engine.close() }
                    }
                } catch {
                    try Task.checkCancellation()
                    throw error
                }
            }
        }
        try await printingRows { streams in
            if !outcome.unstated.isEmpty {
                try streams.note(CompactionStatusCommand.unstated(outcome.unstated))
            }
            try show(outcome, streams)
            for failure in outcome.failures { try streams.note("error: \(failure)") }
            guard outcome.failures.isEmpty else {
                let count = Format.count(outcome.failures.count, "partition")
                throw CommandFailure("\(count) could not be cleaned")
            }
        }
    }

    /// What is said where there is nothing to clean or to show.
    static let nothingCompacted = "No topic is compacted (cleanup.policy=compact)."

    private struct Outcome: Sendable {
        var results: [CompactionResult] = []
        var failures: [String] = []
        /// Topics whose configuration was lost.
        var unstated: [String] = []
        /// Compacted partitions that were asked for.
        var partitionCount = 0
    }

    /// A partition that fails does not keep the others from being cleaned.
    private static func compact(
        _ engine: Engine, _ topic: String?, _ partition: Int32?, now: Bool, rolling: Bool
    ) async throws -> Outcome {
        var outcome = Outcome()
        outcome.unstated = try unstated(in: engine, topic)
        let all = try await partitions(of: engine, topic, partition)
        outcome.partitionCount = all.count
        for wanted in all {
            try Task.checkCancellation()
            if !now, !wanted.isDue { continue }
            do {
                outcome.results += try await engine.compact(
                    topic: wanted.topic, partition: wanted.partition, rolling: rolling)
            } catch {
                try Task.checkCancellation()
                outcome.failures.append("\(wanted.topic)-\(wanted.partition): \(error)")
            }
        }
        return outcome
    }

    /// Topics that nobody has said to be compacted or not, since `topics.json` was lost. One that
    /// was asked for is an error.
    private static func unstated(in engine: Engine, _ topic: String?) throws -> [String] {
        guard let topic else { return try engine.topics().filter(\.isDiscovered).map(\.name) }
        guard try engine.describeTopic(topic).isDiscovered else { return [] }
        throw CommandFailure(CompactionStatusCommand.unstated([topic]))
    }

    private static func partitions(
        of engine: Engine, _ topic: String?, _ partition: Int32?
    ) async throws -> [CompactionStatus] {
        let all = try await engine.compactionStatus()
        guard let topic else { return all }
        let description = try engine.describeTopic(topic)
        guard description.configuration.isCompacted else {
            throw EngineError.notCompacted(topic: topic)
        }
        let found = all.filter {
            $0.topic == topic && $0.partition == partition ?? $0.partition
        }
        guard let partition, found.isEmpty else { return found }
        throw EngineError.unknownPartition(
            topic: topic, partition: partition, count: description.partitions.count)
    }

    private func show(_ outcome: Outcome, _ streams: CommandStreams) throws {
        let results = outcome.results
        guard !results.isEmpty else {
            guard outcome.failures.isEmpty else { return }
            if outcome.partitionCount > 0 {
                return try streams.note("Nothing is due; --now does not wait.")
            }
            guard outcome.unstated.isEmpty else { return }
            return try streams.note(Self.nothingCompacted)
        }
        var table = OutputTable([
            .text("topic"), .number("partition"), .number("clean up to"),
            .number("records removed"), .number("bytes before"), .number("bytes after"),
            .number("tombstones"),
        ])
        for result in results {
            try table.add(result.cells, orJSON: result.fields, rows, to: streams.output)
        }
        try table.flush(to: streams.output)
        try streams.output.flush()
    }
}

extension CompactionResult {
    fileprivate var cells: [String] {
        [
            topic, "\(partition)", "\(firstDirtyOffset)", removedRecordCount.grouped,
            oldByteCount.grouped, newByteCount.grouped, pendingTombstoneCount.grouped,
        ]
    }

    fileprivate func fields(_ line: inout JSONLine) {
        line.field("topic", topic)
        line.field("partition", partition)
        line.field("firstDirtyOffset", firstDirtyOffset.rawValue)
        line.field("removedRecords", removedRecordCount)
        line.field("oldBytes", oldByteCount)
        line.field("newBytes", newByteCount)
        line.field("pendingTombstones", pendingTombstoneCount)
    }
}
