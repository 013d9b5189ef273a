import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Damaged indexes", .verifiesLogs)
struct IndexDamageTests {
    enum Damage: CaseIterable, Sendable {
        case missing, empty, lastEntryGone, half, torn, zeroFilled, zeroTail, garbage, fullOfOnes
        case anotherSegments, intoBatches, offsetsTooHigh, offsetsTooLow, timesTooHigh, timesTooLow
        case middleOffsetTooLow, middleTimeTooHigh

        /// Whether the file must be as it was once every lookup was made: not where entries are
        /// only fewer, or name later offsets, as Kafka's cleaner leaves them.
        func mustBeMended(_ ending: SegmentName.Ending) -> Bool {
            switch self {
            case .empty, .lastEntryGone, .half, .offsetsTooHigh: ending == .timeIndex
            case .timesTooHigh, .timesTooLow, .middleTimeTooHigh: ending == .timeIndex
            default: true
            }
        }

        func apply(to log: inout DamagedLog, _ base: Offset, _ ending: SegmentName.Ending) {
            let width = ending == .offsetIndex ? 8 : 12
            var bytes = log[base, ending]
            func eachEntry(_ change: (Int) -> Void) {
                for start in stride(from: 0, to: bytes.count, by: width) { change(start) }
            }
            switch self {
            case .missing:
                log.contents[SegmentName.file(base, ending)] = nil
                return
            case .empty: bytes = []
            case .lastEntryGone: bytes.removeLast(min(width, bytes.count))
            case .half: bytes.removeLast(bytes.count / width / 2 * width)
            case .torn: bytes.removeLast(min(5, bytes.count))
            case .zeroFilled: bytes = Array(repeating: 0, count: max(bytes.count, width))
            case .zeroTail: bytes += Array(repeating: 0, count: 4096)
            case .garbage:
                bytes = (0..<bytes.count + 7).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ 3) }
            case .fullOfOnes: bytes = Array(repeating: 0xFF, count: bytes.count + width)
            case .anotherSegments:
                bytes = log[log.bases[base == log.bases[0] ? 1 : 0], ending]
                bytes += bytes
            case .intoBatches:
                eachEntry { bytes[$0 + width - 1] ^= 0x04 }
            case .offsetsTooHigh:
                let at = ending == .offsetIndex ? 3 : 11
                eachEntry { bytes[$0 + at] &+= 1 }
            case .offsetsTooLow:
                let at = ending == .offsetIndex ? 3 : 11
                eachEntry { bytes[$0 + at] = bytes[$0 + at] > 2 ? bytes[$0 + at] - 3 : 0 }
            case .timesTooHigh where ending == .timeIndex: eachEntry { bytes[$0 + 7] ^= 0x01 }
            case .timesTooLow where ending == .timeIndex: eachEntry { bytes[$0 + 6] = 0 }
            case .timesTooHigh, .timesTooLow: break
            // Both ends of the file are sound: only the lookup that uses the entry can tell.
            case .middleOffsetTooLow where bytes.count >= 3 * width:
                bytes[width + (ending == .offsetIndex ? 3 : 11)] &-= 3
            case .middleTimeTooHigh where ending == .timeIndex && bytes.count >= 3 * width:
                bytes[width + 7] &+= 1
            case .middleOffsetTooLow, .middleTimeTooHigh: break
            }
            log[base, ending] = bytes
        }
    }

    @Test(
        "every lookup of every offset and time is right, and the file is mended",
        arguments: Damage.allCases, [SegmentName.Ending.offsetIndex, .timeIndex])
    func everyLookup(damage: Damage, ending: SegmentName.Ending) throws {
        var generator = SeededGenerator.fromEnvironment()
        let template = try DamagedLog(using: &generator)
        for base in template.bases {
            for isClean in [true, false] {
                for readMode in [ReadMode.mapped, .copied] {
                    var log = template
                    damage.apply(to: &log, base, ending)
                    try check(log, isClean: isClean, readMode, damage, base, ending)
                }
            }
        }
    }

    private func check(
        _ log: DamagedLog, isClean: Bool, _ readMode: ReadMode, _ damage: Damage, _ base: Offset,
        _ ending: SegmentName.Ending
    ) throws {
        let story = "\(damage) \(base)\(ending.rawValue) clean: \(isClean)"
        let harness = try log.install()
        let opened = try harness.open(
            isClean: isClean, recoveryPoint: log.end, readMode: readMode)
        #expect(opened.recovery.wasClean == isClean, "\(story)")
        try lookUpEverything(opened, log, story)
        _ = try opened.close()
        var check = DirectoryCheck(
            harness.files, LogHarness.directory,
            indexIntervalBytes: damage.mustBeMended(ending)
                ? harness.configuration.indexIntervalBytes : nil)
        let problems = try check.run()
        if damage.mustBeMended(ending) || damage != .offsetsTooHigh {
            #expect(problems.isEmpty, "\(story) \(problems)")
        }
        let again = try harness.open(isClean: true, recoveryPoint: log.end, readMode: readMode)
        try lookUpEverything(again, log, story)
    }

    private func lookUpEverything(
        _ opened: PartitionLog, _ log: DamagedLog, _ story: String
    ) throws {
        for (offset, batch) in log.batches.flatMap({ batch in
            (batch.header.baseOffset.rawValue...batch.header.lastOffset.rawValue)
                .map { (Offset($0), batch) }
        }) {
            let slice = try #require(try opened.read(from: offset, bytesMax: 1), "\(story)")
            #expect(try RecordBatch(slice.content.all).header == batch.header, "\(story) \(offset)")
        }
        let times = Set(log.timestamps.flatMap { [$0 - 1, $0, $0 + 1] } + [0, .max]).sorted()
        for time in times {
            let found = try opened.offset(forTimestamp: Timestamp(milliseconds: time))
            #expect(found?.offset == log.firstOffset(at: time), "\(story) time \(time)")
        }
    }

    @Test("a large segment whose offset index lacks its end gets it back")
    func shortIndexOfLargeSegment() throws {
        var generator = SeededGenerator.fromEnvironment()
        var configuration = LogConfiguration()
        configuration.segmentBytesMax = 4 << 20
        var log = try DamagedLog(
            batchCount: 30, recordBytes: 90_000, configuration: configuration, using: &generator)
        #expect(log.bases.count == 2)
        let whole = log.contents
        log[.zero, .offsetIndex].removeLast(15 * 8)
        let harness = try log.install()
        let events = Events()
        let opened = try harness.open(isClean: true, recoveryPoint: log.end) { events.note($0) }
        let slice = try #require(try opened.read(from: Offset(3), bytesMax: 1))
        #expect(try RecordBatch(slice.content.all).header.lastOffset >= Offset(3))
        #expect(events.rebuiltCount == 1)
        _ = try opened.close()
        #expect(try contents(of: LogHarness.directory, on: harness.files) == whole)
    }

    @Test("an index removed or replaced behind the log's back harms neither reads nor appends")
    func indexRemovedWhileOpen() throws {
        var generator = SeededGenerator.fromEnvironment()
        var log = try DamagedLog(using: &generator)
        let harness = try log.install()
        let opened = try harness.open(isClean: true, recoveryPoint: log.end)
        try lookUpEverything(opened, log, "before")
        for name in log.contents.keys where name.hasSuffix("index") {
            try harness.files.replace(joinPath(LogHarness.directory, name), with: [7, 7, 7])
        }
        try lookUpEverything(opened, log, "after")
        for _ in 0..<30 { try opened.append(records: 2, to: &log.model, using: &generator) }
        try opened.flush()
        #expect(try opened.values() == log.model.values)
        _ = try opened.close()
        let again = try harness.open(isClean: true, recoveryPoint: opened.logEnd)
        #expect(try again.values() == log.model.values)
    }

    @Test("a full disk keeps nobody from reading, and indexes are written once there is room")
    func fullDisk() throws {
        var generator = SeededGenerator.fromEnvironment()
        var log = try DamagedLog(using: &generator)
        for base in log.bases { log.contents[SegmentName.file(base, .offsetIndex)] = nil }
        let harness = try log.install()
        let files = try #require(harness.files as? SimulatedFileSystem)
        files.capacityBytes = files.usedBytes
        let opened = try harness.open(isClean: true, recoveryPoint: log.end)
        try lookUpEverything(opened, log, "full")
        do {
            try opened.append(values: [Array(repeating: 1, count: 900)])
            Issue.record("there was room")
        } catch LogError.file(let error) {
            #expect(error.isNoSpace)
        }
        #expect(opened.stopReason == nil)
        files.capacityBytes = nil
        for _ in 0..<30 { try opened.append(records: 2, to: &log.model, using: &generator) }
        try opened.flush()
        #expect(try opened.values() == log.model.values)
        _ = try opened.close()
        var check = DirectoryCheck(files, LogHarness.directory)
        #expect(try check.run().isEmpty)
    }
}
