import TallyFiles
import TallyRecords
import TallyTestSupport
import Testing

@testable import TallyLog

/// A log with producers and transactions, two of them aborted, in several segments; closed.
struct TransactionalLog {
    let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
    var harness: LogHarness
    var end = Offset.zero
    /// The directory's files by name.
    var contents: [String: [UInt8]] = [:]
    /// What readers of committed records leave out.
    var aborted: [AbortedTransaction] = []

    init() throws {
        harness = LogHarness(files: files)
        harness.configuration.segmentBytesMax = 600
        let log = try harness.open()
        for round in Int32(0)..<8 {
            _ = try log.send(round * 2, count: 2, producerID: 1)
            _ = try log.send(round, producerID: 2, isTransactional: true)
            if round % 2 == 1 { try log.end(2, didCommit: round % 4 == 3) }
        }
        aborted = try log.abortedTransactions(in: .zero..<log.logEnd)
        end = try log.close()
        contents = try LogTests.contents(of: LogHarness.directory, on: files)
    }

    /// The files as they are now, on a file system of their own.
    func install() throws -> LogHarness {
        let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        for (name, bytes) in contents {
            try files.replace(joinPath(LogHarness.directory, name), with: bytes)
        }
        var harness = harness
        harness.files = files
        return harness
    }
}

@Suite("Repair of what is known of producers")
struct RepairProducerTests {
    private func repair(_ log: TransactionalLog, _ harness: LogHarness) -> LogRepair {
        LogRepair(
            of: harness.directory, on: harness.files,
            checkpoint: PartitionCheckpoint(isClean: true, recoveryPoint: log.end),
            indexIntervalBytes: harness.configuration.indexIntervalBytes)
    }

    enum Damage: CaseIterable, Sendable {
        case missing, empty, torn, zeroFilled, garbage, anotherSegments, flipped
    }

    @Test(
        "a transaction index or snapshot that is damaged is built again as it was",
        arguments: Damage.allCases)
    func rebuilt(_ damage: Damage) throws {
        let template = try TransactionalLog()
        let names = template.contents.keys.filter {
            $0.hasSuffix(".txnindex") || $0.hasSuffix(".snapshot")
        }.sorted()
        #expect(names.count { $0.hasSuffix(".txnindex") } == 2)
        for (index, name) in names.enumerated() {
            var log = template
            var bytes = try #require(log.contents[name])
            let isSnapshot = name.hasSuffix(".snapshot")
            switch damage {
            case .missing: log.contents[name] = nil
            case .empty: bytes = []
            case .torn: bytes.removeLast(5)
            case .zeroFilled: bytes = Array(repeating: 0, count: bytes.count)
            case .garbage: bytes = bytes.indices.map { UInt8(truncatingIfNeeded: $0 &* 151 &+ 3) }
            case .anotherSegments:
                let others = names.filter { $0.hasSuffix(isSnapshot ? ".snapshot" : ".txnindex") }
                let own = try #require(others.firstIndex(of: name))
                // A later one's: an earlier snapshot is a sound one, only old.
                bytes = try #require(log.contents[others[(own + 1) % others.count]])
                if isSnapshot, own == others.count - 1 { continue }
            case .flipped: bytes[bytes.count / 2] ^= 1
            }
            if damage != .missing { log.contents[name] = bytes }
            let harness = try log.install()
            let plan = try repair(log, harness).plan()
            // Of snapshots only the newest saves anybody anything: older ones may be missing.
            let isMissed = damage != .missing || !isSnapshot
            #expect(plan.steps.isEmpty != isMissed, "\(name) \(index) \(plan)")
            #expect(plan.mendsEverything)
            guard isMissed else { continue }
            try repair(log, harness).apply(plan)
            let now = try contents(of: harness.directory, on: harness.files)
            #expect(now == template.contents, "\(name)")
            #expect(try repair(log, harness).plan().steps.isEmpty)
        }
    }

    @Test("where no snapshot is left, that of the last segment's beginning is made")
    func noSnapshots() throws {
        let template = try TransactionalLog()
        var log = template
        for name in log.contents.keys where name.hasSuffix(".snapshot") {
            log.contents[name] = nil
        }
        let harness = try log.install()
        let plan = try repair(log, harness).plan()
        #expect(plan.steps.count == 1)
        try repair(log, harness).apply(plan)
        let last = try #require(SegmentName.baseOffsets(among: Array(log.contents.keys)).last)
        let name = SegmentName.file(last, .producerSnapshot)
        let now = try contents(of: harness.directory, on: harness.files)
        #expect(now[name] == template.contents[name] && now[name] != nil)
        #expect(now.count == log.contents.count + 1)
        #expect(try repair(log, harness).plan().steps.isEmpty)
    }

    @Test("after a cut no abort and no producer speaks of what is gone")
    func cut() throws {
        let template = try TransactionalLog()
        for base in SegmentName.baseOffsets(among: Array(template.contents.keys)) {
            var log = template
            let name = SegmentName.file(base, .log)
            var position = 0
            let bytes = try #require(log.contents[name])
            while position < bytes.count {
                let header = try RecordBatchHeader(decoding: bytes.span.bytes, at: position)
                log.contents[name] = bytes
                log.contents[name]?[position + 17] ^= 1
                try expectCut(log, at: header.baseOffset)
                position += header.sizeInBytes
            }
        }
    }

    private func expectCut(_ log: TransactionalLog, at end: Offset) throws {
        let harness = try log.install()
        let repair = repair(log, harness)
        let plan = try repair.plan(cuttingFrom: end)
        #expect(plan.mendsEverything, "\(plan)")
        try repair.apply(plan)
        let lone = LogRepair(
            of: harness.directory, on: harness.files,
            checkpoint: PartitionCheckpoint(isClean: true, recoveryPoint: end),
            indexIntervalBytes: harness.configuration.indexIntervalBytes)
        let left = try lone.plan()
        #expect(left.steps.isEmpty, "\(left)")
        let opened = try harness.open(isClean: true, recoveryPoint: end)
        let kept = log.aborted.filter { $0.lastOffset < end }
        #expect(try opened.abortedTransactions(in: .zero..<Offset(.max)) == kept)
        for producer in try opened.producerStates() {
            #expect(producer.batches.allSatisfy { $0.lastOffset < end })
            let next = producer.lastSequence + 1
            #expect(opened.refusal(sequence: next + 5, producerID: producer.producerID) != nil)
            _ = try opened.send(
                next, producerID: producer.producerID,
                isTransactional: producer.transactionStart != nil)
        }
        _ = try opened.close()
        #expect(LogVerification.damage(in: harness.directory, on: harness.files).isEmpty)
    }
}
