import Foundation
import Tally
import TallyRecords

/// Measures appends that wait for stable storage, from several tasks at a time: each task sends a
/// record of 100 bytes, waits for its acknowledgement, and sends the next.
struct GroupCommitBenchmark {
    let directory: String
    /// How long each figure is measured, in seconds.
    let seconds: Double

    /// In how many turns a figure and its limit share the time: what a disk and a shared machine
    /// allow changes from one second to the next, and both should see the same of it.
    private static let turns = 25

    func measure(_ report: (BenchmarkLine) throws -> Void) async throws {
        var single = 0.0
        for taskCount in [1, 4, 16, 64] {
            let outcome = try await withSenders(taskCount, partitions: 1) { senders in
                try await senders.send(for: seconds)
            }
            if taskCount == 1 { single = outcome.perSecond }
            try report(
                BenchmarkLine(
                    name: "group commit, \(taskCount) to 1 partition", valueBytes: 100,
                    perSecond: outcome.perSecond, unit: "appends", limitName: "1 task",
                    limitPerSecond: single, target: taskCount == 64 ? "20 times 1 task" : nil,
                    note: "\(outcome)"))
        }
        for count in [4, 16, 64] {
            let (outcome, limit) = try await sendBesideLimit(count)
            try report(
                BenchmarkLine(
                    name: "group commit, \(count) to \(count) partitions", valueBytes: 100,
                    perSecond: outcome.perSecond, unit: "appends",
                    limitName: "pwrite + fdatasync on \(count) files", limitPerSecond: limit,
                    target: count == 64 ? "0.8 of it" : nil, note: "\(outcome)"))
        }
        let (outcome, limitOfTasks) = try await sendBesideLimit(64, onEngineThreads: true)
        try report(
            BenchmarkLine(
                name: "the same, tasks on the engine's threads", valueBytes: 100,
                perSecond: outcome.perSecond, unit: "appends",
                limitName: "pwrite + fdatasync on 64 files", limitPerSecond: limitOfTasks,
                target: "0.8 of it", note: "\(outcome)"))
        let (figure, limit) = try appendBesideLimit(64)
        try report(
            BenchmarkLine(
                name: "the same from threads, without tasks", valueBytes: 100,
                perSecond: figure, unit: "appends",
                limitName: "pwrite + fdatasync on 64 files", limitPerSecond: limit))
    }

    /// What tasks reach with a partition each, and what the disk does.
    private func sendBesideLimit(
        _ count: Int, onEngineThreads: Bool = false
    ) async throws -> (SendOutcome, limit: Double) {
        let files = try SyncedFiles(count, in: directory + "/files-\(count)-\(onEngineThreads)")
        return try await withSenders(count, partitions: count, onEngineThreads) { senders in
            var turns: [(outcome: SendOutcome, limit: Double)] = []
            for turn in 0..<Self.turns {
                // Each goes first in half of the turns.
                let before = turn % 2 == 0 ? files.rate(for: turnSeconds) : nil
                let outcome = try await senders.send(for: turnSeconds)
                turns.append((outcome, before ?? files.rate(for: turnSeconds)))
            }
            turns.sort { $0.outcome.perSecond / $0.limit < $1.outcome.perSecond / $1.limit }
            var outcome = turns[turns.count / 2].outcome
            outcome.latencies = Quantiles(merging: turns.map(\.outcome.latencies))
            return (outcome, turns[turns.count / 2].limit)
        }
    }

    /// What threads reach that append to a log each and sync it: no producer, no task.
    private func appendBesideLimit(_ count: Int) throws -> (figure: Double, limit: Double) {
        let files = try SyncedFiles(count, in: directory + "/files")
        let logs = try SyncedLogs(count, in: directory)
        defer { logs.close() }
        return paired(
            runs: Self.turns, figure: { logs.rate(for: turnSeconds) },
            limit: { files.rate(for: turnSeconds) })
    }

    private var turnSeconds: Double { seconds / 5 }

    private func withSenders<Outcome>(
        _ taskCount: Int, partitions: Int, _ onEngineThreads: Bool = false,
        _ body: (Senders) async throws -> Outcome
    ) async throws -> Outcome {
        // Removed with everything else at the end: what a file system has to do for a removal would
        // be done during the next measurement.
        let name = "/group-\(taskCount)-\(partitions)-\(onEngineThreads)"
        let engine = try await Engine.open(at: directory + name)
        try await engine.createTopic("t", partitions: partitions)
        let outcome = try await body(
            Senders(
                engine: engine, taskCount: taskCount, partitionCount: partitions,
                executor: onEngineThreads ? engine.taskExecutor : nil))
        try await engine.close()
        return outcome
    }
}

/// What a number of tasks reached.
private struct SendOutcome: CustomStringConvertible {
    var perSecond: Double
    var syncsPerSecond: Double
    var latencies: Quantiles

    var description: String { "\(Int(syncsPerSecond)) syncs/s, \(latencies)" }
}

/// Tasks that send records to a partition each, and wait for each acknowledgement.
private struct Senders {
    let engine: Engine
    let taskCount: Int
    let partitionCount: Int
    /// Where the tasks run; nil where tasks run that ask for nothing.
    let executor: (any TaskExecutor)?

    func send(for seconds: Double) async throws -> SendOutcome {
        let producer = try engine.producer()
        let syncsBefore = engine.syncCount
        let start = ContinuousClock.now
        let end = start + .seconds(seconds)
        let latencies = try await withThrowingTaskGroup(of: [Duration].self) { group in
            for task in 0..<taskCount {
                group.addTask(executorPreference: executor) {
                    let record = ProducerRecord(
                        topic: "t", partition: Int32(task % partitionCount), key: nil,
                        value: [UInt8](repeating: 7, count: 100))
                    var latencies: [Duration] = []
                    var now = ContinuousClock.now
                    while now < end {
                        _ = try await producer.send(record)
                        let next = ContinuousClock.now
                        latencies.append(next - now)
                        now = next
                    }
                    return latencies
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        let time = (ContinuousClock.now - start) / .seconds(1)
        return SendOutcome(
            perSecond: Double(latencies.count) / time,
            syncsPerSecond: Double(engine.syncCount - syncsBefore) / time,
            latencies: Quantiles(latencies))
    }
}
