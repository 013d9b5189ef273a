import GRDB
import Tally
import TallyStateStore
import TallyTestSupport
import Testing

/// What the order of the two steps, doing the work and committing the position, promises where
/// several members share the partitions, come, leave and die between any two steps.
///
/// The work is a row in the application's own database.
@Suite("Scenario: delivery, in many interleavings", .timeLimit(.minutes(10)))
struct DeliveryInterleavingTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private enum Guarantee: String, CaseIterable, Sendable {
        case atMostOnce = "at-most-once"
        case atLeastOnce = "at-least-once"
        case exactlyOnce = "exactly-once"
    }

    /// A record in the hands of a member.
    private struct Held {
        var records: ConsumedRecords
        /// Which turn of the member with the partition it was read in.
        var turn: Int
        /// The first of the two steps is done.
        var isHalfDone = false

        var partition: Int { Int(records.partition) }
        var order: String { "\(records.partition) \(records.startOffset)" }
    }

    /// A shop: its log, its database, and what is to be expected of both. Used by one task.
    private final class Shop {
        let group: SteppedGroup
        let guarantee: Guarantee
        private(set) var database: DatabasePool
        private(set) var positions: PositionTable
        /// By member; each has one record in its hands at most.
        var held: [Int: Held] = [:]
        /// Members that hang, for so many steps to come.
        var asleep: [Int: Int] = [:]
        /// How often each order was billed, and what will never be.
        var bills: [String: Int] = [:]
        var lost: Set<String> = []
        /// What the table of positions says.
        var stored: [Int: Int] = [:]

        init(_ group: SteppedGroup, _ guarantee: Guarantee) throws {
            self.group = group
            self.guarantee = guarantee
            (database, positions) = try Self.open(at: group.path)
            if guarantee == .exactlyOnce {
                group.startsAt = { [weak self] in self?.stored[$0] ?? 0 }
            }
            takePositions()
        }

        private static func open(at path: String) throws -> (DatabasePool, PositionTable) {
            let database = try DatabasePool(path: path + "/shop.db")
            try database.write { db in
                try db.execute(sql: "CREATE TABLE IF NOT EXISTS bill (number TEXT NOT NULL)")
            }
            return (database, try PositionTable(in: database, consumer: "billing"))
        }

        private func takePositions() {
            guard guarantee == .exactlyOnce else { return }
            group.taking = { [positions] in try await positions.take($1, for: $0) }
        }

        /// Nothing that was in somebody's hands is there any more.
        func restart(crashing isCrash: Bool) async throws {
            for held in held.values { drop(held) }
            held = [:]
            try await group.restart(crashing: isCrash)
            try database.close()
            (database, positions) = try Self.open(at: group.path)
            takePositions()
        }

        /// Its member is gone, or has lost the partition.
        func drop(_ held: Held) {
            if guarantee == .atMostOnce, held.isHalfDone { lost.insert(held.order) }
        }

        /// Bills an order, in whatever transaction it is part of.
        static func bill(_ records: ConsumedRecords, _ db: Database) throws {
            let order = "\(records.partition) \(records.startOffset)"
            try db.execute(sql: "INSERT INTO bill VALUES (?)", arguments: [order])
        }

        func billed() async throws -> [String: Int] {
            let orders = try await database.read { db in
                try String.fetchAll(db, sql: "SELECT number FROM bill")
            }
            return Dictionary(orders.map { ($0, 1) }, uniquingKeysWith: +)
        }
    }

    // MARK: Steps

    @Test(
        "whoever dies between the two steps: at most once, at least once, and exactly once each",
        arguments: Guarantee.allCases)
    private func interleavings(guarantee: Guarantee) async throws {
        try await forEachInterleaving(4, "interleavings(\(guarantee.rawValue))") { seed in
            var generator = SeededGenerator(seed: seed)
            let group = try await SteppedGroup(
                in: directory.path("\(seed)"), seed: seed,
                partitionCount: Int.random(in: 1...3, using: &generator),
                reset: guarantee == .exactlyOnce ? .none : .earliest)
            let shop = try Shop(group, guarantee)
            do {
                for partition in group.partitions.indices {
                    try await group.send(
                        Int.random(in: 5...15, using: &group.generator), to: partition)
                }
                for _ in 0..<70 { try await step(shop) }
                try await finish(shop)
                try await check(shop)
            } catch {
                Issue.record("\(guarantee): \(error)\n\(group.told)")
            }
            try await group.close()
            try shop.database.close()
        }
    }

    private func step(_ shop: Shop) async throws {
        let group = shop.group
        switch Int.random(in: 0..<30, using: &group.generator) {
        case 0..<4 where group.members.count < 4:
            // Who has something in its hands may hang just now, and come to it when its partition
            // is somebody else's.
            for member in shop.held.keys.sorted() {
                shop.asleep[member] = Int.random(in: 5...20, using: &group.generator)
            }
            try await group.join(commitsWhatIsTaken: false)
        case 0..<2, 4:
            guard let member = group.anyMember() else { break }
            if let held = shop.held.removeValue(forKey: member) { shop.drop(held) }
            if Bool.random(using: &group.generator) {
                try await group.leave(member)
            } else {
                try await group.die(member)
            }
        case 5:
            guard Bool.random(using: &group.generator) else { break }
            try await shop.restart(crashing: Bool.random(using: &group.generator))
        default:
            shop.asleep = shop.asleep.mapValues { $0 - 1 }.filter { $0.value > 0 }
            guard let member = group.anyMember(), shop.asleep[member] == nil else { break }
            try await work(member, shop)
        }
    }

    /// One step of a member: it reads, or does the first or the second half of what it has to do.
    private func work(_ member: Int, _ shop: Shop) async throws {
        let group = shop.group
        guard let held = shop.held.removeValue(forKey: member) else {
            let own = group.partitions.indices.filter { group.partitions[$0].owner == member }
            guard let partition = own.randomElement(using: &group.generator),
                let (_, records) = try await group.read(partition)
            else { return }
            shop.held[member] = Held(records: records, turn: group.partitions[partition].turn)
            return
        }
        let model = group.partitions[held.partition]
        let isOwner = model.owner == member
        let isSameTurn = isOwner && model.turn == held.turn
        switch shop.guarantee {
        case .exactlyOnce:
            try await apply(held, member, shop)
        case .atMostOnce where held.isHalfDone:
            try await bill(held, shop)
        case .atLeastOnce where !held.isHalfDone:
            // Also where it has lost the partition meanwhile, and does not know.
            try await bill(held, shop)
            shop.held[member] = held
            shop.held[member]?.isHalfDone = true
        case .atMostOnce, .atLeastOnce:
            // Lost and back again: it was told so, and begins with what was committed meanwhile.
            guard isSameTurn || !isOwner else { return }
            guard try await group.commit(held.records, by: member) else { return }
            guard shop.guarantee == .atMostOnce else { return }
            shop.held[member] = held
            shop.held[member]?.isHalfDone = true
        }
    }

    private func bill(_ held: Held, _ shop: Shop) async throws {
        shop.group.tell("\(held.order) is billed")
        try await shop.database.write { try Shop.bill(held.records, $0) }
        shop.bills[held.order, default: 0] += 1
    }

    /// Both in one transaction, which works where nobody else has done it.
    private func apply(_ held: Held, _ member: Int, _ shop: Shop) async throws {
        let group = shop.group
        let offset = Int(held.records.startOffset.rawValue)
        let isNext = (shop.stored[held.partition] ?? 0) == offset
        let consumer = try #require(group.members.first { $0.number == member }).consumer
        group.tell("\(member) applies \(held.order)")
        do {
            try await shop.positions.apply(held.records, for: consumer) { db in
                try Shop.bill(held.records, db)
            }
            #expect(isNext, group.told)
            shop.stored[held.partition] = offset + 1
            shop.bills[held.order, default: 0] += 1
        } catch is PositionError {
            #expect(!isNext, group.told)
            guard group.partitions[held.partition].owner == member else { return }
            // Somebody else has been here: it goes on where the table stands.
            try await group.seek(
                held.partition, to: shop.stored[held.partition] ?? 0, by: member)
        }
    }

    // MARK: The end

    /// One more member joins; then all end what they have in their hands, and do the rest.
    private func finish(_ shop: Shop) async throws {
        let group = shop.group
        try await group.join(commitsWhatIsTaken: false)
        var idle = 0
        while idle < 2 {
            idle += 1
            for member in group.members.map(\.number) {
                let own = group.partitions.indices.filter { group.partitions[$0].owner == member }
                func isAtWork() -> Bool {
                    shop.held[member] != nil
                        || own.contains {
                            group.partitions[$0].position != group.partitions[$0].end
                        }
                }
                for _ in 0..<1_000 where isAtWork() {
                    idle = 0
                    try await work(member, shop)
                }
            }
        }
    }

    private func check(_ shop: Shop) async throws {
        let billed = try await shop.billed()
        #expect(billed == shop.bills, shop.group.told)
        for (partition, model) in shop.group.partitions.enumerated() {
            for offset in 0..<model.end {
                let order = "\(partition) \(offset)"
                let count = billed[order] ?? 0
                switch shop.guarantee {
                case .atMostOnce:
                    #expect(count == (shop.lost.contains(order) ? 0 : 1), shop.group.told)
                case .atLeastOnce: #expect(count >= 1, shop.group.told)
                case .exactlyOnce: #expect(count == 1, shop.group.told)
                }
            }
        }
    }
}
