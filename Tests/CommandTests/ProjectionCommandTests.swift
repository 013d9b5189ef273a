import Foundation
import TallyCommand
import TallyTestSupport
import Testing

@Suite struct ProjectionCommandTests {
    private static let event = """
        north:apple\t{"eventType":"STOCK_RECEIVED","quantity":3,\
        "recordedAt":"2026-01-01T10:00:00Z"}

        """

    @Test("the topic of a lost state.db is found again, and rebuilt to the same rows")
    func lost() throws {
        let place = try CommandWorkplace()
        for topic in ["events", "words"] {
            _ = try place.run("topics", "create", topic, "--partitions", "2")
        }
        _ = try place.run("produce", "words", input: "hello\nworld\n")
        _ = try place.run("produce", "events", input: Self.event + Self.event)
        let none = try place.run("projection", "status")
        #expect(none.exitCode == ExitCodes.noInput)
        let first = try place.run("projection", "rebuild")
        #expect(first.exitCode == 0 && first.output.contains("events from 2 records"))
        let stock = try place.run("stock", "--json")
        #expect(stock.output.contains("\"onHand\": 6") && stock.lines.count == 1)
        for name in try FileManager.default.contentsOfDirectory(atPath: place.data)
        where name.hasPrefix("state.db") {
            try FileManager.default.removeItem(atPath: place.data + "/" + name)
        }
        #expect(try place.run("stock").exitCode == ExitCodes.noInput)
        let again = try place.run("projection", "rebuild")
        #expect(again.exitCode == 0 && !again.output.contains("words"))
        #expect(try place.run("stock", "--json").output == stock.output)
    }

    @Test("the status shows positions, lag and dead letters; producing keeps it up to date")
    func status() throws {
        let place = try CommandWorkplace()
        _ = try place.run("topics", "create", "events", "--partitions", "1")
        _ = try place.run("produce", "events", input: Self.event)
        _ = try place.run("projection", "rebuild", "--topic", "events")
        _ = try place.run("produce", "events", input: "north:apple\tnonsense\n" + Self.event)
        let rows = try place.objects(try place.run("projection", "status", "--json"))
        #expect(rows.count == 1)
        #expect(rows[0]["position"] as? Int == 3 && rows[0]["behind"] as? Int == 0)
        #expect(rows[0]["deadLetters"] as? Int == 1)
        #expect(try place.run("stock", "--json").output.contains("\"onHand\": 6"))
        #expect(try place.run("projection", "status").output.contains("events"))
        _ = try place.run("topics", "create", "more", "--partitions", "1")
        _ = try place.run("projection", "rebuild", "--topic", "more")
        let table = try place.run("projection", "status").lines
        #expect(table.count == 3 && table.filter { $0.hasPrefix("topic ") }.count == 1)
        let unknown = try place.run("projection", "rebuild", "--topic", "nope")
        #expect(unknown.exitCode == ExitCodes.noInput)
    }
}
