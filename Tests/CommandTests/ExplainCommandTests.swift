import Foundation
import TallyCommand
import TallyStateStore
import TallyTestSupport
import Testing

@testable import Tally

@Suite(.timeLimit(.minutes(10))) struct ExplainCommandTests {
    private static func event(_ type: String, _ more: String, id: String? = nil) -> String {
        let id = id.map { #","eventId":"\#($0)""# } ?? ""
        return #"{"eventType":"\#(type)","recordedAt":"2026-01-01T10:00:00Z"\#(more)\#(id)}"#
    }

    /// One partition `events`, with six records of `north:apple`, of which four are projected.
    private static func fill(_ place: CommandWorkplace) throws {
        _ = try place.run("topics", "create", "events", "--partitions", "1")
        _ = try place.run("topics", "create", "words", "--partitions", "1")
        _ = try place.run("produce", "words", input: "north:apple\thello\n")
        let first = [
            "north:apple\t" + event("STOCK_RECEIVED", #","quantity":10"#, id: "a"),
            "north:pear\t" + event("STOCK_RECEIVED", #","quantity":7"#, id: "b"),
            "north:apple\t" + event("STOCK_RESERVED", #","quantity":4"#),
            "north:apple\t" + event("STOCK_RECEIVED", #","quantity":1"#, id: "b"),
            "north:apple\tnonsense",
        ]
        _ = try place.run("produce", "events", input: first.joined(separator: "\n") + "\n")
        _ = try place.run("projection", "rebuild", "--topic", "events")
    }

    /// Adds what the projection has not seen.
    private static func append(to engine: Engine) async throws {
        let producer = try engine.producer()
        _ = try await producer.send(
            key: "north:apple", value: event("RESERVATION_CONFIRMED", #","quantity":4"#),
            to: "events")
        _ = try await producer.send(
            key: "north:apple",
            value: event(
                "AVAILABILITY_DECIDED", #","channel":"web","decision":"HIDDEN","reason":"recall""#),
            to: "events")
    }

    @Test("each event's effect is told, with who has seen it, beside a running application")
    func story() async throws {
        let place = try CommandWorkplace()
        try Self.fill(place)
        let engine = try await GroupsWorkplace.open(place)
        try await Self.append(to: engine)
        let partition = TopicPartition(topic: "events", partition: 0)
        for (group, offset) in [("billing", Int64(7)), ("alerts", 3)] {
            try await engine.commitOffsets(
                [partition: OffsetToCommit(offset: Offset(offset))], ofGroup: group)
        }
        try await engine.commitOffsets(
            [TopicPartition(topic: "words", partition: 0): OffsetToCommit(offset: Offset(1))],
            ofGroup: "readers")
        let rows = try place.objects(try place.run("explain", "north:apple", "--json"))
        #expect(rows.map { $0["offset"] as? Int } == [0, 2, 3, 4, 5, 6, nil])
        #expect(
            rows.map { $0["outcome"] as? String } == [
                "applied", "applied", "duplicate", "deadLetter", "applied", "applied", nil,
            ])
        let available = rows.dropLast().map {
            [$0["availableBefore"] as? Int, $0["availableAfter"] as? Int]
        }
        #expect(available == [[0, 10], [10, 6], [6, 6], [6, 6], [6, 6], [6, 6]])
        #expect(rows[4]["onHandBefore"] as? Int == 10 && rows[4]["onHandAfter"] as? Int == 6)
        #expect(rows[4]["reservedBefore"] as? Int == 4 && rows[4]["reservedAfter"] as? Int == 0)
        #expect((rows[3]["reason"] as? String)?.hasPrefix("not JSON") == true)
        #expect(
            rows[5]["channel"] as? String == "web" && rows[5]["decision"] as? String == "HIDDEN")
        #expect(rows[0]["recordedAt"] as? String == "2026-01-01T10:00:00.000Z")
        #expect(
            rows.map { $0["projected"] as? Bool } == [true, true, true, true, false, false, nil])
        let seen = rows.dropLast().map { $0["seenBy"] as? [String] }
        #expect(
            seen == [
                ["alerts", "billing"], ["alerts", "billing"], ["billing"], ["billing"],
                ["billing"], ["billing"],
            ])
        #expect(rows[2]["notSeenBy"] as? [String] == ["alerts"])
        let sum = try #require(rows.last)
        #expect(sum["onHand"] as? Int == 6 && sum["available"] as? Int == 6)
        #expect(sum["projectedOnHand"] as? Int == 10 && sum["projectedReserved"] as? Int == 4)
        #expect(sum["agreesWithProjection"] as? Bool == true)
        #expect(sum["duplicates"] as? Int == 1 && sum["deadLetters"] as? Int == 1)
        let table = try place.run("explain", "north:apple")
        #expect(table.exitCode == 0 && table.errors.isEmpty)
        #expect(table.output.contains("0 -> 10"))
        #expect(table.output.contains("on hand 10, reserved 4, available 6, as its events say\n"))
        #expect(
            table.output.contains(
                "group alerts, committed 3 in partition 0: has seen 2 of 6 events\n"))
        #expect(!table.output.contains("readers"))
        try await engine.close()
    }

    @Test("a projection that is not what its events come to is told of")
    func disagreement() async throws {
        let place = try CommandWorkplace()
        try Self.fill(place)
        // An event that the log does not hold.
        let database = try StateDatabase(directory: place.data)
        let projection = try InventoryProjection(database: database, topic: "events")
        let (key, value) = (
            Array("north:apple".utf8), Array(Self.event("STOCK_RECEIVED", #","quantity":1"#).utf8)
        )
        try projection.apply(
            partition: 0, offset: Offset(5), leaderEpoch: LeaderEpoch(0),
            timestamp: Timestamp(milliseconds: 1), key: key.span.bytes, value: value.span.bytes)
        try projection.commit()
        try database.close()
        let sum = try place.objects(try place.run("explain", "north:apple", "--json")).last
        #expect(sum?["agreesWithProjection"] as? Bool == false)
        #expect(try place.run("explain", "north:apple").output.contains("NOT what its events say"))
    }

    @Test("without a projection, topics with events are found, and words are looked at when told")
    func topics() async throws {
        let place = try CommandWorkplace()
        try Self.fill(place)
        for name in try FileManager.default.contentsOfDirectory(atPath: place.data)
        where name.hasPrefix("state.db") {
            try FileManager.default.removeItem(atPath: place.data + "/" + name)
        }
        let run = try place.run("explain", "north:pear", "--json")
        let rows = try place.objects(run)
        #expect(rows.count == 2 && rows[0]["projected"] is NSNull, "\(run)")
        #expect(rows[1]["agreesWithProjection"] is NSNull && rows[1]["onHand"] as? Int == 7)
        let word = try place.objects(
            try place.run("explain", "north:apple", "--topic", "words", "--json"))
        #expect(word[0]["outcome"] as? String == "deadLetter")
        let nothing = try place.run("explain", "south:apple")
        #expect(nothing.exitCode == 0 && nothing.output.isEmpty)
        #expect(nothing.errors == "No record of events has the key south:apple.\n")
        let unknown = try place.run("explain", "a:b", "--topic", "no")
        #expect(unknown.exitCode == ExitCodes.noInput)
        #expect(!FileManager.default.fileExists(atPath: place.data + "/state.db"))
    }

    @Test("where the first records are gone, it says that quantities count from nothing")
    func cut() async throws {
        let place = try CommandWorkplace()
        try Self.fill(place)
        let engine = try await GroupsWorkplace.open(place)
        try await engine.deleteRecords(ofTopic: "events", partition: 0, before: Offset(1))
        try await engine.close()
        let rows = try place.objects(try place.run("explain", "north:apple", "--json"))
        #expect(rows.first?["offset"] as? Int == 2 && rows.last?["isComplete"] as? Bool == false)
        #expect(rows.last?["agreesWithProjection"] is NSNull)
        let table = try place.run("explain", "north:apple")
        #expect(table.output.contains("records before offset 1 of partition 0 are gone"))
    }

    @Test("what was aborted never happened, and what is undecided has not happened yet")
    func transactions() async throws {
        let place = try CommandWorkplace()
        _ = try place.run("topics", "create", "events", "--partitions", "1")
        let engine = try await GroupsWorkplace.open(place)
        var configuration = ProducerConfiguration()
        configuration.transactionalID = "t"
        let producer = try engine.producer(configuration)
        try await producer.initTransactions()
        func send(_ quantity: Int) async throws {
            try producer.beginTransaction()
            _ = try await producer.send(
                key: "north:apple",
                value: Self.event("STOCK_RECEIVED", #","quantity":\#(quantity)"#), to: "events")
        }
        try await send(1)
        try await producer.commitTransaction()
        try await send(10)
        try await producer.abortTransaction()
        try await send(100)
        func offsets() throws -> [Int?] {
            try place.objects(
                try place.run("explain", "north:apple", "--topic", "events", "--json")
            ).map { $0["offset"] as? Int }
        }
        #expect(try offsets() == [0, nil])
        try await producer.commitTransaction()
        #expect(try offsets() == [0, 4, nil])
        try await engine.close()
    }
}
