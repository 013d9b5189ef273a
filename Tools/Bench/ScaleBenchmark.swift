import Foundation
import Tally
import TallyFiles
import TallyLog
import TallyRecords

/// Measures what must not grow: opening with more partitions, working with a longer log; and what
/// several cores help with.
struct ScaleBenchmark {
    let directory: String
    let runs: Int

    // MARK: Many partitions

    /// Opening a directory that was closed in order.
    func partitions(_ count: Int) async throws -> BenchmarkLine {
        let path = directory + "/many"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let created = try await Engine.open(at: path)
        try await created.createTopic(
            "t", partitions: count,
            configuration: TopicConfiguration(["tally.durability": "buffered"]))
        let producer = try created.producer()
        for partition in 0..<Int32(count) {
            let value = Array("first record of \(partition)".utf8)
            while producer.isFull { try await producer.waitForRoom() }
            try producer.enqueue(topic: "t", partition: partition, key: nil, value: value.rawSpan)
        }
        try await producer.flush()
        try await created.close()
        var times: [Double] = []
        var growth = 0
        for _ in 0..<runs {
            let before = Self.residentMegabytes()
            let start = ContinuousClock.now
            let engine = try await Engine.open(at: path)
            times.append((ContinuousClock.now - start) / .milliseconds(1))
            growth = max(growth, Self.residentMegabytes() - before)
            try await engine.close()
        }
        return BenchmarkLine(
            name: "open \(count) partitions", perSecond: times.sorted()[times.count / 2],
            unit: "ms", target: count == 4000 ? "below 1,000 ms" : nil, isDuration: true,
            note: "resident memory grew by \(growth) MiB at most")
    }

