import Glibc
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

@Suite("Transactions in the log", .verifiesLogs, .timeLimit(.minutes(10)))
struct TransactionTests {
    private func harness() -> LogHarness {
        LogHarness(files: SimulatedFileSystem(directories: ["/data", LogHarness.directory]))
    }

    private func committed(_ log: PartitionLog) throws -> [UInt8] {
        let end = try log.lastStableOffset()
        let aborted = try log.abortedTransactions(in: .zero..<end)
        var values: [UInt8] = []
        var offset = Offset.zero
        var decoder = RecordDecoder()
        while let slice = try log.read(
            from: offset, bytesMax: 1 << 20, bound: .lastStableOffset)
        {
            var position = 0
            while position < slice.content.all.byteCount {
                let batch = try RecordBatch(slice.content.all, at: position)
                let header = batch.header
                position += header.sizeInBytes
                let isAborted = aborted.contains {
                    $0.producerID == header.producerID && $0.firstOffset <= header.baseOffset
                        && header.baseOffset <= $0.lastOffset
                }
                if header.attributes.isControl { continue }
                if header.attributes.isTransactional, isAborted { continue }
                try decoder.forEachRecord(in: batch) { record in
                    values.append(record.value?.unsafeLoad(as: UInt8.self) ?? 0)
                }
            }
            offset = slice.nextOffset
        }
        return values
    }

