import TallyLog
import TallyRecords

/// `tally inspect --verify`: each problem with file, position and reason, or what was checked.
struct InspectVerify {
    private let target: InspectTarget
    private let streams: CommandStreams
    private let isJSON: Bool

    init(_ target: InspectTarget, _ streams: CommandStreams, isJSON: Bool) {
        self.target = target
        self.streams = streams
        self.isJSON = isJSON
    }

    func run() throws -> Int32 {
        var line = JSONLine(isASCIIOnly: true)
        var checked = LogTotals()
        var problemCount = 0
        for part in target.parts {
            let report = try LogVerifier(of: part.directory, environment: target.environment)
                .verify(only: part.only)
            checked.add(report)
            for problem in report.problems {
                if problem.severity > .note { problemCount += 1 }
                if isJSON {
                    line.begin()
                    line.field("severity", problem.severity.rawValue)
                    line.field("file", problem.file)
                    line.field("position", problem.position.rawValue)
                    line.field("reason", problem.reason)
                    line.end()
                    try streams.output.write(line.bytes)
                } else {
                    try streams.output.write(line: problem.description)
                }
            }
        }
        if !isJSON { try streams.output.write(line: conclusion(checked, problemCount)) }
        return problemCount == 0 ? ExitCodes.success : ExitCodes.failure
    }

    private func conclusion(_ checked: LogTotals, _ problemCount: Int) -> String {
        let what = """
            checked \(count(checked.partitionCount, "partition")), \
            \(count(checked.segmentCount, "segment")), \(count(checked.batchCount, "batch")), \
            \(count(checked.recordCount, "record")), \
            \(count(checked.indexEntryCount, "index entry")), \(checked.byteCount.grouped) bytes
            """
        let unread = checked.unreadBatchCount
        let limits =
            unread == 0
            ? ""
            : "; the records of \(count(unread, "batch")) could not be read (codec not supported), "
                + "their checksums are right"
        return problemCount == 0
            ? "no problem found: \(what)\(limits)"
            : "\(count(problemCount, "problem")) found: \(what)\(limits)"
    }

    private func count(_ number: Int, _ noun: String) -> String {
        if number == 1 { return "1 \(noun)" }
        if noun.hasSuffix("y") { return "\(number.grouped) \(noun.dropLast())ies" }
        return "\(number.grouped) \(noun)\(noun.hasSuffix("ch") ? "es" : "s")"
    }
}

/// Sums over the segments of one or more partitions.
struct LogTotals {
    var partitionCount = 0
    var segmentCount = 0
    var byteCount = 0
    var batchCount = 0
    var recordCount = 0
    var indexEntryCount = 0
    var batchCountByCodec: [Codec: Int] = [:]
    var readByteCount = 0
    var unpackedByteCount = 0
    var firstTimestamp: Timestamp?
    var maxTimestamp: Timestamp?

    /// Batches whose records could not be looked at.
    var unreadBatchCount: Int {
        batchCountByCodec.reduce(0) { $0 + ($1.key.isSupported ? 0 : $1.value) }
    }

    mutating func add(_ report: LogReport) {
        partitionCount += 1
        for segment in report.segments {
            segmentCount += 1
            byteCount += segment.byteCount
            batchCount += segment.batchCount
            recordCount += segment.recordCount
            indexEntryCount +=
                (segment.offsetIndexEntryCount ?? 0) + (segment.timeIndexEntryCount ?? 0)
                + (segment.transactionIndexEntryCount ?? 0)
            batchCountByCodec.merge(segment.batchCountByCodec) { $0 + $1 }
            readByteCount += segment.readByteCount
            unpackedByteCount += segment.unpackedByteCount
            if let first = segment.firstTimestamp {
                firstTimestamp = min(firstTimestamp ?? first, first)
            }
            if let latest = segment.maxTimestamp {
                maxTimestamp = max(maxTimestamp ?? latest, latest)
            }
        }
    }
}
