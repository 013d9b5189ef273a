import ArgumentParser
import Tally
import TallyFiles

/// `tally topics skew`.
struct TopicsSkewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "skew",
        abstract: "Show how a topic's load spreads over partitions and keys, and what would help.",
        discussion: """
            Lag is that of the group which is farthest behind in the partition, of those that have \
            committed something there; `tally groups describe` shows the others.

            Reads all records without a lock: an application may have the directory open. Bytes \
            are those of keys and values before compression. Heavy keys are counted in bounded \
            memory: a count is never too small, and too large by no more than its error; any key \
            that occurred more often than records / --counters is among the counted, and while \
            there are no more keys than counters all counts are exact. A remedy fits, fits \
            perhaps (it depends on what records mean), or does not.

            --json prints an object a line. row "partition": partition, records, recordShare, \
            bytes, byteShare, keylessRecords, lag, lagGroup (null without groups). row \
            "key": key, records, error, share. row \
            "remedy": remedy, fit, reason, helper. row "summary": records, bytes, \
            busiestPartition, busiestShare, ratio, keys (null where only some were counted), \
            errorMax.

            \(ExitCodes.discussion)
            """)

    @Argument(help: "The name of the topic.")
    var topic: String

    @Option(help: "How many heavy keys to show.")
    var keys = 10

    @Option(help: "Counters for heavy keys: more take more memory and err less.")
    var counters = 1000

    @OptionGroup var rows: RowOptions
    @OptionGroup var data: DataOptions

    func validate() throws {
        if keys < 0 { throw ValidationError("--keys cannot be negative.") }
        if !(1...1_000_000).contains(counters) {
            throw ValidationError("--counters wants 1 to 1000000.")
        }
    }

    func run() async throws {
        try await printingRows { streams in
            try data.requireDirectory()
            let found = try DirectoryReader(path: data.data).topic(topic)
            var skew = TopicSkew(
                partitionCount: found.partitions.count,
                isCompacted: found.configuration.isCompacted, counterCount: counters)
            var survey = KeySurvey()
            for (index, place) in found.places(in: data.data).enumerated() {
                try survey.forEachRecord(of: place.path, from: place.logStart) { key, byteCount in
                    skew.note(partition: index, key: key, byteCount: byteCount)
                }
            }
            let groups = try GroupsReader(directory: data.data)
            try printPartitions(skew, groups.largestLags(in: topic), streams.output)
            try printKeys(skew, streams.output)
            try printSummary(skew, streams.output)
        }
    }

    private func printPartitions(
        _ skew: TopicSkew, _ lags: [Int32: GroupsReader.LargestLag], _ output: Output
    ) throws {
        var table = OutputTable([
            .number("partition"), .number("records"), .number("share"), .number("bytes"),
            .number("share"), .number("without key"), .number("lag"), .text("of group"),
        ])
        for part in skew.parts {
            let recordShare = TopicSkew.share(part.recordCount, of: skew.recordCount)
            let byteShare = TopicSkew.share(part.byteCount, of: skew.byteCount)
            try table.add(
                [
                    "\(part.index)", part.recordCount.grouped, percent(recordShare),
                    part.byteCount.grouped, percent(byteShare), part.keylessCount.grouped,
                    lags[part.index]?.lag.grouped ?? "-",
                    OutputText.line(lags[part.index]?.group ?? "-"),
                ],
                orJSON: { line in
                    line.field("row", "partition")
                    line.field("partition", part.index)
                    line.field("records", part.recordCount)
                    line.field("recordShare", share: recordShare)
                    line.field("bytes", part.byteCount)
                    line.field("byteShare", share: byteShare)
                    line.field("keylessRecords", part.keylessCount)
                    line.field("lag", orNull: lags[part.index]?.lag)
                    line.field("lagGroup", orNull: lags[part.index]?.group)
                }, rows, to: output)
        }
        try table.flush(to: output)
    }

    private func printKeys(_ skew: TopicSkew, _ output: Output) throws {
        let heavy = skew.keys.heaviest(keys)
        if !rows.json, !heavy.isEmpty {
            let bound =
                skew.keys.isExact
                ? "exact" : "each at most \(skew.keys.errorMax.grouped) too large"
            try output.write(line: "\nheaviest keys (\(bound))")
        }
        var table = OutputTable(
            [.text("key"), .number("records"), .number("error"), .number("share")],
            indentation: "  ")
        for counter in heavy {
            let share = TopicSkew.share(counter.count, of: skew.recordCount)
            try table.add(
                [
                    OutputText.line(counter.element.text), counter.count.grouped,
                    counter.error.grouped, percent(share),
                ],
                orJSON: { line in
                    line.field("row", "key")
                    line.field("key", counter.element.text)
                    line.field("records", counter.count)
                    line.field("error", counter.error)
                    line.field("share", share: share)
                }, rows, to: output)
        }
        try table.flush(to: output)
    }

    private func printSummary(_ skew: TopicSkew, _ output: Output) throws {
        let remedies = SkewRemedy.remedies(for: skew)
        guard !rows.json else {
            for remedy in remedies { try output.write(remedy.fields) }
            return try output.write(skew.fields)
        }
        guard let busiest = skew.busiest, skew.recordCount > 0 else {
            return try output.write(line: "\nno records")
        }
        try output.write(
            line: "\nthe busiest partition, \(busiest.index), has \(percent(skew.busiestShare)) of "
                + "the bytes: \(Format.fixed(skew.ratio, 2)) times the mean")
        guard !remedies.isEmpty else {
            let limit = Format.fixed(TopicSkew.ratioMax, 1)
            let reason =
                skew.parts.count == 1 ? "there is one partition" : "below \(limit) times the mean"
            return try output.write(line: "nothing to remedy: \(reason)")
        }
        try output.write(line: "because \(skew.cause.sentence)\n\nremedies")
        for remedy in remedies {
            let helper = remedy.fit == .no ? nil : remedy.kind.helper
            try output.write(
                line: "  \(remedy.kind.rawValue): \(remedy.fit.rawValue)"
                    + (helper.map { " (\($0))" } ?? ""))
            try output.write(line: "    \(remedy.reason)")
        }
    }

    private func percent(_ share: Double) -> String { Format.fixed(share * 100, 1) + " %" }
}

extension TopicSkew.Cause {
    /// Behind "because".
    fileprivate var sentence: String {
        switch self {
        case .none: "nothing stands out"
        case .hotKey: "one key has more than half of a partition's fair share of all records"
        case .fewKeys: "there are hardly more keys than partitions"
        case .keyless: "most of its records have no key and were sent there"
        case .largeRecords: "its records are larger: their number is even"
        case .collisions: "several busy keys share it"
        }
    }
}

extension TopicSkew {
    fileprivate func fields(_ line: inout JSONLine) {
        line.field("row", "summary")
        line.field("records", recordCount)
        line.field("bytes", byteCount)
        line.field("busiestPartition", orNull: recordCount > 0 ? busiest?.index : nil)
        line.field("busiestShare", share: busiestShare)
        line.field("ratio", share: ratio)
        line.field("keys", orNull: keys.isExact ? keys.counterCount : nil)
        line.field("errorMax", keys.errorMax)
    }
}

extension SkewRemedy {
    fileprivate func fields(_ line: inout JSONLine) {
        line.field("row", "remedy")
        line.field("remedy", kind.rawValue)
        line.field("fit", fit.rawValue)
        line.field("reason", reason)
        line.field("helper", orNull: kind.helper)
    }
}
