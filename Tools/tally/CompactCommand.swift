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
            than min.cleanable.dirty.ratio allows. The active segment, records of transactions \
            that are open, and records younger than min.compaction.lag.ms are never cleaned; \
            --roll closes the active segment first. Tombstones stay for delete.retention.ms after \
            the cleaning that met them first.

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
        try await printingRows { streams in
            try data.requireDirectory()
            let (topic, partition, now, roll) = (topic, partition, now, roll)
            let outcome = try await withEngine(at: data.data) { engine in
                try await Self.compact(engine, topic, partition, now: now, rolling: roll)
            }
            try show(outcome.results, streams)
            for failure in outcome.failures { try streams.note("error: \(failure)") }
            guard outcome.failures.isEmpty else {
                throw CommandFailure("\(outcome.failures.count) partitions could not be cleaned")
            }
        }
    }

    private struct Outcome: Sendable {
        var results: [CompactionResult] = []
        var failures: [String] = []
    }

    /// A partition that fails does not keep the others from being cleaned.
    private static func compact(
        _ engine: Engine, _ topic: String?, _ partition: Int32?, now: Bool, rolling: Bool
    ) async throws -> Outcome {
        var outcome = Outcome()
        for wanted in try await partitions(of: engine, topic, partition) {
            if !now, !isDue(wanted, engine) { continue }
            do {
                outcome.results += try await engine.compact(
                    topic: wanted.topic, partition: wanted.partition, rolling: rolling)
            } catch {
                outcome.failures.append("\(wanted.topic)-\(wanted.partition): \(error)")
            }
        }
        return outcome
    }

    private static func isDue(_ status: CompactionStatus, _ engine: Engine) -> Bool {
        let topic = try? engine.describeTopic(status.topic)
        return status.isDue(by: topic?.configuration)
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

    private func show(_ results: [CompactionResult], _ streams: CommandStreams) throws {
        guard !results.isEmpty else {
            return try streams.note(
                now ? "There was nothing to clean." : "Nothing is due; --now does not wait.")
        }
        var table = OutputTable([
            .text("topic"), .number("partition"), .number("clean up to"),
            .number("records removed"), .number("bytes before"), .number("bytes after"),
            .number("tombstones"),
        ])
        for result in results {
            if rows.json {
                try streams.output.write { result.fields(&$0) }
            } else {
                try table.add(result.cells, to: streams.output)
            }
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