    @Test("readers of what is committed stop at the first open transaction, and skip aborted ones")
    func isolation() throws {
        let log = try harness().open()
        _ = try log.send(1, producerID: 1, isTransactional: true)  // 0
        _ = try log.send(2, producerID: 2, isTransactional: true)  // 1
        try log.append(values: [[3]])  // 2
        try log.flush()
        #expect(try log.lastStableOffset() == .zero)
        try log.end(2, didCommit: false)  // 3
        try log.flush()
        #expect(try log.lastStableOffset() == .zero)
        _ = try log.send(3, producerID: 2, isTransactional: true)  // 4
        try log.end(1, didCommit: true)  // 5
        try log.flush()
        #expect(try log.lastStableOffset() == Offset(4))
        #expect(try committed(log) == [1, 3])
        #expect(
            try log.abortedTransactions(in: .zero..<Offset(4)) == [
                AbortedTransaction(
                    producerID: 2, firstOffset: Offset(1), lastOffset: Offset(3),
                    lastStableOffset: .zero)
            ])
        #expect(try log.abortedTransactions(in: .zero..<Offset(1)).isEmpty)
        #expect(try log.abortedTransactions(in: Offset(4)..<Offset(6)).isEmpty)
        try log.end(2, didCommit: true)
        try log.flush()
        #expect(try committed(log) == [1, 3, 3])
        #expect(try log.lastStableOffset() == log.highWatermark)
    }

    @Test("where an open transaction begins before the log, committed records end at its start")
    func startDeleted() throws {
        let log = try harness().open()
        _ = try log.send(1, producerID: 1, isTransactional: true)  // 0
        try log.append(values: [[2]])  // 1
        try log.flush()
        _ = try log.deleteRecords(before: Offset(1))
        #expect(try log.lastStableOffset() == Offset(1))
        let slice = try log.read(from: Offset(1), bytesMax: 1, bound: .lastStableOffset)
        #expect(slice == nil)
        try log.end(1, didCommit: false)
        try log.flush()
        #expect(try log.lastStableOffset() == Offset(3))
    }

    @Test(
        "what a torn transaction index said before the newest snapshot is not lost",
        arguments: [5, 64 << 20])
    func tornIndex(tail: Int64) throws {
        let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
        let harness = LogHarness(files: files)
        var log = try harness.open()
        _ = try log.send(1, producerID: 1, isTransactional: true)  // 0
        try log.end(1, didCommit: false)  // 1
        let end = try log.close()
        log = try harness.open(isClean: true, recoveryPoint: end)
        try log.append(values: [[2]])  // 2
        try log.flush()
        let index = try files.open(
            LogHarness.directory + "/00000000000000000000.txnindex", .write)
        try index.truncate(to: index.byteCount() + tail)
        let again = try harness.open(recoveryPoint: end)
        #expect(try committed(again) == [2])
    }

    @Test("a marker that readers may not see yet does not free what it ends")
    func undecided() throws {
        let log = try harness().open()
        _ = try log.send(0, isTransactional: true)
        try log.flush()
        try log.end(1, didCommit: true)
        #expect(log.highWatermark == Offset(1))
        #expect(try log.lastStableOffset() == .zero)
        try log.flush()
        #expect(try log.lastStableOffset() == Offset(2))
    }

    @Test("in an open transaction only its own batches are taken; old coordinators are refused")
    func refusals() throws {
        let log = try harness().open()
        _ = try log.send(0, isTransactional: true)
        #expect(log.refusal(sequence: 1) == .invalidTransactionState)
        try log.end(1, didCommit: true, coordinatorEpoch: 5)
        _ = try log.send(1)
        #expect(throws: LogError.self) { try log.end(1, didCommit: true, coordinatorEpoch: 4) }
        let end = log.logEnd
        // A marker of a new epoch fences the old one.
        try log.end(1, didCommit: false, epoch: 1, coordinatorEpoch: 5)
        #expect(log.refusal(sequence: 2) == .invalidProducerEpoch(current: 1))
        #expect(throws: LogError.self) { try log.end(1, didCommit: true, coordinatorEpoch: 5) }
        #expect(log.logEnd == end.advanced(by: 1))
        _ = try log.send(0, epoch: 1, isTransactional: true)
    }

    /// What the log makes of a marker of producer 1 as a coordinator sends it.
    private func outcome(
        _ log: PartitionLog, coordinatorEpoch: Int32 = 0, attempt: Int64?
    ) -> LogError? {
        do {
            try log.end(
                1, didCommit: true, coordinatorEpoch: coordinatorEpoch,
                order: attempt.map { .init(attempt: $0) })
            return nil
        } catch {
            return error as? LogError
        }
    }

    @Test("a marker that comes behind a later one does not end the next transaction (KIP-1228)")
    func lateMarkers() throws {
        let log = try harness().open()
        func isOutdated(_ error: LogError?) -> Bool {
            guard case .producer(let refusal) = error else { return false }
            return refusal.reason == .markerOutdated
        }
        _ = try log.send(0, isTransactional: true)
        #expect(outcome(log, attempt: 7) == nil)
        _ = try log.send(1, isTransactional: true)
        // The one before, which was given up; and the same twice.
        let end = log.logEnd
        #expect(isOutdated(outcome(log, attempt: 6)))
        #expect(isOutdated(outcome(log, attempt: 7)))
        #expect(log.logEnd == end)
        try log.flush()
        #expect(try log.lastStableOffset() == Offset(2))
        #expect(outcome(log, attempt: 8) == nil)
        try log.flush()
        #expect(try log.lastStableOffset() == Offset(4))
        // Each coordinator counts by itself, and Kafka's do not count.
        #expect(outcome(log, attempt: nil) == nil)
        #expect(isOutdated(outcome(log, attempt: 8)))
        #expect(outcome(log, coordinatorEpoch: 1, attempt: 1) == nil)
        #expect(isOutdated(outcome(log, coordinatorEpoch: 1, attempt: 1)))
    }

    /// What may happen to the files that tell of aborted transactions.
    enum IndexDamage: CaseIterable, Sendable {
        case none, removed, zeros, torn, extra
    }

    private func damage(_ files: SimulatedFileSystem, _ damage: IndexDamage) throws {
        for name in try files.list(LogHarness.directory) where name.hasSuffix(".txnindex") {
            let path = joinPath(LogHarness.directory, name)
            let size = try #require(try files.information(path)?.byteCount)
            switch damage {
            case .none: break
            case .removed: try files.remove(path)
            case .zeros:
                let zeros = [UInt8](repeating: 0, count: Int(size))
                try files.open(path, .write).write(all: zeros, at: 0)
            case .torn: try files.open(path, .write).truncate(to: size - 5)
            case .extra:
                try files.open(path, .write).write(all: [1, 2, 3] as [UInt8], at: size)
            }
        }
    }

    @Test(
        "after any stop the same is committed, whatever became of the transaction indexes",
        arguments: IndexDamage.allCases, [true, false])
    func reopening(damaged: IndexDamage, isClean: Bool) throws {
        // Nobody can tell a file that was removed after a clean stop from one that never was.
        if damaged == .removed, isClean { return }
        var generator = SeededGenerator.fromEnvironment()
        for _ in 0..<10 {
            let files = SimulatedFileSystem(directories: ["/data", LogHarness.directory])
            var harness = LogHarness(files: files)
            var log = try harness.open()
            var life = TransactionLife()
            try life.run(steps: 60, on: log, using: &generator)
            try log.flush()
            #expect(try committed(log) == life.committed)
            #expect(log.segments.count > 2)
            if isClean {
                let end = try log.close()
                try damage(files, damaged)
                log = try harness.open(isClean: true, recoveryPoint: end)
            } else {
                // A checkpoint in the middle, as housekeeping writes them.
                let point = Int64.random(in: 0...log.logEnd.rawValue, using: &generator)
                let crashed = files.crash(choose: &generator)
                try damage(crashed, damaged == .none ? .none : damaged)
                harness.files = crashed
                let recoveryPoint = damaged == .none ? Offset(point) : .zero
                log = try harness.open(recoveryPoint: recoveryPoint)
            }
            #expect(try committed(log) == life.committed, "\(damaged)")
            try life.run(steps: 20, on: log, using: &generator)
            try life.endAll(on: log)
            try log.flush()
            #expect(try committed(log) == life.committed)
            _ = try log.close()
        }
    }
}

