import Tally
import TallyStateStore
import Testing

@testable import InventoryPlatform

@Suite("Stock and channels", .timeLimit(.minutes(5)))
struct StockTests {
    @Test("the platform's ledger and Tally's projection make the same of the same events")
    func projection() async throws {
        var generator = SeededGenerator()
        let shop = try await TestShop(in: TestDirectory())
        let producer = try shop.engine.producer()
        for number in 0..<300 {
            let kind = try #require(StockEvent.Kind.allCases.randomElement(using: &generator))
            let quantity =
                number % 50 == 49 ? Int64.max : Int64.random(in: 0...20, using: &generator)
            let event = StockEvent(
                kind, quantity: quantity, at: Timestamp(milliseconds: Int64(number)),
                channel: "web",
                decision: ["HIDDEN", "SELLABLE"].randomElement(using: &generator))
            _ = try await producer.send(
                ProducerRecord(
                    topic: Topics.events,
                    key: Array("W:\(Int.random(in: 0..<5, using: &generator))".utf8),
                    value: try JSON.bytes(event)))
        }
        let database = try #require(shop.platform.database)
        try await InventoryProjector(engine: shop.engine, database: database)
            .catchUp(topic: Topics.events)
        let ledger = try await shop.ledger()
        for level in try InventoryQueries(database).stock() {
            let item = ledger["\(level.warehouse):\(level.item)"]
            #expect(item.onHand == level.onHand && item.reserved == level.reserved, "\(level)")
        }
        try await shop.engine.close()
    }

    @Test("a channel may promise what is available less its safety stock, and nothing if hidden")
    func channels() {
        let policy = ChannelPolicy(safetyStock: ["store": 0, "web": 2])
        var item = StockItem()
        func available() -> [Int64?] {
            ["store", "web", "fair"].map { policy.available(item, in: $0) }
        }
        #expect(available() == [0, 0, nil])
        item.onHand = 3
        item.reserved = 1
        #expect(available() == [2, 0, nil])
        item.onHand = 10
        #expect(available() == [9, 7, nil])
        item.hiddenChannels = ["store"]
        #expect(available() == [0, 7, nil])
        item.onHand = .min
        #expect(available() == [0, 0, nil])
    }

    @Test("the channels' view follows the events once, through a crash and with two members")
    func channelView() async throws {
        var shop = try await TestShop(in: TestDirectory())
        let keys = (0..<6).map { "W:\($0)" }
        try await shop.receive(10, of: keys)
        let first = shop.platform
        try await shop.run([first.channels]) { try first.lagOfChannels() == 0 }
        shop = try await shop.crashed()
        let hidden = Adjustment(
            id: "hide", key: "W:0", .channelDecided, at: Timestamp(milliseconds: 1),
            channel: "web", decision: "HIDDEN")
        let sold = Adjustment(
            id: "sold", key: "W:1", .shipped, quantity: 4, at: Timestamp(milliseconds: 1))
        _ = try await shop.platform.inventory.accept([hidden, sold])
        let platform = shop.platform
        try await shop.run([platform.channels, platform.channels]) {
            try platform.lagOfChannels() == 0
        }
        #expect(
            try platform.channels.available("W:0") == ["store": 10, "web": 0, "marketplace": 5])
        #expect(
            try platform.channels.available("W:1") == ["store": 6, "web": 4, "marketplace": 1])
        #expect(
            try platform.channels.available("W:2") == ["store": 10, "web": 8, "marketplace": 5])
        try await shop.engine.close()
    }
}
