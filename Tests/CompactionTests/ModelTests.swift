import TallyCompaction
import TallyFiles
import TallyLog
import TallyRecords
import TallyTestSupport
import Testing

/// A log to which random things happen, and what it must show after each of them.
private struct Life {
    var harness: KeyedLog
    var log: PartitionLog
    var model = KeyedModel()
    var generator: SeededGenerator
    var now: Int64 = 10_000
    private var open: [Int64: (transaction: Int, first: Offset)] = [:]
    private var sequences: [Int64: Int32] = [:]
    private var transactionCount = 0
    private var keyCount: UInt8
    /// What readers had seen when they stopped, where, and when.
    private var readers: [(position: Offset, map: [[UInt8]: [UInt8]], time: Int64)] = []
    private(set) var removedRecordCount = 0

    init(_ generator: SeededGenerator) throws {
        self.generator = generator
        harness = KeyedLog()
        keyCount = UInt8.random(in: 1...30, using: &self.generator)
        harness.configuration.segmentBytesMax = Int.random(in: 450...2500, using: &self.generator)
        harness.dedupeByteCountMax = [0, 300, 2000, 1 << 20].randomElement(using: &self.generator)!
        log = try harness.open()
    }

    mutating func step() throws {
        now += Int64.random(in: 0...400, using: &generator)
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<40: try put(producerID: nil)
        case 40..<55: try put(producerID: Int64.random(in: 1...3, using: &generator))
        case 55..<65: try putInTransaction(of: Int64.random(in: 11...13, using: &generator))
        case 65..<75: try endTransaction()
        case 75..<80: try log.roll()
        case 80..<83: try reopen()
        case 83..<88: try startReader()
        default: try clean()
        }
        if Int.random(in: 0..<4, using: &generator) == 0 { try log.flush() }
    }

    private mutating func entries(_ transaction: Int? = nil) -> [Entry] {
        (0..<Int.random(in: 1...5, using: &generator)).map { _ in
            let isTombstone = Int.random(in: 0..<5, using: &generator) == 0
            return Entry(
                key: [UInt8.random(in: 0..<keyCount, using: &generator)],
                value: isTombstone
                    ? nil : generator.bytes(Int.random(in: 0...60, using: &generator)),
                timestamp: now - Int64.random(in: 0...500, using: &generator),
                transaction: transaction)
        }
    }

    private mutating func append(_ entries: [Entry], _ batch: KeyedBatch) throws {
        var batch = batch
        batch.codec = Codec.ofThisBuild.randomElement(using: &generator) ?? .none
        let result = try log.put(entries, batch)
        for (index, entry) in entries.enumerated() {
            model.entries[result.baseOffset.rawValue + Int64(index)] = entry
        }
    }

    private mutating func put(producerID: Int64?) throws {
        let entries = entries()
        try append(entries, KeyedBatch(producer: producer(producerID, entries.count)))
    }

    private mutating func producer(_ id: Int64?, _ count: Int) -> BatchProducer {
        guard let id else { return .none }
        let sequence = sequences[id] ?? 0
        sequences[id] = sequence + Int32(count)
        return BatchProducer(id: id, epoch: 0, baseSequence: sequence)
    }

    private mutating func putInTransaction(of id: Int64) throws {
        let transaction = open[id]?.transaction ?? transactionCount
        let entries = entries(transaction)
        let first = open[id]?.first ?? log.logEnd
        try append(
            entries, KeyedBatch(producer: producer(id, entries.count), isTransactional: true))
        if open[id] == nil { transactionCount += 1 }
        open[id] = (transaction, first)
    }

    private mutating func endTransaction() throws {
        guard let id = open.keys.sorted().randomElement(using: &generator),
            let transaction = open.removeValue(forKey: id)?.transaction
        else { return }
        let didCommit = Bool.random(using: &generator)
        if !didCommit { model.aborted.insert(transaction) }
        try log.end(id, didCommit: didCommit, at: now)
    }

    private mutating func reopen() throws {
        let isClean = Bool.random(using: &generator)
        let cleanedEnd = log.firstDirtyOffset
        if isClean {
            let end = try log.close()
            log = try harness.open(isClean: true, recoveryPoint: end, cleanedEnd: cleanedEnd)
        } else {
            try log.flush()
            let point = Bool.random(using: &generator) ? log.recoveryPoint : .zero
            log = try harness.open(
                recoveryPoint: point,
                cleanedEnd: Bool.random(using: &generator) ? cleanedEnd : .zero)
        }
        // A batch that is sent again is known; the next one is taken.
        for (id, sequence) in sequences.sorted(by: { $0.key < $1.key }) {
            let state = try log.producerStates().first { $0.producerID == id }
            #expect(state?.lastSequence == sequence - 1, "producer \(id)")
            #expect((state?.transactionStart != nil) == (open[id] != nil), "producer \(id)")
        }
    }

    private mutating func clean() throws {
        let report = try harness.clean(log, now: now)
        removedRecordCount += report.removedRecordCount
        #expect(report.cleanedEnd > report.firstDirty || !report.isPartial)
        log.removeRetiredFiles(now: nil)
        #expect(try harness.leftOvers() == [])
    }

    /// A reader that stops somewhere, and goes on some time later.
    private mutating func startReader() throws {
        let end = try log.lastStableOffset()
        let position = Offset(Int64.random(in: 0...end.rawValue, using: &generator))
        var map: [[UInt8]: [UInt8]] = [:]
        for (offset, entry) in try log.committed() where offset < position {
            map[entry.key] = entry.value
        }
        readers.append((position, map, now))
    }

    /// What must hold at any moment.
    mutating func check() throws {
        try log.flush()
        let end = try log.lastStableOffset()
        #expect(end == open.values.map(\.first).min() ?? log.logEnd)
        let found = try log.committed(bytesMax: Int.random(in: 1...3000, using: &generator))
        var last = Offset(-1)
        for (offset, entry) in found {
            #expect(offset > last)
            last = offset
            var original = try #require(model.entries[offset.rawValue])
            let isCommitted = model.isCommitted(original)
            #expect(isCommitted, "offset \(offset)")
            original.transaction = nil
            let isRight = entry == original
            #expect(isRight, "offset \(offset)")
        }
        let expected = model.map(before: end)
        let isMapRight = try log.readMap() == expected
        #expect(isMapRight, "the latest value of each key before \(end)")
        for reader in readers where now - reader.time < 1000 {
            var map = reader.map
            for (_, entry) in try log.committed(from: reader.position) {
                map[entry.key] = entry.value
            }
            let isRight = map == expected
            #expect(isRight, "a reader that had come to offset \(reader.position)")
        }
        readers.removeAll { now - $0.time >= 1000 }
    }
}

@Suite("A compacted log and its model", .verifiesLogs, .timeLimit(.minutes(10)))
struct ModelTests {
    @Test(
        "whatever happens, a reader comes to the latest value of each key", arguments: 0..<40)
    func life(number: Int) throws {
        var generator = SeededGenerator.fromEnvironment("life \(number)")
        for _ in 0..<number { _ = generator.next() }
        var life = try Life(generator)
        for step in 0..<120 {
            do {
                try life.step()
            } catch {
                Issue.record("step \(step): \(error)")
                return
            }
            if step % 3 == 0 { try life.check() }
        }
        try life.check()
        _ = try life.log.close()
    }
}
