import Synchronization
import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// What a cleaning says when it is over, and what it does when the log changes under it.
@Suite("What a cleaning tells, and a log that changes meanwhile", .verifiesLogs)
struct CleaningEndsTests {
    @discardableResult
    private func clean(
        _ harness: KeyedLog, _ log: PartitionLog, now: Int64, pace: Pace = .free
    ) throws -> CleaningReport {
        try log.roll()
        try log.flush()
        return try harness.clean(log, now: now, pace: pace)
    }

    @Test("a horizon that is over is nothing to wait for, though its batch has it still")
    func pastHorizon() throws {
        let harness = KeyedLog()
        let log = try harness.open()
        // One batch: the record that stays keeps the horizon of the tombstone beside it.
        try log.put([
            Entry(key: [1], value: [1], timestamp: 0), Entry(key: [2], value: nil, timestamp: 0),
        ])
        let first = try clean(harness, log, now: 0)
        #expect(first.firstDeleteHorizon == Timestamp(milliseconds: 1_000))
        let second = try clean(harness, log, now: 1_000)
        #expect(second.removedRecordCount == 1)
        #expect(second.firstDeleteHorizon == nil)
        #expect(try clean(harness, log, now: 2_000).firstDeleteHorizon == nil)
        #expect(try log.headers().first?.deleteHorizon == Timestamp(milliseconds: 1_000))
        _ = try log.close()
    }

    @Test("what is truncated while a cleaning is under way makes nothing old")
    func truncated() throws {
        let harness = KeyedLog()
        let log = try harness.open()
        // A segment each: one group each.
        let (first, second) = (String(repeating: "1", count: 1000), "2")
        for key in ["a", "b"] {
            try log.put(key, first)
            try log.roll()
        }
        try log.put("a", second + first)
        try log.roll()
        try log.flush()
        // The keys are three batches; then the first segment is being written.
        let steps = Steps()
        let pace = Pace { _ in
            if steps.next() == 4 { steps.note(end: try? log.truncate(to: Offset(2)) {}) }
            return true
        }
        try harness.clean(log, now: 0, pace: pace)
        #expect(steps.end == Offset(2))
        #expect(
            try log.readMap()
                == [Array("a".utf8): Array(first.utf8), Array("b".utf8): Array(first.utf8)])
        // And what comes anew was not looked at.
        #expect(log.firstDirtyOffset <= Offset(2))
        _ = try log.close()
    }

    @Test(
        "segments that retention takes while they are read end a cleaning, and are no failure",
        arguments: 1...8)
    func retired(step: Int) throws {
        let harness = KeyedLog()
        let log = try harness.open()
        let filler = String(repeating: "1", count: 1000)
        for key in ["a", "b", "c", "a"] {
            try log.put(key, filler)
            try log.roll()
        }
        try log.flush()
        let steps = Steps()
        // Of the first four steps each reads a batch for its key.
        let pace = Pace { _ in
            guard steps.next() == step else { return true }
            _ = try? log.deleteRecords(before: Offset(3))
            _ = try? log.enforceRetention(now: Timestamp(milliseconds: 0))
            log.removeRetiredFiles(now: nil)
            steps.note(end: log.logStart)
            return true
        }
        try harness.clean(log, now: 0, pace: pace)
        #expect(steps.end == Offset(3))
        #expect(try harness.leftOvers() == [])
        try harness.clean(log, now: 0)
        #expect(try log.readMap() == [Array("a".utf8): Array(filler.utf8)])
        #expect(log.firstDirtyOffset == Offset(4))
        _ = try log.close()
    }

    @Test("what is about to be truncated counts as dirty before a checkpoint is written for it")
    func truncatedAfterwards() throws {
        let harness = KeyedLog()
        let log = try harness.open()
        for number in 0..<5 { try log.put("a", "\(number)") }
        try clean(harness, log, now: 0)
        #expect(log.firstDirtyOffset == Offset(5))
        // Of the cleaned log the only batch with a record, and the empty one before it, go.
        var stored: Offset?
        let end = try log.truncate(to: Offset(2)) { stored = log.firstDirtyOffset }
        #expect(stored == end && log.firstDirtyOffset == end)
        _ = try log.close()
    }

    @Test("a transaction index of which nothing is left is no file, and nothing to build again")
    func emptyTransactionIndex() throws {
        let harness = KeyedLog()
        let events = Rebuilt()
        let log = try harness.open { events.note($0) }
        let producer = BatchProducer(id: 1, epoch: 0, baseSequence: 0)
        try log.put(
            [Entry(key: [1], value: [1], timestamp: 0)],
            KeyedBatch(producer: producer, isTransactional: true))
        try log.end(1, didCommit: false)
        try log.put(
            [Entry(key: [2], value: [1], timestamp: 0)],
            KeyedBatch(
                producer: BatchProducer(id: 1, epoch: 0, baseSequence: 1), isTransactional: true))
        try log.end(1, didCommit: true)
        for now in [Int64(0), 1, 2, 3] { try clean(harness, log, now: now) }
        #expect(try log.committed().map(\.0) == [Offset(2)])
        #expect(events.names == [])
        #expect(!(try harness.files.list(harness.directory)).contains { $0.hasSuffix(".txnindex") })
        _ = try log.close()
    }

    private final class Steps: Sendable {
        private let state = Mutex((count: 0, end: Offset?.none))

        func next() -> Int {
            state.withLock { state in
                state.count += 1
                return state.count
            }
        }

        func note(end: Offset?) { state.withLock { $0.end = end } }

        var end: Offset? { state.withLock { $0.end } }
    }

    /// The indexes that were built again, with the reason.
    private final class Rebuilt: Sendable {
        private let list = Mutex<[String]>([])

        func note(_ event: LogEvent) {
            if case .rebuiltIndexes(_, let file, let reason) = event {
                list.withLock { $0.append("\(file): \(reason)") }
            }
        }

        var names: [String] { list.withLock { $0 } }
    }
}
