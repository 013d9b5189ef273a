import Foundation
import InventoryPlatform
import Tally
import TallyStateStore

/// What the platform knows, as a page for a person.
struct Report {
    let platform: Platform
    let output: @Sendable (String) -> Void

    func print() async throws {
        try await orders()
        try stocks()
        try await alerts()
        try await views()
        try await lag()
    }

    private func orders() async throws {
        let orders = try await platform.orders().orders
        heading("Orders")
        for status in OrderDecision.Status.allCases where status != .reserved {
            let all = orders.values.filter { $0.status == status }
            let pieces = all.reduce(0) { $0 + $1.quantity }
            line([
                status.rawValue.lowercased(), "\(all.count) lines", "\(pieces) pieces",
                Self.meaning(status),
            ])
        }
        let open = orders.values.count { $0.status == .reserved }
        output("  \(open) reservations are still open.")
        heading("Reservations that expired, the first five")
        let expired = orders.filter { $0.value.status == .expired }
            .sorted {
                ($0.value.expiresAt, $0.value.orderID) < ($1.value.expiresAt, $1.value.orderID)
            }
        for (name, decision) in expired.prefix(5) {
            line([
                name.key, "order \(decision.orderID)", "\(decision.quantity) pieces",
                "kept until \(Self.text(decision.expiresAt))",
            ])
        }
    }

    private static func meaning(_ status: OrderDecision.Status) -> String {
        switch status {
        case .reserved: "wait for a payment"
        case .rejected: "the channel had too little left"
        case .confirmed: "reserved, paid, sold"
        case .released: "reserved, then cancelled"
        case .expired: "reserved, not paid within 30 minutes"
        }
    }

    private func stocks() throws {
        guard let database = platform.database else { return }
        let queries = InventoryQueries(database)
        let totals = try queries.totals(topic: Topics.events)
        heading("Stock: \(totals.rows) items, made of \(totals.events) events; the lowest five")
        for level in try queries.lowestStocks(topic: Topics.events, limit: 5) {
            let channels = try platform.channels.available("\(level.warehouse):\(level.item)")
            let shares = channels.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
            line([
                "\(level.warehouse):\(level.item)", "\(level.onHand) on hand",
                "\(level.available) available", shares.joined(separator: ", "),
            ])
        }
        output(
            totals.negativeRows == 0
                ? "  No item has less than nothing: none was oversold."
                : "  \(totals.negativeRows) items have less than nothing on hand.")
        heading("Stock of the outlet, from the change feed")
        var query = StockQuery()
        (query.topic, query.warehouse) = (Topics.events, "Outlet")
        for level in try queries.stock(query) {
            line(["\(level.warehouse):\(level.item)", "\(level.onHand) on hand"])
        }
    }

    private func alerts() async throws {
        let alerts = try await platform.alerts()
        let threshold = platform.configuration.lowStockThreshold
        heading("Low stock (below \(threshold)): \(alerts.count) alerts, the first five by name")
        for alert in alerts.sorted(by: { ($0.key, $0.eventOffset) < ($1.key, $1.eventOffset) })
            .prefix(5)
        {
            line([alert.key, "\(alert.available) available", Self.text(alert.at)])
        }
    }

    private func views() async throws {
        heading("A fresh node")
        let state = try await CurrentState.bootstrap(platform.engine)
        let onHand = state.items.values.reduce(0) { $0 + $1.onHand }
        output(
            "  knows \(state.items.count) items with \(onHand) pieces, from the compacted topic "
                + "alone.")
        let rejected = try platform.engine.describeTopic(Topics.deadLetters).partitions
            .reduce(0) { $0 + $1.highWatermark.rawValue }
        output(
            rejected == 0
                ? "  The change feed was understood."
                : "  Changes of the feed that could not be understood are in \(Topics.deadLetters)."
        )
    }

    private func lag() async throws {
        heading("Lag, in offsets")
        for (group, topic) in Platform.groups {
            let behind = try await platform.lag(ofGroup: group, in: topic)
            line([group, topic, "\(behind)"])
        }
        line([
            ChannelAvailabilityService.group, Topics.events,
            "\(try platform.lagOfChannels())",
        ])
        line(["inventory projection", Topics.events, "\(try platform.lagOfProjection())"])
    }

    // MARK: Layout

    private func heading(_ text: String) {
        output("")
        output(text)
    }

    /// Columns of a fixed width, the last one as it is.
    private func line(_ fields: [String]) {
        var text = " "
        for (index, field) in fields.enumerated() {
            let width = index == 0 ? 23 : 17
            text += " " + field
            guard index < fields.count - 1 else { break }
            text += String(repeating: " ", count: max(width - field.count, 1))
        }
        output(text)
    }

    private static func text(_ milliseconds: Int64) -> String {
        let style = Date.ISO8601FormatStyle(dateTimeSeparator: .space)
            .year().month().day().time(includingFractionalSeconds: false)
        return Date(timeIntervalSince1970: Double(milliseconds) / 1000).formatted(style)
    }
}
