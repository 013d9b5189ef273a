import TallyFiles
import TallyRecords
import TallyTestSupport
import Testing

@testable import TallyLog

@Suite("Repair of a partition")
struct RepairTests {
    private func repair(
        _ harness: LogHarness, _ checkpoint: PartitionCheckpoint? = nil
    ) -> LogRepair {
        LogRepair(
            of: harness.directory, on: harness.files, checkpoint: checkpoint,
            indexIntervalBytes: harness.configuration.indexIntervalBytes)
    }

    /// The checkpoint of a log that was closed.
    private func closed(_ log: DamagedLog) -> PartitionCheckpoint {
        PartitionCheckpoint(isClean: true, recoveryPoint: log.end)
    }

    @Test("a log that was closed, and one that nobody closed, need nothing")
    func sound() throws {
        var generator = SeededGenerator.fromEnvironment()
        let template = try DamagedLog(using: &generator)
        let harness = try template.install()
        for checkpoint in [nil, closed(template)] {
            let plan = try repair(harness, checkpoint).plan()
            #expect(plan.steps.isEmpty && plan.leftAlone.isEmpty && plan.mendsEverything)
            let told = try repair(harness, checkpoint).plan(cuttingFrom: template.end)
            #expect(told.refusal?.contains("nothing is to be cut") == true && told.steps.isEmpty)
        }
        let opened = try harness.open(isClean: true, recoveryPoint: template.end)
        for _ in 0..<9 { try opened.append(values: [[1], [2]]) }
        try opened.flush()
        let checkpoint = PartitionCheckpoint(isClean: false, recoveryPoint: opened.logEnd)
        let plan = try repair(harness, checkpoint).plan()
        #expect(plan.leftAlone.isEmpty && plan.damage == nil)
        for step in plan.steps {
            guard case .rebuildIndexes(opened.segments.last?.baseOffset, _) = step else {
                Issue.record("\(step)")
                continue
            }
        }
    }

    @Test("a segment that somebody removed is told of; nothing behind it is cut, no trace removed")
    func removedSegment() throws {
        var generator = SeededGenerator.fromEnvironment()
        var log = try DamagedLog(batchCount: 80, using: &generator)
        try #require(log.bases.count >= 4)
        let (gone, next) = (log.bases[1], log.bases[2])
        log.contents[SegmentName.file(gone, .log)] = nil
        let harness = try log.install()
        let end = closed(log)
        for checkpoint in [nil, end] {
            let plan = try repair(harness, checkpoint).plan()
            #expect(plan.damage == nil && plan.steps.isEmpty && !plan.mendsEverything)
            let told = try #require(plan.leftAlone.first { $0.severity == .damage })
            #expect(told.file.hasSuffix(SegmentName.file(gone, .log)))
            #expect(told.reason.contains("offsets \(gone) to \(next.advanced(by: -1))"))
            // Nor when somebody tries.
            let cut = try repair(harness, checkpoint).plan(cuttingFrom: next)
            #expect(cut.steps.isEmpty && cut.refusal?.contains("nothing is to be cut") == true)
        }
    }

    @Test(
        "every damaged index is built again as it was, and then there is nothing left to do",
        arguments: IndexDamageTests.Damage.allCases, [SegmentName.Ending.offsetIndex, .timeIndex])
    func indexes(damage: IndexDamageTests.Damage, ending: SegmentName.Ending) throws {
        var generator = SeededGenerator.fromEnvironment()
        let template = try DamagedLog(using: &generator)
        for base in template.bases {
            for checkpoint in [nil, closed(template)] {
                var log = template
                damage.apply(to: &log, base, ending)
                guard log.contents != template.contents else { continue }
                let harness = try log.install()
                let plan = try repair(harness, checkpoint).plan()
                let rebuilds = plan.steps.contains {
                    if case .rebuildIndexes(base, _) = $0 { true } else { false }
                }
                #expect(plan.steps.count == (rebuilds ? 1 : 0) && plan.mendsEverything)
                // An entry that names the next batch is true where that has the same time.
                let mayStay = !damage.mustBeMended(ending) || damage == .offsetsTooHigh
                #expect(rebuilds || mayStay, "\(base) \(damage)")
                // A plan changes nothing.
                #expect(try contents(of: harness.directory, on: harness.files) == log.contents)
                try repair(harness, checkpoint).apply(plan)
                let now = try contents(of: harness.directory, on: harness.files)
                #expect(!rebuilds || now == template.contents, "\(base) \(damage)")
                #expect(try repair(harness, checkpoint).plan().steps.isEmpty)
            }
        }
    }

