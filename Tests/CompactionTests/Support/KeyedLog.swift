import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// What went into a log at some offset.
struct Entry: Hashable, Sendable {
    var key: [UInt8]
    /// Nil for a tombstone.
    var value: [UInt8]?
    var timestamp: Int64
    /// Whose transaction it was part of, where it was part of one.
    var transaction: Int?
}

/// What a test remembers of a log of keyed records.
struct KeyedModel: Sendable {
    var entries: [Int64: Entry] = [:]
    /// Transactions that were aborted.
    var aborted: Set<Int> = []
    /// Everything before it is committed or aborted.
    var stableEnd = Offset.zero

    /// What is said of a record that reached the log.
    func isCommitted(_ entry: Entry) -> Bool {
        entry.transaction.map { !aborted.contains($0) } ?? true
    }

    /// The latest value of each key, of what was committed before an offset.
    func map(before end: Offset) -> [[UInt8]: [UInt8]] {
        var map: [[UInt8]: [UInt8]] = [:]
        for (offset, entry) in entries.sorted(by: { $0.key < $1.key })
        where offset < end.rawValue && isCommitted(entry) {
            map[entry.key] = entry.value
        }
        return map
    }

    mutating func truncate(to end: Offset) {
        entries = entries.filter { $0.key < end.rawValue }
        stableEnd = min(stableEnd, end)
    }
}

/// A compacted log on some file system, with tiny segments.
struct KeyedLog {
    static let directory = "/data/t-0"

    var files: any FileSystem
    var configuration = Self.smallSegments
    var directory = Self.directory
    var dedupeByteCountMax = 1 << 20

    static var smallSegments: LogConfiguration {
        var configuration = LogConfiguration()
        configuration.segmentBytesMax = 1500
        configuration.indexIntervalBytes = 200
        configuration.isCompacting = true
        configuration.deleteRetentionMilliseconds = 1000
        configuration.fileDeleteDelayMilliseconds = 0
        return configuration
    }

    init(_ files: (any FileSystem)? = nil) {
        self.files = files ?? SimulatedFileSystem(directories: ["/data", Self.directory])
    }

    func open(
        isClean: Bool = false, recoveryPoint: Offset = .zero, cleanedEnd: Offset = .zero,
        report: @escaping @Sendable (LogEvent) -> Void = { _ in }
    ) throws(LogError) -> PartitionLog {
        OpenedLogs.current?.note(directory, on: files)
        return try PartitionLog.open(
            directory,
            environment: LogEnvironment(fileSystem: files, openFilesMax: 8, report: report),
            configuration: configuration,
            checkpoint: PartitionCheckpoint(
                isClean: isClean, recoveryPoint: recoveryPoint, cleanedEnd: cleanedEnd))
    }

    /// Cleans what can be cleaned at a time.
    @discardableResult
    func clean(
        _ log: PartitionLog, now: Int64, pace: Pace = .free
    ) throws(LogError) -> CleaningReport {
        try LogCleaner(log, dedupeByteCountMax: dedupeByteCountMax, pace: pace)
            .clean(now: Timestamp(milliseconds: now))
    }

    /// The names of the files that only a cleaning makes.
    func leftOvers() throws -> [String] {
        try files.list(directory).filter { name in
            [".cleaned", ".swap", ".deleted", ".tmp"].contains { name.hasSuffix($0) }
        }
    }
}

/// A producer of batches with keys.
struct KeyedBatch {
    var producer = BatchProducer.none
    var isTransactional = false
    var codec = Codec.none

    /// Encodes records.
    func encode(_ entries: [Entry]) throws -> [UInt8] {
        var builder = try RecordBatchBuilder(codec: codec)
        for entry in entries {
            try builder.append(
                key: entry.key.span.bytes, value: entry.value?.span.bytes,
                timestamp: Timestamp(milliseconds: entry.timestamp))
        }
        let bytes = try builder.finish(producer: producer, isTransactional: isTransactional)
        return (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }
}

extension PartitionLog {
    /// Appends a batch and says where its records are.
    @discardableResult
    func put(_ entries: [Entry], _ batch: KeyedBatch = KeyedBatch()) throws -> AppendResult {
        var bytes = try batch.encode(entries)
        return try bytes.withMutableRawSpan { bytes in
            try append(&bytes, from: .outside, now: Timestamp(milliseconds: 0))
        }
    }

    /// Appends one record.
    @discardableResult
    func put(
        _ key: String, _ value: String?, at timestamp: Int64 = 0
    ) throws -> AppendResult {
        try put([
            Entry(
                key: Array(key.utf8), value: value.map { Array($0.utf8) }, timestamp: timestamp)
        ])
    }

    /// Ends the transaction of a producer.
    @discardableResult
    func end(_ producerID: Int64, didCommit: Bool, at time: Int64 = 0) throws -> AppendResult {
        try append(
            TransactionMarker(
                didCommit: didCommit, producerID: producerID, producerEpoch: 0,
                coordinatorEpoch: 0), now: Timestamp(milliseconds: time))
    }

    /// Records that a reader of what is committed sees from an offset on, with where they are.
    func committed(from start: Offset = .zero, bytesMax: Int = 700) throws -> [(Offset, Entry)] {
        var found: [(Offset, Entry)] = []
        var offset = max(start, logStart)
        var decoder = RecordDecoder()
        while let slice = try read(from: offset, bytesMax: bytesMax, bound: .lastStableOffset) {
            let aborted = try abortedTransactions(in: offset..<slice.nextOffset)
            var position = 0
            let bytes = slice.content.all
            while position < bytes.byteCount {
                let batch = try RecordBatch(bytes, at: position)
                let header = batch.header
                position += header.sizeInBytes
                try batch.verifyChecksum()
                if header.attributes.isControl || header.isAborted(by: aborted) { continue }
                try decoder.forEachRecord(in: batch) { record in
                    if record.offset >= offset { found.append((record.offset, Entry(record))) }
                }
            }
            try #require(slice.nextOffset > offset)
            offset = slice.nextOffset
        }
        return found
    }

    /// The latest value of each key that a reader from the beginning comes to.
    func readMap() throws -> [[UInt8]: [UInt8]] {
        var map: [[UInt8]: [UInt8]] = [:]
        for (_, entry) in try committed() { map[entry.key] = entry.value }
        return map
    }

    /// All batch headers, in order.
    func headers() throws -> [RecordBatchHeader] {
        var headers: [RecordBatchHeader] = []
        for segment in segments {
            _ = try segment.scan(
                to: FilePosition(segment.byteCount), expecting: segment.baseOffset
            ) { header, _, _ in headers.append(header) }
        }
        return headers
    }
}

extension RecordBatchHeader {
    fileprivate func isAborted(by transactions: [AbortedTransaction]) -> Bool {
        attributes.isTransactional
            && transactions.contains {
                $0.producerID == producerID && $0.firstOffset <= baseOffset
                    && baseOffset <= $0.lastOffset
            }
    }
}

extension Entry {
    init(_ record: borrowing RecordView) {
        key = []
        if let span = record.key { key = Self.bytes(span) }
        if let span = record.value { value = Self.bytes(span) }
        timestamp = record.timestamp.rawValue
    }

    private static func bytes(_ span: RawSpan) -> [UInt8] {
        (0..<span.byteCount).map { span.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }
}
