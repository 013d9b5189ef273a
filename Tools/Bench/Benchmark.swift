import TallyLog
import TallyRecords

/// The whole benchmark: every figure next to its limit of the same run.
package struct Benchmark: Sendable {
    /// An empty directory that may be written to.
    package var directory: String
    /// The real data, for the projection; nil leaves that figure out.
    package var file: String?
    /// Runs of each figure; the median counts.
    package var runs = 5
    /// Bytes of values per workload.
    package var byteCount = 200 << 20
    /// Durable appends per run.
    package var durableCount = 200
    /// The names of the figures that are measured; nil for all.
    package var names: Set<String>?

    /// The figures there are.
    package static let allNames = [
        "produce", "append", "scan", "lookup", "recovery", "memcpy", "durable", "compaction",
        "group", "latency", "retention", "partitions", "segments", "parallel", "sqlite",
        "projection", "clients",
    ]

    package init(directory: String, file: String?) {
        self.directory = directory
        self.file = file
    }

    private func isWanted(_ name: String) -> Bool { names?.contains(name) ?? true }

    /// Measures one after the other and hands each line out as it is ready.
    package func run(_ report: (BenchmarkLine) throws -> Void) async throws {
        let logs = LogBenchmarks(directory: directory, runs: runs)
        for codec in [Codec.none, .lz4] {
            for valueBytes in [100, 1024] {
                let workload = try Workload(
                    valueBytes: valueBytes, codec: codec, byteCount: byteCount)
                for line in try logs.measure(workload, where: isWanted) { try report(line) }
                if codec == .none, isWanted("durable") {
                    try report(logs.durableAppends(workload, count: durableCount))
                }
            }
        }
        if isWanted("compaction") {
            // Several times as many: a log that is worth cleaning holds each key many times.
            let compaction = CompactionBenchmark(
                directory: directory, runs: runs, byteCount: byteCount * 4)
            for codec in [Codec.none, .lz4] {
                for valueBytes in [100, 1024] {
                    try report(compaction.measure(valueBytes: valueBytes, codec: codec))
                }
            }
        }
        try await runLarge(report)
        if isWanted("sqlite") {
            let plain = try Workload(valueBytes: 100, codec: .none, byteCount: byteCount / 4)
            for line in try SQLiteBenchmark(directory: directory).measure(plain) {
                try report(line)
            }
        }
        if isWanted("clients") {
            try await ClientBenchmark(
                directory: directory, runs: runs, recordCount: max(byteCount / 100, 10_000)
            ).measure(report)
        }
        if let file, isWanted("projection") {
            try report(
                await ProjectionBenchmark(directory: directory, file: file, runs: runs)
                    .measure())
        }
    }

    /// What concerns many callers, many partitions, and long logs.
    private func runLarge(_ report: (BenchmarkLine) throws -> Void) async throws {
        let scale = ScaleBenchmark(directory: directory, runs: runs)
        if isWanted("group") {
            try await GroupCommitBenchmark(directory: directory, seconds: 2).measure(report)
        }
        if isWanted("latency") {
            let latency = LatencyBenchmark(directory: directory, pairs: runs, seconds: 4)
            for durability in [Durability.buffered, .synced] {
                try report(latency.measure(durability))
            }
        }
        if isWanted("retention") { try report(scale.retention()) }
        if isWanted("partitions") {
            for count in [1, 100, 1000, 4000] { try report(await scale.partitions(count)) }
        }
        if isWanted("segments") {
            for count in [10, 1000, 10_000] {
                for line in try scale.segments(count) { try report(line) }
            }
        }
        if isWanted("parallel") {
            for count in [1, 8] {
                try report(
                    await scale.recovery(partitions: count, byteCount: byteCount * 2))
            }
        }
    }
}
