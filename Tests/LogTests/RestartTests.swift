import Glibc
import Synchronization
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Beginning anew at another offset", .verifiesLogs, .timeLimit(.minutes(10)))
struct RestartTests {
    private func harness() -> LogHarness {
        var harness = LogHarness(
            files: SimulatedFileSystem(directories: ["/data", LogHarness.directory]))
        harness.configuration.source = "kafka:9092"
        return harness
    }

    private func bytes(_ log: PartitionLog) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var next = log.logStart
        while let slice = try log.read(from: next, bytesMax: 1 << 20, bound: .logEnd) {
            bytes.append(slice.content.all)
            next = slice.nextOffset
        }
        return bytes
    }

    @Test(
        "a log begins anew before, within or behind what it had, and stays so over a power loss",
        arguments: [Int64(0), 3, 30, 1_000_000], [true, false])
    func restart(offset: Int64, isEmpty: Bool) throws {
        var generator = SeededGenerator.fromEnvironment()
        for _ in 0..<10 {
            var harness = harness()
            var log = try harness.open(recoveryPoint: Offset(10), logStart: Offset(10))
            if !isEmpty { try fillCopy(log, batches: 80, epoch: 3, producerID: 7) }
            var stored: (point: Offset, logStart: Offset) = (log.recoveryPoint, log.logStart)
            let waiting = Waiting(log)
            try log.restart(at: Offset(offset)) { [log] in
                stored = (log.recoveryPoint, log.logStart)
                #expect(stored.point <= Offset(max(offset, 10)))
            }
            #expect(log.logStart == Offset(offset) && log.logEnd == Offset(offset))
            #expect(log.highWatermark == Offset(offset) && log.recoveryPoint == Offset(offset))
            #expect(log.endOffset(forEpoch: LeaderEpoch(9)) == nil)
            #expect(try log.producerStates().isEmpty)
            #expect(try log.read(from: Offset(offset), bytesMax: 100) == nil)
            #expect(throws: LogError.self) { try log.read(from: Offset(offset + 1), bytesMax: 1) }
            // Of what was taken back, or is behind it now.
            if !isEmpty || offset > 10 { #expect(waiting.isTold) }
            // With what the checkpoints say, and no later ones.
            var files = try #require(harness.files as? SimulatedFileSystem)
            files = files.crash(choose: &generator)
            harness.files = files
            log = try harness.open(recoveryPoint: stored.point, logStart: stored.logStart)
            #expect(log.logStart == Offset(offset) && log.logEnd == Offset(offset))
            // It goes on there, in any epoch, and knows nothing of earlier producers.
            try fillCopy(log, batches: Int.random(in: 1...80, using: &generator), epoch: 1)
            let (whole, end) = (try bytes(log), log.logEnd)
            let point = log.recoveryPoint
            harness.files = files.crash(choose: &generator)
            let again = try harness.open(recoveryPoint: point, logStart: log.logStart)
            #expect(again.logStart == Offset(offset) && again.logEnd == end)
            #expect(try bytes(again) == whole)
            #expect(try again.producerStates().map(\.producerID) == [8])
            _ = try again.close()
        }
    }

    /// Somebody who waits for an offset far behind the end.
    private final class Waiting: Sendable {
        private let count = Atomic<Int>(0)
        var isTold: Bool { count.load(ordering: .acquiring) > 0 }

        init(_ log: PartitionLog) {
            log.logEndWatermark.whenReached(log.logEnd.advanced(by: 1)) { [self] _ in
                count.store(1, ordering: .releasing)
            }
        }
    }

    /// Appends batches of one record with gaps, behind the log end, and stores them.
    private func fillCopy(
        _ log: PartitionLog, batches: Int, epoch: Int32, producerID: Int64 = 8
    ) throws {
        for number in 0..<batches {
            var builder = try RecordBatchBuilder()
            try builder.append(key: nil, value: [UInt8(number)].span.bytes, timestamp: .none)
            var bytes: [UInt8] = []
            bytes.append(
                try builder.finish(
                    baseOffset: log.logEnd.advanced(by: Int64(number % 3)),
                    leaderEpoch: LeaderEpoch(epoch),
                    producer: BatchProducer(id: producerID, epoch: 0, baseSequence: Int32(number))))
            try log.copy(bytes)
        }
        try log.flush()
    }

    @Test("a beginning that fails or is cut off leaves a log that can begin anew")
    func interruptedRestart() throws {
        var generator = SeededGenerator.fromEnvironment()
        for offset in [Int64(0), 5_000] {
            for step in 0..<40 {
                var harness = harness()
                let files = try #require(harness.files as? SimulatedFileSystem)
                let log = try harness.open(recoveryPoint: Offset(10), logStart: Offset(10))
                try fillCopy(log, batches: 12, epoch: 0)
                var (point, start) = (log.recoveryPoint, log.logStart)
                files.plan(Fault(.error(EIO), after: step))
                let outcome = Result {
                    try log.restart(at: Offset(offset)) {
                        (point, start) = (log.recoveryPoint, log.logStart)
                    }
                }
                if case .success = outcome { (point, start) = (log.recoveryPoint, log.logStart) }
                harness.files = files.crash(choose: &generator)
                let again = try harness.open(recoveryPoint: point, logStart: start)
                try again.restart(at: Offset(offset)) {}
                try fillCopy(again, batches: 3, epoch: 0)
                #expect(again.logStart == Offset(offset) && again.logEnd > Offset(offset))
                _ = try again.close()
            }
        }
    }
}
