import Glibc
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Producers with sequences", .verifiesLogs, .timeLimit(.minutes(10)))
struct ProducerStateTests {
    private func harness() -> LogHarness {
        LogHarness(files: SimulatedFileSystem(directories: ["/data", LogHarness.directory]))
    }

    /// Ways to find the log again.
    enum Reopening: CaseIterable, Sendable {
        case none, afterCleanStop, afterCrash, withoutSnapshots, withDamagedSnapshots
    }

    private func reopen(
        _ log: PartitionLog, _ harness: inout LogHarness, _ way: Reopening
    ) throws -> PartitionLog {
        let files = try #require(harness.files as? SimulatedFileSystem)
        switch way {
        case .none: return log
        case .afterCrash:
            try log.flush()
            harness.files = files.crash(keeping: .nothing)
            return try harness.open()
        case .afterCleanStop, .withoutSnapshots, .withDamagedSnapshots:
            let end = try log.close()
            for name in try files.list(harness.directory) where name.hasSuffix(".snapshot") {
                let path = joinPath(harness.directory, name)
                if way == .withoutSnapshots { try files.remove(path) }
                if way == .withDamagedSnapshots {
                    try files.open(path, .write).write(all: [0xFF] as [UInt8], at: 7)
                }
            }
            return try harness.open(isClean: true, recoveryPoint: end)
        }
    }

    @Test("a batch that is sent again is answered with its offsets", arguments: Reopening.allCases)
    func duplicates(way: Reopening) throws {
        var harness = harness()
        var log = try harness.open()
        var results: [AppendResult] = []
        for sequence in 0..<7 {
            results.append(try log.send(Int32(sequence * 2), count: 2))
            // Others in between change nothing.
            try log.append(values: [[9]])
        }
        log = try reopen(log, &harness, way)
        let end = log.logEnd
        // A snapshot holds the newest batch only, and so does Kafka's.
        let known = way == .afterCleanStop ? 6...6 : 2...6
        for number in known {
            let again = try log.send(Int32(number * 2), count: 2)
            #expect(again.isDuplicate)
            #expect(again.baseOffset == results[number].baseOffset)
            #expect(again.nextOffset == results[number].nextOffset)
        }
        // One that is older than the last five, and one that is none of them.
        #expect(log.refusal(sequence: 2, count: 2) == .outOfOrderSequence(expected: 14))
        #expect(log.refusal(sequence: 12, count: 1) == .outOfOrderSequence(expected: 14))
        #expect(log.logEnd == end)
        let next = try log.send(14, count: 1)
        #expect(!next.isDuplicate && next.baseOffset == end)
    }

    @Test("gaps and old epochs are refused, and nothing is written", arguments: Reopening.allCases)
    func refusals(way: Reopening) throws {
        var harness = harness()
        var log = try harness.open()
        _ = try log.send(0, count: 3, epoch: 2)
        log = try reopen(log, &harness, way)
        let end = log.logEnd
        #expect(log.refusal(sequence: 4, epoch: 2) == .outOfOrderSequence(expected: 3))
        #expect(log.refusal(sequence: 0, epoch: 2) == .outOfOrderSequence(expected: 3))
        #expect(log.refusal(sequence: 3, epoch: 1) == .invalidProducerEpoch(current: 2))
        #expect(log.refusal(sequence: 3, epoch: 3) == .outOfOrderSequence(expected: 0))
        #expect(log.logEnd == end)
        _ = try log.send(0, epoch: 3)
        #expect(log.refusal(sequence: 3, epoch: 2) == .invalidProducerEpoch(current: 3))
        // Who is not known may begin anywhere.
        _ = try log.send(77, producerID: 8)
    }

    @Test("sequences go on at 0 behind the largest")
    func wrapping() throws {
        let log = try harness().open()
        _ = try log.send(.max - 1, count: 4)
        #expect(log.refusal(sequence: 0) == .outOfOrderSequence(expected: 2))
        #expect(try log.send(.max - 1, count: 4).isDuplicate)
        _ = try log.send(2, count: .init(1))
        _ = try log.send(3)
        let other = try harness().open()
        _ = try other.send(.max)
        _ = try other.send(0)
    }

    @Test("one batch at a time: sequences of several in one append are refused")
    func several() throws {
        let log = try harness().open()
        let one = try ProducerBatches.batch(0, count: 1)
        var two = one + (try ProducerBatches.batch(1, count: 1))
        #expect(throws: LogError.self) { try two.append(to: log) }
        #expect(log.logEnd == .zero)
    }

    @Test("a producer that was silent for long is forgotten, unless its transaction is open")
    func expiry() throws {
        var harness = harness()
        harness.configuration.producerExpirationMilliseconds = 1000
        let log = try harness.open()
        _ = try log.send(0, timestamp: 5000)
        _ = try log.send(0, producerID: 2, isTransactional: true, timestamp: 5000)
        func known(_ now: Int64) throws -> [Int64] {
            log.expireProducers(now: Timestamp(milliseconds: now))
            return try log.producerStates().map(\.producerID)
        }
        #expect(try known(5000) == [1, 2])
        #expect(try known(5999) == [1, 2])
        #expect(try known(6000) == [2])
        _ = try log.send(40)
        // Events that are years old: silence counts by our clock, and from the last batch on.
        #expect(try known(9_000_000) == [1, 2])
        _ = try log.send(41)
        #expect(try known(9_000_999) == [1, 2])
        #expect(try known(9_001_998) == [1, 2])
        // A clock that goes backwards forgets nobody.
        #expect(try known(0) == [1, 2])
        #expect(try known(9_001_999) == [2])
    }

    @Test(
        "each batch is stored once, whatever fails and however often it is sent again",
        arguments: [true, false])
    func exactlyOnce(isPowerLoss: Bool) throws {
        var generator = SeededGenerator.fromEnvironment()
        for _ in 0..<60 {
            var files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
            var harness = LogHarness(files: files)
            var log = try harness.open()
            var sequence: Int32 = 0
            while sequence < 40 {
                let code = [EIO, ENOSPC].randomElement(using: &generator) ?? EIO
                files.plan(Fault(.error(code), after: Int.random(in: 0..<60, using: &generator)))
                do {
                    // Sent, and sent again without waiting for what became of it.
                    for _ in 0..<2 { _ = try log.send(sequence) }
                    try log.flush()
                    sequence += 1
                } catch {
                    files.clearFaults()
                    files = isPowerLoss ? files.crash(choose: &generator) : files.processCrash()
                    harness.files = files
                    log = try harness.open()
                }
            }
            files.clearFaults()
            #expect(try log.values().map { $0.first } == (0..<40).map { UInt8($0) })
        }
    }
}
