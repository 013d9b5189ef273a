import Glibc
import Synchronization
import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// Errors at the worst places of a swap, and what comes after them.
@Suite("A swap that an error interrupts", .verifiesLogs, .timeLimit(.minutes(10)))
struct SwapErrorTests {
    private let expected = PartitionLog.filled(0..<21, keyCount: 7)

    /// A log of several closed segments that are cleaned one by one.
    private func filled(_ files: SimulatedFileSystem) throws -> (KeyedLog, PartitionLog) {
        let harness = KeyedLog(files)
        let log = try harness.open()
        try log.fill(0..<21, keyCount: 7)
        try log.roll()
        try log.flush()
        try #require(log.segments.count > 4)
        return (harness, log)
    }

    private func fileSystem() -> SimulatedFileSystem {
        SimulatedFileSystem(directories: ["/data", KeyedLog.directory])
    }

    @Test("a decided swap that waits is finished before the next cleaning writes anything")
    func waitingSwap() throws {
        var stop = 0
        while stop < 200 {
            let files = fileSystem()
            let harness = KeyedLog(files)
            let log = try harness.open()
            // Something of each segment stays.
            for number in 0..<21 {
                let key = number % 3 == 0 ? "once \(number)" : "again"
                try log.put(key, String(repeating: "\(number % 10)", count: 200))
            }
            try log.roll()
            try log.flush()
            let map = try log.readMap()
            // The first group is in place; the second is decided, its old segment out of the way.
            let second = SegmentName.file(log.segments[1].baseOffset, .log) + ".swap"
            files.plan(Fault(.error(EMFILE), on: .rename, pathSuffix: second))
            #expect(throws: LogError.self) { try harness.clean(log, now: 0) }
            #expect(log.stopReason == nil)
            #expect(try harness.leftOvers().contains { $0.hasSuffix(".log.swap") })
            // The next one is killed while it reads or writes.
            let crash = Crash(files, after: stop)
            _ = try? harness.clean(log, now: 0, pace: crash.pace)
            guard let left = crash.left else { break }
            try harness.on(left).expectWhole(map, "killed after \(stop) batches")
            stop += 1
        }
        #expect(stop > 21)
        #expect(stop < 200)
    }

    @Test("files that could not be removed do not undo a later swap")
    func stubbornLeftOver() throws {
        var call = 0
        while call < 1000 {
            let files = fileSystem()
            let harness = KeyedLog(files)
            let log = try harness.open()
            // The first group stays as it is, the others do not.
            for number in 0..<6 {
                try log.put("once \(number)", String(repeating: "x", count: 200))
            }
            try log.roll()
            try log.fill(0..<12, keyCount: 3)
            try log.roll()
            try log.flush()
            let map = try log.readMap()
            files.plan(
                Fault(
                    .error(EMFILE), on: .remove,
                    pathSuffix: SegmentName.file(.zero, .log) + ".cleaned"))
            let before = files.faultsHit
            files.plan(Fault(.error(EIO), after: call, repeats: true))
            let isOver = (try? harness.clean(log, now: 0)) != nil
            #expect(isOver || files.faultsHit > before)
            files.clearFaults()
            try harness.on(files.processCrash()).expectWhole(map, "everything fails after \(call)")
            if isOver { break }
            call += 1
        }
        #expect(call > 50)
    }

    @Test("a segment that waits for space to be sealed is not cleaned, and not retired half")
    func unsealed() throws {
        for isRetired in [false, true] {
            let files = fileSystem()
            let harness = KeyedLog(files)
            let log = try harness.open()
            files.plan(Fault(.error(ENOSPC), on: .write, pathSuffix: "index", repeats: true))
            try log.fill(0..<21, keyCount: 7)
            try log.roll()
            try log.flush()
            #expect(log.hasSegmentToSeal)
            if isRetired {
                _ = try log.deleteRecords(before: log.segments[2].baseOffset)
                _ = try log.enforceRetention(now: Timestamp(milliseconds: 0))
                log.removeRetiredFiles(now: nil)
            } else {
                let report = try harness.clean(log, now: 0)
                #expect(report.oldSegmentCount == 0)
            }
            files.clearFaults()
            try log.flush()
            #expect(log.stopReason == nil)
            #expect(!log.hasSegmentToSeal)
            try harness.clean(log, now: 0)
            log.removeRetiredFiles(now: nil)
            let isRight = try log.readMap() == expected
            #expect(isRight)
            _ = try log.close()
        }
    }

