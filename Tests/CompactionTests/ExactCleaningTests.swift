import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// What exactly stays, and for how long.
@Suite("What a cleaning leaves", .verifiesLogs)
struct ExactCleaningTests {
    private func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    /// Closes the active segment and cleans.
    @discardableResult
    private func clean(
        _ harness: KeyedLog, _ log: PartitionLog, now: Int64
    ) throws -> CleaningReport {
        try log.roll()
        try log.flush()
        return try harness.clean(log, now: now)
    }

    private func offsets(_ log: PartitionLog) throws -> [Int64] {
        try log.committed().map { $0.0.rawValue }
    }

    @Test("an empty log, and one with nothing but its active segment, stay as they are")
    func nothingToDo() throws {
        let harness = KeyedLog()
        let log = try harness.open()
        #expect(try harness.clean(log, now: 0) == CleaningReport())
        try log.put("a", "1")
        try log.put("a", "2")
        try log.flush()
        #expect(try harness.clean(log, now: 0).removedRecordCount == 0)
        #expect(try offsets(log) == [0, 1])
        #expect(log.firstDirtyOffset == .zero)
        _ = try log.close()
    }

    @Test("of a log of one key the last record stays, and every offset is there still")
    func oneKey() throws {
        let harness = KeyedLog()
        let log = try harness.open()
        for number in 0..<200 { try log.put("only", "\(number)", at: Int64(number)) }
        let report = try clean(harness, log, now: 0)
        #expect(report.keyCount == 1)
        #expect(report.removedRecordCount == 199)
        let left = try log.committed()
        #expect(left.map(\.0) == [Offset(199)])
        #expect(left.map(\.1) == [Entry(key: text("only"), value: text("199"), timestamp: 199)])
        #expect(log.logEnd == Offset(200))
        #expect(try log.headers().last?.nextOffset == Offset(200))
        // What is small by now becomes one.
        let again = try harness.clean(log, now: 0)
        #expect(again.oldSegmentCount > 5)
        #expect(again.newSegmentCount == 1)
        #expect(try log.committed().map(\.0) == [Offset(199)])
        _ = try log.close()
    }

    @Test("records without a key stay, with and without a value, whatever time goes by")
    func withoutKeys() throws {
        let harness = KeyedLog()
        let log = try harness.open()
        var builder = try RecordBatchBuilder(codec: .none)
        let timestamp = Timestamp(milliseconds: 5)
        let value = text("v")
        for _ in 0..<2 {
            try builder.append(key: nil, value: value.span.bytes, timestamp: timestamp)
            try builder.append(key: nil, value: nil, timestamp: timestamp)
        }
        // A tombstone gives the batch a horizon.
        try builder.append(key: value.span.bytes, value: nil, timestamp: timestamp)
        var bytes = try builder.finishMutable()
        // As before the topic was compacted: today they would be refused.
        _ = try log.append(&bytes, from: .ownEncoder, now: timestamp)
        for now in [Int64(0), 1_000, 5_000] { try clean(harness, log, now: now) }
        #expect(try offsets(log) == [0, 1, 2, 3])
        #expect(try log.headers().first?.deleteHorizon == timestamp.horizon(995))
        _ = try log.close()
    }

    @Test("a tombstone goes once delete.retention.ms is over, from the cleaning that saw it")
    func tombstones() throws {
        let harness = KeyedLog()
        var log = try harness.open()
        try log.put("a", "1", at: 10)
        try log.put("a", nil, at: 20)
        try log.put("b", "2", at: 30)
        let first = try clean(harness, log, now: 5_000)
        #expect(first.pendingTombstoneCount == 1)
        #expect(first.firstDeleteHorizon == Timestamp(milliseconds: 6_000))
        #expect(try offsets(log) == [1, 2])
        // The timestamp is what it was, and a reopening changes nothing.
        #expect(try log.committed().first?.1.timestamp == 20)
        let end = try log.close()
        log = try harness.open(isClean: true, recoveryPoint: end, cleanedEnd: Offset(3))
        let second = try clean(harness, log, now: 5_999)
        #expect(second.firstDeleteHorizon == Timestamp(milliseconds: 6_000))
        #expect(try offsets(log) == [1, 2])
        try clean(harness, log, now: 6_000)
        #expect(try offsets(log) == [2])
        _ = try log.close()
    }

    @Test("what was deleted and comes again is there, and its tombstone is not")
    func revived() throws {
        let harness = KeyedLog()
        let log = try harness.open()
        try log.put("a", "1")
        try log.put("a", nil)
        try clean(harness, log, now: 0)
        try log.put("a", "2")
        try clean(harness, log, now: 10_000)
        #expect(try offsets(log) == [2])
        _ = try log.close()
    }

