import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// Everything else that a log does, where compaction has left holes.
@Suite("A log with holes", .verifiesLogs)
struct CompactedLogTests {
    /// Records 0 to 119 with the timestamp of their offset; every tenth stays, and the last ten.
    private struct Holed {
        var harness: KeyedLog
        var log: PartitionLog
        var offsets: [Int64]
    }

    private func holed() throws -> Holed {
        var harness = KeyedLog()
        harness.configuration.segmentBytesMax = 900
        harness.configuration.indexIntervalBytes = 100
        let log = try harness.open()
        for number in 0..<120 {
            let key = number % 10 == 0 ? "stays \(number)" : "goes \(number % 10)"
            try log.put(key, "\(number)", at: Int64(number))
        }
        try log.roll()
        try log.flush()
        try harness.clean(log, now: 0)
        log.removeRetiredFiles(now: nil)
        let offsets = Array(stride(from: Int64(0), to: 111, by: 10)) + Array(111..<120)
        #expect(try log.committed().map { $0.0.rawValue } == offsets)
        return Holed(harness: harness, log: log, offsets: offsets)
    }

    @Test("from every offset, of holes too, the next record there is comes first")
    func everyOffset() throws {
        let holed = try holed()
        let end = try holed.log.close()
        for isClean in [true, false] {
            let log = try holed.harness.open(
                isClean: isClean, recoveryPoint: isClean ? end : .zero)
            for offset in Int64(0)..<120 {
                let found = try log.committed(from: Offset(offset), bytesMax: 1).first?.0.rawValue
                #expect(found == holed.offsets.first { $0 >= offset }, "offset \(offset)")
            }
            #expect(try log.read(from: Offset(120), bytesMax: 1) == nil)
            _ = try log.close()
        }
    }

    @Test("the first record of any time is found")
    func everyTimestamp() throws {
        let holed = try holed()
        for time in Int64(-1)..<121 {
            let found = try holed.log.offset(forTimestamp: Timestamp(milliseconds: time))
            #expect(found?.offset.rawValue == holed.offsets.first { $0 >= time }, "time \(time)")
        }
        _ = try holed.log.close()
    }

    @Test("truncated to any offset, of holes too, it ends there, opens again, and goes on")
    func truncation() throws {
        for target in stride(from: Int64(0), to: 120, by: 7) {
            let holed = try holed()
            var log = holed.log
            if target == 63 { _ = try log.deleteRecords(before: Offset(63)) }
            let end = try log.truncate(to: Offset(target)) {}
            #expect(end <= Offset(target))
            #expect(end >= log.logStart)
            #expect(log.logEnd == end)
            let kept = holed.offsets.filter { $0 < end.rawValue && $0 >= log.logStart.rawValue }
            #expect(try log.committed().map { $0.0.rawValue } == kept)
            try log.put("new", "1")
            try log.flush()
            _ = try log.truncate(to: end) {}
            let point = log.recoveryPoint
            #expect(point == end)
            for isClean in [true, false] {
                let closed = try log.close()
                log = try holed.harness.open(
                    isClean: isClean, recoveryPoint: isClean ? closed : point)
                #expect(log.recovery.wasClean == isClean, "target \(target)")
                #expect(log.logEnd == end, "target \(target)")
            }
            #expect(try log.put("new", "2").baseOffset == end)
            _ = try log.close()
        }
    }

    @Test("records are deleted up to any offset, and retention takes what is before it")
    func deletion() throws {
        let holed = try holed()
        let log = holed.log
        for start in stride(from: Int64(5), to: 120, by: 19) {
            _ = try log.deleteRecords(before: Offset(start))
            _ = try log.enforceRetention(now: Timestamp(milliseconds: 0))
            log.removeRetiredFiles(now: nil)
            let kept = holed.offsets.filter { $0 >= start }
            #expect(try log.committed().map { $0.0.rawValue } == kept)
            try holed.harness.clean(log, now: 0)
            #expect(try log.committed().map { $0.0.rawValue } == kept)
        }
        _ = try log.close()
    }

