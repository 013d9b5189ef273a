import Glibc
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Truncation", .verifiesLogs, .timeLimit(.minutes(10)))
struct TruncationTests {
    private func fileSystem() -> SimulatedFileSystem {
        SimulatedFileSystem(directories: ["/data", LogHarness.directory])
    }

    /// Offset n holds n, in batches of one to three records, in segments of a few batches.
    private func fill(
        _ log: PartitionLog, to end: Int64, using generator: inout SeededGenerator
    ) throws {
        while log.logEnd.rawValue < end {
            let left = end - log.logEnd.rawValue
            let count = Int64.random(in: 1...min(3, left), using: &generator)
            let first = log.logEnd.rawValue
            try log.append(
                values: (first..<first + count).map { [UInt8(truncatingIfNeeded: $0), 0, 0, 0] },
                timestamp: first)
        }
        try log.flush()
    }

    private func expect(_ log: PartitionLog, holds end: Int64) throws {
        #expect(log.logEnd == Offset(end) && log.highWatermark == Offset(end))
        let values = try log.values().map(\.first)
        #expect(values == (0..<end).map { UInt8(truncatingIfNeeded: $0) })
        #expect(try log.offset(forTimestamp: Timestamp(milliseconds: .max)) == nil)
    }

    @Test("from every offset on, also in the middle of a batch, and then it goes on")
    func everywhere() throws {
        var generator = SeededGenerator.fromEnvironment()
        for target in stride(from: Int64(59), through: 0, by: -3) {
            let files = fileSystem()
            let harness = LogHarness(files: files)
            let log = try harness.open()
            try fill(log, to: 60, using: &generator)
            var recoveryPoint: Offset?
            let end = try log.truncate(to: Offset(target)) {
                recoveryPoint = log.recoveryPoint
            }
            #expect(recoveryPoint == end)
            #expect(end <= Offset(target) && end > Offset(target - 3))
            try expect(log, holds: end.rawValue)
            #expect(log.recoveryPoint == end)
            try fill(log, to: 75, using: &generator)
            try expect(log, holds: 75)
            let closed = try log.close()
            var check = DirectoryCheck(files, harness.directory, indexIntervalBytes: 200)
            let problems = try check.run()
            #expect(problems.isEmpty, "target \(target): \(problems)")
            try expect(try harness.open(isClean: true, recoveryPoint: closed), holds: 75)
        }
    }

