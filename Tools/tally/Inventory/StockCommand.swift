import ArgumentParser
import Foundation
import TallyStateStore

/// `tally stock`.
struct StockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stock", abstract: "Show stock levels from the inventory projection.")

    @Option(help: "Only this topic's projection.")
    var topic: String?

    @Option(help: "Only this warehouse.")
    var warehouse: String?

    @Option(help: "Only this item.")
    var item: String?

    @Option(parsing: .unconditional, help: "Only where less than this is available.")
    var below: Int64?

    @Option(help: "Order by name, available, onHand, reserved, events or updated.")
    var sort = StockQuery.Order.name

    @Flag(help: "Highest first.")
    var descending = false

    @Option(help: "At most so many rows; 0 for all. Without --json the default is 50.")
    var limit: Int?

    @OptionGroup var rows: RowOptions
    @OptionGroup var data: DataOptions

    func validate() throws {
        if let limit, limit < 0 { throw ValidationError("--limit cannot be negative.") }
    }

    func run() async throws {
        try await printingRows { streams in try printStock(streams) }
    }

    private func printStock(_ streams: CommandStreams) throws {
        let database = try StateDatabase(readingDirectory: data.data)
        var query = StockQuery()
        (query.topic, query.warehouse, query.item) = (topic, warehouse, item)
        (query.below, query.order, query.descending) = (below, sort, descending)
        let limit = limit ?? (rows.json ? 0 : 50)
        query.limit = limit == 0 ? nil : limit
        let levels = try InventoryQueries(database).stock(query)
        if rows.json {
            for level in levels { try streams.output.write(level.fields) }
            return
        }
        guard !levels.isEmpty else { return try streams.note("No stock matches.") }
        try levels.printTable(to: streams.output)
        if limit > 0, levels.count == limit {
            try streams.note("The first \(limit) rows; --limit 0 shows all.")
        }
    }
}

extension StockQuery.Order: ExpressibleByArgument {}

extension StockLevel {
    /// The row's fields in JSON.
    fileprivate func fields(_ line: inout JSONLine) {
        line.field("topic", topic)
        line.field("warehouse", warehouse)
        line.field("item", item)
        line.field("onHand", onHand)
        line.field("reserved", reserved)
        line.field("available", available)
        line.field("updatedAt", OutputTime.text(updatedAt))
        line.field("partition", partition)
        line.field("offset", offset.rawValue)
        line.field("events", events)
    }
}

extension [StockLevel] {
    /// Prints the rows for people. The topic is shown where it is not the same in all of them:
    /// two topics may have the same item.
    func printTable(to output: Output) throws {
        let isOfMany = contains { $0.topic != first?.topic }
        var table = OutputTable(
            (isOfMany ? [.text("topic")] : []) + [
                .text("warehouse"), .text("item"), .number("on hand"), .number("reserved"),
                .number("available"), .number("events"), .text("updated"),
            ], indentation: "  ")
        for level in self {
            let cells =
                (isOfMany ? [level.topic] : []) + [
                    level.warehouse, level.item, level.onHand.grouped, level.reserved.grouped,
                    level.available.grouped, level.events.grouped, OutputTime.text(level.updatedAt),
                ]
            try table.add(cells, to: output)
        }
        try table.flush(to: output)
    }
}
