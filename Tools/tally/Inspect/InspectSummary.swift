import TallyLog
import TallyRecords

/// `tally inspect` without an option: what a person wants to know of a partition at a glance.
struct InspectSummary {
    private let target: InspectTarget
    private let streams: CommandStreams
    private let isJSON: Bool

    init(_ target: InspectTarget, _ streams: CommandStreams, isJSON: Bool) {
        self.target = target
        self.streams = streams
        self.isJSON = isJSON
    }

    func run() throws -> Int32 {
        if target.parts.isEmpty, !isJSON {
            try streams.output.write(line: "no topics")
        }
        for (index, part) in target.parts.enumerated() {
            let report = try LogVerifier(of: part.directory, environment: target.environment)
                .verify(only: part.only)
            if isJSON {
                try printLines(report)
            } else {
                if index > 0 { try streams.output.write(line: "") }
                try printText(report, of: part)
            }
        }
        return ExitCodes.success
    }

    private func printText(_ report: LogReport, of part: InspectTarget.Part) throws {
        let output = streams.output
        var totals = LogTotals()
        totals.add(report)
        try output.write(line: "\(report.partition)  (\(part.directory))")
        try output.write(line: "  offsets       \(offsets(report))")
        try output.write(
            line: "  records       \(totals.recordCount.grouped) in \(totals.batchCount.grouped) "
                + "batches, \(totals.byteCount.grouped) bytes")
        try output.write(
            line: "  times         \(OutputTime.text(totals.firstTimestamp)) to "
                + OutputTime.text(totals.maxTimestamp))
        try output.write(line: "  compression   \(compression(totals))")
        if let transactions = transactions(report) {
            try output.write(line: "  transactions  \(transactions)")
        }
        if let epoch = report.leaderEpochs.last {
            try output.write(
                line: "  leader epoch  \(epoch.epoch), since offset \(epoch.startOffset)")
        }
        try output.write(line: "  health        \(health(report, of: part))")
        try printSegments(report)
    }

    private func offsets(_ report: LogReport) -> String {
        guard let first = report.segments.first, let last = report.segments.last else {
            return "no segment"
        }
        let count = report.segments.count
        let range =
            last.nextOffset > first.baseOffset
            ? "\(first.baseOffset) to \(last.nextOffset.advanced(by: -1))"
            : "none yet; the next is \(last.nextOffset)"
        return "\(range), in \(count.grouped) \(count == 1 ? "segment" : "segments")"
    }

    private func compression(_ totals: LogTotals) -> String {
        guard totals.batchCount > 0 else { return "-" }
        let codecs = totals.batchCountByCodec.sorted { $0.key.rawValue < $1.key.rawValue }
            .map { "\($0.key) \($0.value.grouped)" }.joined(separator: ", ")
        var text = "batches by codec: \(codecs)"
        if totals.unpackedByteCount > totals.readByteCount, totals.readByteCount > 0 {
            let tenths = totals.unpackedByteCount * 10 / totals.readByteCount
            text +=
                "; ratio \(tenths / 10).\(tenths % 10) "
                + "(\(totals.unpackedByteCount.grouped) bytes unpacked)"
        }
        if totals.unreadBatchCount > 0 {
            text += "; \(totals.unreadBatchCount.grouped) not readable (codec not supported)"
        }
        return text
    }

    private func transactions(_ report: LogReport) -> String? {
        let found = report.transactions
        let markers = report.segments.reduce(0) { $0 + $1.controlBatchCount }
        guard markers > 0 || !found.open.isEmpty else { return nil }
        return
            "\(markers) ended, of which \(found.aborted.count) aborted; \(found.open.count) open; "
            + "last stable offset \(found.lastStableOffset)"
    }

    private func health(_ report: LogReport, of part: InspectTarget.Part) -> String {
        let problems = report.problems.filter { $0.severity > .note }
        guard let worst = problems.max(by: { $0.severity < $1.severity }) else {
            let notes = report.problems.count
            return notes == 0 ? "sound" : "sound; \(notes) notes (--verify lists them)"
        }
        let kind = worst.severity == .damage ? "DAMAGED" : "indexes or tail need mending"
        let count = problems.count == 1 ? "1 problem" : "\(problems.count) problems"
        return "\(kind): \(count), such as \(worst.file) byte \(worst.position): \(worst.reason) "
            + "(`tally inspect --verify` lists all)"
    }

    private func printSegments(_ report: LogReport) throws {
        var table = OutputTable(
            [
                .text("SEGMENT"), .number("BYTES"), .number("BATCHES"), .number("RECORDS"),
                .number("NEXT OFFSET"), .text("FIRST TIME"), .text("LATEST TIME"),
                .number("INDEX"), .number("TIMEINDEX"), .number("TXNINDEX"),
            ], indentation: "  ")
        func entries(_ count: Int?) -> String { count?.grouped ?? "-" }
        for segment in report.segments {
            try table.add(
                [
                    SegmentName.file(segment.baseOffset, .log), segment.byteCount.grouped,
                    segment.batchCount.grouped, segment.recordCount.grouped,
                    segment.nextOffset.description, OutputTime.text(segment.firstTimestamp),
                    OutputTime.text(segment.maxTimestamp), entries(segment.offsetIndexEntryCount),
                    entries(segment.timeIndexEntryCount),
                    entries(segment.transactionIndexEntryCount),
                ], to: streams.output)
        }
        try table.flush(to: streams.output)
    }

    /// A line a segment.
    private func printLines(_ report: LogReport) throws {
        var line = JSONLine(isASCIIOnly: true)
        for segment in report.segments {
            let siblings = report.problems.filter { problem in
                problem.severity > .note && problem.file.hasPrefix(segment.file.dropLast(4))
            }
            line.begin()
            line.field("partition", report.partition)
            line.field("file", SegmentName.file(segment.baseOffset, .log))
            line.field("baseOffset", segment.baseOffset.rawValue)
            line.field("nextOffset", segment.nextOffset.rawValue)
            line.field("bytes", segment.byteCount)
            line.field("batches", segment.batchCount)
            line.field("controlBatches", segment.controlBatchCount)
            line.field("records", segment.recordCount)
            line.field("firstTimestamp", orNull: segment.firstTimestamp?.rawValue)
            line.field("maxTimestamp", orNull: segment.maxTimestamp?.rawValue)
            line.name("batchesByCodec")
            line.open("{")
            for codec in Codec.allCases {
                guard let count = segment.batchCountByCodec[codec] else { continue }
                line.field(codec.memberName, count)
            }
            line.close("}")
            line.field("readBytes", segment.readByteCount)
            line.field("unpackedBytes", segment.unpackedByteCount)
            line.field("indexEntries", orNull: segment.offsetIndexEntryCount)
            line.field("timeIndexEntries", orNull: segment.timeIndexEntryCount)
            line.field("transactionIndexEntries", orNull: segment.transactionIndexEntryCount)
            line.field("problems", siblings.count)
            line.end()
            try streams.output.write(line.bytes)
        }
    }
}

extension Codec {
    fileprivate var memberName: StaticString {
        switch self {
        case .none: "none"
        case .gzip: "gzip"
        case .snappy: "snappy"
        case .lz4: "lz4"
        case .zstd: "zstd"
        }
    }
}
