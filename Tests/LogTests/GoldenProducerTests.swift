import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Producers that Kafka knew", .verifiesLogs)
struct GoldenProducerTests {
    /// Ways in which what Kafka wrote about its producers may be found.
    enum Snapshots: CaseIterable, Sendable { case kept, removed, damaged }

    private func open(
        _ topic: String, isClean: Bool, _ snapshots: Snapshots
    ) throws -> PartitionLog {
        let golden = try #require(Golden.all.first { $0.topic == topic })
        let files = SimulatedFileSystem(directories: ["/data"])
        try golden.copy(to: LogHarness.directory, on: files)
        for name in try files.list(LogHarness.directory) where name.hasSuffix(".snapshot") {
            let path = joinPath(LogHarness.directory, name)
            if snapshots == .removed { try files.remove(path) }
            if snapshots == .damaged { try files.open(path, .write).truncate(to: 9) }
        }
        let end = try #require(try golden.batches().last).header.nextOffset
        return try LogHarness(files: files, configuration: golden.configuration)
            .open(isClean: isClean, recoveryPoint: isClean ? end : .zero)
    }

    @Test(
        "the transactional producers, what they aborted, and the last stable offset",
        arguments: [true, false], Snapshots.allCases)
    func transactions(isClean: Bool, snapshots: Snapshots) throws {
        let log = try open("golden-transactions", isClean: isClean, snapshots)
        let states = try log.producerStates()
        #expect(states.map(\.producerID) == [1, 2])
        #expect(states.map(\.epoch) == [0, 0])
        #expect(states.map(\.lastSequence) == [24, 25])
        #expect(states.map(\.batches.last?.lastOffset) == [Offset(67), Offset(63)])
        #expect(states.map(\.coordinatorEpoch) == [0, 0])
        #expect(states.allSatisfy { $0.transactionStart == nil })
        #expect(try log.lastStableOffset() == Offset(71))
        let aborted = try log.abortedTransactions(in: .zero..<Offset(71))
        #expect(aborted.count == 3)
        #expect(try committedRecordCount(log, aborted) == 47)
        // A fetch is told of what concerns its own range only.
        for transaction in aborted {
            let range = transaction.firstOffset..<transaction.lastOffset
            #expect(try log.abortedTransactions(in: range).contains(transaction))
        }
    }

    @Test("the idempotent producer", arguments: [true, false], Snapshots.allCases)
    func idempotent(isClean: Bool, snapshots: Snapshots) throws {
        let log = try open("golden-idempotent", isClean: isClean, snapshots)
        let state = try #require(try log.producerStates().first)
        #expect(state.lastSequence == 299 && state.epoch == 0)
        #expect(try log.send(300, producerID: state.producerID).baseOffset == Offset(300))
        #expect(log.refusal(sequence: 302, producerID: state.producerID) != nil)
    }

    private func committedRecordCount(
        _ log: PartitionLog, _ aborted: [AbortedTransaction]
    ) throws -> Int {
        var count = 0
        try log.forEachRecord(from: .zero, bound: .lastStableOffset) { _, _, _ in count += 1 }
        // Kafka's count of records leaves out markers and what was aborted.
        var offset = Offset.zero
        while let slice = try log.read(from: offset, bytesMax: 1, bound: .lastStableOffset) {
            let header = try RecordBatch(slice.content.all).header
            let isAborted = aborted.contains {
                $0.producerID == header.producerID && $0.firstOffset <= header.baseOffset
                    && header.lastOffset < $0.lastOffset
            }
            if header.attributes.isControl || (isAborted && header.attributes.isTransactional) {
                count -= Int(header.recordCount)
            }
            offset = slice.nextOffset
        }
        return count
    }

    @Test("no snapshot, whatever its bytes, is more than a snapshot that is missing")
    func hostileSnapshots() throws {
        // Verifying so many logs that nothing happened to would take minutes.
        OpenedLogs.holdDamage()
        var generator = SeededGenerator.fromEnvironment()
        let golden = try #require(Golden.all.first { $0.topic == "golden-transactions" })
        let truth = try open("golden-transactions", isClean: true, .removed).producerStates()
            .map(\.lastSequence)
        for _ in 0..<60 {
            let files = SimulatedFileSystem(directories: ["/data"])
            try golden.copy(to: LogHarness.directory, on: files)
            for name in try files.list(LogHarness.directory) where name.hasSuffix(".snapshot") {
                let path = joinPath(LogHarness.directory, name)
                var bytes = try files.readWhole(path, byteCountMax: 1 << 20) ?? []
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes = generator.bytes(Int.random(in: 0..<200, using: &generator))
                case 1: bytes.removeLast(Int.random(in: 1...bytes.count, using: &generator))
                default:
                    let place = Int.random(in: 0..<bytes.count, using: &generator)
                    bytes[place] ^= UInt8.random(in: 1...255, using: &generator)
                }
                try files.replace(path, with: bytes)
            }
            let log = try LogHarness(files: files, configuration: golden.configuration)
                .open(isClean: true, recoveryPoint: Offset(71))
            #expect(try log.producerStates().map(\.lastSequence) == truth)
        }
        // With a checksum that is right it is believed; then it must only not be a trap.
        for _ in 0..<60 {
            let files = SimulatedFileSystem(directories: ["/data"])
            try golden.copy(to: LogHarness.directory, on: files)
            let path = joinPath(
                LogHarness.directory, SegmentName.file(Offset(71), .producerSnapshot))
            var bytes = try files.readWhole(path, byteCountMax: 1 << 20) ?? []
            for _ in 0..<4 {
                bytes[Int.random(in: 6..<bytes.count, using: &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
            }
            let body = Array(bytes[6...])
            let sum = Checksum.crc32c(body.span.bytes)
            for index in 0..<4 {
                bytes[2 + index] = UInt8(truncatingIfNeeded: sum >> (24 - 8 * index))
            }
            try files.replace(path, with: bytes)
            let log = try LogHarness(files: files, configuration: golden.configuration)
                .open(isClean: true, recoveryPoint: Offset(71))
            for producer in try log.producerStates() {
                _ = try? log.send(0, producerID: producer.producerID, epoch: producer.epoch)
                _ = try? log.send(1, producerID: producer.producerID, isTransactional: true)
                _ = try? log.end(producer.producerID, didCommit: false, epoch: producer.epoch)
            }
            try log.flush()
            _ = try log.lastStableOffset()
            _ = try log.close()
        }
    }
}
