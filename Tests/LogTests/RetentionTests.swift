import Glibc
import Synchronization
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Retention", .verifiesLogs, .timeLimit(.minutes(10)))
struct RetentionTests {
    private func harness(
        milliseconds: Int64? = nil, bytes: Int? = nil, files: SimulatedFileSystem? = nil
    ) -> LogHarness {
        let files =
            files ?? SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        var harness = LogHarness(files: files)
        harness.configuration.isDeleting = true
        harness.configuration.retentionMilliseconds = milliseconds
        harness.configuration.retentionBytes = bytes
        return harness
    }

    /// Segments with three batches of 400 bytes each, a second apart: offset n has time n.
    private func fill(_ log: PartitionLog, _ offsets: Range<Int64>) throws {
        for number in offsets {
            try log.append(
                values: [Array(repeating: UInt8(number), count: 400)], timestamp: number * 1000)
        }
        try log.flush()
    }

    private func now(_ seconds: Int64) -> Timestamp { Timestamp(milliseconds: seconds * 1000) }

    @Test("segments go when all of their records are older than retention.ms, oldest first")
    func byTime() throws {
        let log = try harness(milliseconds: 5000).open()
        try fill(log, 0..<10)
        #expect(log.segments.map(\.baseOffset.rawValue) == [0, 3, 6, 9])
        // The second at which the youngest of a segment is older than five.
        #expect(try log.enforceRetention(now: now(7)).segmentCount == 0)
        #expect(try log.enforceRetention(now: now(8)).logStart == Offset(3))
        #expect(try log.enforceRetention(now: now(13)).logStart == Offset(6))
        // A clock that goes backwards brings nothing back and takes nothing.
        #expect(try log.enforceRetention(now: now(1)).segmentCount == 0)
        let all = try log.enforceRetention(now: now(100))
        #expect(all.logStart == Offset(10) && all.segmentCount == 2)
        #expect(log.segments.map(\.baseOffset) == [Offset(10)])
        try fill(log, 10..<12)
        #expect(try log.values(from: Offset(10)).map(\.first) == [10, 11])
    }

    @Test("what comes while a retention rolls the log stays, whoever retires beside it")
    func newRecordsMeanwhile() throws {
        let waiting = Mutex<PartitionLog?>(nil)
        let log = try harness(milliseconds: 5000).open { event in
            guard case .rolled = event, let log = waiting.withLock({ $0.take() }) else { return }
            do {
                #expect(try log.enforceRetention(now: now(100)).segmentCount == 1)
                try fill(log, 100..<101)
                try log.roll()
            } catch {
                Issue.record(error)
            }
        }
        try fill(log, 0..<1)
        waiting.withLock { $0 = log }
        _ = try log.enforceRetention(now: now(100))
        #expect(log.logStart == Offset(1))
        #expect(try log.values(from: log.logStart).map(\.first) == [100])
    }

    @Test("the oldest segments go while what is left still has retention.bytes")
    func bySize() throws {
        let log = try harness(bytes: 2000).open()
        try fill(log, 0..<10)
        let sizes = log.segments.map(\.byteCount)
        let report = try log.enforceRetention(now: now(0))
        #expect(report.segmentCount == 1 && report.byteCount == sizes[0])
        #expect(log.byteCount >= 2000 && log.byteCount - sizes[1] < 2000)
        #expect(try log.enforceRetention(now: now(0)).segmentCount == 0)
    }

    @Test("nothing goes that readers may not see yet, or where the policy is not to delete")
    func limits() throws {
        let log = try harness(milliseconds: 0, bytes: 0).open()
        for number in 0..<10 {
            try log.append(values: [Array(repeating: 0, count: 400)], timestamp: Int64(number))
        }
        #expect(try log.enforceRetention(now: now(100)).segmentCount == 0)
        try log.flush()
        #expect(try log.enforceRetention(now: now(100)).logStart == Offset(10))

        var keeping = harness(milliseconds: 0, bytes: 0)
        keeping.configuration.isDeleting = false
        let kept = try keeping.open()
        try fill(kept, 0..<10)
        #expect(try kept.enforceRetention(now: now(100)).segmentCount == 0)
        #expect(try kept.deleteRecords(before: Offset(7)) == Offset(7))
        #expect(try kept.enforceRetention(now: now(100)).segmentCount == 2)
        #expect(kept.logStart == Offset(7))
    }

    @Test("records before a deleted offset are an error with the bounds, at once")
    func deleteRecords() throws {
        let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        let log = try harness(files: files).open()
        try fill(log, 0..<5)
        #expect(try log.deleteRecords(before: Offset(4)) == Offset(4))
        #expect(try log.deleteRecords(before: Offset(2)) == Offset(4))
        #expect(throws: LogError.self) { try log.deleteRecords(before: Offset(6)) }
        #expect(throws: LogError.self) { try log.deleteRecords(before: Offset(-1)) }
        do {
            _ = try log.read(from: Offset(3), bytesMax: 1)
            Issue.record("a deleted record was read")
        } catch LogError.offsetOutOfRange(let range) {
            #expect(range.logStart == Offset(4) && range.logEnd == Offset(5))
        }
        #expect(try log.values(from: Offset(4)).count == 1)
        let end = try log.close()
        let again = try harness(files: files).open(
            isClean: true, recoveryPoint: end, logStart: Offset(4))
        #expect(again.logStart == Offset(4))
    }

