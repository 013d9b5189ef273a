import Synchronization
import Tally
import Testing

@testable import InventoryPlatform

@Suite("FulfillmentService", .timeLimit(.minutes(5)))
struct FulfillmentTests {
    private static let keys = (0..<4).map { "W:\($0)" }
    private static let policy = ChannelPolicy(safetyStock: ["store": 0])

    private static func placed(_ id: String, _ quantity: Int64, at time: Int64 = 0) -> OrderCommand
    {
        OrderCommand(
            .placed, orderID: id, at: Timestamp(milliseconds: time), quantity: quantity,
            channel: "store", expiresAt: Timestamp(milliseconds: time + 100))
    }

    /// More is wanted of each item than there is.
    private static func commands(
        _ count: Int, using generator: inout SeededGenerator
    ) -> [(key: String, command: OrderCommand)] {
        (0..<count).flatMap { number -> [(key: String, command: OrderCommand)] in
            let key = keys[number % keys.count]
            let id = "\(number)"
            let order = placed(id, Int64.random(in: 1...5, using: &generator))
            let end = [OrderCommand.Kind.paid, .cancelled, .paid].randomElement(using: &generator)
            let next = OrderCommand(
                end ?? .paid, orderID: id, at: Timestamp(milliseconds: 1))
            // Some are handed in twice.
            let all = [(key, order), (key, next), (key, order), (key, next)]
            return Array(all.prefix(Int.random(in: 1...4, using: &generator)))
        }
    }

    private static func service(
        _ shop: TestShop, _ instance: Int, probe: @escaping WorkProbe = { _, _ in }
    ) -> FulfillmentService {
        var service = FulfillmentService(engine: shop.engine, policy: policy, instance: instance)
        service.worker.probe = probe
        service.worker.member.configuration.reading.fetchBytesMax = 400
        return service
    }

    @Test("commands and what is decided about them")
    func rules() throws {
        var item = StockItem()
        item.onHand = 5
        func decide(
            _ command: OrderCommand, _ last: OrderDecision? = nil
        ) -> FulfillmentRules.Ruling? {
            FulfillmentRules.decide(command, item: item, last: last, Self.policy)
        }
        #expect(decide(Self.placed("a", 6))?.decision.status == .rejected)
        #expect(decide(Self.placed("a", 6))?.decision.reason == "store has 5")
        #expect(decide(Self.placed("a", 0))?.decision.status == .rejected)
        var elsewhere = Self.placed("a", 1)
        elsewhere.channel = "fair"
        #expect(decide(elsewhere)?.decision.reason == "there is no channel \"fair\"")
        let reserved = try #require(decide(Self.placed("a", 5)))
        #expect(reserved.event?.eventType == .reserved && reserved.event?.quantity == 5)
        let last = reserved.decision
        #expect(decide(Self.placed("a", 5), last) == nil)
        func end(_ kind: OrderCommand.Kind, at time: Int64) -> OrderDecision.Status? {
            let command = OrderCommand(
                kind, orderID: "a", at: Timestamp(milliseconds: time))
            #expect(decide(command) == nil, "there is no such order")
            return decide(command, last)?.decision.status
        }
        #expect(end(.paid, at: 1) == .confirmed)
        #expect(end(.paid, at: 1000) == .confirmed, "nobody has asked for its end yet")
        #expect(end(.cancelled, at: 1) == .released)
        #expect(end(.expire, at: 99) == nil)
        #expect(end(.expire, at: 100) == .expired)
    }

    @Test("a crash at any step changes nothing in the end", arguments: WorkStep.allCases)
    func crash(step: WorkStep) async throws {
        var generator = SeededGenerator()
        let commands = Self.commands(40, using: &generator)
        var books: [OrderBook] = []
        for count in [nil, 1, 3] as [Int?] {
            var shop = try await TestShop(in: TestDirectory())
            try await shop.receive(9, of: Self.keys)
            try await shop.send(commands)
            if let count {
                shop = try await shop.crash(at: step, count: count) { [shop] probe in
                    Self.service(shop, 1, probe: probe)
                }
            }
            try await shop.run(
                [Self.service(shop, 1)], through: FulfillmentService.group, Topics.orders)
            books.append(try await OrdersAudit.check(shop))
            try await shop.engine.close()
        }
        #expect(books[0].orders.count == 40)
        #expect(books[1] == books[0] && books[2] == books[0])
    }

    @Test("instances come and go, die and are started again: no key is oversold")
    func instances() async throws {
        var generator = SeededGenerator()
        let shop = try await TestShop(in: TestDirectory(), partitions: 4)
        try await shop.receive(60, of: Self.keys)
        for round in 0..<8 {
            let rate = UInt64.random(in: 2...12, using: &generator)
            // An instance that fails at a step now and then, and is not told of others.
            func failing(_ instance: Int) -> FulfillmentService {
                let calls = Mutex(UInt64.random(in: 0...rate, using: &generator))
                return Self.service(shop, instance) { _, _ in
                    let isDue = calls.withLock { calls in
                        calls += 1
                        return calls % (rate * 4) == 0
                    }
                    if isDue { throw TestShop.Crash() }
                }
            }
            try await shop.send(
                Self.commands(30, using: &generator).map { key, command in
                    var command = command
                    command.orderID = "\(round)-\(command.orderID)"
                    return (key, command)
                })
            do {
                try await shop.run(
                    [failing(1), failing(2)], through: FulfillmentService.group, Topics.orders)
            } catch {
                // One died, and the service group ended the other.
            }
        }
        try await shop.run(
            [Self.service(shop, 1), Self.service(shop, 2), Self.service(shop, 3)],
            through: FulfillmentService.group, Topics.orders)
        let book = try await OrdersAudit.check(shop)
        #expect(book.orders.count == 8 * 30)
        try await shop.engine.close()
    }

    @Test(
        "a zombie that held orders while another one took over changes nothing",
        arguments: [WorkStep.fetched, .processed, .offsetsSent])
    func zombie(step: WorkStep) async throws {
        var generator = SeededGenerator()
        let shop = try await TestShop(in: TestDirectory(), partitions: 1)
        try await shop.receive(20, of: Self.keys)
        try await shop.send(Self.commands(30, using: &generator))
        let isHeld = Flag()
        let mayGoOn = Flag()
        var first = Self.service(shop, 1) { reached, _ in
            guard reached == step, !isHeld.isSet else { return }
            isHeld.set()
            while !mayGoOn.isSet { try await Task.sleep(for: .milliseconds(5)) }
        }
        // Left for dead after this time.
        first.worker.member.configuration.pollIntervalMillisecondsMax = 300
        let zombie = first
        let second = Self.service(shop, 2)
        let isThrough: @Sendable () async throws -> Bool = {
            guard mayGoOn.isSet else { return false }
            return try await shop.platform.lag(
                ofGroup: FulfillmentService.group, in: Topics.orders) == 0
        }
        let held = Task { try await shop.run([zombie], until: isThrough) }
        while !isHeld.isSet { try await Task.sleep(for: .milliseconds(5)) }
        let release = Task {
            // Long enough for the group to give the partition to the other one.
            try await Task.sleep(for: .seconds(1))
            mayGoOn.set()
        }
        try await shop.run([second], until: isThrough)
        try await release.value
        try await held.value
        let book = try await OrdersAudit.check(shop)
        #expect(book.orders.count == 30)
        try await shop.engine.close()
    }
}
