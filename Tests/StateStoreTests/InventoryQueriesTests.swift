import Foundation
import Tally
import Testing

@testable import TallyStateStore

@Suite("Queries")
struct InventoryQueriesTests {
    let directory: ScratchDirectory
    let queries: InventoryQueries

    init() throws {
        directory = try ScratchDirectory()
        let database = try StateDatabase(directory: directory.path)
        queries = InventoryQueries(database)
        let projection = try InventoryProjection.opened(database)
        try projection.applyAll([
            .event("STOCK_RECEIVED", 5, key: "A:x", at: 10),
            .event("STOCK_ADJUSTED", -3, key: "B:x", at: 30),
            .event("STOCK_RECEIVED", 9, key: "A:y", at: 20),
            .event("STOCK_RESERVED", 8, key: "A:y", at: 40),
            .event("STOCK_RECEIVED", 1, key: "C:z", at: 50),
        ])
        try projection.commit()
    }

    @Test("filters are joined, and rows come by name when nothing else is said")
    func filters() throws {
        #expect(try names(StockQuery()) == ["A:x", "A:y", "B:x", "C:z"])
        var query = StockQuery()
        query.warehouse = "A"
        #expect(try names(query) == ["A:x", "A:y"])
        query.item = "y"
        #expect(try names(query) == ["A:y"])
        query = StockQuery()
        query.item = "x"
        #expect(try names(query) == ["A:x", "B:x"])
        query = StockQuery()
        query.below = 1
        #expect(try names(query) == ["B:x"])
        query.below = 2
        #expect(try names(query) == ["A:y", "B:x", "C:z"])
        query.topic = "other"
        #expect(try names(query) == [])
        query = StockQuery()
        query.warehouse = "' OR 1=1 --"
        #expect(try names(query) == [])
    }

    @Test(
        "rows are sorted as asked, and by name where they are equal",
        arguments: [
            (.name, ["A:x", "A:y", "B:x", "C:z"]), (.onHand, ["B:x", "C:z", "A:x", "A:y"]),
            (.available, ["B:x", "A:y", "C:z", "A:x"]), (.events, ["A:x", "B:x", "C:z", "A:y"]),
            (.reserved, ["A:x", "B:x", "C:z", "A:y"]), (.updated, ["A:x", "B:x", "A:y", "C:z"]),
        ] as [(StockQuery.Order, [String])])
    func order(_ order: StockQuery.Order, _ expected: [String]) throws {
        var query = StockQuery()
        query.order = order
        #expect(try names(query) == expected)
        query.limit = 2
        #expect(try names(query) == Array(expected.prefix(2)))
        query.descending = true
        #expect(try names(query).first == expected.last)
    }

    @Test("the lowest stocks, the busiest keys and the totals")
    func summaries() throws {
        #expect(try queries.lowestStocks(limit: 2).map(\.available) == [-3, 1])
        #expect(try queries.busiestKeys(limit: 1).map(\.item) == ["y"])
        #expect(
            try queries.totals()
                == StockTotals(rows: 4, warehouses: 3, events: 5, negativeRows: 1))
        #expect(
            try queries.totals(topic: "other")
                == StockTotals(rows: 0, warehouses: 0, events: 0, negativeRows: 0))
    }

    @Test("a stock level encodes as the nine fields that people are promised")
    func encoding() throws {
        let level = try #require(try queries.lowestStocks(limit: 1).first)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let json = String(decoding: try encoder.encode(level), as: UTF8.self)
        #expect(
            json == #"{"available":-3,"events":1,"item":"x","offset":1,"onHand":-3,"partition":0,"#
                + #""reserved":0,"updatedAt":"1970-01-01T00:00:00.030Z","warehouse":"B"}"#)
    }

    private func names(_ query: StockQuery) throws -> [String] {
        try queries.stock(query).map { "\($0.warehouse):\($0.item)" }
    }
}
