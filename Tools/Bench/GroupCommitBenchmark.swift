import Foundation
import Synchronization
import Tally
import TallyFiles
import TallyLog
import TallyRecords

/// Measures appends that wait for stable storage, from several tasks at a time: each task sends a
/// record of 100 bytes, waits for its acknowledgement, and sends the next.
struct GroupCommitBenchmark {
    let directory: String
    /// How long each figure is measured, in seconds.
    let seconds: Double

    /// What a number of tasks reached.
    private struct Outcome {
        var perSecond: Double
        var note: String
    }

    func measure(_ report: (BenchmarkLine) throws -> Void) async throws {
        var single = 0.0
        for tasks in [1, 4, 16, 64] {
            let outcome = try await send(from: tasks, partitions: 1)
            if tasks == 1 { single = outcome.perSecond }
            try report(
                BenchmarkLine(
                    name: "group commit, \(tasks) to 1 partition", valueBytes: 100,
                    perSecond: outcome.perSecond, unit: "appends", limitName: "1 task",
                    limitPerSecond: single, target: tasks == 64 ? "20 times 1 task" : nil,
                    note: outcome.note))
        }
        for tasks in [4, 16, 64] {
            let (outcome, limit) = try await sendBesideLimit(from: tasks)
            try report(
                BenchmarkLine(
                    name: "group commit, \(tasks) to \(tasks) partitions", valueBytes: 100,
                    perSecond: outcome.perSecond, unit: "appends",
                    limitName: "pwrite + fdatasync on \(tasks) files", limitPerSecond: limit,
                    target: tasks == 64 ? "0.8 of it" : nil, note: outcome.note))
            guard tasks == 64 else { continue }
            try report(
                BenchmarkLine(
                    name: "the same from threads, without tasks", valueBytes: 100,
                    perSecond: try appendFromThreads(tasks), unit: "appends",
                    limitName: "pwrite + fdatasync on \(tasks) files",
                    limitPerSecond: try parallelSyncs(files: tasks)))
        }
    }

    /// What tasks reach with a partition each, and what the disk does: the median of five pairs,
    /// since neither stays the same from one second to the next.
    private func sendBesideLimit(from tasks: Int) async throws -> (Outcome, limit: Double) {
        var pairs: [(Outcome, limit: Double)] = []
        for _ in 0..<5 {
            let limit = try parallelSyncs(files: tasks)
            pairs.append((try await send(from: tasks, partitions: tasks), limit))
        }
        pairs.sort { $0.0.perSecond / $0.limit < $1.0.perSecond / $1.limit }
        return pairs[pairs.count / 2]
    }

    /// Threads that append to a log each and sync it: no producer, no task.
    private func appendFromThreads(_ count: Int) throws -> Double {
        let files = PosixFileSystem()
        let environment = LogEnvironment(fileSystem: files, openFilesMax: 512)
        let paths = (0..<count).map { directory + "/threads-\($0)" }
        defer { for path in paths { try? FileManager.default.removeItem(atPath: path) } }
        let logs = try paths.map { path in
            try files.createDirectory(path)
            return try PartitionLog.open(
                path, environment: environment, configuration: LogConfiguration(),
                checkpoint: PartitionCheckpoint(isClean: true, recoveryPoint: .zero))
        }
        var builder = try RecordBatchBuilder()
        try builder.append(
            key: nil, value: [UInt8](repeating: 7, count: 100).rawSpan, timestamp: .none)
        let batch = try builder.finish()
        let bytes = (0..<batch.byteCount).map {
            batch.unsafeLoad(fromByteOffset: $0, as: UInt8.self)
        }
        let rate = Self.rate(of: logs, seconds: seconds) { log in
            var copy = bytes
            var span = copy.mutableSpan
            var batch = span.mutableBytes
            let result = try log.append(&batch, from: .ownEncoder, now: .none)
            try log.flush(reaching: result.nextOffset)
        }
        for log in logs { _ = try log.close() }
        return rate
    }

