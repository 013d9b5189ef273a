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

    @Option(help: "Only where less than this is available.")
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
        let database = try StateDatabase(readingDirectory: data.data)
        var query = StockQuery()
        (query.topic, query.warehouse, query.item) = (topic, warehouse, item)
        (query.below, query.order, query.descending) = (below, sort, descending)
        let limit = limit ?? (rows.json ? 0 : 50)
        query.limit = limit == 0 ? nil : limit
        let levels = try InventoryQueries(database).stock(query)
        if rows.json {
            for level in levels { Console.out(level.jsonLine) }
            return
        }
        if levels.isEmpty { return Console.note("No stock matches.") }
        for line in levels.table.lines { Console.out(line) }
        if limit > 0, levels.count == limit {
            Console.note("The first \(limit) rows; --limit 0 shows all.")
        }
    }
}

extension StockQuery.Order: ExpressibleByArgument {}

extension StockLevel {
    /// The row as a line of JSON.
    var jsonLine: String {
        var line = JSONLine()
        line.add("warehouse", warehouse)
        line.add("item", item)
        line.add("onHand", onHand)
        line.add("reserved", reserved)
        line.add("available", available)
        line.add("updatedAt", Format.time(updatedAt.rawValue))
        line.add("partition", partition)
        line.add("offset", offset.rawValue)
        line.add("events", events)
        return line.finished
    }
}

extension [StockLevel] {
    /// The rows as a table.
    var table: TextTable {
        var table = TextTable([
            "warehouse", "item", ">on hand", ">reserved", ">available", ">events", "updated",
        ])
        for level in self {
            table.add([
                level.warehouse, level.item, Format.count(level.onHand),
                Format.count(level.reserved), Format.count(level.available),
                Format.count(level.events), Format.time(level.updatedAt.rawValue),
            ])
        }
        return table
    }
}
