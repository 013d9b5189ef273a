import Testing

@testable import InventoryPlatform

/// Holds a shop's logs to what was promised about orders.
enum OrdersAudit {
    /// Replays events and decisions.
    ///
    /// - Parameter channelStock: what the channel of all orders leaves alone.
    static func check(_ shop: TestShop) async throws -> OrderBook {
        // No key is oversold: at each event there is something left of what came in.
        var ledger = StockLedger()
        for (key, event) in try await shop.events() {
            ledger.apply(event, to: key)
            let item = ledger[key]
            #expect(item.available >= 0, "\(key) is oversold by \(event)")
            #expect(item.reserved >= 0 && item.onHand >= 0, "\(key) after \(event)")
        }
        // Each order is decided once, and a reservation ends once.
        var book = OrderBook()
        for record in try await shop.records(Topics.decisions) {
            let decision = try record.decoded(OrderDecision.self)
            let last = book[record.key, decision.orderID]?.status
            switch decision.status {
            case .reserved, .rejected: #expect(last == nil, "\(decision) twice")
            case .confirmed, .released, .expired: #expect(last == .reserved, "\(decision)")
            }
            book.apply(decision, to: record.key)
        }
        // And the stock says the same as the orders.
        var reserved: [String: Int64] = [:]
        for (name, decision) in book.orders where decision.status == .reserved {
            reserved[name.key, default: 0] += decision.quantity
        }
        for (key, item) in ledger.items { #expect(item.reserved == reserved[key] ?? 0, "\(key)") }
        return book
    }
}
