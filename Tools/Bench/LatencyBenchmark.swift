import Foundation
import Synchronization
import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords

/// Measures how long an append takes at a fixed rate, with and without a cleaner at work on another
/// log of the same disk.
struct LatencyBenchmark {
    let directory: String
    let pairs: Int
    /// How long each half of a pair takes, in seconds.
    let seconds: Double
    /// Appends a second.
    private static let rate = 2000
    private let files = PosixFileSystem()

    func measure(_ durability: Durability) throws -> BenchmarkLine {
        let workload = try Workload(
            valueBytes: 100, codec: .none, byteCount: 100 << 20, keyCount: 100_000)
        let batch = try Self.batch()
        var outcomes: [(alone: Quantiles, beside: Quantiles)] = []
        for _ in 0..<pairs {
            let alone = try appends(of: batch, durability)
            let isStopped = Atomic<Bool>(false)
            let finished = DispatchGroup()
            finished.enter()
            let cleaner = Thread {
                clean(workload, until: isStopped)
                finished.leave()
            }
            cleaner.start()
            let beside = try appends(of: batch, durability)
            isStopped.store(true, ordering: .relaxed)
            finished.wait()
            outcomes.append((alone, beside))
        }
        outcomes.sort { Self.ratio($0) < Self.ratio($1) }
        let median = outcomes[outcomes.count / 2]
        return BenchmarkLine(
            name: "append p99.9 beside a cleaner, \(durability.text)", valueBytes: 100,
            perSecond: median.beside.milliseconds(0.999) * 1000, unit: "µs", limitName: "without",
            limitPerSecond: median.alone.milliseconds(0.999) * 1000,
            target: durability == .buffered ? "at most 3 times" : nil, isDuration: true,
            note: "alone \(median.alone); beside \(median.beside)")
    }

    private static func ratio(_ pair: (alone: Quantiles, beside: Quantiles)) -> Double {
        pair.beside.milliseconds(0.999) / max(pair.alone.milliseconds(0.999), 0.001)
    }

    private static func batch() throws -> [UInt8] {
        var builder = try RecordBatchBuilder()
        let value = [UInt8](repeating: 7, count: 100)
        try builder.append(
            key: value.rawSpan.extracting(first: 8), value: value.rawSpan, timestamp: .none)
        let bytes = try builder.finish()
        return (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }

    /// Latencies of appends at the fixed rate, counted from when each was due.
    private func appends(of batch: [UInt8], _ durability: Durability) throws -> Quantiles {
        let path = directory + "/latency-0"
        try files.createDirectory(path)
        defer { removeAll(path) }
        var batch = batch
        let log = try open(path, durability, isCompacting: false)
        let count = Int(seconds * Double(Self.rate))
        let start = ContinuousClock.now
        var latencies: [Duration] = []
        latencies.reserveCapacity(count)
        for number in 0..<count {
            let due = start + .seconds(Double(number) / Double(Self.rate))
            let wait = due - ContinuousClock.now
            // One that comes late because the one before it took long has waited since it was due.
            // A sleep ends late by itself: that is nobody's fault here.
            var begun = due
            if wait > .zero {
                usleep(UInt32(wait / .microseconds(1)))
                begun = ContinuousClock.now
            }
            var span = batch.mutableSpan
            var bytes = span.mutableBytes
            _ = try log.append(&bytes, from: .ownEncoder, now: .none)
            if durability == .synced { try log.flush() }
            latencies.append(ContinuousClock.now - begun)
        }
        _ = try log.close()
        return Quantiles(latencies)
    }

    /// Cleans a log again and again, with new records each time.
    private func clean(_ workload: Workload, until isStopped: borrowing Atomic<Bool>) {
        let path = directory + "/cleaned-0"
        while !isStopped.load(ordering: .relaxed) {
            try? files.createDirectory(path)
            defer { removeAll(path) }
            guard let log = try? open(path, .buffered, isCompacting: true) else { return }
            var batches = workload.batches
            for index in batches.indices where !isStopped.load(ordering: .relaxed) {
                var span = batches[index].mutableSpan
                var bytes = span.mutableBytes
                _ = try? log.append(&bytes, from: .ownEncoder, now: .none)
            }
            try? log.roll()
            // Less memory than the keys need: it reads and writes the log several times.
            var isPartial = true
            while isPartial, !isStopped.load(ordering: .relaxed) {
                let report = try? LogCleaner(log, dedupeByteCountMax: 512 << 10, pace: .free)
                    .clean(now: Timestamp(milliseconds: 1_800_000_000_000))
                isPartial = report?.isPartial ?? false
            }
            _ = try? log.close()
        }
    }

    private func open(
        _ path: String, _ durability: Durability, isCompacting: Bool
    ) throws -> PartitionLog {
        var configuration = LogConfiguration()
        configuration.durability = durability
        configuration.isCompacting = isCompacting
        return try PartitionLog.open(
            path, environment: LogEnvironment(fileSystem: files, openFilesMax: 100),
            configuration: configuration,
            checkpoint: PartitionCheckpoint(isClean: true, recoveryPoint: .zero))
    }

    private func removeAll(_ path: String) {
        for name in (try? files.list(path)) ?? [] { try? files.remove(path + "/" + name) }
        try? files.removeDirectory(path)
    }
}