    @Test("what is truncated during a cleaning, and comes anew, is dirty")
    func truncatedMeanwhile() throws {
        let harness = KeyedLog(fileSystem())
        let log = try harness.open()
        try log.fill(0..<21, keyCount: 21)
        try log.roll()
        try log.flush()
        _ = try harness.clean(log, now: 0)
        let calls = Mutex(0)
        let counting = Pace { _ in
            calls.withLock { $0 += 1 }
            return true
        }
        // Nothing is left to be removed: no segment is replaced.
        #expect(try harness.clean(log, now: 0, pace: counting).oldSegmentCount == 0)
        let last = calls.withLock { $0 }
        calls.withLock { $0 = 0 }
        let target = log.segments[1].baseOffset
        let truncating = Pace { _ in
            let call = calls.withLock { calls in
                calls += 1
                return calls
            }
            if call == last { _ = try? log.truncate(to: target) {} }
            return true
        }
        try harness.clean(log, now: 0, pace: truncating)
        #expect(log.logEnd <= target)
        try log.fill(0..<30, keyCount: 21)
        #expect(log.firstDirtyOffset <= target)
    }

    @Test("where the error of the deciding rename leaves its outcome open, nothing is removed")
    func deceivedDecision() throws {
        for isPerformed in [false, true] {
            for callsLeft in 0..<14 {
                let files = fileSystem()
                let deceiver = DeceivingFileSystem(
                    files, isPerformed: isPerformed, callsLeft: callsLeft)
                let harness = KeyedLog(deceiver)
                let log = try harness.open()
                try log.fill(0..<10, keyCount: 10)
                try log.put("key 3", "new")
                try log.flush()
                let map = try log.readMap()
                _ = try log.close()
                // Two outputs of one input.
                var smaller = harness
                smaller.configuration.segmentBytesMax = 700
                let again = try smaller.open()
                try again.roll()
                try again.flush()
                deceiver.arm()
                #expect(throws: LogError.self) { try smaller.clean(again, now: 0) }
                #expect(deceiver.hasDeceived)
                #expect(again.stopReason != nil)
                deceiver.disarm()
                try smaller.on(files.processCrash())
                    .expectWhole(map, "performed: \(isPerformed), then \(callsLeft) calls")
            }
        }
    }

    @Test("after a directory that could not be synced, the swap is left to the next opening")
    func failedSync() throws {
        let files = fileSystem()
        let (harness, log) = try filled(files)
        let first = SegmentName.file(.zero, .log)
        files.plan(Fault(.error(EIO), on: .rename, pathSuffix: first))
        #expect(throws: LogError.self) { try harness.clean(log, now: 0) }
        #expect(log.stopReason != nil)
        let before = try files.list(harness.directory)
        log.removeRetiredFiles(now: .now)
        #expect(try files.list(harness.directory) == before)
        #expect(throws: LogError.self) { try log.truncate(to: Offset(5)) {} }
        #expect(throws: LogError.self) { try harness.clean(log, now: 0) }
        #expect(try files.list(harness.directory) == before)
        let isRight = try log.readMap() == expected
        #expect(isRight)
        try harness.on(files.crash(keeping: .nothing)).expectWhole(expected, "stopped")
    }

    @Test(
        "while a decided swap waits, appends and reads go on, and closing leaves it to the opening")
    func lifeGoesOn() throws {
        let files = fileSystem()
        let (harness, log) = try filled(files)
        let first = SegmentName.file(.zero, .log)
        files.plan(Fault(.error(EMFILE), on: .rename, pathSuffix: first))
        #expect(throws: LogError.self) { try harness.clean(log, now: 0) }
        #expect(log.stopReason == nil)
        #expect(log.hasRetiredFiles)
        try log.put("key 3", "new")
        var map = expected
        map[Array("key 3".utf8)] = Array("new".utf8)
        try log.flush()
        let isRight = try log.readMap() == map
        #expect(isRight)
        let end = try log.close()
        #expect(try harness.leftOvers().contains { $0.hasSuffix(".log.swap") })
        let again = try harness.open(isClean: true, recoveryPoint: end)
        #expect(again.recovery.wasClean)
        #expect(try harness.leftOvers() == [])
        let isRightAgain = try again.readMap() == map
        #expect(isRightAgain)
        _ = try again.close()
    }
}

/// Kills the process after so many batches of a cleaning.
private final class Crash: Sendable {
    private struct State {
        var callsLeft: Int
        var left: SimulatedFileSystem?
    }

    private let files: SimulatedFileSystem
    private let state: Mutex<State>

    init(_ files: SimulatedFileSystem, after callCount: Int) {
        self.files = files
        state = Mutex(State(callsLeft: callCount))
    }

    /// What the crash left.
    var left: SimulatedFileSystem? { state.withLock { $0.left } }

    var pace: Pace {
        Pace { _ in
            self.state.withLock { state in
                state.callsLeft -= 1
                guard state.callsLeft < 0 else { return true }
                if state.left == nil { state.left = self.files.processCrash() }
                return false
            }
        }
    }
}
