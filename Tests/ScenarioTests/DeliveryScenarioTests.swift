import Foundation
import GRDB
import Synchronization
import Tally
import TallyStateStore
import TallyTestSupport
import Testing

/// What a consumer promises by the order of its two steps, doing the work and committing the
/// position: seen by letting it die at each point, and counting what was done.
///
/// The work is a row in the application's own database. A crash is a copy of all files at that
/// moment, as a killed process leaves them; what goes on is the copy.
@Suite("Scenario: delivery guarantees", .serialized, .timeLimit(.minutes(10)))
struct DeliveryScenarioTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private enum Guarantee: String, CaseIterable {
        /// Commit, then work: what dies in between is never done.
        case atMostOnce = "at-most-once"
        /// Work, then commit: what dies in between is done again.
        case atLeastOnce = "at-least-once"
        /// Work and position in one transaction of the application's database.
        case exactlyOnce = "exactly-once"
    }

    /// Where it dies, at the record it is told.
    private enum Point: CaseIterable {
        case beforeBoth, between, afterBoth
    }

    private struct Crash: Error {}

    // MARK: The application

    /// A shop's files: the log, and the database with a bill for each order.
    private struct Shop {
        let path: String
        let engine: Engine
        let database: DatabasePool

        init(at path: String) async throws {
            self.path = path
            engine = try await GroupScenario.open(at: path + "/data")
            database = try DatabasePool(path: path + "/shop.db")
            try await database.write { db in
                try db.execute(sql: "CREATE TABLE IF NOT EXISTS bill (number TEXT NOT NULL)")
            }
        }

        func sell(_ numbers: Range<Int>) async throws {
            try await GroupScenario.createTopic("orders", partitions: 1, in: engine)
            try await GroupScenario.send(
                numbers.map { (key: "order", value: "\($0)") }, to: "orders", in: engine)
        }

        /// How often each order was billed.
        func bills() async throws -> [Int: Int] {
            let numbers = try await database.read { db in
                try Int.fetchAll(db, sql: "SELECT CAST(number AS INTEGER) FROM bill")
            }
            return Dictionary(numbers.map { ($0, 1) }, uniquingKeysWith: +)
        }

        func close() async throws {
            try await engine.close()
            try database.close()
        }

        /// The process is killed: its files as they are now, opened by another.
        func crash(to copy: String) async throws -> Shop {
            try copyLiveDirectory(path, to: copy)
            try await close()
            return try await Shop(at: copy)
        }
    }

    private static func write(_ records: ConsumedRecords, _ db: Database) throws {
        try records.forEachRecord { record in
            try db.execute(
                sql: "INSERT INTO bill VALUES (?)", arguments: [record.valueText ?? ""])
        }
    }

    /// Bills orders until it is through with all `count`, or dies. One record an element.
    private func bill(
        _ guarantee: Guarantee, in shop: Shop, through count: Int, dyingAt order: Int? = nil,
        _ point: Point = .between
    ) async throws {
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        configuration.reading.fetchBytesMax = 1
        let positions = try PositionTable(in: shop.database, consumer: "billing")
        if guarantee == .exactlyOnce {
            // No policy: the positions are the table's, and the group's do not count.
            configuration.reading.reset = .none
            configuration.onRebalance = { consumer, event in
                guard case .assigned(let partitions) = event else { return }
                try await positions.take(partitions, for: consumer)
            }
        }
        let consumer = try shop.engine.consumer(
            group: "billing", topics: ["orders"], configuration)
        for try await records in consumer {
            let isFatal = records.startOffset.rawValue == Int64(order ?? -1)
            let work: @Sendable (Database) throws -> Void = { try Self.write(records, $0) }
            if isFatal, point == .beforeBoth { throw Crash() }
            switch guarantee {
            case .atMostOnce:
                try await consumer.commit(records)
                if isFatal, point == .between { throw Crash() }
                try await shop.database.write(work)
            case .atLeastOnce:
                try await shop.database.write(work)
                if isFatal, point == .between { throw Crash() }
                try await consumer.commit(records)
            case .exactlyOnce:
                try await positions.apply(records, for: consumer) { db in
                    try work(db)
                    // There is no moment between the two: dying here undoes both.
                    if isFatal, point == .between { throw Crash() }
                }
            }
            if isFatal { throw Crash() }
            if records.nextOffset.rawValue == Int64(count) { break }
        }
        try await consumer.close()
    }

    // MARK: A crash at each point

    @Test("a crash before, between and after the two steps", arguments: Guarantee.allCases)
    private func eachPoint(guarantee: Guarantee) async throws {
        for point in Point.allCases {
            let path = directory.path("\(guarantee.rawValue)-\(point)")
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
            var shop = try await Shop(at: path)
            try await shop.sell(0..<6)
            await #expect(throws: Crash.self) {
                try await bill(guarantee, in: shop, through: 6, dyingAt: 3, point)
            }
            shop = try await shop.crash(to: path + "-crashed")
            try await bill(guarantee, in: shop, through: 6)
            let expected: Int? =
                switch (guarantee, point) {
                case (.atMostOnce, .between): nil
                case (.atLeastOnce, .between): 2
                default: 1
                }
            let bills = try await shop.bills()
            for order in 0..<6 where order != 3 { #expect(bills[order] == 1, "order \(order)") }
            #expect(bills[3] == expected, "\(guarantee), \(point)")
            try await shop.close()
        }
    }

    // MARK: Many crashes

    @Test("random crashes: each loses one, repeats one, or changes nothing, as was promised")
    func randomCrashes() async throws {
        var generator = SeededGenerator.fromEnvironment()
        for guarantee in Guarantee.allCases {
            let path = directory.path("random-\(guarantee.rawValue)")
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
            var shop = try await Shop(at: path)
            let count = 30
            try await shop.sell(0..<count)
            var fatal: [Int: Int] = [:]
            var order = Int.random(in: 0..<4, using: &generator)
            while order < count - 1 {
                let point = try #require(Point.allCases.randomElement(using: &generator))
                await #expect(throws: Crash.self) {
                    try await bill(guarantee, in: shop, through: count, dyingAt: order, point)
                }
                if point == .between { fatal[order, default: 0] += 1 }
                shop = try await shop.crash(to: directory.path("\(UUID().uuidString)"))
                // The next one dies at a later order: an earlier one may be behind it by now.
                order += Int.random(in: 1...6, using: &generator)
            }
            try await bill(guarantee, in: shop, through: count)
            let bills = try await shop.bills()
            for order in 0..<count {
                let crashes = fatal[order] ?? 0
                let expected =
                    switch guarantee {
                    case .atMostOnce: 1 - crashes
                    case .atLeastOnce: 1 + crashes
                    case .exactlyOnce: 1
                    }
                #expect(bills[order] ?? 0 == expected, "\(guarantee): order \(order)")
            }
            try await shop.close()
        }
    }

    // MARK: Real deaths

    @Test("a process that is killed 12 times", arguments: Guarantee.allCases)
    private func killed(guarantee: Guarantee) async throws {
        var generator = SeededGenerator.fromEnvironment()
        let path = directory.path("killed")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let count = 3000
        let shop = try await Shop(at: path)
        try await shop.sell(0..<count)
        try await shop.close()
        let work = DeliveryProcess(work: guarantee.rawValue, path, count)
        let kills = try await work.killUpTo(12, withinMicroseconds: 60_000, using: &generator)
        let after = try await Shop(at: path)
        let bills = try await after.bills()
        let missing = (0..<count).count { bills[$0] == nil }
        let repeated = bills.values.count { $0 > 1 }
        print("\(guarantee.rawValue), killed \(kills) times: \(missing) lost, \(repeated) twice")
        // One record an element: a death costs one at most.
        switch guarantee {
        case .atMostOnce: #expect(repeated == 0 && missing <= kills)
        case .atLeastOnce: #expect(missing == 0 && repeated <= kills)
        case .exactlyOnce: #expect(missing == 0 && repeated == 0)
        }
        try await after.close()
    }

    // MARK: A zombie

    @Test("a member left for dead comes back with records in its hands, and bills nothing twice")
    func zombie() async throws {
        let shop = try await Shop(at: directory.path)
        try await shop.sell(0..<6)
        let positions = try PositionTable(in: shop.database, consumer: "billing")
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        configuration.reading.fetchBytesMax = 1
        configuration.pollIntervalMillisecondsMax = 500
        configuration.onRebalance = { consumer, event in
            guard case .assigned(let partitions) = event else { return }
            try await positions.take(partitions, for: consumer)
        }
        let zombie = try shop.engine.consumer(
            group: "billing", topics: ["orders"], configuration)
        var reading = zombie.makeAsyncIterator()
        let first = try #require(try await reading.next())
        let generation = zombie.generation
        try await positions.apply(first, for: zombie) { try Self.write(first, $0) }
        // It fetches the next record, and hangs before it writes.
        let held = try #require(try await reading.next())
        #expect(held.startOffset == Offset(1))
        // Another one takes over, and works through everything.
        try await bill(.exactlyOnce, in: shop, through: 6)
        let bills = try await shop.bills()
        #expect(bills == Dictionary(uniqueKeysWithValues: (0..<6).map { ($0, 1) }))
        // The zombie wakes. Its generation is over; and even where it learns of the new one, the
        // position has moved.
        for claimed in [generation, zombie.generation, .max] {
            let error = await GroupScenario.error(of: {
                try await positions.apply(held, generation: claimed) { try Self.write(held, $0) }
            })
            #expect(error is PositionError, "\(String(describing: error))")
        }
        #expect(try await shop.bills() == bills)
        await #expect(throws: EngineError.self) { try await zombie.commit(held) }
        try await zombie.close()
        try await shop.close()
    }
}
