import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Recovery", .verifiesLogs)
struct RecoveryTests {
    /// What a crash may do to the batch at some place and to what follows it.
    enum Damage: CaseIterable, Sendable {
        case torn, zeros, zerosUpToNextBatch, flippedByte, garbage, cutAtBatch, lyingLength

        func apply(to bytes: inout [UInt8], at position: Int, size: Int) {
            switch self {
            case .torn: bytes.removeSubrange((position + size / 2)...)
            case .zeros:
                bytes.replaceSubrange(
                    position..., with: repeatElement(0, count: bytes.count - position))
            case .zerosUpToNextBatch:
                bytes.replaceSubrange(
                    position..<position + size, with: repeatElement(0, count: size))
            case .flippedByte: bytes[position + size - 3] ^= 0x10
            case .garbage:
                for index in position..<bytes.count {
                    bytes[index] = UInt8(truncatingIfNeeded: index &* 31 &+ 7)
                }
            case .cutAtBatch: bytes.removeSubrange(position...)
            case .lyingLength: bytes[position + 8] = 0x7F
            }
        }
    }

    @Test(
        "above the recovery point the first damage ends the log; what is cut is kept and reported",
        arguments: Damage.allCases)
    func damageAboveRecoveryPoint(damage: Damage) throws {
        var generator = SeededGenerator.fromEnvironment()
        let template = try DamagedLog(using: &generator)
        for (number, batch) in template.batches.enumerated() {
            var log = template
            let name = SegmentName.file(batch.base, .log)
            damage.apply(
                to: &log[batch.base, .log], at: batch.position, size: batch.header.sizeInBytes)
            let isLastSegment = batch.base == log.bases.last
            if damage == .cutAtBatch, isLastSegment { continue }
            let recoveryPoint = number == 0 ? .zero : template.batches[number / 2].header.baseOffset
            let harness = try log.install()
            let events = Events()
            let opened = try harness.open(recoveryPoint: recoveryPoint) { events.note($0) }
            let end = batch.header.baseOffset
            #expect(opened.logEnd == end)
            #expect(opened.highWatermark == end)
            #expect(!opened.recovery.wasClean)
            #expect(opened.leaderEpoch == LeaderEpoch(1))
            #expect(try opened.values() == Array(template.model.values.prefix(Int(end.rawValue))))

            // Every byte that is gone is in a side file, and nothing else is.
            var expected: [String: [UInt8]] = [:]
            let cut = Array(log[batch.base, .log].dropFirst(batch.position))
            if cut.contains(where: { $0 != 0 }) {
                expected["\(name).cut-\(batch.position)"] = cut
            }
            for later in log.bases where later > batch.base {
                expected["\(SegmentName.file(later, .log)).cut-0"] = log[later, .log]
            }
            var kept: [String: [UInt8]] = [:]
            for (name, bytes) in try contents(of: LogHarness.directory, on: harness.files)
            where name.contains(".cut-") {
                kept[name] = bytes
            }
            #expect(kept == expected)
            let reported = Set(events.cuts.compactMap(\.keptIn).map(lastPathComponent))
            #expect(reported == Set(expected.keys))
            let laterBytes = log.bases.filter { $0 > batch.base }.map { log[$0, .log].count }
            #expect(opened.recovery.cutByteCount == cut.count + laterBytes.reduce(0, +))

            // Appends go on where the log ended.
            var model = template.model
            model.truncate(to: end)
            try opened.append(records: 3, to: &model, using: &generator)
            _ = try opened.close()
            let reopened = try harness.open(isClean: true, recoveryPoint: opened.logEnd)
            #expect(reopened.recovery.wasClean)
            #expect(try reopened.values() == model.values)
            var check = DirectoryCheck(harness.files, LogHarness.directory)
            #expect(try check.run().isEmpty)
        }
    }

