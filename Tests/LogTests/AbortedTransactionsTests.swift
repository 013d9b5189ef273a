import TallyLog
import TallyRecords
import Testing

@Suite struct AbortedTransactionsTests {
    private struct Log {
        var transactions = AbortedTransactions()
        var next: Int64 = 0
        var headers: [RecordBatchHeader] = []

        mutating func add(
            _ count: Int32, producer: Int64 = -1, isTransactional: Bool = true,
            control: ControlRecord.Kind? = nil
        ) {
            let header = RecordBatchHeader(
                baseOffset: Offset(next), sizeInBytes: 100, partitionLeaderEpoch: LeaderEpoch(0),
                attributes: BatchAttributes(
                    isTransactional: isTransactional, isControl: control != nil),
                lastOffsetDelta: count - 1, baseTimestamp: .none, maxTimestamp: .none,
                producerID: producer, recordCount: count)
            headers.append(header)
            next += Int64(count)
            transactions.note(
                header, control: control.map { ControlRecord($0, coordinatorEpoch: 0) })
        }

        /// Base offsets of the batches that an isolation level is shown.
        func shown(_ isolation: IsolationLevel) -> [Int64] {
            headers.filter { transactions.shows($0, to: isolation) }.map(\.baseOffset.rawValue)
        }
    }

    @Test("interleaved transactions are kept apart by their producers")
    func interleaved() {
        var log = Log()
        log.add(5, isTransactional: false)  // 0
        log.add(3, producer: 1)  // 5
        log.add(2, producer: 2)  // 8
        log.add(1, producer: 1)  // 10
        #expect(log.transactions.lastStableOffset == Offset(5))
        log.add(1, producer: 1, control: .abort)  // 11
        #expect(log.transactions.lastStableOffset == Offset(8))
        log.add(4, isTransactional: false)  // 12
        log.add(2, producer: 1)  // 16
        log.add(1, producer: 2, control: .commit)  // 18
        #expect(log.transactions.lastStableOffset == Offset(16))
        log.add(1, producer: 1, control: .commit)  // 19
        #expect(log.transactions.lastStableOffset == Offset(20))
        #expect(log.shown(.readCommitted) == [0, 8, 12, 16])
        #expect(log.shown(.readUncommitted) == [0, 5, 8, 10, 12, 16])
        #expect(
            log.transactions.aborted == [
                AbortedTransaction(
                    producerID: 1, firstOffset: Offset(5), lastOffset: Offset(11),
                    lastStableOffset: Offset(8))
            ])
    }

    @Test("nothing at or behind the last stable offset is committed yet")
    func open() {
        var log = Log()
        log.add(1, isTransactional: false)
        log.add(1, producer: 7)
        log.add(1, isTransactional: false)
        #expect(log.shown(.readCommitted) == [0])
        #expect(log.shown(.readUncommitted) == [0, 1, 2])
    }

    @Test("an idempotent producer's batches outside transactions are never aborted")
    func idempotent() {
        var log = Log()
        log.add(1, producer: 7)
        log.add(1, producer: 7, control: .abort)
        log.add(1, producer: 7, isTransactional: false)
        #expect(log.shown(.readCommitted) == [2])
    }

    @Test("markers without a transaction, and of unknown kinds, end nothing")
    func strayMarkers() {
        var log = Log()
        log.add(1, producer: 3, control: .abort)
        log.add(1, producer: 3)
        log.add(1, producer: 3, control: .unknown(type: 9))
        log.add(1, producer: 4, control: .commit)
        #expect(log.transactions.lastStableOffset == Offset(1))
        #expect(log.transactions.aborted.isEmpty)
    }

    @Test("many aborted transactions of one producer are each found")
    func many() {
        var log = Log()
        for round in 0..<100 {
            log.add(2, producer: 1)
            log.add(1, producer: 1, control: round.isMultiple(of: 3) ? .commit : .abort)
        }
        let shown = log.shown(.readCommitted)
        #expect(shown == (0..<100).filter { $0.isMultiple(of: 3) }.map { Int64($0 * 3) })
    }

    @Test("offsets that fall make no range, and no trap")
    func fallingOffsets() {
        var log = Log()
        log.next = 100
        log.add(1, producer: 1)
        log.next = 5
        log.add(1, producer: 1, control: .abort)
        #expect(log.transactions.aborted.isEmpty)
    }

    @Test("the golden transactions are what their transaction index says")
    func golden() throws {
        let report = try GoldenPartition("golden-transactions-0").verify()
        #expect(
            report.transactions.aborted.map(\.firstOffset.rawValue) == [16, 47, 58])
        #expect(report.transactions.aborted.map(\.lastOffset.rawValue) == [26, 52, 64])
        #expect(report.transactions.aborted.map(\.lastStableOffset.rawValue) == [27, 27, 65])
    }
}