    @Test("outside the log there is nothing to take back")
    func bounds() throws {
        var generator = SeededGenerator.fromEnvironment()
        let log = try LogHarness(files: fileSystem()).open()
        try fill(log, to: 10, using: &generator)
        for offset in [10, 11, Int64.max] {
            #expect(
                try log.truncate(to: Offset(offset)) { Issue.record("nothing has to be stored") }
                    == Offset(10))
        }
        _ = try log.deleteRecords(before: Offset(5))
        #expect(throws: LogError.self) { try log.truncate(to: Offset(4)) {} }
        #expect(log.logEnd == Offset(10))
    }

    @Test("what is acknowledged while a truncation begins is not taken back")
    func acknowledgedMeanwhile() throws {
        let log = try LogHarness(files: fileSystem()).open()
        try log.append(values: [[1]])
        try log.flush()
        try log.append(values: [[2]])
        let end = try log.truncateUnacknowledged(to: nil) { () throws(LogError) in
            try log.flush()
        }
        #expect(end == Offset(2))
        try log.append(values: [[3]])
        #expect(throws: LogError.self) {
            try log.truncateUnacknowledged(to: Offset(2)) { () throws(LogError) in
                try log.flush()
            }
        }
        #expect(log.highWatermark == Offset(3))
        #expect(try log.values() == [[1], [2], [3]])
    }

    @Test("a segment that was only half begun does not come between later ones")
    func halfBegun() throws {
        var generator = SeededGenerator.fromEnvironment()
        let files = fileSystem()
        var harness = LogHarness(files: files)
        let log = try harness.open()
        try fill(log, to: 10, using: &generator)
        files.plan(Fault(.error(EMFILE), on: .information, pathSuffix: "00000000000000000010.log"))
        #expect(throws: LogError.self) { try log.roll() }
        #expect(files.faultsHit == 1)
        #expect(try files.information(harness.directory + "/00000000000000000010.log") != nil)
        try log.truncate(to: Offset(4)) {}
        try fill(log, to: 60, using: &generator)
        harness.files = files.processCrash()
        try expect(try harness.open(recoveryPoint: .zero), holds: 60)
    }

    @Test("who waits for what is taken back is told, and nobody else")
    func waiters() throws {
        let log = try LogHarness(files: fileSystem()).open()
        try log.append(values: [[0]])
        try log.append(values: [[1]])
        try log.append(values: [[2]])
        let (near, far) = (Outcome(), Outcome())
        log.highWatermarkWatermark.whenReached(Offset(1)) { near.set($0) }
        log.highWatermarkWatermark.whenReached(Offset(3)) { far.set($0) }
        try log.truncate(to: Offset(2)) {}
        #expect(!near.isTold && far.isTold)
        guard case .truncated(_, let end) = far.error else {
            Issue.record("\(far)")
            return
        }
        #expect(end == Offset(2))
        try log.flush()
        #expect(near.isTold && near.error == nil)
    }

    @Test("epochs, sequences and transactions are those of what is left")
    func state() throws {
        let files = fileSystem()
        var harness = LogHarness(files: files)
        var log = try harness.open()
        _ = try log.send(0, isTransactional: true)  // 0
        try log.end(1, didCommit: false)  // 1
        _ = try log.send(1, isTransactional: true)  // 2
        try log.flush()
        harness.files = files.processCrash()
        log = try harness.open(recoveryPoint: Offset(3))
        let epoch = log.leaderEpoch
        for sequence in 2..<30 { _ = try log.send(Int32(sequence), isTransactional: true) }
        try log.end(1, didCommit: false)
        try log.flush()
        #expect(log.segments.count > 1)
        #expect(try log.lastStableOffset() == log.logEnd)
        try log.truncate(to: Offset(3)) {}
        #expect(try log.lastStableOffset() == Offset(2))
        #expect(try log.abortedTransactions(in: .zero..<Offset(3)).map(\.lastOffset) == [Offset(1)])
        #expect(try log.producerStates().map(\.lastSequence) == [1])
        #expect(log.endOffset(forEpoch: epoch)?.endOffset == Offset(3))
        #expect(log.endOffset(forEpoch: epoch)?.epoch != epoch)
        #expect(try log.send(1, isTransactional: true).isDuplicate)
        #expect(log.refusal(sequence: 3, isTransactional: true) != nil)
        _ = try log.send(2, isTransactional: true)
        try log.end(1, didCommit: true)
        try log.flush()
        #expect(try log.lastStableOffset() == log.logEnd)
        _ = try log.close()
    }

    @Test(
        "readers that hold what is taken back keep it; others never see it",
        arguments: [ReadMode.mapped, .copied])
    func readers(readMode: ReadMode) throws {
        let temporary = try TemporaryDirectory()
        let harness = LogHarness(files: PosixFileSystem(), directory: temporary.path("t-0"))
        try harness.files.createDirectory(harness.directory)
        let log = try harness.open(readMode: readMode)
        var generator = SeededGenerator.fromEnvironment()
        for _ in 0..<10 {
            try fill(log, to: 90, using: &generator)
            let target = Int64.random(in: 30..<90, using: &generator)
            var held: [LogSlice] = []
            for offset in stride(from: Int64(0), to: 90, by: 7) {
                if let slice = try log.read(from: Offset(offset), bytesMax: 200) {
                    held.append(slice)
                }
            }
            let end = try log.truncate(to: Offset(target)) {}
            log.removeRetiredFiles(now: nil)
            try fill(log, to: 90, using: &generator)
            for slice in held {
                try RecordBatch(slice.content.all).verifyChecksum()
                // A reader that goes on from a place of before is not led astray.
                if let next = try log.read(
                    from: slice.nextOffset, bytesMax: 1, near: slice.end)
                {
                    let header = try RecordBatch(next.content.all).header
                    #expect(header.lastOffset >= slice.nextOffset)
                }
            }
            #expect(end.rawValue <= target)
            try expect(log, holds: 90)
        }
        _ = try log.close()
        withExtendedLifetime(temporary) {}
    }

    @Test("whatever fails or crashes meanwhile, the log is a whole beginning of what it was")
    func faults() throws {
        var generator = SeededGenerator.fromEnvironment()
        for code in [EIO, ENOSPC] {
            var call = 0
            while true {
                let files = fileSystem()
                var harness = LogHarness(files: files)
                let log = try harness.open()
                try fill(log, to: 40, using: &generator)
                files.plan(Fault(.error(code), after: call))
                var point = Offset(40)
                _ = try? log.truncate(to: Offset(17)) { point = log.recoveryPoint }
                let isHit = files.faultsHit > 0
                files.clearFaults()
                for _ in 0..<3 {
                    harness.files = files.crash(choose: &generator)
                    let reopened = try harness.open(recoveryPoint: point)
                    #expect(reopened.logEnd >= Offset(15) && reopened.logEnd <= Offset(40))
                    try expect(reopened, holds: reopened.logEnd.rawValue)
                    try reopened.truncate(to: Offset(17)) {}
                    try fill(reopened, to: 50, using: &generator)
                    try expect(reopened, holds: 50)
                    _ = try reopened.close()
                }
                if !isHit { break }
                call += 1
            }
            #expect(call > 20)
        }
    }
}
