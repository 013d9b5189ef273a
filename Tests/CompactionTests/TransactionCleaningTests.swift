import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// Transactions, markers and sequences through cleanings.
@Suite("Transactions and sequences in a compacted log", .verifiesLogs)
struct TransactionCleaningTests {
    private func entry(_ key: UInt8, _ value: UInt8) -> Entry {
        Entry(key: [key], value: [value], timestamp: 0)
    }

    private func put(
        _ log: PartitionLog, _ producer: Int64, _ sequence: Int32, _ entries: [Entry],
        isTransactional: Bool = true
    ) throws -> AppendResult {
        try log.put(
            entries,
            KeyedBatch(
                producer: BatchProducer(id: producer, epoch: 0, baseSequence: sequence),
                isTransactional: isTransactional))
    }

    @discardableResult
    private func clean(
        _ harness: KeyedLog, _ log: PartitionLog, now: Int64
    ) throws -> CleaningReport {
        try log.roll()
        try log.flush()
        return try harness.clean(log, now: now)
    }

    /// The offsets of the markers that are there, and of those with a horizon.
    private func markers(_ log: PartitionLog) throws -> (all: [Int64], dated: [Int64]) {
        let all = try log.headers().filter { $0.attributes.isControl && $0.recordCount > 0 }
        return (
            all.map(\.baseOffset.rawValue),
            all.filter { $0.deleteHorizon != nil }.map(\.baseOffset.rawValue)
        )
    }

    @Test(
        "the records of an aborted transaction go, and readers of what is committed see no change")
    func aborted() throws {
        let harness = KeyedLog()
        let log = try harness.open()
        _ = try put(log, 1, 0, [entry(1, 1)])
        _ = try put(log, 2, 0, [entry(1, 2), entry(2, 2)])
        try log.end(1, didCommit: true)
        try log.end(2, didCommit: false)
        _ = try put(log, 1, 1, [entry(3, 3)])
        _ = try put(log, 2, 2, [entry(3, 4)])
        try log.end(1, didCommit: true)
        try log.end(2, didCommit: true)
        try log.flush()
        let before = try log.committed().map(\.0)
        #expect(before == [0, 5, 6].map { Offset($0) })
        for now in [Int64(0), 500, 2_000, 4_000] {
            try clean(harness, log, now: now)
            // Offset 5 is an older record of the key of offset 6.
            #expect(try log.committed().map(\.0) == [0, 6].map { Offset($0) })
            var all: [Int64] = []
            try log.forEachOffset { all.append($0) }
            #expect(all == [0, 6])
        }
        _ = try log.close()
    }

    @Test("a marker stays while a batch of its transaction does, then until its horizon")
    func markers() throws {
        let harness = KeyedLog()
        let log = try harness.open()
        _ = try put(log, 1, 0, [entry(1, 1)])
        try log.end(1, didCommit: true)
        try clean(harness, log, now: 0)
        // The producer's newest batch, and its marker, stay.
        #expect(try markers(log) == ([1], []))
        // Then it is neither: another one overwrites the key, and the producer goes on.
        _ = try put(log, 1, 1, [entry(1, 2)])
        try log.end(1, didCommit: true)
        try clean(harness, log, now: 1_000)
        #expect(try markers(log) == ([1, 3], []))
        try clean(harness, log, now: 2_000)
        #expect(try markers(log) == ([1, 3], [1]))
        try clean(harness, log, now: 2_999)
        #expect(try markers(log) == ([1, 3], [1]))
        try clean(harness, log, now: 3_000)
        #expect(try markers(log) == ([3], []))
        #expect(try log.committed().map(\.0) == [Offset(2)])
        _ = try log.close()
    }

    @Test("a transaction that is open keeps everything from its first offset on from being cleaned")
    func openTransaction() throws {
        let harness = KeyedLog()
        let log = try harness.open()
        for number in 0..<3 {
            try log.put([entry(1, UInt8(number))])
            try log.roll()
        }
        let first = try put(log, 9, 0, [entry(5, 5)]).baseOffset
        try log.roll()
        for number in 0..<3 {
            try log.put([entry(1, UInt8(number))])
            try log.roll()
        }
        let report = try clean(harness, log, now: 0)
        #expect(report.cleanedEnd == first)
        var all: [Int64] = []
        try log.forEachOffset { all.append($0) }
        #expect(all == [2, 3, 4, 5, 6])
        try log.end(9, didCommit: true)
        #expect(try clean(harness, log, now: 0).cleanedEnd > first)
        #expect(try log.committed().map(\.0) == [3, 6].map { Offset($0) })
        _ = try log.close()
    }

