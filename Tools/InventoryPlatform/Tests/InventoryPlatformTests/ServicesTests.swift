import Foundation
import ServiceLifecycle
import Synchronization
import Tally
import Testing

@testable import InventoryPlatform

@Suite("Expiry, alerts and the current state", .timeLimit(.minutes(5)))
struct ServicesTests {
    private static let keys = (0..<5).map { "W:\($0)" }

    // MARK: Reservations that expire

    @Test("reservations expire with an event each, though two instances run and one dies")
    func expiry() async throws {
        var shop = try await TestShop(in: TestDirectory(), partitions: 4)
        try await shop.receive(100, of: Self.keys)
        let count = 60
        try await shop.send(
            (0..<count).flatMap { number -> [(key: String, command: OrderCommand)] in
                let key = Self.keys[number % Self.keys.count]
                let time = Timestamp(milliseconds: 0)
                let placed = OrderCommand(
                    .placed, orderID: "\(number)", at: time, quantity: 1, channel: "store",
                    expiresAt: Timestamp(milliseconds: Int64(100 + number % 3 * 100)))
                let paid = OrderCommand(.paid, orderID: "\(number)", at: time)
                return number % 4 == 0 ? [(key, placed), (key, paid)] : [(key, placed)]
            })
        func services(_ shop: TestShop) -> [any Service] {
            let platform = shop.platform
            return (1...2).flatMap { instance -> [any Service] in
                [
                    FulfillmentService(
                        engine: platform.engine, policy: ChannelPolicy(), instance: instance),
                    ReservationExpiryService(
                        engine: platform.engine, clock: platform.clock,
                        interval: .milliseconds(5)),
                ]
            }
        }
        @Sendable func expired(_ shop: TestShop) async throws -> Int {
            try await shop.records(Topics.decisions)
                .count { try $0.decoded(OrderDecision.self).status == .expired }
        }
        try await shop.run(services(shop), through: FulfillmentService.group, Topics.orders)
        #expect(try await expired(shop) == 0)
        // A third of them are due. The process dies when some are done.
        shop.platform.clock.set(Timestamp(milliseconds: 150))
        try await shop.run(services(shop)) { [shop] in try await expired(shop) > 0 }
        shop = try await shop.crashed()
        // A time before these is not over for the others; payments that come too late are ignored.
        try await shop.run(services(shop)) { [shop] in try await expired(shop) >= 15 }
        #expect(try await expired(shop) == 15)
        shop.platform.clock.set(Timestamp(milliseconds: 1000))
        try await shop.run(services(shop)) { [shop] in try await expired(shop) >= 45 }
        try await shop.send(
            (0..<count).map {
                (
                    Self.keys[$0 % Self.keys.count],
                    OrderCommand(.paid, orderID: "\($0)", at: Timestamp(milliseconds: 1001))
                )
            })
        try await shop.run(services(shop), through: FulfillmentService.group, Topics.orders)
        let book = try await OrdersAudit.check(shop)
        #expect(book.orders.values.count { $0.status == .confirmed } == 15)
        #expect(book.orders.values.count { $0.status == .expired } == 45)
        #expect(try await shop.events().count { $0.event.eventType == .expired } == 45)
        try await shop.engine.close()
    }

    // MARK: Low stock

    /// Stocks that go up and down, many times over the threshold.
    private static func fill(_ shop: TestShop, _ generator: inout SeededGenerator) async throws {
        for batch in 0..<12 {
            let adjustments = (0..<10).map { number in
                Adjustment(
                    id: "\(batch)-\(number)", key: keys[number % keys.count],
                    Bool.random(using: &generator) ? .received : .shipped,
                    quantity: Int64.random(in: 0...12, using: &generator),
                    at: Timestamp(milliseconds: 0))
            }
            _ = try await shop.platform.inventory.accept(adjustments)
        }
    }

    /// The alerts there have to be: one for each time that an item falls below 10.
    private static func crossings(_ shop: TestShop) async throws -> [String: [Int64]] {
        var ledger = StockLedger()
        var low: Set<String> = []
        var found: [String: [Int64]] = [:]
        for (key, event) in try await shop.events() {
            ledger.apply(event, to: key)
            let available = ledger[key].available
            if available >= 10 {
                low.remove(key)
            } else if low.insert(key).inserted {
                found[key, default: []].append(available)
            }
        }
        return found
    }

    @Test("an alert for each crossing, through a crash at any step", arguments: WorkStep.allCases)
    func alerts(step: WorkStep) async throws {
        var generator = SeededGenerator()
        for count in [1, 2, 4] {
            var shop = try await TestShop(in: TestDirectory())
            try await Self.fill(shop, &generator)
            func service(
                _ shop: TestShop, _ probe: @escaping WorkProbe = { _, _ in }
            ) -> any Service {
                var service = ReplenishmentService(engine: shop.engine, threshold: 10)
                service.worker.probe = probe
                service.worker.member.configuration.reading.fetchBytesMax = 1
                return service
            }
            shop = try await shop.crash(at: step, count: count) { [shop] in service(shop, $0) }
            try await shop.run([service(shop)], through: ReplenishmentService.group, Topics.events)
            let expected = try await Self.crossings(shop)
            var found: [String: [Int64]] = [:]
            for alert in try await shop.platform.alerts() {
                found[alert.key, default: []].append(alert.available)
            }
            #expect(found == expected && !expected.isEmpty)
            try await shop.engine.close()
        }
    }

    // MARK: The current state

    private static func expectCurrent(_ shop: TestShop) async throws {
        let state = try await CurrentState.bootstrap(shop.engine).items
        let ledger = try await shop.ledger()
        #expect(Set(state.keys) == Set(ledger.items.keys))
        var counts: [String: Int64] = [:]
        for (key, _) in try await shop.events() { counts[key, default: 0] += 1 }
        for (key, item) in state {
            #expect(item.onHand == ledger[key].onHand && item.events == counts[key], "\(key)")
        }
    }

    @Test(
        "a fresh node learns all from the compacted topic, cleaned or not, after any crash",
        arguments: WorkStep.allCases)
    func currentState(step: WorkStep) async throws {
        var generator = SeededGenerator()
        var shop = try await TestShop(in: TestDirectory())
        try await Self.fill(shop, &generator)
        func service(
            _ shop: TestShop, _ probe: @escaping WorkProbe = { _, _ in }
        ) -> any Service {
            var service = CurrentStateService(engine: shop.engine)
            service.worker.probe = probe
            service.worker.member.configuration.reading.fetchBytesMax = 1
            return service
        }
        shop = try await shop.crash(at: step, count: 3) { [shop] in service(shop, $0) }
        try await shop.run([service(shop)], through: CurrentStateService.group, Topics.events)
        try await Self.expectCurrent(shop)
        let before = try await shop.records(Topics.currentState).count
        try await shop.engine.compact(topic: Topics.currentState, rolling: true)
        #expect(try await shop.records(Topics.currentState).count < before)
        try await Self.expectCurrent(shop)
        // And it goes on from there.
        let more = Adjustment(
            id: "more", key: "W:new", .received, quantity: 3, at: Timestamp(milliseconds: 0))
        _ = try await shop.platform.inventory.accept([more])
        try await shop.run([service(shop)], through: CurrentStateService.group, Topics.events)
        try await Self.expectCurrent(shop)
        try await shop.engine.close()
    }
}
