import Foundation
import Tally
import Testing

@testable import TallyStateStore

@Suite("Commits")
struct CommitTests {
    let directory: ScratchDirectory
    let database: StateDatabase

    init() throws {
        directory = try ScratchDirectory()
        database = try StateDatabase(directory: directory.path)
    }

    @Test(
        "a commit that fails anywhere writes nothing, and the work can be done again",
        arguments: [
            "INSERT ON inventory", "UPDATE ON inventory", "INSERT ON dead_letter",
            "INSERT ON audit", "INSERT ON availability", "INSERT ON processed_event",
            "UPDATE ON projection_position", "INSERT ON projection_position",
        ])
    func failedCommit(_ place: String) throws {
        let projection = try InventoryProjection.opened(database)
        try projection.apply(.event("STOCK_RECEIVED", 1), offset: 0)
        try projection.commit()
        let before = try contents()
        try database.execute(
            "CREATE TRIGGER fails BEFORE \(place) BEGIN SELECT RAISE(ABORT, 'no'); END")
        let records: [TestRecord] = [
            .event("STOCK_RECEIVED", 1, id: "a"), .event("STOCK_RECEIVED", 1, key: "W:J"),
            TestRecord(nil, "{"), .event("MANUAL_OVERRIDE"),
            .event("AVAILABILITY_DECIDED", nil, #""decision":"HIDDEN","channel":"web""#),
        ]
        func apply() throws {
            try projection.applyAll(records, from: 1)
            try projection.apply(.event("STOCK_RECEIVED", 1, key: "X:I"), partition: 1, offset: 0)
        }
        try apply()
        #expect(throws: StateStoreError.self) { try projection.commit() }
        #expect(try contents() == before)
        #expect(try projection.position(partition: 0)?.next == Offset(1))
        #expect(try projection.position(partition: 1) == nil)

        try database.execute("DROP TRIGGER fails")
        try apply()
        try projection.commit()
        #expect(try InventoryQueries(database).stock().map(\.onHand) == [2, 1, 1])
        #expect(try projection.position(partition: 0)?.next == Offset(6))
        try database.expectSound()
    }

    @Test("of two writers the second to commit is refused, and can go on from the positions")
    func twoWriters() throws {
        let first = try InventoryProjection.opened(database)
        let second = try InventoryProjection.opened(database)
        try first.apply(.event("STOCK_RECEIVED", 1), offset: 0)
        // Another partition and another key: nothing they write is the same row.
        try second.apply(.event("STOCK_RECEIVED", 1, key: "X:I"), partition: 1, offset: 0)
        try first.commit()
        #expect(throws: StateStoreError.anotherWriter(topic: "events")) { try second.commit() }
        #expect(try InventoryQueries(database).stock().count == 1)
        #expect(try second.position(partition: 0)?.next == Offset(1))
        #expect(try second.position(partition: 1) == nil)
        try second.apply(.event("STOCK_RECEIVED", 5), offset: 1)
        try second.commit()
        #expect(try database.onlyStock().onHand == 6)
        try first.apply(.event("STOCK_RECEIVED", 5), offset: 1)
        #expect(throws: StateStoreError.anotherWriter(topic: "events")) { try first.commit() }
        #expect(try database.onlyStock().onHand == 6)
        try database.expectSound()
    }

    @Test(
        "a position that was changed behind the writer's back stops it",
        arguments: [
            "UPDATE projection_position SET nextOffset = nextOffset + 1",
            "DELETE FROM projection_position",
        ])
    func meddledPosition(_ sql: String) throws {
        let projection = try InventoryProjection.opened(database)
        try projection.apply(.event("STOCK_RECEIVED", 1), offset: 0)
        try projection.commit()
        try database.execute(sql)
        try projection.apply(.event("STOCK_RECEIVED", 1), offset: 1)
        #expect(throws: StateStoreError.anotherWriter(topic: "events")) { try projection.commit() }
        #expect(try database.onlyStock().onHand == 1)
    }

    @Test("a write-ahead log that was cut anywhere leaves rows and positions of one commit")
    func tornWriteAheadLog() throws {
        var random = SeededGenerator()
        print("TALLY_SEED=\(random.seed)")
        var model = InventoryModel()
        model.extend(by: 400, keys: 30, using: &random)
        try model.feed(try .opened(database), commitsAll: false, using: &random)
        let wal = try Data(contentsOf: URL(fileURLWithPath: directory.file + "-wal"))
        let main = try Data(contentsOf: URL(fileURLWithPath: directory.file))
        #expect(wal.count > 100_000)
        var positions: Set<[Int]> = []
        for _ in 0..<40 {
            let copy = try ScratchDirectory()
            try main.write(to: URL(fileURLWithPath: copy.file))
            let cut = Int.random(in: 0...wal.count, using: &random)
            try wal.prefix(cut).write(to: URL(fileURLWithPath: copy.file + "-wal"))
            let reopened = try StateDatabase(directory: copy.path)
            let counts = try reopened.modelPositions()
            positions.insert(counts)
            #expect(
                try reopened.modelStock() == model.stock(after: counts, window: 1_000_000),
                "cut at \(cut) with seed \(random.seed)")
            try reopened.expectSound()
            // And the rest can be applied on top.
            try model.feed(try .opened(reopened), using: &random)
            #expect(
                try reopened.modelStock()
                    == model.stock(after: model.records.map(\.count), window: 1_000_000))
        }
        #expect(positions.count > 3)
    }

    @Test("a commit without anything pending writes nothing, one is due after enough records")
    func dueness() throws {
        var options = InventoryProjection.Options()
        options.recordsPerCommit = 3
        let projection = try InventoryProjection(
            database: database, topic: "events", options: options)
        let before = try contents()
        try projection.commit()
        #expect(try contents() == before)
        try projection.applyAll([.event("STOCK_RECEIVED", 1), TestRecord(nil, nil)])
        #expect(!projection.isCommitDue)
        try projection.advance(partition: 0, to: Offset(3), leaderEpoch: LeaderEpoch(0))
        #expect(projection.isCommitDue)
        try projection.commit()
        #expect(!projection.isCommitDue)
    }

    /// Every row of every table, as text.
    private func contents() throws -> [String] {
        var tables = [("projection", "id, generation, revision, nextGeneration, nextRevision")]
        for set in TableSet.allCases {
            tables += TableSet.columns.map { ($0.table + set.suffix, $0.columns) }
        }
        return try database.read { connection in
            try tables.flatMap { table, columns in
                let text = columns.split(separator: ",").map { "quote(\($0))" }
                    .joined(separator: " || ' ' || ")
                return try String.fetchAll(
                    connection, sql: "SELECT '\(table) ' || \(text) FROM \(table)")
            }
        }
    }
}
