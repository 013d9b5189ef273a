import Foundation
import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// How much happens in a life.
private struct Extent: Sendable {
    /// One opening for each. What is smaller than what was there before is split by a cleaning.
    var segmentBytesMax: [Int]
    var stepCount: Int
    var appendCount: Int
    /// How many outcomes of a power loss at its end are looked at.
    var powerLossCount: Int

    /// All that happens to a log.
    static let whole = Extent(
        segmentBytesMax: [1500, 500], stepCount: 4, appendCount: 4, powerLossCount: 3)
    /// As little as makes a second cleaning go on from a first one: so that each call can fail.
    static let small = Extent(
        segmentBytesMax: [500], stepCount: 2, appendCount: 2, powerLossCount: 1)
}

/// One life of a compacted log in which one call of the file system fails: what went in, and what
/// was acknowledged.
private struct Life {
    var harness: KeyedLog
    var model = KeyedModel()
    var acknowledged = Offset.zero
    var checkpoint = PartitionCheckpoint(isClean: false, recoveryPoint: .zero)
    var isStopped = false
    private(set) var removedRecordCount = 0
    private let extent: Extent
    private var next = 0

    init(_ harness: KeyedLog, _ extent: Extent) {
        self.harness = harness
        self.extent = extent
    }

    /// Appends, rolls, cleans, retires, and does it all again, going on after errors as an
    /// application would. In its second half the segments are smaller, so that what is cleaned
    /// is split.
    mutating func run() throws {
        for bytesMax in extent.segmentBytesMax {
            harness.configuration.segmentBytesMax = bytesMax
            guard let log = try open() else { return }
            for step in 0..<extent.stepCount where !isStopped {
                for _ in 0..<extent.appendCount { append(log) }
                attempt(log) { try log.roll() }
                flush(log)
                let (now, harness) = (Int64(step) * 700, harness)
                var removed = 0
                attempt(log) { removed = try harness.clean(log, now: now).removedRecordCount }
                removedRecordCount += removed
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
        let first = Int.random(in: 0..<Self.stride, using: &generator)
        let hits = try failInTurn(
            .whole, effect, ending, from: first, stride: Self.stride, using: &generator)
        #expect(hits > 500 / Self.stride)
    }

    @Test("the same, and no call is passed over", arguments: effects, Ending.allCases)
    func everyCall(effect: FaultEffect, ending: Ending) throws {
        var generator = SeededGenerator.fromEnvironment("every call \(effect) \(ending)")
        let hits = try failInTurn(.small, effect, ending, from: 0, stride: 1, using: &generator)
        #expect(hits > 200)
    }

    /// Lives one life after the other, each with its fault `stride` calls later than the last one,
    /// until one meets none; how many met theirs.
    private func failInTurn(
        _ extent: Extent, _ effect: FaultEffect, _ ending: Ending, from first: Int, stride: Int,
        using generator: inout SeededGenerator
    ) throws -> Int {
        var call = first
        var hits = 0
        while true {
            let files = SimulatedFileSystem(directories: ["/data", KeyedLog.directory])
            files.plan(Fault(effect, after: call))
            var life = Life(KeyedLog(files), extent)
            try life.run()
            let isHit = files.faultsHit > 0
            files.clearFaults()
            for _ in 0..<(ending == .powerLoss ? extent.powerLossCount : 1) {
                let left: SimulatedFileSystem =
                    switch ending {
                    case .samePower: files
                    case .processCrash: files.processCrash()
                    case .powerLoss: files.crash(choose: &generator)
                    }
                try life.check(on: left, "call \(call)\n\(files.recentOperations)")
            }
            if !isHit {
                // Whole as it was, it has made room.
                #expect(life.removedRecordCount > 0)
                return hits
            }
            hits += 1
            call += stride
        }
    }
}