    /// How often a second something can be done with each of some things, on a thread for each.
    private static func rate<Thing: Sendable>(
        of things: [Thing], seconds: Double, _ body: @escaping @Sendable (Thing) throws -> Void
    ) -> Double {
        let done = Atomic<Int>(0)
        let start = ContinuousClock.now
        let end = start + .seconds(seconds)
        let finished = DispatchGroup()
        for thing in things {
            let thread = Thread {
                while ContinuousClock.now < end, (try? body(thing)) != nil {
                    done.add(1, ordering: .relaxed)
                }
                finished.leave()
            }
            finished.enter()
            thread.start()
        }
        finished.wait()
        let time = (ContinuousClock.now - start) / .seconds(1)
        return Double(done.load(ordering: .relaxed)) / time
    }

    private func send(from taskCount: Int, partitions: Int) async throws -> Outcome {
        let path = directory + "/group"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let engine = try await Engine.open(at: path)
        try await engine.createTopic("t", partitions: partitions)
        var configuration = ProducerConfiguration()
        configuration.lingerMilliseconds = 0
        let producer = try engine.producer(configuration)
        for partition in 0..<partitions {
            _ = try await producer.send(Self.record(to: partition))
        }
        let syncsBefore = engine.syncCount
        let start = ContinuousClock.now
        let end = start + .seconds(seconds)
        let latencies = try await withThrowingTaskGroup(of: [Duration].self) { group in
            for task in 0..<taskCount {
                group.addTask {
                    var latencies: [Duration] = []
                    var now = ContinuousClock.now
                    while now < end {
                        _ = try await producer.send(Self.record(to: task % partitions))
                        let next = ContinuousClock.now
                        latencies.append(next - now)
                        now = next
                    }
                    return latencies
                }
            }
            var all: [Duration] = []
            for try await some in group { all += some }
            return all
        }
        let time = (ContinuousClock.now - start) / .seconds(1)
        let syncs = Double(engine.syncCount - syncsBefore) / time
        try await engine.close()
        let quantiles = Quantiles(latencies)
        return Outcome(
            perSecond: Double(latencies.count) / time,
            note: "\(Int(syncs)) syncs/s, \(quantiles)")
    }

    private static func record(to partition: Int) -> ProducerRecord {
        ProducerRecord(
            topic: "t", partition: Int32(partition), key: nil,
            value: [UInt8](repeating: 7, count: 100))
    }

    /// What the disk allows: so many threads, each with a file of its own.
    private func parallelSyncs(files count: Int) throws -> Double {
        let files = PosixFileSystem()
        let paths = (0..<count).map { directory + "/limit-\($0).bin" }
        let opened = try paths.map { try files.open($0, .create) }
        defer { for path in paths { try? files.remove(path) } }
        try files.syncDirectory(directory)
        let chunk = [UInt8](repeating: 7, count: 170)
        return Self.rate(of: opened, seconds: seconds) { file in
            try file.write(all: chunk, at: file.byteCount())
            try file.sync()
        }
    }
}

/// Quantiles of latencies, in milliseconds.
struct Quantiles: CustomStringConvertible {
    private let sorted: [Duration]

    init(_ latencies: [Duration]) { sorted = latencies.sorted() }

    /// In milliseconds; 0 where nothing was measured.
    func milliseconds(_ part: Double) -> Double {
        guard !sorted.isEmpty else { return 0 }
        let index = min(Int(Double(sorted.count) * part), sorted.count - 1)
        return sorted[index] / .milliseconds(1)
    }

    var description: String {
        [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)].map { name, part in
            let microseconds = Int(milliseconds(part) * 1000)
            if microseconds < 1000 { return "\(name) \(microseconds) µs" }
            return "\(name) \(microseconds / 1000).\(microseconds / 100 % 10) ms"
        }.joined(separator: ", ")
    }
}