    @Test("min.compaction.lag.ms keeps young records from being looked at")
    func lag() throws {
        var harness = KeyedLog()
        harness.configuration.compactionLagMillisecondsMin = 1_000
        let log = try harness.open()
        try log.put("a", "1", at: 100)
        try log.roll()
        try log.put("a", "2", at: 500)
        try log.roll()
        try log.put("a", "3", at: 2_000)
        try clean(harness, log, now: 1_099)
        #expect(log.firstDirtyOffset == .zero)
        try clean(harness, log, now: 1_100)
        #expect(log.firstDirtyOffset == Offset(1))
        #expect(try offsets(log) == [0, 1, 2])
        try clean(harness, log, now: 1_500)
        #expect(log.firstDirtyOffset == Offset(2))
        #expect(try offsets(log) == [1, 2])
        // A clock that went back is no reason to look.
        try clean(harness, log, now: .min)
        #expect(try offsets(log) == [1, 2])
        try clean(harness, log, now: .max)
        #expect(try offsets(log) == [2])
        _ = try log.close()
    }

    @Test(
        "an unsupported codec is an error that says so, and the log is untouched",
        arguments: Codec.missing)
    func codec(missing: Codec) throws {
        let harness = KeyedLog()
        let log = try harness.open()
        try log.put("a", "1")
        try log.put("a", "2")
        var batch = try KeyedBatch().encode([
            Entry(key: text("a"), value: text("3"), timestamp: 0)
        ])
        // Says that it is of that codec.
        batch[22] = missing.rawValue
        batch.withUnsafeMutableBytes { buffer in
            let sum = Checksum.crc32c(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(buffer)[21...]))
            for index in 0..<4 { buffer[17 + index] = UInt8(sum >> UInt32(24 - 8 * index) & 255) }
        }
        try batch.withMutableRawSpan { bytes in
            _ = try log.append(
                &bytes, from: .ownEncoder, now: Timestamp(milliseconds: 0))
        }
        let headers = try log.headers()
        let reason = try harness.reasonNotCleanable(log)
        #expect(reason?.contains("codec not supported: \(missing)") == true)
        #expect(try log.headers() == headers)
        #expect(try harness.leftOvers() == [])
        #expect(log.stopReason == nil)
        _ = try log.close()
    }

    @Test("a dirty part with more keys than fit is cleaned in several goes, which end")
    func manyKeys() throws {
        for byteCountMax in [0, 200, 500] {
            var harness = KeyedLog()
            harness.dedupeByteCountMax = byteCountMax
            let log = try harness.open()
            for round in 0..<2 {
                for key in 0..<60 { try log.put("key \(key)", "\(round)") }
            }
            try log.roll()
            try log.flush()
            var goes = 0
            var isPartial = true
            while isPartial, goes < 200 {
                let before = log.firstDirtyOffset
                let report = try harness.clean(log, now: 0)
                isPartial = report.isPartial
                #expect(report.cleanedEnd > before)
                #expect(log.firstDirtyOffset == report.cleanedEnd)
                goes += 1
            }
            // Three keys fit at the least, and each go looks at three records or more.
            #expect(goes <= 41)
            #expect(goes > (byteCountMax == 0 ? 30 : 4))
            #expect(try offsets(log) == Array(60..<120))
            _ = try log.close()
        }
    }

    @Test("holes of many offsets in the dirty part cost goes, and no more memory")
    func holes() throws {
        var harness = KeyedLog()
        harness.dedupeByteCountMax = 600
        var log = try harness.open()
        for round in 0..<4 {
            for number in 0..<700 { try log.put("round \(round)", "\(number)") }
        }
        try log.roll()
        try log.flush()
        while try harness.clean(log, now: 0).isPartial {}
        #expect(try offsets(log) == [699, 1399, 2099, 2799])
        let end = try log.close()
        // All of it dirty once more, holes and all.
        log = try harness.open(isClean: true, recoveryPoint: end)
        var goes = 1
        while try harness.clean(log, now: 0).isPartial { goes += 1 }
        #expect(goes > 1)
        #expect(goes <= 4)
        #expect(try offsets(log) == [699, 1399, 2099, 2799])
        _ = try log.close()
    }
}

extension Timestamp {
    /// So many milliseconds later.
    fileprivate func horizon(_ milliseconds: Int64) -> Timestamp {
        Timestamp(milliseconds: rawValue + milliseconds)
    }
}
