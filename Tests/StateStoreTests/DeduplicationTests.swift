import Foundation
import Tally
import Testing

@testable import TallyStateStore

@Suite("Event ids")
struct DeduplicationTests {
    let directory: ScratchDirectory
    let database: StateDatabase

    init() throws {
        directory = try ScratchDirectory()
        database = try StateDatabase(directory: directory.path)
    }

    @Test("an id counts once within the window, committed or not, and again beyond it")
    func window() throws {
        for commits in [false, true] {
            let topic = "commits-\(commits)"
            let projection = try InventoryProjection.opened(database, topic: topic, window: 10)
            func apply(_ offset: Int64) throws -> ApplyOutcome {
                let outcome = try projection.apply(
                    .event("STOCK_RECEIVED", 1, id: "a"), offset: offset)
                if commits { try projection.commit() }
                return outcome
            }
            #expect(try apply(0) == .applied)
            #expect(try apply(1) == .duplicate)
            #expect(try apply(10) == .duplicate)
            // Eleven offsets after it was applied; duplicates do not prolong the window.
            #expect(try apply(11) == .applied)
            #expect(try apply(21) == .duplicate)
            #expect(try apply(22) == .applied)
            try projection.commit()
            let status = try #require(try InventoryQueries(database).status(topic: topic).first)
            #expect(status.partitions.map(\.duplicates) == [3])
            #expect(status.partitions.map(\.stockEvents) == [3])
        }
        try database.expectSound()
    }

    @Test("ids are known after reopening")
    func reopening() throws {
        let first = try InventoryProjection.opened(database)
        try first.apply(.event("STOCK_RECEIVED", 1, id: "a"), offset: 0)
        try first.commit()
        let second = try InventoryProjection.opened(database)
        #expect(try second.apply(.event("STOCK_RECEIVED", 1, id: "a"), offset: 1) == .duplicate)
        #expect(try second.apply(.event("STOCK_RECEIVED", 1, id: "b"), offset: 2) == .applied)
    }

    @Test("partitions have ids of their own, and ids are compared by bytes")
    func scope() throws {
        let projection = try InventoryProjection.opened(database)
        func apply(_ id: String, partition: Int32, _ offset: Int64) throws -> ApplyOutcome {
            try projection.apply(
                .event("STOCK_RECEIVED", 1, id: id), partition: partition, offset: offset)
        }
        #expect(try apply("é", partition: 0, 0) == .applied)
        #expect(try apply("é", partition: 1, 0) == .applied)
        // The same letter to Unicode, other bytes.
        #expect(try apply("e\u{301}", partition: 0, 1) == .applied)
        try projection.commit()
        #expect(try apply("e\u{301}", partition: 1, 1) == .applied)
        #expect(try apply("\\u00e9", partition: 0, 2) == .duplicate)
    }

    @Test("an event that became a dead letter does not use up its id")
    func deadLetter() throws {
        let projection = try InventoryProjection.opened(database)
        #expect(
            try projection.applyAll([
                .event("STOCK_RECEIVED", 1, key: "nowhere", id: "a"),
                .event("STOCK_RECEIVED", 1, id: "a"), .event("STOCK_RECEIVED", 1, id: "a"),
            ]) == [.deadLetter, .applied, .duplicate])
    }

    @Test("ids that no later event can repeat are deleted")
    func pruning() throws {
        let projection = try InventoryProjection.opened(database, window: 10)
        for offset in 0..<100 {
            try projection.apply(
                .event("STOCK_RECEIVED", 1, id: "\(offset)"), offset: Int64(offset))
            if offset % 7 == 0 { try projection.commit() }
        }
        try projection.commit()
        let left = try database.read { connection in
            try Int.fetchOne(connection, sql: "SELECT COUNT(*) FROM processed_event") ?? 0
        }
        #expect(left == 10)
    }
}