    @Test(
        "a batch sent again is known after a cleaning without any snapshot, and the next is taken"
    )
    func sequences() throws {
        for isTransactional in [false, true] {
            let harness = KeyedLog()
            var log = try harness.open()
            _ = try put(log, 4, 0, [entry(1, 1), entry(2, 1)], isTransactional: isTransactional)
            let last = try put(log, 4, 2, [entry(1, 2)], isTransactional: isTransactional)
            if isTransactional { try log.end(4, didCommit: false) }
            // Nothing of the producer's is left.
            try log.put([entry(1, 9), entry(2, 9)])
            for now in [Int64(0), 5_000, 9_000] { try clean(harness, log, now: now) }
            #expect(try log.committed().count == 2)
            _ = try log.close()
            for name in try harness.files.list(harness.directory) where name.hasSuffix(".snapshot")
            {
                try harness.files.remove(joinPath(harness.directory, name))
            }
            log = try harness.open()
            let again = try put(log, 4, 2, [entry(1, 2)], isTransactional: isTransactional)
            #expect(again.isDuplicate)
            #expect(again.baseOffset == last.baseOffset)
            #expect(throws: LogError.self) {
                try put(log, 4, 9, [entry(1, 2)], isTransactional: isTransactional)
            }
            let next = try put(log, 4, 3, [entry(1, 3)], isTransactional: isTransactional)
            #expect(!next.isDuplicate)
            if isTransactional { try log.end(4, didCommit: true) }
            _ = try log.close()
        }
    }

    @Test("a reader that holds aborted records from before a cleaning still learns that they are")
    func heldAborted() throws {
        let harness = KeyedLog()
        let log = try harness.open()
        _ = try put(log, 1, 0, [entry(1, 1)])
        try log.end(1, didCommit: false)
        _ = try put(log, 1, 1, [entry(2, 2)])
        try log.end(1, didCommit: true)
        try log.flush()
        let slice = try #require(try log.read(from: .zero, bytesMax: 10_000))
        try clean(harness, log, now: 0)
        let aborted = try log.abortedTransactions(in: .zero..<slice.nextOffset)
        #expect(aborted.map(\.firstOffset) == [.zero])
        _ = try log.close()
    }

    @Test("a log whose transaction index is gone is not cleaned, and says why")
    func withoutIndex() throws {
        let harness = KeyedLog()
        var log = try harness.open()
        _ = try put(log, 1, 0, [entry(1, 1)])
        try log.end(1, didCommit: false)
        try log.roll()
        try log.put([entry(2, 2)])
        let end = try log.close()
        let index = SegmentName.file(.zero, .transactionIndex)
        let bytes = try harness.files.readWhole(
            joinPath(harness.directory, index), byteCountMax: 1 << 10)
        try harness.files.remove(joinPath(harness.directory, index))
        log = try harness.open(isClean: true, recoveryPoint: end)
        let reason = try harness.reasonNotCleanable(log)
        #expect(reason?.contains("transaction index") == true)
        #expect(try harness.leftOvers() == [])
        // Put back, it cleans.
        _ = try log.close()
        try harness.files.replace(joinPath(harness.directory, index), with: try #require(bytes))
        log = try harness.open(isClean: true, recoveryPoint: log.recoveryPoint)
        try clean(harness, log, now: 0)
        #expect(try log.committed().map(\.1) == [entry(2, 2)])
        _ = try log.close()
    }

    @Test("no snapshot stays that knows a transaction to be open whose marker is gone")
    func staleSnapshot() throws {
        let harness = KeyedLog()
        var log = try harness.open()
        try log.put([entry(1, 0)])
        try log.roll()
        _ = try put(log, 11, 0, [entry(1, 1)])
        try log.flush()
        // Stores what is known of producers, the open transaction too.
        try harness.clean(log, now: 0)
        let stale = log.logEnd
        try log.end(11, didCommit: true)
        _ = try put(log, 11, 1, [entry(1, 2)], isTransactional: false)
        for now in [Int64(0), 5_000, 9_000] { try clean(harness, log, now: now) }
        #expect(try markers(log).all == [])
        // The newer ones are lost.
        for name in try harness.files.list(harness.directory) {
            guard let offset = SegmentName.baseOffset(of: name, .producerSnapshot) else { continue }
            if offset > stale { try harness.files.remove(joinPath(harness.directory, name)) }
        }
        log = try harness.open(recoveryPoint: log.recoveryPoint)
        #expect(try log.lastStableOffset() == log.logEnd)
        let known = try log.producerStates()
        #expect(known.map(\.transactionStart) == [nil])
        #expect(known.map(\.lastSequence) == [1])
        _ = try log.close()
    }

    @Test(
        "a snapshot that is kept is one of those that the log's segments begin with, or the newest")
    func snapshots() throws {
        let harness = KeyedLog()
        var log = try harness.open()
        _ = try put(log, 4, 0, [entry(1, 1)], isTransactional: false)
        try log.put([entry(1, 9)])
        try log.roll()
        try log.put([entry(3, 3)])
        try log.flush()
        try harness.clean(log, now: 0)
        // That of the cleaning, in the middle of no segment's beginning; and one from a future that
        // a crash took back.
        let newest = try #require(
            try harness.files.list(harness.directory).filter { $0.hasSuffix(".snapshot") }.max())
        let bytes = try #require(
            try harness.files.readWhole(
                joinPath(harness.directory, newest), byteCountMax: 1 << 10))
        let path = SegmentName.file(Offset(900), .producerSnapshot)
        try harness.files.replace(joinPath(harness.directory, path), with: bytes)
        try log.flush()
        log = try harness.open()
        let names = try harness.files.list(harness.directory)
        #expect(names.contains(newest))
        #expect(!names.contains(path))
        _ = try log.close()
    }
}

extension PartitionLog {
    /// The offset of each record that is there, whoever may see it.
    fileprivate func forEachOffset(_ body: (Int64) -> Void) throws {
        var decoder = RecordDecoder()
        var offset = logStart
        while let slice = try read(from: offset, bytesMax: 1000, bound: .logEnd) {
            let bytes = slice.content.all
            var position = 0
            while position < bytes.byteCount {
                let batch = try RecordBatch(bytes, at: position)
                position += batch.header.sizeInBytes
                if batch.header.attributes.isControl { continue }
                try decoder.forEachRecord(in: batch) { body($0.offset.rawValue) }
            }
            offset = slice.nextOffset
        }
    }
}
