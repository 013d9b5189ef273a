import Foundation
import Tally
import Testing

@testable import TallyStateStore

@Suite("The inventory projection")
struct InventoryProjectionTests {
    let directory: ScratchDirectory
    let database: StateDatabase

    init() throws {
        directory = try ScratchDirectory()
        database = try StateDatabase(directory: directory.path)
    }

    @Test(
        "each event type has its effect on what is on hand and what is reserved",
        arguments: [
            ("STOCK_RECEIVED", 107, 20), ("STOCK_RETURNED", 107, 20),
            ("STOCK_TRANSFERRED_IN", 107, 20), ("STOCK_SHIPPED", 93, 20), ("STOCK_DAMAGED", 93, 20),
            ("STOCK_TRANSFERRED_OUT", 93, 20), ("STOCK_ADJUSTED", 107, 20),
            ("STOCK_RESERVED", 100, 27), ("RESERVATION_RELEASED", 100, 13),
            ("RESERVATION_EXPIRED", 100, 13), ("RESERVATION_CONFIRMED", 93, 13),
            ("STOCK_COUNTED", 7, 20),
        ] as [(String, Int64, Int64)])
    func effects(_ type: String, _ onHand: Int64, _ reserved: Int64) throws {
        let projection = try InventoryProjection.opened(database)
        let outcomes = try projection.applyAll([
            .event("STOCK_RECEIVED", 100), .event("STOCK_RESERVED", 20),
            .event(type, 7, at: 1_291_191_960_000),
        ])
        #expect(outcomes == [.applied, .applied, .applied])
        try projection.commit()
        let stock = try database.onlyStock()
        #expect(stock.warehouse == "W" && stock.item == "I")
        #expect(stock.onHand == onHand)
        #expect(stock.reserved == reserved)
        #expect(stock.available == onHand - reserved)
        #expect(stock.updatedAt.rawValue == 1_291_191_960_000)
        #expect(stock.offset == Offset(2) && stock.partition == 0 && stock.events == 3)
        try database.expectSound()
    }

    @Test("negative numbers are facts")
    func negativeStock() throws {
        let projection = try InventoryProjection.opened(database)
        try projection.applyAll([
            .event("STOCK_ADJUSTED", -6), .event("RESERVATION_RELEASED", 2),
        ])
        try projection.commit()
        let stock = try database.onlyStock()
        #expect(stock.onHand == -6 && stock.reserved == -2 && stock.available == -4)
    }

    @Test("a count sets what is on hand and keeps the variance")
    func count() throws {
        let projection = try InventoryProjection.opened(database)
        try projection.applyAll([
            .event("STOCK_RECEIVED", 10), .event("STOCK_COUNTED", 8, at: 2000),
        ])
        try projection.commit()
        var stock = try database.onlyStock()
        #expect(stock.lastCountVariance == -2 && stock.countedAt?.rawValue == 2000)
        // The variance stays until the next count, and what comes later builds on the count.
        try projection.apply(.event("STOCK_RECEIVED", 1), offset: 2)
        try projection.commit()
        stock = try database.onlyStock()
        #expect(stock.onHand == 9 && stock.lastCountVariance == -2)
    }