    @Test("a batch that was damaged ends the log at its own offset, and at no other")
    func cut() throws {
        var generator = SeededGenerator.fromEnvironment()
        let template = try DamagedLog(using: &generator)
        for batch in template.batches {
            var log = template
            log[batch.base, .log][batch.position + 61 + 3] ^= 0x10
            let harness = try log.install()
            let repair = repair(harness, closed(log))
            let untold = try repair.plan()
            #expect(untold.damage?.offset == batch.header.baseOffset && !untold.mendsEverything)
            #expect(untold.damage?.position == FilePosition(batch.position))
            #expect(untold.steps.isEmpty)
            for wrong in [-1, 1, 40] as [Int64] {
                let offset = batch.header.baseOffset.advanced(by: wrong)
                let refused = try repair.plan(cuttingFrom: offset)
                let right = "--cut-from \(batch.header.baseOffset) "
                #expect(refused.refusal?.contains(right) == true && refused.steps.isEmpty)
            }
            let plan = try repair.plan(cuttingFrom: batch.header.baseOffset)
            #expect(plan.mendsEverything && plan.isCutting)
            var checkpoint = closed(log)
            var sideFiles: [String] = []
            try repair.apply(plan, loweringCheckpoints: { checkpoint.recoveryPoint = $0 }) {
                if let keptIn = $1 { sideFiles.append(keptIn) }
            }
            #expect(checkpoint.recoveryPoint == batch.header.baseOffset)
            try expectCut(log, harness, at: batch, checkpoint, sideFiles)
        }
    }

    private func expectCut(
        _ log: DamagedLog, _ harness: LogHarness,
        at batch: (base: Offset, position: Int, header: RecordBatchHeader),
        _ checkpoint: PartitionCheckpoint, _ sideFiles: [String]
    ) throws {
        let end = batch.header.baseOffset
        var cut = Array(log[batch.base, .log][batch.position...])
        for later in log.bases where later > batch.base { cut += log[later, .log] }
        let kept = try sideFiles.sorted().flatMap {
            try harness.files.readWhole($0, byteCountMax: 1 << 20) ?? []
        }
        #expect(kept == cut, "what was cut is in the side files, byte for byte")
        #expect(try repair(harness, checkpoint).plan().steps.isEmpty)
        let opened = try harness.open(isClean: true, recoveryPoint: checkpoint.recoveryPoint)
        #expect(opened.logEnd == end && opened.recovery.wasClean)
        #expect(try opened.values() == Array(log.model.values[..<Int(end.rawValue)]))
        // The offsets come again, under an epoch that they never had.
        #expect(opened.leaderEpoch > batch.header.partitionLeaderEpoch)
        try opened.append(values: [[7]])
        try opened.flush()
        #expect(try opened.values(from: end) == [[7]])
        _ = try opened.close()
        var check = DirectoryCheck(harness.files, harness.directory)
        #expect(try check.run().isEmpty)
    }

    @Test("damage that was not stored yet is left to the opening")
    func aboveRecoveryPoint() throws {
        var generator = SeededGenerator.fromEnvironment()
        var log = try DamagedLog(using: &generator)
        let batch = log.batches[log.batches.count - 3]
        log[batch.base, .log][batch.position + 64] ^= 1
        let harness = try log.install()
        let checkpoint = PartitionCheckpoint(
            isClean: false, recoveryPoint: batch.header.baseOffset)
        let plan = try repair(harness, checkpoint).plan()
        #expect(plan.damage?.isCutByOpening == true && plan.mendsEverything)
        #expect(plan.steps.isEmpty)
        let opened = try harness.open(recoveryPoint: checkpoint.recoveryPoint)
        #expect(opened.logEnd == batch.header.baseOffset)
        // Without anything that says so, it counts as stored.
        let lone = try log.install()
        #expect(try repair(lone).plan().damage?.isCutByOpening == false)
    }

    enum Loss: CaseIterable, Sendable { case lastBatch, lastSegment, everySegment }