    private static func residentMegabytes() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        let kibibytes = line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        return (kibibytes ?? 0) / 1024
    }

    // MARK: Long logs

    /// Opening, looking up and appending, with so many segments of 64 KiB.
    func segments(_ count: Int) throws -> [BenchmarkLine] {
        let path = directory + "/long-0"
        let files = PosixFileSystem()
        try files.createDirectory(path)
        defer { try? FileManager.default.removeItem(atPath: path) }
        var batch = try Self.batch(byteCount: 16 << 10)
        var log = try open(path, files, end: .zero)
        func append() throws {
            var span = batch.mutableSpan
            var bytes = span.mutableBytes
            _ = try log.append(&bytes, from: .ownEncoder, now: .none)
        }
        while log.segments.count < count { try append() }
        var openings: [Double] = []
        for _ in 0..<runs {
            let end = try log.close()
            openings.append(1000 * (try seconds { log = try open(path, files, end: end) }))
        }
        // Nearly all reads are of what came last. Elsewhere a segment's files have to be opened.
        var random = SplitMix(state: 7)
        let end = log.logEnd.rawValue
        let recent = UInt64(min(end, 5000))
        let lookups = 20_000
        func lookUp() throws {
            for _ in 0..<lookups {
                let offset = Offset(end - 1 - Int64(random.next() % recent))
                _ = try log.read(from: offset, bytesMax: 1)
            }
        }
        try lookUp()
        let lookupTime = try seconds { try lookUp() }
        let appends = 200
        let appendTime = try seconds { for _ in 0..<appends { try append() } }
        let byteCount = log.byteCount
        _ = try log.close()
        let note = "\(byteCount >> 20) MiB"
        func line(_ name: String, _ rate: Double, _ unit: String) -> BenchmarkLine {
            BenchmarkLine(
                name: "\(name), \(count) segments", perSecond: rate, unit: unit,
                isDuration: unit == "ms", note: note)
        }
        return [
            line("open", openings.sorted()[openings.count / 2], "ms"),
            line("lookup near the end", Double(lookups) / lookupTime, "lookups"),
            line("append 16 KiB", Double(appends) / appendTime, "appends"),
        ]
    }

    private static func batch(byteCount: Int) throws -> [UInt8] {
        var builder = try RecordBatchBuilder()
        let value = [UInt8](repeating: 7, count: 1000)
        while builder.estimatedByteCount < byteCount {
            try builder.append(key: nil, value: value.rawSpan, timestamp: .none)
        }
        let bytes = try builder.finish()
        return (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }

    private func open(
        _ path: String, _ files: PosixFileSystem, end: Offset, isDeleting: Bool = false
    ) throws -> PartitionLog {
        var configuration = LogConfiguration()
        configuration.durability = .buffered
        configuration.segmentBytesMax = 64 << 10
        configuration.isDeleting = isDeleting
        configuration.retentionBytes = isDeleting ? 0 : nil
        configuration.fileDeleteDelayMilliseconds = 0
        return try PartitionLog.open(
            path, environment: LogEnvironment(fileSystem: files, openFilesMax: 512),
            configuration: configuration,
            checkpoint: PartitionCheckpoint(isClean: true, recoveryPoint: end))
    }

    // MARK: Retention

    /// Retiring segments, files and all.
    func retention() throws -> BenchmarkLine {
        let path = directory + "/retained-0"
        let files = PosixFileSystem()
        let count = 1000
        let pair = try paired(runs: runs) {
            try files.createDirectory(path)
            defer { try? FileManager.default.removeItem(atPath: path) }
            var batch = try Self.batch(byteCount: 60 << 10)
            let log = try open(path, files, end: .zero, isDeleting: true)
            while log.segments.count <= count {
                var span = batch.mutableSpan
                var bytes = span.mutableBytes
                _ = try log.append(&bytes, from: .ownEncoder, now: .none)
            }
            try log.flush()
            let time = try seconds {
                _ = try log.enforceRetention(now: .none)
                log.removeRetiredFiles(now: nil)
            }
            _ = try log.close()
            return Double(count) / time
        } limit: {
            try removals(of: count, files)
        }
        return BenchmarkLine(
            name: "retention", perSecond: pair.figure, unit: "segments",
            limitName: "rename and remove 3 files", limitPerSecond: pair.limit)
    }

    private func removals(of count: Int, _ files: PosixFileSystem) throws -> Double {
        let path = directory + "/removed"
        try files.createDirectory(path)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let names = (0..<count).flatMap { number in
            [("log", 60 << 10), ("index", 8), ("timeindex", 12)].map {
                ("\(path)/\(number).\($0.0)", $0.1)
            }
        }
        for (name, byteCount) in names {
            let file = try files.open(name, .create)
            try file.write(all: [UInt8](repeating: 7, count: byteCount), at: 0)
        }
        let time = try seconds {
            for (name, _) in names { try files.rename(name, to: name + ".deleted") }
            for (name, _) in names { try files.remove(name + ".deleted") }
        }
        return Double(count) / time
    }

    // MARK: Recovery in parallel

    /// Opening after a crash with nothing synced, in so many partitions at a time.
    func recovery(partitions count: Int, byteCount: Int) async throws -> BenchmarkLine {
        let path = directory + "/recovered"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let written = try await Engine.open(at: path)
        try await written.createTopic(
            "t", partitions: count,
            configuration: TopicConfiguration(["tally.durability": "buffered"]))
        let producer = try written.producer()
        let value = [UInt8](repeating: 7, count: 1000)
        for number in 0..<byteCount / value.count {
            while producer.isFull { try await producer.waitForRoom() }
            try producer.enqueue(
                topic: "t", partition: Int32(number % count), key: nil, value: value.rawSpan)
        }
        try await producer.flush()
        try await written.close()
        var rates: [Double] = []
        for _ in 0..<runs {
            // As after a crash before the first checkpoint.
            try? FileManager.default.removeItem(atPath: path + "/.kafka_cleanshutdown")
            try? FileManager.default.removeItem(atPath: path + "/recovery-point-offset-checkpoint")
            let start = ContinuousClock.now
            let engine = try await Engine.open(at: path)
            rates.append(Double(byteCount) / ((ContinuousClock.now - start) / .seconds(1)))
            try await engine.close()
        }
        let rate = rates.sorted()[rates.count / 2]
        return BenchmarkLine(
            name: "recovery of \(count) partitions", valueBytes: 1000,
            perSecond: rate / Double(value.count), unit: "records", bytesPerSecond: rate)
    }
}
