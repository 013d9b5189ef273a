import Tally
import TallyImport
import TallyTestSupport
import Testing

@testable import TallyCommand

/// How a year of real sales spreads over partitions: evenly by country and item, and not by
/// country alone.
@Suite("Scenario: distribution", .timeLimit(.minutes(10)))
struct DistributionScenarioTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private static let partitionCount = 12

    // MARK: The application

    /// The real sales, under a key made of their columns.
    private func importSales(key: String, into topic: String, _ engine: Engine) async throws {
        try await GroupScenario.createTopic(topic, partitions: Self.partitionCount, in: engine)
        var configuration = ProducerConfiguration()
        configuration.compression = .lz4
        configuration.batchBytes = 64 << 10
        configuration.lingerMilliseconds = 50
        let producer = try engine.producer(configuration)
        var rows = try ImportRows(
            source: ByteInput(path: Fixtures.path("online-retail.csv.lz4")),
            options: ImportOptions(key: key, delta: "-{Quantity}", time: "{InvoiceDate}"))
        while let row = try rows.next() {
            if producer.isFull { try await producer.waitForRoom() }
            try producer.enqueue(
                topic: topic, key: row.key, value: row.value,
                timestamp: Timestamp(milliseconds: row.timestampMilliseconds))
        }
        try await producer.flush()
    }

    /// Counts the records and bytes of each partition, and the heaviest keys in bounded memory.
    private func survey(_ topic: String, in engine: Engine) async throws -> TopicSkew {
        let count = try engine.describeTopic(topic).partitions.count
        var skew = TopicSkew(partitionCount: count, isCompacted: false, counterCount: 1000)
        let all = ConsumerConfiguration(end: .currentEnd)
        for try await records in try engine.consumer(of: topic, all) {
            try records.forEachRecord { record in
                skew.note(
                    partition: Int(records.partition), key: record.key,
                    byteCount: (record.key?.byteCount ?? 0) + (record.value?.byteCount ?? 0))
            }
        }
        return skew
    }

    /// A group reads each partition by the same number of records at most; how far behind it is
    /// then, by partition.
    private func lag(
        _ topic: String, readingEach count: Int64, in engine: Engine
    ) async throws -> [Int32: Int64] {
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        let consumer = try engine.consumer(group: "readers", topics: [topic], configuration)
        var iterator = consumer.makeAsyncIterator()
        _ = try await iterator.next()
        for partition in try engine.describeTopic(topic).partitions {
            let id = TopicPartition(topic: topic, partition: partition.index)
            let end = min(partition.highWatermark, Offset(count))
            try await consumer.commit([id: OffsetToCommit(offset: end)])
            try await consumer.seek(id, to: .offset(end))
        }
        let lag = consumer.lag
        try await consumer.close()
        return Dictionary(uniqueKeysWithValues: lag.map { ($0.key.partition, $0.value) })
    }

    /// Sales of each key, by country and item, that were counted with other tools.
    private func oracle() throws -> [(country: String, item: String, count: Int)] {
        var found: [(country: String, item: String, count: Int)] = []
        var reader = CSVReader(
            source: try ByteInput(path: Fixtures.path("online-retail-final-quantity.csv.lz4")))
        _ = try reader.readHeader()
        while try reader.next() {
            let fields = reader.fields.map { String(decoding: reader.buffer[$0], as: UTF8.self) }
            found.append((fields[0], fields[1], try #require(Int(fields[3]))))
        }
        return found
    }

    // MARK: Scenarios

    @Test("by country and item the real sales spread evenly, and so does the lag of a group")
    func even() async throws {
        let engine = try await GroupScenario.open(at: directory.path)
        try await importSales(key: "{Country}:{StockCode}", into: "sales", engine)
        let skew = try await survey("sales", in: engine)
        #expect(skew.recordCount == 541_909)
        let counts = skew.parts.map(\.recordCount)
        #expect(skew.cause == .none)
        #expect(skew.ratio < 1.2)
        // The heaviest keys are those that were counted with other tools.
        let heaviest = try oracle().sorted { $0.count > $1.count }.prefix(3)
        let found = skew.keys.heaviest(3)
        #expect(found.map(\.element.text) == heaviest.map { "\($0.country):\($0.item)" })
        for (found, counted) in zip(found, heaviest) {
            #expect(found.countMin <= counted.count && counted.count <= found.count)
        }
        let lag = try await lag("sales", readingEach: 30_000, in: engine)
        #expect(lag.count == Self.partitionCount)
        for (partition, count) in counts.enumerated() {
            #expect(lag[Int32(partition)] == Int64(count - 30_000))
        }
        try await engine.close()
    }

    @Test("by country alone one partition has nine tenths of it, and a group is late there only")
    func hot() async throws {
        let engine = try await GroupScenario.open(at: directory.path)
        try await importSales(key: "{Country}", into: "sales", engine)
        let skew = try await survey("sales", in: engine)
        let british = try oracle().filter { $0.country == "United Kingdom" }.map(\.count)
            .reduce(0, +)
        // Where the key goes is every Kafka client's business: it is the same for all of them.
        let hot = try await engine.producer().send(
            key: "United Kingdom", value: "the next one", to: "sales")
        #expect(skew.cause == .hotKey)
        #expect(skew.keys.heaviest(1).map(\.element.text) == ["United Kingdom"])
        #expect(skew.keys.heaviest(1).map(\.count) == [british])
        #expect(skew.busiest?.index == hot.partition)
        #expect(skew.busiestShare > 0.9 && skew.ratio > 10)
        let lag = try await lag("sales", readingEach: 30_000, in: engine)
        #expect(lag.filter { $0.value > 0 }.map(\.key) == [hot.partition])
        #expect(lag[hot.partition] ?? 0 > 400_000)
        try await engine.close()
    }

    // MARK: Many loads

    @Test("random loads with a key that is too heavy: the key and its partition are found")
    func loads() async throws {
        var generator = SeededGenerator.fromEnvironment()
        let engine = try await GroupScenario.open(at: directory.path)
        for round in 0..<10 {
            let partitions = Int.random(in: 2...8, using: &generator)
            let keyCount = Int.random(in: 200...2000, using: &generator)
            let hotKey = "SKU-\(Int.random(in: 0..<keyCount, using: &generator))"
            // Of all records, in percent: more than the other keys leave to be mistaken about.
            let share = Int.random(in: 45...90, using: &generator)
            try await GroupScenario.createTopic(
                "load-\(round)", partitions: partitions, in: engine)
            let records = (0..<4000).map { _ in
                let isHot = Int.random(in: 0..<100, using: &generator) < share
                let any = "SKU-\(Int.random(in: 0..<keyCount, using: &generator))"
                return ProducerRecord(
                    topic: "load-\(round)", key: isHot ? hotKey : any, value: "12345678")
            }
            var expected: [Int32: Int] = [:]
            var hotPartition: Int32?
            for (record, outcome) in zip(records, await (try engine.producer()).send(records)) {
                let partition = try outcome.get().partition
                expected[partition, default: 0] += 1
                guard record.key == Array(hotKey.utf8) else { continue }
                #expect(hotPartition == nil || hotPartition == partition)
                hotPartition = partition
            }
            let skew = try await survey("load-\(round)", in: engine)
            for part in skew.parts { #expect(part.recordCount == expected[part.index] ?? 0) }
            #expect(skew.busiest?.index == hotPartition, "round \(round)")
            #expect(skew.keys.heaviest(1).map(\.element.text) == [hotKey], "round \(round)")
            if skew.ratio > TopicSkew.ratioMax { #expect(skew.cause == .hotKey) }
        }
        try await engine.close()
    }

    // MARK: Many interleavings

    @Test(
        "members come and go: each partition has one reader, shares are even, lag is by partition")
    func interleavings() async throws {
        try await forEachInterleaving(5) { seed in
            var generator = SeededGenerator(seed: seed)
            let group = try await SteppedGroup(
                in: directory.path("\(seed)"), seed: seed,
                partitionCount: Int.random(in: 2...7, using: &generator), reset: .earliest)
            var readers = Readers(share: Int.random(in: 50...80, using: &generator))
            do {
                for _ in 0..<20 {
                    try await step(group, &readers)
                    // Each partition's lag, by itself, is what was sent less what was committed.
                    try await group.expectLags()
                }
                try await expectLate(group, &readers)
                try await readAll(group, &readers)
                try await expectSkew(group)
            } catch {
                Issue.record("\(error)\n\(group.told)")
            }
            try await group.close()
        }
    }

    /// What the members of a group have read.
    private struct Readers {
        /// Of all records so many, in percent, have one key.
        let share: Int
        var hotPartition: Int?
        /// How often each record was read, by its partition and offset.
        var counts: [[Int]: Int] = [:]
        /// Whether somebody died with records read and not committed.
        var hasDeath = false
    }

    private static let hotKey = "SKU-0"

    private func step(_ group: SteppedGroup, _ readers: inout Readers) async throws {
        switch Int.random(in: 0..<10, using: &group.generator) {
        case 0..<3:
            for _ in 0..<Int.random(in: 5...15, using: &group.generator) {
                let isHot = Int.random(in: 0..<100, using: &group.generator) < readers.share
                let any = "SKU-\(Int.random(in: 1...40, using: &group.generator))"
                let partition = try await group.send(key: isHot ? Self.hotKey : any)
                if isHot { readers.hotPartition = partition }
            }
        case 3, 4:
            guard group.members.count < 5 else { break }
            try await group.join(commitsWhatIsTaken: true)
        case 5:
            guard let member = group.anyMember() else { break }
            try await group.leave(member)
        case 6:
            guard let member = group.anyMember() else { break }
            readers.hasDeath = true
            try await group.die(member)
        default:
            for _ in 0..<Int.random(in: 1...10, using: &group.generator) {
                let partition = Int.random(in: group.partitions.indices, using: &group.generator)
                try await read(partition, group, &readers)
            }
        }
    }

    private func read(
        _ partition: Int, _ group: SteppedGroup, _ readers: inout Readers
    ) async throws {
        guard let (member, records) = try await group.read(partition) else { return }
        readers.counts[[partition, Int(records.startOffset.rawValue)], default: 0] += 1
        try group.note(handled: records, by: member)
        guard Int.random(in: 0..<4, using: &group.generator) == 0 else { return }
        try await group.commit(records, by: member)
    }

    /// All are as quick as each other: the partition of the heavy key is the one that is late.
    private func expectLate(_ group: SteppedGroup, _ readers: inout Readers) async throws {
        if group.members.isEmpty { try await group.join(commitsWhatIsTaken: true) }
        for _ in 0..<30 { _ = try await group.send(key: Self.hotKey) }
        for index in group.partitions.indices where index != readers.hotPartition {
            while group.partitions[index].position != group.partitions[index].end {
                try await read(index, group, &readers)
            }
        }
        try await group.commitHandled()
        let lags = try await group.engine.lag(ofGroup: SteppedGroup.group)
        let late = lags.filter { ($0.lag ?? $0.logEnd?.rawValue ?? 0) >= 30 }.map {
            Int($0.partition.partition)
        }
        #expect(late == [readers.hotPartition], group.told)
        try await group.expectLags()
    }

    /// The rest is read, by as many members as there are; nobody is behind, and nothing was left
    /// out, nor read twice where nobody died.
    private func readAll(_ group: SteppedGroup, _ readers: inout Readers) async throws {
        for partition in group.partitions.indices {
            while group.partitions[partition].position != group.partitions[partition].end {
                try await read(partition, group, &readers)
            }
            for offset in 0..<group.partitions[partition].end {
                let count = readers.counts[[partition, offset]] ?? 0
                #expect(readers.hasDeath ? count >= 1 : count == 1, group.told)
            }
        }
        try await group.commitHandled()
        try await group.expectLags()
        let lags = try await group.engine.lag(ofGroup: SteppedGroup.group)
        #expect(lags.allSatisfy { $0.lag == 0 || $0.logEnd == .zero }, group.told)
    }

    private func expectSkew(_ group: SteppedGroup) async throws {
        let skew = try await survey(SteppedGroup.topic, in: group.engine)
        #expect(skew.parts.map(\.recordCount) == group.partitions.map(\.end), group.told)
        #expect(skew.keys.heaviest(1).map(\.element.text) == [Self.hotKey], group.told)
    }
}