    @Test("with delete and compact both, old segments go whole, and what stays is compacted")
    func retention() throws {
        var harness = KeyedLog()
        harness.configuration.isDeleting = true
        harness.configuration.retentionMilliseconds = 50
        harness.configuration.segmentBytesMax = 500
        let log = try harness.open()
        for number in 0..<60 { try log.put("\(number % 7)", "\(number)", at: Int64(number)) }
        try log.roll()
        try log.flush()
        try harness.clean(log, now: 60)
        let report = try log.enforceRetention(now: Timestamp(milliseconds: 106))
        #expect(report.segmentCount > 0)
        try harness.clean(log, now: 106)
        let left = try log.committed()
        #expect(log.logStart > .zero)
        #expect(log.logStart <= Offset(56))
        #expect(left.map { $0.0.rawValue } == Array(max(53, log.logStart.rawValue)..<60))
        _ = try log.enforceRetention(now: Timestamp(milliseconds: 500))
        #expect(log.logStart == Offset(60))
        try harness.clean(log, now: 500)
        #expect(try log.committed().isEmpty)
        _ = try log.close()
    }

    @Test("recovery from any point gives the same log")
    func recovery() throws {
        let holed = try holed()
        _ = try holed.log.close()
        for point in stride(from: Int64(0), through: 120, by: 5) {
            let log = try holed.harness.open(recoveryPoint: Offset(point))
            #expect(log.logEnd == Offset(120))
            #expect(try log.committed().map { $0.0.rawValue } == holed.offsets)
            _ = try log.close()
        }
    }

    @Test("a slice and a read position from before a cleaning are good after it, and are counted")
    func held() throws {
        let harness = KeyedLog()
        let log = try harness.open()
        try log.fill(0..<21, keyCount: 3)
        try log.roll()
        try log.flush()
        var slice = try log.read(from: .zero, bytesMax: 600)
        let position = try #require(slice?.end)
        let bytes = try #require(slice?.content.all.withUnsafeBytes { Array($0) })
        let segment = log.segments[0]
        #expect(log.unlinkedByteCount == 0)
        let byteCount = segment.byteCount
        try harness.clean(log, now: 0)
        log.removeRetiredFiles(now: nil)
        #expect(try harness.leftOvers() == [])
        #expect(!log.segments.contains { $0 === segment })
        #expect(slice?.content.all.withUnsafeBytes { Array($0) } == bytes)
        #expect(log.unlinkedByteCount == byteCount)
        // On from there: the position's segment is not the log's any more.
        let next = try #require(
            try log.read(from: position.offset, bytesMax: 10_000, near: position))
        #expect(next.nextOffset > position.offset)
        slice = nil
        #expect(log.unlinkedByteCount == 0)
        _ = try log.close()
    }

    @Test("indexes that are gone or wrong are built again over the holes")
    func indexes() throws {
        let holed = try holed()
        let end = try holed.log.close()
        let files = holed.harness.files
        for name in try files.list(holed.harness.directory) where name.hasSuffix("index") {
            if name.hasSuffix(".timeindex") {
                try files.remove(joinPath(holed.harness.directory, name))
            } else {
                try files.replace(
                    joinPath(holed.harness.directory, name),
                    with: [0, 0, 0, 1, 0, 0, 0, 90, 0, 0, 0, 2, 0, 0, 0, 91])
            }
        }
        let log = try holed.harness.open(isClean: true, recoveryPoint: end)
        for offset in stride(from: Int64(0), to: 120, by: 3) {
            let found = try log.committed(from: Offset(offset), bytesMax: 1).first?.0.rawValue
            #expect(found == holed.offsets.first { $0 >= offset })
            let timed = try log.offset(forTimestamp: Timestamp(milliseconds: offset))
            #expect(timed?.offset.rawValue == holed.offsets.first { $0 >= offset })
        }
        try holed.harness.clean(log, now: 0)
        _ = try log.close()
    }
}
