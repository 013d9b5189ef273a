import Glibc
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// One life of a log, in which one call of the file system fails: what went in, what was
/// acknowledged, and what the engine's checkpoint would say.
private struct Life {
    var harness: LogHarness
    var model = LogModel()
    var checkpoint = PartitionCheckpoint(isClean: false, recoveryPoint: .zero)
    var generator: SeededGenerator
    var hasFailed = false
    /// Set when the partition has stopped: the life is over.
    var isStopped = false

    /// Creates, fills over several rolls, closes, reopens and fills again, going on after errors
    /// as an application would.
    mutating func run() throws {
        for round in 0..<2 {
            guard let log = try open() else { return }
            for number in 0..<14 {
                append(log, number)
                if number % 4 == 3 { flush(log) }
                if number == 9 { checkpoint.recoveryPoint = log.recoveryPoint }
                if isStopped { break }
            }
            if isStopped { return try expectStopped(log) }
            if round == 0 { close(log) }
            if isStopped { return }
        }
    }

    private mutating func open() throws -> PartitionLog? {
        do {
            let log = try harness.open(
                isClean: checkpoint.isClean, recoveryPoint: checkpoint.recoveryPoint)
            checkpoint.isClean = false
            #expect(log.logEnd >= model.acknowledged)
            model.truncate(to: log.logEnd)
            return log
        } catch .file {
            hasFailed = true
            checkpoint.isClean = false
            // The fault is over; the same directory opens.
            let log = try harness.open(recoveryPoint: checkpoint.recoveryPoint)
            #expect(log.logEnd >= model.acknowledged)
            model.truncate(to: log.logEnd)
            return log
        }
    }

    private mutating func append(_ log: PartitionLog, _ number: Int) {
        let end = log.logEnd
        do {
            try log.append(
                records: 1 + number % 3, to: &model, timestamp: Int64(number * 10),
                using: &generator)
        } catch {
            hasFailed = true
            #expect(log.logEnd == end)
            isStopped = log.stopReason != nil
            guard !isStopped else { return }
            // That append alone failed: the next works.
            do {
                try log.append(records: 2, to: &model, using: &generator)
            } catch {
                Issue.record("an append after one that failed alone: \(error)")
            }
        }
    }

    private mutating func flush(_ log: PartitionLog) {
        let end = log.logEnd
        do {
            try log.flush()
            #expect(log.highWatermark == end)
            model.acknowledged = end
        } catch {
            hasFailed = true
            isStopped = log.stopReason != nil
            #expect(isStopped || error.isTransient, "\(error)")
        }
    }

    private mutating func close(_ log: PartitionLog) {
        let end = log.logEnd
        do {
            let recoveryPoint = try log.close()
            #expect(recoveryPoint == end)
            model.acknowledged = end
            checkpoint = PartitionCheckpoint(isClean: true, recoveryPoint: recoveryPoint)
        } catch {
            hasFailed = true
            isStopped = true
        }
    }

    /// A stopped partition acknowledges nothing and takes nothing, and whoever waits is told.
    private func expectStopped(_ log: PartitionLog) throws {
        let outcome = Outcome()
        log.highWatermarkWatermark.whenReached(Offset(.max)) { outcome.set($0) }
        #expect(outcome.error?.isStopped == true)
        let highWatermark = log.highWatermark
        for attempt in [{ try log.flush() }, { try log.append(values: [[1]]) }] {
            do {
                _ = try attempt()
                Issue.record("a stopped partition did something")
            } catch let error as LogError {
                #expect(error.isStopped, "\(error)")
            }
        }
        #expect(throws: LogError.self) { try log.close() }
        #expect(throws: LogError.self) { try log.close() }
        #expect(log.highWatermark == highWatermark)
    }
}

extension LogError {
    var isStopped: Bool { if case .stopped = self { true } else { false } }
    var isTransient: Bool {
        if case .file(let error) = self {
            error.isNoSpace || error.isTooManyOpenFiles
        } else {
            false
        }
    }
}

/// What a callback was told.
final class Outcome: @unchecked Sendable {
    private(set) var isTold = false
    private(set) var error: LogError?
    func set(_ error: LogError?) {
        isTold = true
        self.error = error
    }
}

@Suite("Every call fails once")
struct FaultLoopTests {
    enum Ending: String, CaseIterable, Sendable { case samePower, processCrash, powerLoss }

    static let effects: [FaultEffect] = [
        .error(EIO), .error(ENOSPC), .error(EMFILE), .partial(byteCount: 100, code: ENOSPC),
        .partial(byteCount: 70, code: EIO), .short(byteCount: 33),
    ]

    @Test(
        "nothing acknowledged is lost, nothing else is half there, and the log opens again",
        arguments: effects, Ending.allCases)
    func faultLoop(effect: FaultEffect, ending: Ending) throws {
        var generator = SeededGenerator.fromEnvironment("faultLoop \(effect) \(ending)")
        var call = 0
        while true {
            let files = SimulatedFileSystem(directories: ["/data", "/data/t-0"])
            files.plan(Fault(effect, after: call))
            var life = Life(harness: LogHarness(files: files), generator: generator)
            try life.run()
            let isHit = files.faultsHit > 0
            files.clearFaults()
            let crashes = ending == .powerLoss ? 3 : 1
            for _ in 0..<crashes {
                let left: SimulatedFileSystem =
                    switch ending {
                    case .samePower: files
                    case .processCrash: files.processCrash()
                    case .powerLoss: files.crash(choose: &generator)
                    }
                try check(life, on: left, "call \(call)\n\(files.recentOperations)")
            }
            if !isHit { break }
            call += 1
            generator = life.generator
        }
        #expect(call > 30)
    }

    /// Opens what is left again and again, appends, loses power once more, and looks at it all.
    private func check(
        _ life: Life, on files: SimulatedFileSystem, _ story: @autoclosure () -> String
    ) throws {
        var files = files
        var life = life
        var epoch = LeaderEpoch.none
        do {
            for round in 0..<3 {
                life.harness.files = files
                let log = try life.harness.open(
                    isClean: life.checkpoint.isClean && round == 0,
                    recoveryPoint: life.checkpoint.recoveryPoint)
                try #require(log.logEnd >= life.model.acknowledged, "\(story())")
                life.model.truncate(to: log.logEnd)
                try #require(try log.values() == life.model.values, "\(story())")
                #expect(round < 2 || log.leaderEpoch > epoch)
                epoch = log.leaderEpoch
                try log.append(records: 2, to: &life.model, using: &life.generator)
                try log.flush()
                life.model.acknowledged = log.logEnd
                life.checkpoint.isClean = false
                // What recovery kept was acknowledged by it, and is on the disk for good.
                if round == 0 { files = files.crash(keeping: .nothing) }
            }
            life.harness.files = files
            let log = try life.harness.open(recoveryPoint: life.checkpoint.recoveryPoint)
            try #require(try log.values() == life.model.values, "\(story())")
            // Looks at the time index of every segment, which mends what the crash left.
            let never = try log.offset(forTimestamp: Timestamp(milliseconds: .max))
            #expect(never == nil)
            _ = try log.close()
            // Entries may be fewer, since indexes are not always synced, but each is true.
            var check = DirectoryCheck(files, life.harness.directory)
            let problems = try check.run()
            #expect(problems.isEmpty, "\(problems) \(story())")
        } catch let error as LogError {
            Issue.record("\(error) \(story())")
        }
    }
}
