import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport

/// What went into a log, as a test remembers it: the value of the record at each offset.
struct LogModel: Sendable {
    var values: [[UInt8]] = []
    /// Everything before it was acknowledged as stored.
    var acknowledged = Offset.zero

    /// Forgets what lies at or behind the end of the log.
    mutating func truncate(to end: Offset) {
        if Int(end.rawValue) < values.count { values.removeLast(values.count - Int(end.rawValue)) }
    }
}

/// A partition's log on some file system, and what a test expects of it.
struct LogHarness {
    static let directory = "/data/t-0"

    var files: any FileSystem
    var directory = Self.directory
    var configuration = Self.smallSegments

    /// Segments of a few batches, an index entry for nearly each batch.
    static var smallSegments: LogConfiguration {
        var configuration = LogConfiguration()
        configuration.segmentBytesMax = 1500
        configuration.indexIntervalBytes = 200
        return configuration
    }

    func environment(
        openFilesMax: Int = 8, readMode: ReadMode = .mapped,
        report: @escaping @Sendable (LogEvent) -> Void = { _ in }
    ) -> LogEnvironment {
        LogEnvironment(
            fileSystem: files, openFilesMax: openFilesMax, readMode: readMode, report: report)
    }

    func open(
        isClean: Bool = false, recoveryPoint: Offset = .zero, logStart: Offset = .zero,
        readMode: ReadMode = .mapped,
        report: @escaping @Sendable (LogEvent) -> Void = { _ in }
    ) throws(LogError) -> PartitionLog {
        OpenedLogs.current?.note(directory, on: files)
        return try PartitionLog.open(
            directory, environment: environment(readMode: readMode, report: report),
            configuration: configuration,
            checkpoint: PartitionCheckpoint(
                isClean: isClean, recoveryPoint: recoveryPoint, logStart: logStart))
    }
}

extension PartitionLog {
    /// Appends a batch whose records have these values.
    @discardableResult
    func append(
        values: [[UInt8]], timestamp: Int64 = 0, codec: Codec = .none,
        origin: BatchOrigin = .outside
    ) throws -> AppendResult {
        var builder = try RecordBatchBuilder(codec: codec)
        for value in values {
            try builder.append(
                key: nil, value: value.span.bytes, timestamp: Timestamp(milliseconds: timestamp))
        }
        var bytes = try builder.finishMutable()
        return try append(&bytes, from: origin, now: Timestamp(milliseconds: timestamp))
    }

    /// Appends a batch of records with random values and notes them in the model.
    @discardableResult
    func append(
        records count: Int, to model: inout LogModel, timestamp: Int64 = 0,
        using generator: inout some RandomNumberGenerator
    ) throws -> AppendResult {
        let values = (0..<count).map { _ in
            Array("value \(UInt32.random(in: 0 ... .max, using: &generator))".utf8)
        }
        // What fails may be in the file all the same: it is whole then, or not there.
        model.truncate(to: logEnd)
        model.values += values
        return try append(values: values, timestamp: timestamp)
    }

    /// Reads from an offset to the end in slices, checking each batch; calls back for each record.
    func forEachRecord(
        from start: Offset, bytesMax: Int = 1 << 20, bound: ReadBound = .highWatermark,
        _ body: (Offset, Timestamp, [UInt8]) -> Void
    ) throws {
        var offset = start
        var near: ReadPosition?
        var decoder = RecordDecoder()
        while let slice = try read(from: offset, bytesMax: bytesMax, bound: bound, near: near) {
            var position = 0
            let bytes = slice.content.all
            while position < bytes.byteCount {
                let batch = try RecordBatch(bytes, at: position)
                try batch.verifyChecksum()
                try decoder.forEachRecord(in: batch) { record in
                    guard record.offset >= offset else { return }
                    var value: [UInt8] = []
                    if let span = record.value {
                        for index in 0..<span.byteCount {
                            value.append(span.unsafeLoad(fromByteOffset: index, as: UInt8.self))
                        }
                    }
                    body(record.offset, record.timestamp, value)
                }
                position += batch.header.sizeInBytes
            }
            guard slice.nextOffset > offset else { throw Standstill(offset: offset) }
            offset = slice.nextOffset
            near = slice.end
        }
    }

    /// All record values from an offset on; empty arrays stand for offsets without a record.
    func values(from start: Offset = .zero, bytesMax: Int = 1 << 20) throws -> [[UInt8]] {
        var values: [[UInt8]] = []
        try forEachRecord(from: start, bytesMax: bytesMax) { offset, _, value in
            while values.count < Int(offset.rawValue - start.rawValue) { values.append([]) }
            values.append(value)
        }
        return values
    }
}

/// A read that gave something and went no further.
struct Standstill: Error { var offset: Offset }
