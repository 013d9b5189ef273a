import ArgumentParser
import Tally
import TallyRecords

/// `tally compaction status`.
struct CompactionStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show each compacted partition's dirty part, last cleaning, and failure.",
        discussion: """
            Reads the files without a lock: an application may have the directory open. Clean and \
            dirty are bytes of closed segments before and from the first dirty offset on; a \
            cleaning is due when dirty exceeds min.cleanable.dirty.ratio of both, or tombstones' \
            delete.retention.ms is over; min.compaction.lag.ms and max.compaction.lag.ms are not \
            looked at. Records and bytes are those of all cleanings so far.

            --json prints an object a line: topic, partition, firstDirtyOffset, cleanBytes, \
            dirtyBytes, isDue, runs, lastRunAt, lastRunMilliseconds, readBytes, \
            writtenBytes, removedRecords, pendingTombstones, firstDeleteHorizon, failure, failedAt.

            \(ExitCodes.discussion)
            """)

    @OptionGroup var rows: RowOptions
    @OptionGroup var data: DataOptions

    func run() async throws {
        try await printingRows { streams in
            try data.requireDirectory()
            let reader = try DirectoryReader(path: data.data)
            let unstated = try reader.topics().filter(\.isDiscovered).map(\.name)
            if !unstated.isEmpty { try streams.note(Self.unstated(unstated)) }
            let all = try reader.compactionStatus()
            guard !all.isEmpty else {
                guard unstated.isEmpty else { return }
                return try streams.note(CompactCommand.nothingCompacted)
            }
            var table = OutputTable([
                .text("topic"), .number("partition"), .number("clean bytes"),
                .number("dirty bytes"), .number("dirty ratio"), .text("due"), .text("last run"),
                .number("records removed"), .number("tombstones"), .text("failure"),
            ])
            for status in all {
                try table.add(status.cells, orJSON: status.fields, rows, to: streams.output)
            }
            try table.flush(to: streams.output)
        }
    }

    /// What is to be said of topics whose configuration was lost.
    static func unstated(_ topics: [String]) -> String {
        "Found without topics.json: \(topics.joined(separator: ", ")). Nothing of them is "
            + "compacted until their configuration is stated (tally topics configure)."
    }
}

extension CompactionStatus {
    fileprivate var cells: [String] {
        [
            topic, "\(partition)", cleanByteCount.grouped, dirtyByteCount.grouped, ratioText,
            isDue ? "yes" : "no",
            OutputTime.text(history.lastRunAt.map { Timestamp(rawValue: $0) }),
            history.removedRecordCount.grouped, history.pendingTombstoneCount.grouped,
            history.failure ?? "",
        ]
    }

    /// The ratio with two decimals.
    private var ratioText: String {
        let hundredths = Int((dirtyRatio * 100).rounded())
        return "\(hundredths / 100).\(hundredths / 10 % 10)\(hundredths % 10)"
    }

    fileprivate func fields(_ line: inout JSONLine) {
        func time(_ milliseconds: Int64?) -> String? {
            milliseconds.map { OutputTime.text(Timestamp(rawValue: $0)) }
        }
        line.field("topic", topic)
        line.field("partition", partition)
        line.field("firstDirtyOffset", firstDirtyOffset.rawValue)
        line.field("cleanBytes", cleanByteCount)
        line.field("dirtyBytes", dirtyByteCount)
        line.field("isDue", isDue)
        line.field("runs", history.runCount)
        line.field("lastRunAt", orNull: time(history.lastRunAt))
        line.field("lastRunMilliseconds", history.lastRunMilliseconds)
        line.field("readBytes", history.readByteCount)
        line.field("writtenBytes", history.writtenByteCount)
        line.field("removedRecords", history.removedRecordCount)
        line.field("pendingTombstones", history.pendingTombstoneCount)
        line.field("firstDeleteHorizon", orNull: time(history.firstDeleteHorizon))
        line.field("failure", orNull: history.failure)
        line.field("failedAt", orNull: time(history.failedAt))
    }
}
