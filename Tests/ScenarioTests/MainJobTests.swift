import Foundation
import Tally
import TallyImport
import TallyStateStore
import TallyTestSupport
import Testing

/// The main job: a year of real sales into the log, and out of it into stock.
@Suite("The main job")
struct MainJobTests {
    @Test("the stock of every key of the real data is the negated sum of its sales")
    func realData() async throws {
        let temporary = try TemporaryDirectory()
        let directory = temporary.path("data")
        let engine = try await Engine.open(at: directory)
        try await fill(engine, rows: .max)
        let database = try StateDatabase(directory: directory)
        let projector = InventoryProjector(engine: engine, database: database)
        let done = try await projector.catchUp(topic: "inventory-events")
        #expect(done.records == 541_909)
        #expect(done.lag == 0)
        #expect(done.deadLetters == 0)
        let queries = InventoryQueries(database)
        try expectOracle(queries)

        // A rebuild beside the live rows gives the same rows.
        let before = try queries.stock()
        try await projector.rebuild(topic: "inventory-events")
        #expect(try queries.stock() == before)
        #expect(try database.verify() == [])
        try database.close()

        // So does a rebuild after state.db was deleted altogether.
        for ending in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: directory + "/state.db" + ending)
        }
        let fresh = try StateDatabase(directory: directory)
        try await InventoryProjector(engine: engine, database: fresh)
            .rebuild(topic: "inventory-events")
        #expect(try InventoryQueries(fresh).stock() == before)
        try await engine.close()
    }

    @Test("a projection of a topic that was deleted and created again says so")
    func replacedTopic() async throws {
        let temporary = try TemporaryDirectory()
        let directory = temporary.path("data")
        let engine = try await Engine.open(at: directory)
        try await fill(engine, rows: 10)
        let database = try StateDatabase(directory: directory)
        let projector = InventoryProjector(engine: engine, database: database)
        try await projector.catchUp(topic: "inventory-events")
        try await engine.deleteTopic("inventory-events")
        try await fill(engine, rows: 1000)
        // The new topic reaches every stored position: only its identity tells.
        let error = await #expect(throws: StateStoreError.self) {
            try await projector.catchUp(topic: "inventory-events")
        }
        guard case .topicReplaced = error else {
            Issue.record("\(String(describing: error)) is not what happened")
            return
        }
        try await projector.rebuild(topic: "inventory-events")
        #expect(try InventoryQueries(database).totals().events == 1000)
        try await engine.close()
    }

    private func fill(_ engine: Engine, rows rowsMax: Int) async throws {
        try await engine.createTopic(
            "inventory-events", partitions: 12,
            configuration: TopicConfiguration([
                "retention.ms": "-1", "segment.ms": "\(Int64.max)", "segment.bytes": "300000",
            ]))
        var configuration = ProducerConfiguration()
        configuration.compression = .lz4
        configuration.batchBytes = 64 << 10
        configuration.lingerMilliseconds = 50
        let producer = try engine.producer(configuration)
        var rows = try ImportRows(
            source: ByteInput(path: Fixtures.path("online-retail.csv.lz4")),
            options: ImportOptions(
                key: "{Country}:{StockCode}", delta: "-{Quantity}", time: "{InvoiceDate}"))
        while try fill(producer, &rows, rowsMax) { try await producer.waitForRoom() }
        try await producer.flush()
    }

    private func fill(
        _ producer: Producer, _ rows: inout ImportRows, _ rowsMax: Int
    ) throws -> Bool {
        while !producer.isFull {
            guard rows.rowCount < rowsMax, let row = try rows.next() else { return false }
            try producer.enqueue(
                topic: "inventory-events", key: row.key, value: row.value,
                timestamp: Timestamp(milliseconds: row.timestampMilliseconds))
        }
        return true
    }

    /// Compares with sums that were worked out with other tools.
    private func expectOracle(_ queries: InventoryQueries) throws {
        var expected: [String: (quantity: Int64, events: Int64)] = [:]
        var reader = CSVReader(
            source: try ByteInput(path: Fixtures.path("online-retail-final-quantity.csv.lz4")))
        _ = try reader.readHeader()
        while try reader.next() {
            let fields = reader.fields.map { String(decoding: reader.buffer[$0], as: UTF8.self) }
            expected["\(fields[0]):\(fields[1])"] = (
                try #require(Int64(fields[2])), try #require(Int64(fields[3]))
            )
        }
        let levels = try queries.stock()
        #expect(levels.count == 19_839)
        #expect(expected.count == 19_839)
        for level in levels {
            let wanted = expected["\(level.warehouse):\(level.item)"]
            if wanted?.quantity != -level.onHand || wanted?.events != level.events {
                Issue.record("\(level) is not what the oracle says: \(String(describing: wanted))")
            }
        }
    }
}