    @Test("sequences are known although the records they came with are gone")
    func sequences() throws {
        let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        let harness = harness(milliseconds: 0, files: files)
        let log = try harness.open()
        _ = try log.send(0, count: 3)
        try log.flush()
        #expect(try log.enforceRetention(now: now(100)).logStart == Offset(3))
        let end = try log.close()
        let again = try harness.open(isClean: true, recoveryPoint: end)
        #expect(try again.send(0, count: 3).isDuplicate)
        #expect(again.refusal(sequence: 5) == .outOfOrderSequence(expected: 3))
        _ = try again.send(3)
    }

    @Test("sequences outlive their records also where nobody had asked for them")
    func sequencesAfterCrash() throws {
        let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        var harness = harness(milliseconds: 0, files: files)
        var log = try harness.open()
        _ = try log.send(0, count: 3)
        try log.flush()
        harness.files = files.crash(keeping: .nothing)
        log = try harness.open(recoveryPoint: Offset(3))
        #expect(try log.enforceRetention(now: now(100)).logStart == Offset(3))
        let left = try #require(harness.files as? SimulatedFileSystem)
        harness.files = left.crash(keeping: .nothing)
        log = try harness.open(recoveryPoint: Offset(3))
        #expect(try log.send(0, count: 3).isDuplicate)
        _ = try log.send(3)
    }

    @Test("what a reader holds stays readable, and its files go when their delay is over")
    func readers() throws {
        let temporary = try TemporaryDirectory()
        var harness = LogHarness(files: PosixFileSystem(), directory: temporary.path("t-0"))
        try harness.files.createDirectory(harness.directory)
        harness.configuration.isDeleting = true
        harness.configuration.retentionMilliseconds = 0
        let log = try harness.open()
        try fill(log, 0..<10)
        var held = try log.read(from: .zero, bytesMax: 1 << 20)
        let bytes = held?.content.range.count ?? 0
        _ = try log.enforceRetention(now: now(100))
        let names = try harness.files.list(harness.directory)
        #expect(names.filter { $0.hasSuffix(".log.deleted") }.count == 4)
        log.removeRetiredFiles(now: .now)
        #expect(log.hasRetiredFiles)
        log.removeRetiredFiles(now: .now + .seconds(61))
        #expect(!log.hasRetiredFiles)
        #expect(try !harness.files.list(harness.directory).contains { $0.hasSuffix(".deleted") })
        #expect(log.unlinkedByteCount >= bytes)
        if let slice = held {
            try RecordBatch(slice.content.all).verifyChecksum()
        }
        held = nil
        #expect(log.unlinkedByteCount == 0)
        _ = try log.close()
        withExtendedLifetime(temporary) {}
    }

    @Test("what a reader holds counts when its file goes, also where the map was dropped before")
    func droppedMap() throws {
        let harness = LogHarness(
            files: SimulatedFileSystem(directories: ["/data", LogHarness.directory]))
        let environment = LogEnvironment(fileSystem: harness.files, openFilesMax: 8, mapsMax: 1)
        let log = try PartitionLog.open(
            harness.directory, environment: environment, configuration: harness.configuration,
            checkpoint: PartitionCheckpoint(isClean: false, recoveryPoint: .zero))
        try fill(log, 0..<10)
        let byteCount = log.segments[0].byteCount
        var held = try log.read(from: .zero, bytesMax: 1)
        for number in Int64(0)..<2 {
            for segment in log.segments.dropFirst() {
                _ = try log.read(from: segment.baseOffset.advanced(by: number), bytesMax: 1)
            }
        }
        _ = try log.deleteRecords(before: log.segments[1].baseOffset)
        _ = try log.enforceRetention(now: now(100))
        log.removeRetiredFiles(now: nil)
        #expect(log.unlinkedByteCount == byteCount)
        if let slice = held { try RecordBatch(slice.content.all).verifyChecksum() }
        held = nil
        #expect(log.unlinkedByteCount == 0)
        _ = try log.close()
    }

    @Test("whatever fails or crashes meanwhile, the log is a whole end of what it was")
    func faults() throws {
        var generator = SeededGenerator.fromEnvironment()
        for code in [EIO, ENOSPC, EMFILE] {
            var call = 0
            while true {
                let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
                var harness = harness(milliseconds: 5000, files: files)
                let log = try harness.open()
                try fill(log, 0..<10)
                files.plan(Fault(.error(code), after: call))
                _ = try? log.enforceRetention(now: now(13))
                log.removeRetiredFiles(now: .now + .seconds(61))
                let isHit = files.faultsHit > 0
                files.clearFaults()
                // The one who reads on sees it all from the log start on.
                let start = log.logStart
                #expect(
                    try log.values(from: start).map(\.first)
                        == (start.rawValue..<10).map { UInt8($0) })
                for _ in 0..<3 {
                    let left = files.crash(choose: &generator)
                    harness.files = left
                    let reopened = try harness.open(recoveryPoint: Offset(9))
                    #expect(reopened.logStart <= start)
                    let values = try reopened.values(from: reopened.logStart).map(\.first)
                    #expect(values == (reopened.logStart.rawValue..<10).map { UInt8($0) })
                }
                if !isHit { break }
                call += 1
            }
            #expect(call > 10)
        }
    }
}
