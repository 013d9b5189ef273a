import Foundation
import Tally
import Testing

@testable import TallyStateStore

/// A stream of random events, and what they come to by a few lines of plain arithmetic.
struct InventoryModel {
    struct Stock: Hashable {
        var onHand: Int64 = 0
        var reserved: Int64 = 0
        var events: Int64 = 0
    }

    private(set) var records: [[TestRecord]] = [[], [], []]
    /// The stock after each prefix of the log is asked for by folding anew.
    private var effects: [[(key: String, type: String, amount: Int64, id: String?)?]] = [
        [], [], [],
    ]

    static let types = [
        "STOCK_RECEIVED", "STOCK_SHIPPED", "STOCK_ADJUSTED", "STOCK_RESERVED",
        "RESERVATION_RELEASED", "RESERVATION_CONFIRMED", "STOCK_COUNTED",
    ]

    /// Adds records to each partition; a key always goes to the same one.
    mutating func extend(by count: Int, keys: Int, using random: inout some RandomNumberGenerator) {
        for partition in records.indices {
            for _ in 0..<count {
                let number = Int.random(in: 0..<keys, using: &random)
                if number == 0 {
                    records[partition].append(TestRecord("W:I", "{broken"))
                    effects[partition].append(nil)
                    continue
                }
                let key = "W\(partition):I\(number)"
                let type = Self.types.randomElement(using: &random)!
                let amount = Int64.random(in: 0..<50, using: &random)
                let offset = records[partition].count
                let repeats = Int.random(in: 0..<8, using: &random) == 0
                let id: String? =
                    Bool.random(using: &random)
                    ? "id-\(repeats ? Int.random(in: 0...offset, using: &random) : offset)" : nil
                records[partition].append(.event(type, amount, key: key, id: id))
                effects[partition].append((key, type, amount, id))
            }
        }
    }

    /// The stock by key after the first `counts[partition]` records of each partition.
    func stock(after counts: [Int], window: Int64) -> [String: Stock] {
        var stocks: [String: Stock] = [:]
        for (partition, count) in counts.enumerated() {
            var applied: [String: Int] = [:]
            for (offset, effect) in effects[partition].prefix(count).enumerated() {
                guard let effect else { continue }
                if let id = effect.id {
                    if let earlier = applied[id], offset - earlier <= window { continue }
                    applied[id] = offset
                }
                var stock = stocks[effect.key] ?? Stock()
                switch effect.type {
                case "STOCK_RECEIVED", "STOCK_ADJUSTED": stock.onHand += effect.amount
                case "STOCK_SHIPPED": stock.onHand -= effect.amount
                case "STOCK_RESERVED": stock.reserved += effect.amount
                case "RESERVATION_RELEASED": stock.reserved -= effect.amount
                case "STOCK_COUNTED": stock.onHand = effect.amount
                default:
                    stock.onHand -= effect.amount
                    stock.reserved -= effect.amount
                }
                stock.events += 1
                stocks[effect.key] = stock
            }
        }
        return stocks
    }

    /// Hands records to a projection from its positions on, partitions in turn, with commits at
    /// random; the last ones stay pending unless `commitsAll`.
    func feed(
        _ projection: InventoryProjection, commitsAll: Bool = true,
        using random: inout some RandomNumberGenerator
    ) throws {
        var next = try records.indices.map {
            Int(try projection.position(partition: Int32($0))?.next.rawValue ?? 0)
        }
        while let partition = records.indices.filter({ next[$0] < records[$0].count })
            .randomElement(using: &random)
        {
            try projection.apply(
                records[partition][next[partition]], partition: Int32(partition),
                offset: Int64(next[partition]))
            next[partition] += 1
            if Int.random(in: 0..<100, using: &random) == 0 { try projection.commit() }
        }
        if commitsAll { try projection.commit() }
    }
}

extension StateDatabase {
    /// The stock by key, as the model has it.
    func modelStock() throws -> [String: InventoryModel.Stock] {
        var stocks: [String: InventoryModel.Stock] = [:]
        for level in try InventoryQueries(self).stock() {
            stocks["\(level.warehouse):\(level.item)"] = InventoryModel.Stock(
                onHand: level.onHand, reserved: level.reserved, events: level.events)
        }
        return stocks
    }

    /// How many records of each of three partitions are in the rows.
    func modelPositions() throws -> [Int] {
        var counts = [0, 0, 0]
        for partition in try InventoryQueries(self).status().first?.partitions ?? [] {
            counts[Int(partition.partition)] = Int(partition.nextOffset.rawValue)
        }
        return counts
    }
}

@Suite("The projection against a model")
struct InventoryModelTests {
    @Test("random events with random commits and reopenings give the model's stock")
    func model() throws {
        var random = SeededGenerator()
        print("TALLY_SEED=\(random.seed)")
        let directory = try ScratchDirectory()
        var model = InventoryModel()
        for _ in 0..<8 {
            model.extend(by: 300, keys: 40, using: &random)
            // Sometimes the cache is so small that every commit empties it.
            let cachedRowsMax = Bool.random(using: &random) ? 262_144 : 5
            let database = try StateDatabase(directory: directory.path)
            let projection = try InventoryProjection.opened(
                database, window: 50, cachedRowsMax: cachedRowsMax)
            try model.feed(projection, commitsAll: Bool.random(using: &random), using: &random)
            let counts = try database.modelPositions()
            #expect(try database.modelStock() == model.stock(after: counts, window: 50))
            try database.expectSound()
        }
    }

    @Test("a rebuild, and a rebuild without the old database, agree with the live run")
    func rebuildAgrees() throws {
        var random = SeededGenerator()
        print("TALLY_SEED=\(random.seed)")
        let directory = try ScratchDirectory()
        var model = InventoryModel()
        model.extend(by: 1000, keys: 40, using: &random)
        let database = try StateDatabase(directory: directory.path)
        try model.feed(try .opened(database, window: 50), using: &random)
        let live = try InventoryQueries(database).stock()
        let letters = try InventoryQueries(database).deadLetters()
        #expect(!letters.isEmpty && live.count > 100)

        let rebuild = try InventoryProjection.opened(database, generation: .rebuild, window: 50)
        try model.feed(rebuild, using: &random)
        try rebuild.finishRebuild()
        #expect(try InventoryQueries(database).stock() == live)
        #expect(try InventoryQueries(database).deadLetters() == letters)
        try database.expectSound()

        let other = try ScratchDirectory()
        let fresh = try StateDatabase(directory: other.path)
        try model.feed(try .opened(fresh, window: 50), using: &random)
        #expect(try InventoryQueries(fresh).stock() == live)
    }
}
