import Foundation
import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// One life of a compacted log in which one call of the file system fails: what went in, and what
/// was acknowledged.
private struct Life {
    var harness: KeyedLog
    var model = KeyedModel()
    var acknowledged = Offset.zero
    var checkpoint = PartitionCheckpoint(isClean: false, recoveryPoint: .zero)
    var isStopped = false
    private var next = 0

    init(_ harness: KeyedLog) { self.harness = harness }

    /// Appends, rolls, cleans, retires, and does it all again, going on after errors as an
    /// application would. In its second half the segments are smaller, so that what is cleaned
    /// is split.
    mutating func run() throws {
        for bytesMax in [1500, 500] {
            harness.configuration.segmentBytesMax = bytesMax
            guard let log = try open() else { return }
            for step in 0..<4 where !isStopped {
                for _ in 0..<4 { append(log) }
                attempt(log) { try log.roll() }
                flush(log)
                let (now, harness) = (Int64(step) * 700, harness)
                attempt(log) { _ = try harness.clean(log, now: now) }
                if step == 1 { retire(log) }
                checkpoint.recoveryPoint = log.recoveryPoint
                checkpoint.cleanedEnd = log.firstDirtyOffset
            }
            if isStopped { return }
            close(log)
            if isStopped { return }
        }
    }

    private mutating func open() throws -> PartitionLog? {
        func open() throws(LogError) -> PartitionLog {
            try harness.open(
                isClean: checkpoint.isClean, recoveryPoint: checkpoint.recoveryPoint,
                cleanedEnd: checkpoint.cleanedEnd)
        }
        defer { checkpoint.isClean = false }
        do {
            return try open()
        } catch .file {
            // The fault is over; the same directory opens.
            checkpoint.isClean = false
            return try open()
        }
    }

    private mutating func append(_ log: PartitionLog) {
        model.truncate(to: log.logEnd)
        let entries = (0..<2).map { number in
            Entry(
                key: [UInt8((next * 2 + number) % 5)],
                value: next % 7 == 3
                    ? nil : Array("\(next) \(String(repeating: "x", count: 90))".utf8),
                timestamp: Int64(next))
        }
        next += 1
        let end = log.logEnd
        for (index, entry) in entries.enumerated() {
            model.entries[end.rawValue + Int64(index)] = entry
        }
        attempt(log) { _ = try log.put(entries) }
    }

    /// Whatever fails, the partition goes on or has stopped.
    @discardableResult
    private mutating func attempt(_ log: PartitionLog, _ body: () throws -> Void) -> Bool {
        do {
            try body()
            return true
        } catch {
            isStopped = log.stopReason != nil
            return false
        }
    }

    private mutating func flush(_ log: PartitionLog) {
        let end = log.logEnd
        if attempt(log, { try log.flush() }) { acknowledged = end }
    }

    private mutating func retire(_ log: PartitionLog) {
        attempt(log) {
            _ = try log.deleteRecords(before: min(Offset(5), log.highWatermark))
            _ = try log.enforceRetention(now: Timestamp(milliseconds: 0))
        }
        log.removeRetiredFiles(now: .now)
    }

    private mutating func close(_ log: PartitionLog) {
        let end = log.logEnd
        do {
            let recoveryPoint = try log.close()
            acknowledged = end
            checkpoint.recoveryPoint = recoveryPoint
            checkpoint.isClean = true
        } catch {
            isStopped = true
        }
    }

    /// Opens what is left, and holds it against the model; cleans and appends once more.
    func check(on files: SimulatedFileSystem, _ story: @autoclosure () -> String) throws {
        var harness = harness.on(files)
        harness.configuration.segmentBytesMax = 1000
        do {
            let log = try harness.open(
                isClean: checkpoint.isClean, recoveryPoint: checkpoint.recoveryPoint,
                cleanedEnd: checkpoint.cleanedEnd)
            try #require(log.logEnd >= acknowledged, "\(story())")
            #expect(try harness.leftOvers() == [], "\(story())")
            var model = model
            model.truncate(to: log.logEnd)
            for round in 0..<2 {
                try expect(log, model, "round \(round) \(story())")
                let last = Entry(key: [2], value: Array("last".utf8), timestamp: 0)
                model.entries[log.logEnd.rawValue] = last
                try log.put([last])
                try log.roll()
                try harness.clean(log, now: 2000)
            }
            try expect(log, model, "at last \(story())")
            _ = try log.close()
            #expect(try harness.leftOvers() == [], "\(story())")
            let damage = LogVerification.damage(in: harness.directory, on: files)
            #expect(damage.isEmpty, "\(damage) \(story())")
        } catch let error as LogError {
            Issue.record("\(error) \(story())")
        }
    }

    private func expect(_ log: PartitionLog, _ model: KeyedModel, _ story: String) throws {
        try log.flush()
        var map: [[UInt8]: [UInt8]] = [:]
        for (offset, entry) in try log.committed() {
            // Nothing that never was, and nothing that is not where it was.
            try #require(model.entries[offset.rawValue] == entry, "offset \(offset) \(story)")
            map[entry.key] = entry.value
        }
        let start = log.logStart
        var expected: [[UInt8]: [UInt8]] = [:]
        for (offset, entry) in model.entries.sorted(by: { $0.key < $1.key })
        where offset >= start.rawValue {
            expected[entry.key] = entry.value
        }
        try #require(map == expected, "\(story)")
    }
}

@Suite("Every call fails once while a log is cleaned", .timeLimit(.minutes(10)))
struct CleaningFaultTests {
    enum Ending: String, CaseIterable, Sendable { case samePower, processCrash, powerLoss }

    static let effects: [FaultEffect] = [
        .error(EIO), .error(ENOSPC), .error(EMFILE), .partial(byteCount: 100, code: ENOSPC),
    ]

    /// Every so manieth call fails in turn; `TALLY_FAULT_STRIDE=1` takes half an hour.
    static let stride =
        ProcessInfo.processInfo.environment["TALLY_FAULT_STRIDE"].flatMap { Int($0) } ?? 211

    @Test(
        "the log is the old one or the new one, nothing is left over, and cleaning goes on",
        arguments: effects, Ending.allCases)
    func faultLoop(effect: FaultEffect, ending: Ending) throws {
        var generator = SeededGenerator.fromEnvironment("cleaning faults \(effect) \(ending)")
        // Each run begins elsewhere, so that many of them hit every call.
        var call = Int.random(in: 0..<Self.stride, using: &generator)
        var hits = 0
        while true {
            let files = SimulatedFileSystem(directories: ["/data", KeyedLog.directory])
            files.plan(Fault(effect, after: call))
            var life = Life(KeyedLog(files))
            try life.run()
            let isHit = files.faultsHit > 0
            files.clearFaults()
            for _ in 0..<(ending == .powerLoss ? 3 : 1) {
                let left: SimulatedFileSystem =
                    switch ending {
                    case .samePower: files
                    case .processCrash: files.processCrash()
                    case .powerLoss: files.crash(choose: &generator)
                    }
                try life.check(on: left, "call \(call)\n\(files.recentOperations)")
            }
            if !isHit { break }
            hits += 1
            call += Self.stride
        }
        #expect(hits > 500 / Self.stride)
    }
}
