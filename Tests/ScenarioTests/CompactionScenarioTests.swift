import Tally
import TallyStateStore
import TallyTestSupport
import Testing

/// A compacted topic holds the current state: a fresh node reads it from its beginning and has
/// what everybody else has, whether the cleaner has been there or not.
@Suite("Scenario: compaction", .timeLimit(.minutes(10)))
struct CompactionScenarioTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    // MARK: The application

    private func setUp(at path: String, partitions: Int) async throws -> Engine {
        let engine = try await GroupScenario.open(at: path)
        try await GroupScenario.createTopic(
            "inventory-current-state", partitions: partitions,
            [
                "cleanup.policy": "compact", "segment.bytes": "1000",
                "file.delete.delay.ms": "0", "delete.retention.ms": "0",
            ], in: engine)
        return engine
    }

    private func write(
        _ updates: [(key: String, value: String?)], to engine: Engine
    ) async throws {
        try await GroupScenario.send(updates, to: "inventory-current-state", in: engine)
    }

    /// What a fresh node found.
    private struct Bootstrap {
        var state: [String: String] = [:]
        var recordCount = 0
        var tombstoneCount = 0

        mutating func apply(_ records: ConsumedRecords) throws {
            try records.forEachRecord { record in
                recordCount += 1
                if record.value == nil { tombstoneCount += 1 }
                state[record.keyText ?? ""] = record.valueText
            }
        }
    }

    /// A node that was never here: a group of its own, which reads the topic from its beginning to
    /// where it ended when the node began, in each partition, and has the state then.
    private func bootstrap(
        _ node: String, in engine: Engine,
        afterFirst: () async throws -> Void = {}
    ) async throws -> Bootstrap {
        let topic = try engine.describeTopic("inventory-current-state")
        var missing: [Int32: Offset] = [:]
        for partition in topic.partitions where partition.highWatermark > partition.logStart {
            missing[partition.index] = partition.highWatermark
        }
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        configuration.reading.fetchBytesMax = 500
        let consumer = try engine.consumer(
            group: node, topics: ["inventory-current-state"], configuration)
        var found = Bootstrap()
        var iterator = consumer.makeAsyncIterator()
        var isFirst = true
        while !missing.isEmpty, let records = try await iterator.next() {
            try found.apply(records)
            try await consumer.commit(records)
            if isFirst { try await afterFirst() }
            isFirst = false
            if let end = missing[records.partition], records.nextOffset >= end {
                missing[records.partition] = nil
            }
        }
        try await consumer.close()
        return found
    }

    // MARK: Scenarios

    @Test("values and tombstones: the same state before, while and after old records go")
    func rebuilt() async throws {
        let engine = try await setUp(at: directory.path, partitions: 2)
        let items = (0..<10).map { "GOT:SKU-\($0)" }
        for round in 0..<12 { try await write(items.map { ($0, "\(round)") }, to: engine) }
        // Two items are discontinued, and one comes back.
        try await write([(items[3], nil), (items[4], nil), (items[4], "back")], to: engine)
        var expected = Dictionary(uniqueKeysWithValues: items.map { ($0, "11") })
        expected[items[3]] = nil
        expected[items[4]] = "back"

        let before = try await bootstrap("before", in: engine)
        #expect(before.state == expected)
        #expect(before.recordCount == 123, "nothing was cleaned yet")

        // The cleaner leaves the active segments alone: old records are still there.
        let cleaned = try await engine.compact(topic: "inventory-current-state")
        #expect(cleaned.map(\.removedRecordCount).reduce(0, +) > 50)
        let between = try await bootstrap("between", in: engine)
        #expect(between.state == expected)
        #expect(between.recordCount > items.count && between.recordCount < 123)

        // A tombstone stays for delete.retention.ms (0 here) after the cleaning that met it.
        for _ in 0..<2 {
            try await engine.compact(topic: "inventory-current-state", rolling: true)
        }
        let after = try await bootstrap("after", in: engine)
        #expect(after.state == expected)
        #expect(after.recordCount == expected.count, "one record an item, and no tombstone")
        #expect(after.tombstoneCount == 0)

        // Groups that were through before keep their place: offsets stay what they were.
        try await write([(items[0], "12")], to: engine)
        expected[items[0]] = "12"
        #expect(try await bootstrap("latest", in: engine).state == expected)
        try await engine.close()
    }

    @Test("a node that bootstraps while the cleaner works has the state all the same")
    func meanwhile() async throws {
        let engine = try await setUp(at: directory.path, partitions: 1)
        let items = (0..<10).map { "GOT:SKU-\($0)" }
        for round in 0..<12 { try await write(items.map { ($0, "\(round)") }, to: engine) }
        try await write([(items[3], nil)], to: engine)
        var expected = Dictionary(uniqueKeysWithValues: items.map { ($0, "11") })
        expected[items[3]] = nil
        // It has read some of the oldest records when all of them are cleaned away. The deleted
        // item is not resurrected, though the node has met its old value.
        let node = try await bootstrap("node", in: engine) {
            try await engine.compact(topic: "inventory-current-state", rolling: true)
        }
        #expect(node.state == expected)
        #expect(node.recordCount < 121)
        try await engine.close()
    }

    // MARK: Many histories

    @Test("random updates, tombstones, cleanings and restarts: each fresh node has the state")
    func histories() async throws {
        var generator = SeededGenerator.fromEnvironment()
        for round in 0..<4 {
            let path = directory.path("round-\(round)")
            let partitions = Int.random(in: 1...3, using: &generator)
            var engine = try await setUp(at: path, partitions: partitions)
            var expected: [String: String] = [:]
            for step in 0..<30 {
                switch Int.random(in: 0..<8, using: &generator) {
                case 0:
                    try await engine.compact(
                        topic: "inventory-current-state",
                        rolling: Bool.random(using: &generator))
                case 1:
                    try await engine.close()
                    engine = try await GroupScenario.open(at: path)
                case 2:
                    let isCleaning = Bool.random(using: &generator)
                    let node = try await bootstrap("node-\(step)", in: engine) {
                        guard isCleaning else { return }
                        try await engine.compact(
                            topic: "inventory-current-state", rolling: true)
                    }
                    #expect(node.state == expected, "round \(round), step \(step)")
                default:
                    var updates: [(key: String, value: String?)] = []
                    for _ in 0..<Int.random(in: 1...15, using: &generator) {
                        let key = "SKU-\(Int.random(in: 0..<8, using: &generator))"
                        let isDeleted = Int.random(in: 0..<5, using: &generator) == 0
                        let value =
                            isDeleted ? nil : "\(UInt16.random(in: 0...9999, using: &generator))"
                        updates.append((key, value))
                        expected[key] = value
                    }
                    try await write(updates, to: engine)
                }
            }
            #expect(try await bootstrap("last", in: engine).state == expected)
            try await engine.close()
        }
    }
}