    @Test("the last decision for a channel stays, and touches no quantity")
    func availability() throws {
        let projection = try InventoryProjection.opened(database)
        func decided(_ decision: String, _ channel: String) -> TestRecord {
            .event(
                "AVAILABILITY_DECIDED", nil,
                #""decision":"\#(decision)","channel":"\#(channel)","reason":"r""#)
        }
        try projection.applyAll([
            decided("SELLABLE", "web"), decided("HIDDEN", "shop"), decided("BACKORDERABLE", "web"),
        ])
        try projection.commit()
        try projection.apply(decided("STORE_PICKUP", "shop"), offset: 3)
        try projection.commit()
        let rows = try InventoryQueries(database).availabilities()
        #expect(rows.map(\.channel) == ["shop", "web"])
        #expect(rows.map(\.decision) == ["STORE_PICKUP", "BACKORDERABLE"])
        #expect(rows.map(\.offset) == [Offset(3), Offset(2)])
        #expect(try InventoryQueries(database).stock().isEmpty)
        let status = try #require(try InventoryQueries(database).status().first)
        #expect(status.partitions.map(\.availabilityEvents) == [4])
    }

    @Test("an audit event leaves who and why, with any key or none")
    func audit() throws {
        let projection = try InventoryProjection.opened(database)
        try projection.applyAll([
            .event(
                "MANUAL_OVERRIDE", nil, #""actor":"ana","operator":"bob","reason":"grün \"x\"""#),
            .event("POLICY_CHANGED", nil, key: "any", #""operator":"bob""#),
            .event("HOLD_RELEASED", nil, key: nil),
        ])
        try projection.commit()
        let rows = try InventoryQueries(database).audits()
        #expect(rows.map(\.who) == ["ana", "bob", nil])
        #expect(rows.map(\.why) == ["grün \"x\"", nil, nil])
        #expect(rows.map(\.key) == ["W:I", "any", nil])
        #expect(rows.map(\.eventType) == ["MANUAL_OVERRIDE", "POLICY_CHANGED", "HOLD_RELEASED"])
        #expect(try InventoryQueries(database).stock().isEmpty)
        try database.expectSound()
    }

    @Test("a dead letter has the place and the reason, and the projection goes on")
    func deadLetters() throws {
        let projection = try InventoryProjection.opened(database)
        let outcomes = try projection.applyAll(
            [
                .event("STOCK_RECEIVED", 1), TestRecord("W:I", "{"), TestRecord("W:I", nil),
                .event("STOCK_RECEIVED", 1, key: nil), .event("STOCK_RECEIVED", 1, key: "none"),
                .event("STOCK_STOLEN", 1), .event("STOCK_SHIPPED", -1), TestRecord("W:I", ""),
                .event("STOCK_RECEIVED", 1),
            ], partition: 3)
        #expect(
            outcomes == [.applied] + Array(repeating: .deadLetter, count: 7) + [.applied])
        try projection.commit()
        let letters = try InventoryQueries(database).deadLetters()
        #expect(letters.map(\.offset.rawValue) == [1, 2, 3, 4, 5, 6, 7])
        #expect(letters.allSatisfy { $0.topic == "events" && $0.partition == 3 })
        #expect(letters.allSatisfy { $0.timestamp.rawValue == 77 })
        #expect(
            letters.map(\.reason) == [
                "not JSON: the text ends too early at byte 1", "no value",
                "no key: it must be warehouse:item",
                "the key is not warehouse:item: no colon in it", "unknown eventType STOCK_STOLEN",
                "quantity is negative (corrections are STOCK_ADJUSTED)",
                "not JSON: the text ends too early at byte 0",
            ])
        #expect(letters[0].key == Array("W:I".utf8) && letters[0].value == Array("{".utf8))
        #expect(letters[1].value == nil && letters[1].valueSize == nil)
        #expect(letters[2].key == nil)
        #expect(letters[6].value == [] && letters[6].valueSize == 0)
        #expect(try InventoryQueries(database).deadLetterCount() == 7)
        #expect(try database.onlyStock().onHand == 2)
        try database.expectSound()
    }

    @Test("a huge malformed value is kept in part, with its size")
    func hugeDeadLetter() throws {
        let projection = try InventoryProjection.opened(database)
        let size = 3 << 20
        for offset in 0..<6 {
            try projection.apply(
                TestRecord("W:I", String(repeating: "[", count: size)), offset: Int64(offset))
        }
        try projection.commit()
        let letter = try #require(try InventoryQueries(database).deadLetters(limit: 1).first)
        #expect(letter.value?.count == 65_536 && letter.valueSize == size)
        #expect(letter.reason == "not JSON: nesting deeper than 64 at byte 64")
    }

    @Test(
        "a result that does not fit in 64 bits is a dead letter and changes nothing",
        arguments: [
            ("STOCK_ADJUSTED", Int64.max), ("STOCK_RECEIVED", .max), ("STOCK_COUNTED", .max),
        ])
    func overflow(_ type: String, _ amount: Int64) throws {
        let projection = try InventoryProjection.opened(database)
        try projection.applyAll([.event("STOCK_ADJUSTED", 5), .event("RESERVATION_RELEASED", 1)])
        #expect(try projection.apply(.event(type, amount), offset: 2) == .deadLetter)
        #expect(
            try projection.apply(.event("RESERVATION_RELEASED", .max), offset: 3) == .deadLetter)
        #expect(try projection.apply(.event("STOCK_ADJUSTED", 1), offset: 4) == .applied)
        try projection.commit()
        let stock = try database.onlyStock()
        #expect(stock.onHand == 6 && stock.reserved == -1 && stock.events == 3)
        let reasons = try InventoryQueries(database).deadLetters().map(\.reason)
        #expect(
            reasons == Array(repeating: "the resulting stock does not fit in 64 bits", count: 2))
    }

    @Test("the least number of all is no trouble")
    func leastNumber() throws {
        let projection = try InventoryProjection.opened(database)
        #expect(
            try projection.applyAll([
                .event("STOCK_ADJUSTED", .min), .event("STOCK_COUNTED", 1),
                .event("STOCK_ADJUSTED", -1), .event("STOCK_RESERVED", 1),
            ]) == [.applied, .deadLetter, .deadLetter, .deadLetter])
        try projection.commit()
        #expect(try database.onlyStock().onHand == .min)
    }

    @Test("a record below the position is ignored, and offsets may have gaps")
    func replays() throws {
        let projection = try InventoryProjection.opened(database)
        let records = Array(repeating: TestRecord.event("STOCK_RECEIVED", 1), count: 5)
        try projection.applyAll(records)
        #expect(try projection.applyAll(records) == Array(repeating: .ignored, count: 5))
        try projection.commit()
        #expect(
            try projection.applyAll(records, from: 3) == [.ignored, .ignored]
                + Array(repeating: .applied, count: 3))
        try projection.advance(partition: 0, to: Offset(20), leaderEpoch: LeaderEpoch(4))
        try projection.advance(partition: 0, to: Offset(10), leaderEpoch: LeaderEpoch(9))
        #expect(try projection.apply(records[0], offset: 19) == .ignored)
        #expect(try projection.apply(records[0], offset: 25, epoch: 6) == .applied)
        #expect(try projection.apply(records[0], offset: .max, epoch: 6) == .applied)
        #expect(try projection.apply(records[0], offset: -1) == .ignored)
        try projection.commit()
        #expect(try database.onlyStock().onHand == 10)
    }

    @Test("positions carry the leader epoch, and advance without records")
    func positions() throws {
        let projection = try InventoryProjection.opened(database)
        #expect(try projection.position(partition: 0) == nil)
        try projection.apply(.event("STOCK_RECEIVED", 1), partition: 1, offset: 7, epoch: 2)
        try projection.advance(partition: 2, to: Offset(9), leaderEpoch: LeaderEpoch(3))
        try projection.commit()
        let again = try InventoryProjection.opened(try StateDatabase(directory: directory.path))
        #expect(try again.position(partition: 0) == nil)
        #expect(
            try again.position(partition: 1)
                == ProjectionPosition(partition: 1, next: Offset(8), leaderEpoch: LeaderEpoch(2)))
        #expect(
            try again.position(partition: 2)
                == ProjectionPosition(partition: 2, next: Offset(9), leaderEpoch: LeaderEpoch(3)))
    }

    @Test("what was not committed is gone when it is opened again, and discarding forgets it")
    func discarding() throws {
        let projection = try InventoryProjection.opened(database)
        try projection.apply(.event("STOCK_RECEIVED", 1), offset: 0)
        try projection.commit()
        try projection.apply(.event("STOCK_RECEIVED", 5), offset: 1)
        projection.discard()
        #expect(try projection.position(partition: 0)?.next == Offset(1))
        #expect(projection.pendingRecords == 0)
        try projection.apply(.event("STOCK_RECEIVED", 2), offset: 1)
        try projection.commit()
        #expect(try database.onlyStock().onHand == 3)
    }

    @Test("where to resume is checked with the log")
    func resuming() throws {
        let projection = try InventoryProjection.opened(database)
        func resume(_ start: Int64, _ end: Int64?) throws -> Int64 {
            try projection.resumeOffset(partition: 0, logStart: Offset(start)) { _ in
                end.map { Offset($0) }
            }.rawValue
        }
        #expect(try resume(0, 0) == 0)
        #expect(
            throws: StateStoreError.baselineMissing(
                topic: "events", partition: 0, logStart: Offset(4))
        ) { try resume(4, 10) }
        try projection.apply(.event("STOCK_RECEIVED", 1), offset: 6, epoch: 3)
        #expect(try resume(4, 7) == 7)
        #expect(try resume(7, 7) == 7)
        #expect(
            throws: StateStoreError.behindLogStart(
                topic: "events", partition: 0, position: Offset(7), logStart: Offset(8))
        ) { try resume(8, 9) }
        for end in [6, nil] as [Int64?] {
            #expect(
                throws: StateStoreError.positionNotInLog(
                    topic: "events", partition: 0, position: Offset(7), leaderEpoch: LeaderEpoch(3))
            ) { try resume(0, end) }
        }
    }

    @Test("two topics have rows and positions of their own")
    func topics() throws {
        let first = try InventoryProjection.opened(database, topic: "a")
        let second = try InventoryProjection.opened(database, topic: "b")
        try first.apply(.event("STOCK_RECEIVED", 1), offset: 0)
        try second.applyAll([.event("STOCK_RECEIVED", 2), .event("STOCK_RECEIVED", 2)])
        try first.commit()
        try second.commit()
        try database.remember(topic: "c")
        let queries = InventoryQueries(database)
        #expect(try queries.topics() == ["a", "b", "c"])
        var query = StockQuery()
        query.topic = "b"
        #expect(try queries.stock(query).map(\.onHand) == [4])
        #expect(try queries.stock().map(\.topic) == ["a", "b"])
        #expect(try queries.status(topic: "a").first?.partitions.first?.nextOffset == Offset(1))
    }

    @Test("freshness is how old the last event was at its commit")
    func freshness() throws {
        let projection = try InventoryProjection.opened(database)
        try projection.applyAll([.event("STOCK_RECEIVED", 1, at: 4000), TestRecord(nil, nil)])
        try projection.commit()
        let status = try #require(try InventoryQueries(database).status().first)
        let partition = try #require(status.partitions.first)
        #expect(partition.lastRecordedAt?.rawValue == 4000)
        #expect(partition.committedAt.rawValue == 5000)
        #expect(partition.lagMilliseconds == 1000)
        #expect(partition.events == 1 && partition.deadLetters == 1)
        #expect(partition.nextOffset == Offset(2))
    }
}
