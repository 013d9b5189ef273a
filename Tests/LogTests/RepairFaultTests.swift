import Glibc
import TallyFiles
import TallyRecords
import TallyTestSupport
import Testing

@testable import TallyLog

@Suite("Every call of a repair fails once")
struct RepairFaultTests {
    private static let effects: [FaultEffect] = [
        .error(EIO), .error(ENOSPC), .error(EMFILE), .partial(byteCount: 7, code: ENOSPC),
        .short(byteCount: 33),
    ]

    /// Who goes on with what the failed repair left.
    enum Successor: CaseIterable { case opening, repair }

    /// A damaged directory with checkpoints, on stable storage.
    private struct Scene {
        var log: TransactionalLog
        /// Where the log has to end.
        var end: Offset
        /// What goes, in order.
        var cut: [UInt8] = []
        var values: [[UInt8]]

        init() throws {
            log = try TransactionalLog()
            values = try log.install().open(isClean: true, recoveryPoint: log.end).values()
            let bases = SegmentName.baseOffsets(among: Array(log.contents.keys))
            let name = SegmentName.file(bases[1], .log)
            let damaged = try #require(log.contents[name])
            let first = try RecordBatchHeader(decoding: damaged.span.bytes)
            end = first.nextOffset
            log.contents[name]?[first.sizeInBytes + 20] ^= 1
            cut = Array(log.contents[name]?[first.sizeInBytes...] ?? [])
            for base in bases[2...] { cut += log.contents[SegmentName.file(base, .log)] ?? [] }
            log.contents[SegmentName.file(bases[0], .offsetIndex)] = nil
            values.removeLast(values.count - Int(end.rawValue))
        }

        func logs(of contents: [String: [UInt8]]) -> [String: [UInt8]] {
            contents.filter { $0.key.contains(".log") }
        }

        func install() throws -> LogHarness {
            let harness = try log.install()
            for name in [OffsetCheckpoint.Name.recoveryPoint, .highWatermark] {
                try OffsetCheckpoint.write(
                    [("t", 0, log.end), ("u", 1, Offset(5))], name, in: "/data", on: harness.files)
            }
            try harness.files.syncDirectory("/data")
            return harness
        }

        func checkpoint(_ harness: LogHarness) throws -> PartitionCheckpoint {
            let points = try OffsetCheckpoint.read(
                .recoveryPoint, in: "/data", from: harness.files)
            #expect(points["u-1"] == Offset(5))
            return PartitionCheckpoint(
                isClean: true, recoveryPoint: points["t-0"] ?? .zero)
        }

        func repair(_ harness: LogHarness) throws {
            let repair = LogRepair(
                of: harness.directory, on: harness.files, checkpoint: try checkpoint(harness),
                indexIntervalBytes: harness.configuration.indexIntervalBytes)
            let isDamaged = try repair.plan().damage != nil
            let plan = try repair.plan(cuttingFrom: isDamaged ? end : nil)
            try repair.apply(
                plan,
                loweringCheckpoints: { (offset) throws(LogError) in
                    try OffsetCheckpoint.lower("t-0", to: offset, in: "/data", on: harness.files)
                })
        }
    }

    @Test(
        "an opening or another repair goes on, and all that was cut is kept",
        arguments: effects, FaultLoopTests.Ending.allCases)
    func faultLoop(effect: FaultEffect, ending: FaultLoopTests.Ending) throws {
        var generator = SeededGenerator.fromEnvironment("repair \(effect) \(ending)")
        let scene = try Scene()
        var call = 0
        while true {
            var harness = try scene.install()
            let files = try #require(harness.files as? SimulatedFileSystem)
            files.plan(Fault(effect, after: call))
            var hasFailed = false
            do { try scene.repair(harness) } catch is LogError { hasFailed = true }
            let isHit = files.faultsHit > 0
            files.clearFaults()
            for successor in Successor.allCases {
                let left: SimulatedFileSystem =
                    switch ending {
                    // The same directory twice: a copy for each, as a killed process leaves it.
                    case .samePower, .processCrash: try files.copy()
                    case .powerLoss: files.crash(choose: &generator)
                    }
                harness.files = left
                try goOn(
                    scene, harness, successor,
                    "call \(call), failed \(hasFailed), \(successor)\n\(files.recentOperations)")
            }
            if !isHit { break }
            call += 1
        }
        #expect(call > 40)
    }