    @Test(
        "a log that ends before what was stored opens again once that is given up",
        arguments: Loss.allCases)
    func lostEnd(_ loss: Loss) throws {
        var generator = SeededGenerator.fromEnvironment()
        var log = try DamagedLog(using: &generator)
        let last = try #require(log.bases.last)
        let batch = try #require(log.batches.last)
        var end = last
        switch loss {
        case .lastBatch:
            log[last, .log].removeLast(batch.header.sizeInBytes)
            end = batch.header.baseOffset
        case .lastSegment: log.contents[SegmentName.file(last, .log)] = nil
        case .everySegment:
            for base in log.bases { log.contents[SegmentName.file(base, .log)] = nil }
            end = .zero
        }
        let harness = try log.install()
        let refused = corruption {
            _ = try harness.open(isClean: true, recoveryPoint: log.end)
        }
        #expect(refused?.reason.contains("on stable storage") == true)
        let repair = repair(harness, closed(log))
        #expect(try repair.plan().damage?.offset == end)
        var recoveryPoint = log.end
        let plan = try repair.plan(cuttingFrom: end)
        try repair.apply(plan, loweringCheckpoints: { recoveryPoint = $0 })
        let opened = try harness.open(isClean: true, recoveryPoint: recoveryPoint)
        #expect(try opened.values() == Array(log.model.values[..<Int(end.rawValue)]))
        #expect(opened.leaderEpoch > LeaderEpoch(0) || loss == .everySegment)
    }

    @Test("a segment that is missing in the middle is found where the opening finds it")
    func missingSegment() throws {
        var generator = SeededGenerator.fromEnvironment()
        var log = try DamagedLog(batchCount: 80, using: &generator)
        let bases = log.bases
        try #require(bases.count >= 4)
        log.contents[SegmentName.file(bases[2], .log)] = nil
        let harness = try log.install()
        let stored = bases[2].advanced(by: 1)
        let checkpoint = PartitionCheckpoint(isClean: false, recoveryPoint: stored)
        #expect(corruption { _ = try harness.open(recoveryPoint: stored) } != nil)
        let repair = repair(harness, checkpoint)
        let plan = try repair.plan(cuttingFrom: bases[2])
        #expect(plan.mendsEverything)
        var recoveryPoint = stored
        try repair.apply(plan, loweringCheckpoints: { recoveryPoint = $0 })
        let opened = try harness.open(recoveryPoint: recoveryPoint)
        #expect(try opened.values() == Array(log.model.values[..<Int(bases[2].rawValue)]))
    }

    @Test("epochs that are lost or unreadable are those of the batches", arguments: [true, false])
    func epochs(isGone: Bool) throws {
        var generator = SeededGenerator.fromEnvironment()
        var log = try DamagedLog(using: &generator)
        let whole = log.contents
        log.contents[LeaderEpochs.fileName] = isGone ? nil : Array("0\nnonsense".utf8)
        let harness = try log.install()
        let repair = repair(harness, closed(log))
        let plan = try repair.plan()
        #expect(plan.mendsEverything && plan.steps.count == 1, "\(plan)")
        try repair.apply(plan)
        #expect(try contents(of: harness.directory, on: harness.files) == whole)
    }

    @Test("what an interrupted cleaning left is for the opening, and nothing is touched")
    func swap() throws {
        var generator = SeededGenerator.fromEnvironment()
        var log = try DamagedLog(using: &generator)
        log.contents[SegmentName.file(log.bases[0], .log) + ".swap"] = [1, 2, 3]
        log.contents[SegmentName.file(log.bases[0], .offsetIndex)] = nil
        let harness = try log.install()
        let plan = try repair(harness).plan()
        #expect(plan.steps.isEmpty && !plan.mendsEverything)
        #expect(plan.leftAlone.contains { $0.file.hasSuffix(".swap") })
        #expect(try repair(harness).plan(cuttingFrom: .zero).refusal?.contains(".swap") == true)
        // Where the old segments have gone already, nobody is told to cut the log.
        for base in log.bases { log.contents[SegmentName.file(base, .log)] = nil }
        let going = try repair(try log.install(), closed(log)).plan()
        #expect(going.damage == nil && !going.mendsEverything && going.steps.isEmpty)
    }
}
