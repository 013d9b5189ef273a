import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// The clock of the machine is set back while a log is compacted: by hand, by a time server, or
/// since the battery of its clock is empty.
@Suite("Cleanings and a clock that goes backwards", .verifiesLogs, .timeLimit(.minutes(10)))
struct CleaningClockTests {
    @discardableResult
    private func clean(
        _ harness: KeyedLog, _ log: PartitionLog, now: Int64
    ) throws -> CleaningReport {
        try log.roll()
        try log.flush()
        return try harness.clean(log, now: now)
    }

    private func survey(_ log: PartitionLog, _ now: Int64) throws -> CleaningSurvey {
        try log.cleaningSurvey(now: Timestamp(milliseconds: now))
    }

    private func keys(_ log: PartitionLog) throws -> [String] {
        try log.committed().map { String(decoding: $0.1.key, as: UTF8.self) }
    }

    @Test("a tombstone keeps the horizon that it got first, and goes when the clock is there again")
    func horizons() throws {
        let harness = KeyedLog()
        let log = try harness.open()
        try log.put("early", "1")
        try log.put("early", nil)
        // Seen first at 10,000: it goes at 11,000.
        #expect(
            try clean(harness, log, now: 10_000).firstDeleteHorizon
                == Timestamp(milliseconds: 11_000))
        try log.put("late", "1")
        try log.put("late", nil)
        // An hour that came twice, and a clock that stands before the beginning of time.
        for now in [5_000, 5_001, 0, -1, Int64.min] {
            try clean(harness, log, now: now)
            #expect(try keys(log) == ["early", "late"], "at \(now)")
        }
        // The later tombstone was first seen at 5,000, the earlier one has its own time still.
        #expect(
            try log.headers().compactMap(\.deleteHorizon?.rawValue) == [11_000, 6_000])
        #expect(
            try clean(harness, log, now: 5_999).firstDeleteHorizon
                == Timestamp(milliseconds: 6_000))
        #expect(
            try clean(harness, log, now: 6_000).firstDeleteHorizon
                == Timestamp(milliseconds: 11_000))
        #expect(try keys(log) == ["early"])
        try clean(harness, log, now: 10_999)
        #expect(try keys(log) == ["early"])
        #expect(try clean(harness, log, now: 11_000).firstDeleteHorizon == nil)
        #expect(try keys(log) == [])
        _ = try log.close()
    }

    @Test("without a lag to wait for, records of a time that is to come hold nobody up")
    func goesOn() throws {
        var harness = KeyedLog()
        harness.configuration.cleanableDirtyRatioMin = 0
        let log = try harness.open()
        let times: [Int64] = [9_000_000, 5, 8_000_000, 4, 0]
        for (round, (written, now)) in zip(times, times.dropFirst()).enumerated() {
            for number in 0..<6 {
                try log.put("k\(number % 2)", "\(round) \(number)", at: written)
            }
            try log.roll()
            try log.flush()
            #expect(try survey(log, now).isDue)
            #expect(try harness.clean(log, now: now).cleanedEnd == log.logEnd)
            // Once is enough: nobody has to come back for it under this clock or an earlier one.
            for time in [now, 0, Int64.min] {
                let survey = try survey(log, time)
                #expect(!survey.isDue && !survey.isOverdue)
            }
            let values = try log.readMap().values.map { String(decoding: $0, as: UTF8.self) }
            #expect(values.sorted() == ["\(round) 4", "\(round) 5"])
        }
        _ = try log.close()
    }

    @Test("records wait for min.compaction.lag.ms, and no longer than max.compaction.lag.ms, by it")
    func lags() throws {
        var harness = KeyedLog()
        harness.configuration.cleanableDirtyRatioMin = 1
        harness.configuration.compactionLagMillisecondsMin = 1_000
        harness.configuration.compactionLagMillisecondsMax = 5_000
        let log = try harness.open()
        for number in 0..<4 { try log.put("a", "\(number)", at: 10_000) }
        try log.roll()
        try log.flush()
        // Forwards, backwards and forwards again: too young, and then overdue.
        for (now, isOverdue) in [
            (Int64(10_999), false), (15_000, false), (15_001, true), (9_000, false),
            (Int64.min, false), (15_001, true), (Int64.max, true),
        ] {
            #expect(try survey(log, now).isOverdue == isOverdue, "at \(now)")
        }
        for now in [10_999, 9_000, -1, Int64.min] {
            #expect(try harness.clean(log, now: now).cleanedEnd == .zero, "at \(now)")
        }
        #expect(try harness.clean(log, now: 15_001).removedRecordCount == 3)
        #expect(try !survey(log, 15_001).isOverdue && !survey(log, .max).isOverdue)

        // Set back by so much that what is written now is older than what is clean.
        for number in 0..<4 { try log.put("a", "again \(number)", at: 100) }
        try log.roll()
        try log.flush()
        #expect(try harness.clean(log, now: 1_099).removedRecordCount == 0)
        #expect(try !survey(log, 5_100).isOverdue)
        #expect(try survey(log, 5_101).isOverdue)
        #expect(try harness.clean(log, now: 5_101).removedRecordCount == 4)
        #expect(try !survey(log, 5_101).isOverdue && !survey(log, .max).isOverdue)
        #expect(try keys(log) == ["a"])
        _ = try log.close()
    }

    // MARK: Many clocks

    /// What is known of the tombstones of a log: when each may go.
    private struct Horizons {
        private var known: [Int64: Int64] = [:]

        /// Holds what is there now against what was there before a cleaning.
        mutating func check(
            _ log: PartitionLog, _ model: KeyedModel, _ report: CleaningReport, now: Int64
        ) throws {
            var left: Set<Int64> = []
            for (offset, entry) in try log.committed() where entry.value == nil {
                left.insert(offset.rawValue)
            }
            var newest: [[UInt8]: Int64] = [:]
            for (offset, entry) in model.entries where offset < report.cleanedEnd.rawValue {
                newest[entry.key] = max(newest[entry.key] ?? -1, offset)
            }
            for (offset, horizon) in known where !left.contains(offset) {
                let isNewest = try newest[#require(model.entries[offset]).key] == offset
                #expect(!isNewest || horizon <= now, "\(offset) went at \(now), not \(horizon)")
                known[offset] = nil
            }
            for header in try log.headers() {
                guard let horizon = header.deleteHorizon?.rawValue else { continue }
                for offset in left
                where (header.baseOffset.rawValue...header.lastOffset.rawValue).contains(offset) {
                    // A new one counts from the cleaning that met the tombstone first.
                    #expect(horizon == known[offset] ?? now + 1_000, "offset \(offset)")
                    known[offset] = horizon
                }
            }
        }
    }

    @Test("whatever the clock does, no tombstone goes early and cleaning comes to an end")
    func random() throws {
        var generator = SeededGenerator.fromEnvironment("cleaning clocks")
        for round in 0..<40 { try random(round, &generator) }
    }

    private func random(_ round: Int, _ generator: inout SeededGenerator) throws {
        var harness = KeyedLog()
        harness.configuration.segmentBytesMax = Int.random(in: 300...1500, using: &generator)
        let lag: Int64 = Bool.random(using: &generator) ? 0 : 400
        harness.configuration.compactionLagMillisecondsMin = lag
        let log = try harness.open()
        var model = KeyedModel()
        var horizons = Horizons()
        var now = Int64(100_000)
        for step in 0..<40 {
            // Mostly on, at times far back or forth.
            now +=
                Int.random(in: 0..<5, using: &generator) == 0
                ? Int64.random(in: -20_000...20_000, using: &generator)
                : Int64.random(in: 0...500, using: &generator)
            let entries = (0..<Int.random(in: 1...3, using: &generator)).map { _ in
                Entry(
                    key: [UInt8.random(in: 0..<6, using: &generator)],
                    value: Bool.random(using: &generator) ? nil : [UInt8(step)], timestamp: now)
            }
            let base = try log.put(entries).baseOffset.rawValue
            for (index, entry) in entries.enumerated() {
                model.entries[base + Int64(index)] = entry
            }
            guard Bool.random(using: &generator) else { continue }
            let report = try clean(harness, log, now: now)
            for offset in report.firstDirty.rawValue..<report.cleanedEnd.rawValue {
                let age = try now - #require(model.entries[offset]).timestamp
                #expect(lag == 0 || age >= lag, "round \(round): offset \(offset) is \(age) ms old")
            }
            #expect(report.firstDeleteHorizon.map { $0.rawValue > now } ?? true)
            try horizons.check(log, model, report, now: now)
            try expectMap(log, model, "round \(round), step \(step), at \(now)")
        }
        // When the clock is past all of it nothing is left to wait for.
        _ = try clean(harness, log, now: 1_000_000)
        #expect(try clean(harness, log, now: 2_000_000).firstDeleteHorizon == nil)
        #expect(try !log.committed().contains { $0.1.value == nil })
        _ = try log.close()
    }

    /// Who reads from the beginning comes to the latest values; what was deleted is deleted.
    private func expectMap(_ log: PartitionLog, _ model: KeyedModel, _ story: String) throws {
        let isRight = try log.readMap() == model.map(before: log.logEnd)
        #expect(isRight, "\(story)")
    }
}
