import Tally
import Testing

@testable import TallyStateStore

@Suite("The projector and transactions")
struct ProjectorTransactionTests {
    private static func event(_ quantity: Int) -> String {
        "{\"eventType\":\"STOCK_RECEIVED\",\"quantity\":\(quantity),\"recordedAt\":0}"
    }

    @Test("what was aborted never happened, and what is undecided has not happened yet")
    func isolation() async throws {
        let directory = try ScratchDirectory()
        var configuration = EngineConfiguration()
        configuration.state = .sqlite
        let engine = try await Engine.open(at: directory.path, configuration: configuration)
        try await engine.createTopic("stock", partitions: 1)
        var writing = ProducerConfiguration()
        writing.transactionalID = "t"
        let producer = try engine.producer(writing)
        try await producer.initTransactions()
        let database = try #require(engine.stateDatabase)
        let projector = InventoryProjector(engine: engine, database: database)
        func send(_ quantity: Int) async throws {
            try producer.beginTransaction()
            _ = try await producer.send(key: "W:I", value: Self.event(quantity), to: "stock")
        }
        func onHand() async throws -> Int64? {
            try await projector.catchUp(topic: "stock")
            return try InventoryQueries(database).stock().first?.onHand
        }

        try await send(1)
        try await producer.commitTransaction()
        try await send(10)
        try await producer.abortTransaction()
        #expect(try await onHand() == 1)
        try await send(100)
        #expect(try await onHand() == 1)
        try await producer.commitTransaction()
        #expect(try await onHand() == 101)
        try await projector.rebuild(topic: "stock")
        #expect(try await onHand() == 101)
        #expect(try InventoryQueries(database).totals().events == 2)
        let lag = try await projector.catchUp(topic: "stock").lag
        #expect(lag == 0, "markers are passed over")
        try await engine.close()
    }
}
