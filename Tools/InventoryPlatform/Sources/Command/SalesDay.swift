import Foundation
import InventoryPlatform
import ServiceLifecycle
import Tally

/// Plays a day of real sales through the platform, step by step, prints what came of it, and ends.
///
/// All it does has an id, so a day that was broken off is simply played again: what was done
/// already is known to the platform.
struct SalesDay: Service {
    let platform: Platform
    let sales: [Sale]
    let output: @Sendable (String) -> Void

    /// Pieces of each item in the morning.
    private static let openingStock: Int64 = 30
    /// How long pieces are kept for an order that is not paid.
    private static let paymentMilliseconds: Int64 = 30 * 60_000

    /// Plays the day; a shutdown in the middle ends it.
    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await play() }
        } catch is CancellationError {
            output("Stopped. Run it again, and it goes on from here.")
        }
    }

    private func play() async throws {
        guard let first = sales.first?.at, let last = sales.map(\.at).max() else {
            return output("There are no rows.")
        }
        try await receive(at: first)
        try await order()
        platform.clock.set(
            Timestamp(milliseconds: last.rawValue + Self.paymentMilliseconds + 1))
        try await waitForExpiries()
        try await takeBack()
        try await sendChanges(at: last)
        try await settle()
        try await Report(platform: platform, output: output).print()
    }

    // MARK: The steps

    private func receive(at time: Timestamp) async throws {
        let keys = Set(sales.map(\.key)).sorted()
        let answers = try await platform.inventory.accept(
            keys.map { key in
                Adjustment(
                    id: "opening:\(key)", key: key, .received, quantity: Self.openingStock,
                    at: time, reason: "opening stock")
            })
        output(
            "\(keys.count) items received, \(Self.openingStock) pieces each: "
                + Self.summary(of: answers))
    }

    private func order() async throws {
        let producer = try platform.engine.producer()
        var records: [ProducerRecord] = []
        let orders = sales.filter { $0.quantity > 0 }
        for sale in orders {
            let placed = OrderCommand(
                .placed, orderID: sale.id, at: sale.at, quantity: sale.quantity,
                channel: Self.channel(of: sale),
                expiresAt: Timestamp(milliseconds: sale.at.rawValue + Self.paymentMilliseconds))
            records.append(try placed.record(key: sale.key))
            // Most pay at once; some think better of it, and some are never heard of again.
            if sale.row % 10 == 7 { continue }
            let next = OrderCommand(
                sale.row % 10 == 3 ? .cancelled : .paid, orderID: sale.id, at: sale.at)
            records.append(try next.record(key: sale.key))
        }
        for result in await producer.send(records) { _ = try result.get() }
        // Everything else that touches these items comes when all orders are decided, so that the
        // same rows give the same numbers.
        try await waitUntil { try await lag(of: FulfillmentService.group) == 0 }
        output("\(orders.count) order lines placed on web, store and marketplace")
    }

    private static func channel(of sale: Sale) -> String {
        switch sale.row % 5 {
        case 4: "marketplace"
        case 2: "store"
        default: "web"
        }
    }

    private func waitForExpiries() async throws {
        let now = platform.clock.now.rawValue
        try await waitUntil {
            let open = try await platform.orders().orders.values
            return !open.contains { $0.status == .reserved && $0.expiresAt <= now }
        }
    }

    private func takeBack() async throws {
        let returns = sales.filter { $0.quantity < 0 }
        let answers = try await platform.inventory.accept(
            returns.map { sale in
                Adjustment(
                    id: "return:\(sale.id)", key: sale.key, .returned,
                    quantity: -sale.quantity, at: sale.at, reason: "invoice \(sale.invoice)")
            })
        output("\(returns.count) returns: \(Self.summary(of: answers))")
    }

    private func sendChanges(at time: Timestamp) async throws {
        let producer = try platform.engine.producer()
        let changes = OutletTable.changes(at: time)
        for change in changes { _ = try await producer.send(change) }
        try await waitUntil { try await lag(of: ChangeFeedService.group) == 0 }
        output("\(changes.count) records of the outlet's change feed sent")
    }

    private static func summary(of answers: [Acceptance]) -> String {
        let new = answers.count { $0 == .accepted }
        let known = answers.count { $0 == .known }
        return "\(new) accepted, \(known) known already, "
            + "\(answers.count - new - known) refused"
    }

    // MARK: Waiting

    private func lag(of group: String) async throws -> Int64 {
        guard let topic = Platform.groups.first(where: { $0.group == group })?.topic else {
            return 0
        }
        return try await platform.lag(ofGroup: group, in: topic)
    }

    private func settle() async throws {
        try await waitUntil {
            for (group, topic) in Platform.groups
            where try await platform.lag(ofGroup: group, in: topic) > 0 { return false }
            return try platform.lagOfChannels() == 0 && platform.lagOfProjection() == 0
        }
    }

    private func waitUntil(_ condition: () async throws -> Bool) async throws {
        while try await !condition() { try await Task.sleep(for: .milliseconds(20)) }
    }
}