/// Transactions of a few producers, and what is committed of them.
private struct TransactionLife {
    private var sequences: [Int64: Int32] = [:]
    /// Open ones: values with the offsets they have.
    private var open: [Int64: [(Offset, UInt8)]] = [:]
    private var settled: [(Offset, UInt8)] = []

    mutating func run(
        steps: Int, on log: PartitionLog, using generator: inout SeededGenerator
    ) throws {
        for _ in 0..<steps {
            let producer = Int64.random(in: 1...3, using: &generator)
            if open[producer] != nil, Int.random(in: 0..<3, using: &generator) == 0 {
                try end(producer, didCommit: Bool.random(using: &generator), on: log)
            } else if Int.random(in: 0..<5, using: &generator) == 0 {
                let result = try log.append(values: [[200]])
                settled.append((result.baseOffset, 200))
            } else {
                let sequence = sequences[producer, default: 0]
                let result = try log.send(
                    sequence, producerID: producer, isTransactional: true)
                sequences[producer] = sequence + 1
                let value = UInt8(truncatingIfNeeded: sequence)
                open[producer, default: []].append((result.baseOffset, value))
            }
        }
    }

    mutating func end(_ producer: Int64, didCommit: Bool, on log: PartitionLog) throws {
        try log.end(producer, didCommit: didCommit)
        let values = open.removeValue(forKey: producer) ?? []
        if didCommit { settled += values }
    }

    mutating func endAll(on log: PartitionLog) throws {
        for producer in open.keys { try end(producer, didCommit: true, on: log) }
    }

    /// The values below the first open transaction, in the order of their offsets.
    var committed: [UInt8] {
        let stable = open.values.compactMap { $0.first?.0 }.min() ?? Offset(.max)
        return settled.filter { $0.0 < stable }.sorted { $0.0 < $1.0 }.map(\.1)
    }
}