    @Test("on a full disk nothing of the log goes, and with some room the repair is done")
    func fullDisk() throws {
        let scene = try Scene()
        let harness = try scene.install()
        let files = try #require(harness.files as? SimulatedFileSystem)
        var failures = 0
        for room in stride(from: 0, through: 4000, by: 100) {
            files.capacityBytes = files.usedBytes + room
            do {
                try scene.repair(harness)
                break
            } catch LogError.file(let error) {
                #expect(error.isNoSpace)
                failures += 1
                let names = try files.list(harness.directory)
                let kept = names.filter { $0.contains(".log") }.map {
                    files.information(of: joinPath(harness.directory, $0))
                }
                let byteCount = scene.logs(of: scene.log.contents).values.map(\.count)
                #expect(kept.reduce(0, +) >= byteCount.reduce(0, +), "\(names)")
            }
        }
        #expect(failures > 2)
        files.capacityBytes = nil
        try goOn(scene, harness, .opening, "full disk")
    }

    private func goOn(
        _ scene: Scene, _ harness: LogHarness, _ successor: Successor,
        _ story: @autoclosure () -> String
    ) throws {
        if successor == .opening {
            let checkpoint = try scene.checkpoint(harness)
            do {
                let log = try harness.open(
                    isClean: checkpoint.isClean, recoveryPoint: checkpoint.recoveryPoint)
                if log.logEnd == scene.end {
                    try #require(try log.values() == scene.values, "\(story())")
                    return try expectMended(scene, log, harness, story())
                }
                // Nothing was begun: a clean stop is opened without a look at old segments.
                try #require(log.logEnd == scene.log.end, "\(story())")
                try #require(checkpoint.recoveryPoint == scene.log.end, "\(story())")
            } catch let error as LogError {
                // Refused, as long as the checkpoints speak of more.
                guard case .corruption = error else { throw error }
                try #require(checkpoint.recoveryPoint == scene.log.end, "\(story())")
            }
            // Then no byte of the log has gone.
            try #require(
                try scene.logs(of: contents(of: harness.directory, on: harness.files))
                    == scene.logs(of: scene.log.contents), "\(story())")
        }
        do { try scene.repair(harness) } catch { Issue.record("\(error) \(story())") }
        let checkpoint = try scene.checkpoint(harness)
        #expect(checkpoint.recoveryPoint == scene.end)
        let log = try harness.open(
            isClean: checkpoint.isClean, recoveryPoint: checkpoint.recoveryPoint)
        try #require(try log.values() == scene.values, "\(story())")
        try expectMended(scene, log, harness, story())
    }

    private func expectMended(
        _ scene: Scene, _ log: PartitionLog, _ harness: LogHarness,
        _ story: @autoclosure () -> String
    ) throws {
        let kept = scene.log.aborted.filter { $0.lastOffset < scene.end }
        #expect(
            try log.abortedTransactions(in: .zero..<Offset(.max)) == kept, "\(story())")
        #expect(log.leaderEpoch > LeaderEpoch(0), "\(story())")
        for producer in try log.producerStates() {
            #expect(producer.batches.allSatisfy { $0.lastOffset < scene.end }, "\(story())")
        }
        // What comes later at these offsets has nothing of what was there.
        try log.append(values: Array(repeating: [9], count: 40))
        #expect(try log.abortedTransactions(in: .zero..<log.logEnd) == kept, "\(story())")
        _ = try log.close()
        let problems = LogVerification.damage(in: harness.directory, on: harness.files)
        #expect(problems.isEmpty, "\(problems) \(story())")
        // Everything that was cut is in some side file; a power loss may have left part of one too.
        let names = try harness.files.list(harness.directory).filter { $0.contains(".cut-") }
        var pieces: [[UInt8]] = []
        for name in names {
            let path = joinPath(harness.directory, name)
            pieces.append(try harness.files.readWhole(path, byteCountMax: 1 << 20) ?? [])
        }
        var rest = scene.cut[...]
        while !rest.isEmpty {
            let fitting = pieces.filter { !$0.isEmpty && rest.starts(with: $0) }
            guard let longest = fitting.map(\.count).max() else { break }
            rest = rest.dropFirst(longest)
        }
        try #require(rest.isEmpty, "\(names) \(story())")
    }
}

extension SimulatedFileSystem {
    /// The length of a file; 0 where there is none.
    fileprivate func information(of path: String) -> Int {
        let found = try? information(path)
        return Int(found?.byteCount ?? 0)
    }

    /// Another file system with the same files, all of them stored.
    fileprivate func copy() throws -> SimulatedFileSystem {
        let copy = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        for directory in ["/data", LogHarness.directory] {
            for name in try list(directory) {
                let path = joinPath(directory, name)
                guard try information(path)?.isDirectory == false else { continue }
                try copy.replace(path, with: readWhole(path, byteCountMax: 1 << 20) ?? [])
            }
        }
        return copy
    }
}
