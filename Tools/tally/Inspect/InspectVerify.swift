import Tally
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
        var checked = LogTotals()
        var problemCount = 0
        for part in target.parts {
            let report = try LogVerifier(of: part.directory, environment: target.environment)
                .verify(only: part.only)
            checked.add(report)
            for problem in report.problems {
                if problem.severity > .note { problemCount += 1 }
                try tell(problem.severity, problem.file, problem.position, problem.reason)
            }
        }
        problemCount += try tellMissing()
        if !isJSON { try streams.output.write(line: conclusion(checked, problemCount)) }
        return problemCount == 0 ? ExitCodes.success : ExitCodes.failure
    }

    /// Tells of partitions whose directory is gone, which nothing else of the files does. Returns
    /// their number.
    private func tellMissing() throws -> Int {
        guard let directory = target.dataDirectory else { return 0 }
        let reader = try DirectoryReader(path: directory, fileSystem: target.fileSystem)
        let missing = try reader.missingPartitions()
        for (path, wereRecordsStored) in missing {
            let stored = wereRecordsStored ? ", and records of it were on stable storage" : ""
            try tell(
                wereRecordsStored ? .damage : .mendable, path, FilePosition(0),
                "the directory is missing, but topics.json lists the partition\(stored)")
        }
        return missing.count
    }

    private func tell(
        _ severity: LogProblem.Severity, _ file: String, _ position: FilePosition, _ reason: String
    ) throws {
        guard isJSON else {
            let problem = "\(severity.rawValue): \(file): byte \(position): \(reason)"
            return try streams.output.write(line: problem)
        }
        var line = JSONLine(isASCIIOnly: true)
        line.begin()
        line.field("severity", severity.rawValue)
        line.field("file", file)
        line.field("position", position.rawValue)
        line.field("reason", reason)
        line.end()
        try streams.output.write(line.bytes)
    }

    private func conclusion(_ checked: LogTotals, _ problemCount: Int) -> String {
        if target.parts.isEmpty, problemCount == 0 { return "no problem found: no topics" }
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
