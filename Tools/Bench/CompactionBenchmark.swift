import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords

/// Measures the cleaner: one thread, page cache warm, with its final sync, all of the log dirty.
struct CompactionBenchmark {
    let directory: String
    let runs: Int
    /// Bytes of values.
    let byteCount: Int
    private let files = PosixFileSystem()

    /// Different keys among the records.
    private static let keyCount = 100_000

    init(directory: String, runs: Int, byteCount: Int) {
        self.directory = directory
        self.runs = runs
        self.byteCount = byteCount
    }

    func measure(valueBytes: Int, codec: Codec) throws -> BenchmarkLine {
        let workload = try Workload(
            valueBytes: valueBytes, codec: codec, byteCount: byteCount, keyCount: Self.keyCount)
        let limits = Limits(directory: directory)
        let pair = try paired(runs: runs) {
            Double(workload.byteCount) / (try clean(workload))
        } limit: {
            try limits.readAndChecksum(workload.batches)
        }
        let bytesPerRecord = Double(workload.byteCount) / Double(workload.recordCount)
        let target: String? =
            switch (codec, valueBytes) {
            case (.none, 100): "800 MB/s"
            case (.lz4, _): "400 MB/s, or 1 GB/s of content"
            default: nil
            }
        return BenchmarkLine(
            name: "compaction", valueBytes: valueBytes, codec: "\(codec)",
            perSecond: pair.figure / bytesPerRecord, unit: "records",
            bytesPerSecond: pair.figure, limitName: "pread + CRC-32C",
            limitPerSecond: pair.limit / bytesPerRecord, target: target)
    }

    /// Seconds for one cleaning of a log that holds the records.
    private func clean(_ workload: Workload) throws -> Double {
        let path = directory + "/compaction-0"
        try files.createDirectory(path)
        defer { removeAll(path) }
        var configuration = LogConfiguration()
        configuration.durability = .buffered
        configuration.isCompacting = true
        configuration.segmentBytesMax = 256 << 20
        let log = try PartitionLog.open(
            path, environment: LogEnvironment(fileSystem: files, openFilesMax: 100),
            configuration: configuration,
            checkpoint: PartitionCheckpoint(isClean: true, recoveryPoint: .zero))
        var batches = workload.batches
        for index in batches.indices {
            var span = batches[index].mutableSpan
            var bytes = span.mutableBytes
            _ = try log.append(&bytes, from: .ownEncoder, now: .none)
        }
        try log.roll()
        try log.flush()
        let cleaner = LogCleaner(log, dedupeByteCountMax: 128 << 20, pace: .free)
        var report = CleaningReport()
        let time = try seconds {
            report = try cleaner.clean(now: Timestamp(milliseconds: 1_800_000_000_000))
        }
        guard report.cleanedEnd == log.logEnd, report.newByteCount < report.oldByteCount else {
            throw BenchmarkError(description: "nothing was cleaned: \(report)")
        }
        _ = try log.close()
        return time
    }

    private func removeAll(_ path: String) {
        for name in (try? files.list(path)) ?? [] { try? files.remove(path + "/" + name) }
        try? files.removeDirectory(path)
    }
}
