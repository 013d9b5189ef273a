import Foundation
import Synchronization
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Many threads", .verifiesLogs)
struct ConcurrencyTests {
    @Test(
        "readers see whole batches in order, none above the high watermark, while others write",
        arguments: [Durability.synced, .buffered], [ReadMode.mapped, .copied])
    func readersAndWriters(durability: Durability, readMode: ReadMode) throws {
        let temporary = try TemporaryDirectory()
        let files = PosixFileSystem()
        var harness = LogHarness(files: files, directory: temporary.path("t-0"))
        try files.createDirectory(harness.directory)
        harness.configuration.segmentBytesMax = 64 << 10
        harness.configuration.durability = durability
        // Fewer descriptors and maps than segments, so that files come and go under the readers.
        let environment = LogEnvironment(
            fileSystem: files, openFilesMax: 4, mapsMax: 3, readMode: readMode)
        let log = try PartitionLog.open(
            harness.directory, environment: environment, configuration: harness.configuration,
            checkpoint: PartitionCheckpoint(isClean: false, recoveryPoint: .zero))
        let isDone = Atomic(false)
        let failures = Mutex<[String]>([])
        let readCount = Atomic(0)
        let threads: [@Sendable () throws -> Void] =
            [
                {
                    while !isDone.load(ordering: .relaxed) {
                        let first = log.logEnd.rawValue
                        let values = (Int64(0)..<7).map { Array("record \(first + $0)".utf8) }
                        try log.append(values: values, timestamp: first)
                        // Reading may be slower than writing; the test is not about that.
                        if first > 200_000 { break }
                    }
                },
                { while !isDone.load(ordering: .relaxed) { try log.flush() } },
                {
                    while !isDone.load(ordering: .relaxed) {
                        try log.flush()
                        usleep(300)
                    }
                },
            ]
            + (0..<3).map { number in
                {
                    while !isDone.load(ordering: .relaxed) {
                        try read(log, number, readCount) { text in
                            failures.withLock { $0.append(text) }
                        }
                    }
                }
            }
        let group = DispatchGroup()
        for body in threads {
            group.enter()
            Thread.detachNewThread {
                do { try body() } catch { failures.withLock { $0.append("\(error)") } }
                group.leave()
            }
        }
        // As long as it takes on a machine that is busy with other things.
        let start = ContinuousClock.now
        while start.duration(to: .now) < .milliseconds(500)
            || readCount.load(ordering: .relaxed) <= 200 && start.duration(to: .now) < .seconds(30)
        {
            Thread.sleep(forTimeInterval: 0.01)
        }
        isDone.store(true, ordering: .relaxed)
        group.wait()
        #expect(failures.withLock { Array($0.prefix(5)) } == [])
        #expect(readCount.load(ordering: .relaxed) > 200)
        _ = try log.close()
        var check = DirectoryCheck(
            files, harness.directory,
            indexIntervalBytes: harness.configuration.indexIntervalBytes)
        #expect(try check.run().isEmpty)
    }

    /// Reads a stretch from some place: by offset from the start, near the end, or by time.
    private func read(
        _ log: PartitionLog, _ number: Int, _ readCount: borrowing Atomic<Int>,
        _ fail: (String) -> Void
    ) throws {
        let end = log.highWatermark
        guard end > .zero else { return }
        var start = Offset(Int64.random(in: 0..<end.rawValue))
        if number == 1 { start = Offset(max(end.rawValue - 50, 0)) }
        if number == 2 {
            // The timestamp of each batch is its first offset.
            let time = Timestamp(milliseconds: start.rawValue / 7 * 7)
            let found = try log.offset(forTimestamp: time)
            guard found?.offset.rawValue == time.rawValue else {
                return fail("time \(time) gave \(String(describing: found))")
            }
            start = Offset(time.rawValue)
        }
        var expected = start.rawValue
        var near: ReadPosition?
        var decoder = RecordDecoder()
        for _ in 0..<20 {
            let offset = Offset(expected)
            guard let slice = try log.read(from: offset, bytesMax: 5000, near: near) else { break }
            // Taken after the read: what was read must lie below it.
            let watermark = log.highWatermark
            let bytes = slice.content.all
            var position = 0
            while position < bytes.byteCount {
                let batch = try RecordBatch(bytes, at: position)
                try batch.verifyChecksum()
                try decoder.forEachRecord(in: batch) { record in
                    guard record.offset.rawValue >= expected else { return }
                    if record.offset.rawValue != expected || record.offset >= watermark {
                        fail("\(record.offset) in place of \(expected), below \(watermark)")
                    }
                    expected = record.offset.rawValue + 1
                }
                position += batch.header.sizeInBytes
            }
            readCount.add(1, ordering: .relaxed)
            near = slice.end
        }
    }

    @Test("waiters are told once: when their offset is reached, when the log stops, or is closed")
    func waiters() throws {
        let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        let log = try LogHarness(files: files).open()
        let mark = log.highWatermarkWatermark
        let (first, second, third) = (Outcome(), Outcome(), Outcome())
        mark.whenReached(.zero) { first.set($0) }
        #expect(first.isTold && first.error == nil)
        mark.whenReached(Offset(2)) { second.set($0) }
        mark.whenReached(Offset(100)) { third.set($0) }
        try log.append(values: [[1]])
        try log.flush()
        #expect(!second.isTold)
        // Called on the thread that flushes, which holds no lock: it may use the log.
        let inner = Outcome()
        mark.whenReached(Offset(2)) { _ in
            inner.set(nil)
            _ = try? log.append(values: [[9]])
            _ = log.leaderEpoch
            _ = log.recoveryPoint
        }
        try log.append(values: [[2]])
        #expect(!second.isTold)
        try log.flush()
        #expect(second.isTold && second.error == nil && inner.isTold)
        #expect(log.logEnd == Offset(3))
        #expect(!third.isTold)
        _ = try log.close()
        #expect(third.isTold)
        guard case .closed = third.error else {
            Issue.record("\(String(describing: third.error))")
            return
        }
    }

    @Test("events are reported without a lock: whoever hears of them may use the log")
    func eventsWithoutLocks() throws {
        let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        let heard = Atomic(0)
        let used = Mutex<PartitionLog?>(nil)
        let log = try LogHarness(files: files).open { _ in
            guard let log = used.withLock({ $0 }) else { return }
            _ = (log.leaderEpoch, log.recoveryPoint, log.stopReason, try? log.values())
            heard.add(1, ordering: .relaxed)
        }
        used.withLock { $0 = log }
        for number in 0..<20 {
            try log.append(values: [Array(repeating: UInt8(number), count: 300)])
        }
        #expect(heard.load(ordering: .relaxed) > 2)
        files.failNext(.sync, code: 5)
        #expect(throws: LogError.self) { try log.flush() }
        #expect(heard.load(ordering: .relaxed) > 3)
    }
}
