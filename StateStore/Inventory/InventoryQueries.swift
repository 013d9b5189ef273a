import GRDB
import Tally

/// Questions to the inventory in `state.db`. Each answer is one consistent snapshot: all of a
/// commit or nothing of it, before or after a rebuild's swap and never in between.
///
/// Thread rule: safe to share; queries run beside each other and beside the writer. They block.
/// Errors of all: those of reading the database (`corrupt`, `locked`, `inputOutput`, ...).
public struct InventoryQueries: Sendable {
    let database: StateDatabase

    /// Queries on a database that is open for writing or for reading.
    public init(_ database: StateDatabase) { self.database = database }

    /// The stock levels that a query asks for.
    public func stock(_ query: StockQuery = StockQuery()) throws(StateStoreError) -> [StockLevel] {
        var conditions: [String] = ["p.name = ?"]
        var arguments: StatementArguments = [InventoryProjection.name]
        func require(_ condition: String, _ value: (any DatabaseValueConvertible)?) {
            guard let value else { return }
            conditions.append(condition)
            arguments += [value]
        }
        require("p.topic = ?", query.topic)
        require("i.warehouse = ?", query.warehouse)
        require("i.item = ?", query.item)
        require("i.available < ?", query.below)
        arguments += [query.limit ?? -1]
        let sql = """
            SELECT p.topic, i.* FROM inventory i JOIN projection p ON p.id = i.projection
            WHERE \(conditions.joined(separator: " AND "))
            ORDER BY \(query.order.sql(descending: query.descending)) LIMIT ?
            """
        return try database.read { connection in
            var levels: [StockLevel] = []
            let cursor = try Row.fetchCursor(connection, sql: sql, arguments: arguments)
            while let row = try cursor.next() { levels.append(try StockLevel(row)) }
            return levels
        }
    }

    /// The rows with the least available, the lowest first.
    public func lowestStocks(
        topic: String? = nil, limit: Int
    ) throws(StateStoreError) -> [StockLevel] {
        var query = StockQuery()
        (query.topic, query.order, query.limit) = (topic, .available, limit)
        return try stock(query)
    }

    /// The rows with the most events, the busiest first.
    public func busiestKeys(
        topic: String? = nil, limit: Int
    ) throws(StateStoreError) -> [StockLevel] {
        var query = StockQuery()
        (query.topic, query.order, query.descending, query.limit) = (topic, .events, true, limit)
        return try stock(query)
    }

    /// Sums over the rows of one topic's projection, or of all.
    public func totals(topic: String? = nil) throws(StateStoreError) -> StockTotals {
        try database.read { connection in
            let row = try Row.fetchOne(
                connection,
                sql: """
                    SELECT COUNT(*) AS rowCount, COUNT(DISTINCT i.warehouse) AS warehouses,
                        COALESCE(SUM(i.events), 0) AS events,
                        COUNT(CASE WHEN i.onHand < 0 THEN 1 END) AS negativeRows
                    FROM inventory i JOIN projection p ON p.id = i.projection
                    WHERE ?1 IS NULL OR p.topic = ?1
                    """,
                arguments: [topic])
            guard let row else {
                return StockTotals(rows: 0, warehouses: 0, events: 0, negativeRows: 0)
            }
            return try StockTotals(
                rows: row.value("rowCount"), warehouses: row.value("warehouses"),
                events: row.value("events"),
                negativeRows: row.value("negativeRows"))
        }
    }
}

extension StockQuery.Order {
    /// The ORDER BY list. Names are in it last, so that the order is the same every time.
    fileprivate func sql(descending: Bool) -> String {
        let direction = descending ? "DESC" : "ASC"
        let names = "i.warehouse ASC, i.item ASC, p.topic ASC"
        return switch self {
        case .name: "i.warehouse \(direction), i.item \(direction), p.topic ASC"
        case .onHand: "i.onHand \(direction), \(names)"
        case .reserved: "i.reserved \(direction), \(names)"
        case .available: "i.available \(direction), \(names)"
        case .events: "i.events \(direction), \(names)"
        case .updated: "i.lastEventTime \(direction), \(names)"
        }
    }
}

extension StockLevel {
    fileprivate init(_ row: Row) throws {
        try self.init(
            topic: row.value("topic"), warehouse: row.value("warehouse"), item: row.value("item"),
            onHand: row.value("onHand"), reserved: row.value("reserved"),
            available: row.value("available"), updatedAt: row.value("lastEventTime"),
            partition: row.value("partition"), offset: row.value("lastOffset"),
            events: row.value("events"), lastCountVariance: row.value("lastCountVariance"),
            countedAt: row.value("countedAt"))
    }
}