    @Test(
        "below the recovery point damage is an error with file and position; nothing is touched",
        arguments: Damage.allCases, [true, false])
    func damageBelowRecoveryPoint(damage: Damage, hasIndex: Bool) throws {
        OpenedLogs.holdDamage()
        var generator = SeededGenerator.fromEnvironment()
        let template = try DamagedLog(using: &generator)
        for batch in template.batches {
            let segment = template.batches.filter { $0.base == batch.base }
            let last = try #require(segment.last)
            var log = template
            damage.apply(
                to: &log[batch.base, .log], at: batch.position, size: batch.header.sizeInBytes)
            // With its index the segment is walked from the last entry below the recovery point.
            var recoveryPoint = last.header.nextOffset
            if hasIndex {
                recoveryPoint = batch.header.nextOffset
            } else {
                log.contents[SegmentName.file(batch.base, .offsetIndex)] = nil
            }
            if recoveryPoint == last.header.nextOffset, batch.base != log.bases.last {
                // The next segment is where recovery begins then.
                guard batch.header.baseOffset < last.header.baseOffset else { continue }
                recoveryPoint = last.header.baseOffset
            }
            log.contents["00000000000000000000.log.deleted"] = [1, 2, 3]
            let harness = try log.install()
            let before = try contents(of: LogHarness.directory, on: harness.files)
            let corruption = try #require(
                corruption { _ = try harness.open(recoveryPoint: recoveryPoint) },
                "\(damage) at \(batch.position) of \(batch.base) was not seen")
            #expect(lastPathComponent(corruption.file) == SegmentName.file(batch.base, .log))
            #expect(corruption.position == FilePosition(batch.position))
            #expect(corruption.reason.contains("stable storage"))
            #expect(try contents(of: LogHarness.directory, on: harness.files) == before)
        }
    }

    @Test("a log whose segments are gone does not begin again at offsets that were acknowledged")
    func vanishedSegments() throws {
        var generator = SeededGenerator.fromEnvironment()
        var log = try DamagedLog(using: &generator)
        log.contents = log.contents.filter { !$0.key.hasSuffix(".log") }
        let harness = try log.install()
        for isClean in [true, false] {
            let before = try contents(of: LogHarness.directory, on: harness.files)
            let corruption = corruption {
                _ = try harness.open(isClean: isClean, recoveryPoint: log.end)
            }
            #expect(corruption != nil)
            #expect(try contents(of: LogHarness.directory, on: harness.files) == before)
        }
    }

    @Test("the last segment gone is seen, clean or not")
    func vanishedLastSegment() throws {
        var generator = SeededGenerator.fromEnvironment()
        var log = try DamagedLog(using: &generator)
        let last = try #require(log.bases.last)
        for ending in SegmentName.Ending.allCases {
            log.contents[SegmentName.file(last, ending)] = nil
        }
        let harness = try log.install()
        for isClean in [true, false] {
            let corruption = corruption {
                _ = try harness.open(isClean: isClean, recoveryPoint: log.end)
            }
            #expect(corruption?.reason.contains("\(log.end)") == true)
        }
    }

    @Test("a log that goes on behind a clean checkpoint is recovered, not believed")
    func staleCleanCheckpoint() throws {
        var generator = SeededGenerator.fromEnvironment()
        let log = try DamagedLog(using: &generator)
        let harness = try log.install()
        let middle = log.batches[log.batches.count / 2].header.baseOffset
        let opened = try harness.open(isClean: true, recoveryPoint: middle)
        #expect(!opened.recovery.wasClean)
        #expect(opened.leaderEpoch == LeaderEpoch(1))
        #expect(try opened.values() == log.model.values)
    }

    @Test("cutting twice at the same place keeps both side files")
    func cutTwice() throws {
        var generator = SeededGenerator.fromEnvironment()
        var log = try DamagedLog(using: &generator)
        let last = try #require(log.bases.last)
        let position = log[last, .log].count
        log[last, .log] += [1, 2, 3]
        let harness = try log.install()
        _ = try harness.open(recoveryPoint: log.end)
        let path = joinPath(LogHarness.directory, SegmentName.file(last, .log))
        try harness.files.open(path, .write).write(all: [4, 5], at: Int64(position))
        _ = try harness.open(recoveryPoint: log.end)
        let kept = try contents(of: LogHarness.directory, on: harness.files)
        let name = "\(SegmentName.file(last, .log)).cut-\(position)"
        #expect(kept[name] == [1, 2, 3])
        #expect(kept["\(name)-2"] == [4, 5])
    }

    // MARK: Leader epochs

    @Test("offsets that a power loss takes never come back under the epoch they were read with")
    func epochsAreNotUsedAgain() throws {
        var files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        var harness = LogHarness(files: files)
        harness.configuration.durability = .buffered
        var newest = LeaderEpoch.none
        for round in 0..<4 {
            harness.files = files
            let log = try harness.open()
            #expect(log.logEnd == .zero)
            #expect(log.leaderEpoch > newest)
            let result = try log.append(values: [[UInt8(round)]])
            #expect(log.highWatermark == Offset(1))
            newest = result.leaderEpoch
            // The log file's bytes were not synced; the epoch checkpoint was.
            files = files.crash(keeping: .nothing)
        }
    }

    @Test("a clean stop keeps the epoch of an unclean opening, though nothing was appended")
    func epochSurvivesCleanStop() throws {
        var generator = SeededGenerator.fromEnvironment()
        let log = try DamagedLog(using: &generator)
        let harness = try log.install()
        let recovered = try harness.open(recoveryPoint: log.end)
        #expect(recovered.leaderEpoch == LeaderEpoch(1))
        _ = try recovered.close()
        let clean = try harness.open(isClean: true, recoveryPoint: log.end)
        #expect(clean.recovery.wasClean)
        #expect(clean.leaderEpoch == LeaderEpoch(1))
    }

    @Test("a lost epoch checkpoint is recovered from the batches")
    func lostEpochs() throws {
        var generator = SeededGenerator.fromEnvironment()
        var log = try DamagedLog(using: &generator)
        log.contents[LeaderEpochs.fileName] = nil
        let harness = try log.install()
        let opened = try harness.open()
        #expect(opened.leaderEpoch == LeaderEpoch(1))
        #expect(opened.endOffset(forEpoch: LeaderEpoch(0))?.endOffset == log.end)
        try opened.append(values: [[1]])
        _ = try opened.close()
        let epochs = try LeaderEpochs.read(from: LogHarness.directory, on: harness.files)
        #expect(epochs.entries.map(\.startOffset) == [.zero, log.end])
    }

    // MARK: What a sync that failed leaves

    @Test("after a failed sync, what the next opening keeps is on the disk for good")
    func failedSync() throws {
        var generator = SeededGenerator.fromEnvironment()
        let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        let harness = LogHarness(files: files)
        var model = LogModel()
        let log = try harness.open()
        try log.append(records: 4, to: &model, using: &generator)
        files.failNext(.sync, code: 5)
        #expect(throws: LogError.self) { try log.flush() }
        // The kernel shows the bytes and takes them for stored.
        let reopened = try harness.open()
        #expect(try reopened.values() == model.values)
        let survivor = files.crash(keeping: .nothing)
        let last = try LogHarness(files: survivor).open(recoveryPoint: reopened.recoveryPoint)
        #expect(try last.values() == model.values)
        #expect(try !survivor.list(LogHarness.directory).contains("sync-failed"))
    }

    @Test(
        "what a recovery shows is on the disk for good, and so is what comes next",
        arguments: [true, false], [true, false])
    func durableRecovery(isSynced: Bool, isRolled: Bool) throws {
        var generator = SeededGenerator.fromEnvironment()
        var files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        var model = LogModel()
        var log = try LogHarness(files: files).open()
        try log.append(records: 4, to: &model, using: &generator)
        try log.flush()
        // The process dies: the kernel has all of this, and the disk has not.
        if !isSynced { try log.append(records: 3, to: &model, using: &generator) }
        let recoveryPoint = log.recoveryPoint
        if isRolled { try log.roll() }
        files = files.processCrash()
        log = try LogHarness(files: files).open(recoveryPoint: recoveryPoint)
        #expect(try log.values() == model.values)
        let point = log.recoveryPoint

        let survivor = files.crash(keeping: .nothing)
        let last = try LogHarness(files: survivor).open(recoveryPoint: point)
        #expect(try last.values() == model.values)
        try last.append(records: 2, to: &model, using: &generator)
        try last.flush()
        let again = survivor.crash(keeping: .nothing)
        let end = try LogHarness(files: again).open(recoveryPoint: last.recoveryPoint)
        #expect(try end.values() == model.values)
    }

    @Test("a segment that was begun and whose directory was not synced is kept with what it gets")
    func unsyncedRoll() throws {
        var generator = SeededGenerator.fromEnvironment()
        var files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        var model = LogModel()
        var log = try LogHarness(files: files).open()
        try log.append(records: 4, to: &model, using: &generator)
        try log.flush()
        try log.roll()
        files = files.processCrash()
        log = try LogHarness(files: files).open(recoveryPoint: log.recoveryPoint)
        #expect(log.segments.count == 2)
        try log.append(records: 2, to: &model, using: &generator)
        try log.flush()
        let last = try LogHarness(files: files.crash(keeping: .nothing)).open(
            recoveryPoint: log.recoveryPoint)
        #expect(try last.values() == model.values)
    }
}
