import Foundation
import TallyCommand
import TallyTestSupport
import Testing

@Suite struct StockCommandTests {
    private func place() throws -> CommandWorkplace {
        let place = try CommandWorkplace()
        let file = place.directory.path("table.csv")
        try """
        Where,Item,Count,When
        north,apple,5,2026-01-01 10:00
        north,apple,6,2026-01-01 10:30
        north,pear,-2,2026-01-01 11:00
        south,apple,7,2026-01-02 10:00

        """.write(toFile: file, atomically: true, encoding: .utf8)
        let run = try place.run(
            "import", file, "--topic", "events", "--key", "{Where}:{Item}", "--delta", "{Count}",
            "--time", "{When}")
        #expect(run.exitCode == 0)
        return place
    }

    @Test("rows have the documented fields")
    func fields() throws {
        let place = try place()
        let rows = try place.objects(try place.run("stock", "--item", "apple", "--json"))
        #expect(rows.count == 2)
        #expect(
            Set(rows[0].keys) == [
                "topic", "warehouse", "item", "onHand", "reserved", "available", "updatedAt",
                "partition", "offset", "events",
            ])
        #expect(rows[0]["topic"] as? String == "events")
        #expect(rows[0]["onHand"] as? Int == 11 && rows[0]["events"] as? Int == 2)
        #expect(rows[0]["reserved"] as? Int == 0 && rows[0]["available"] as? Int == 11)
        #expect((rows[0]["updatedAt"] as? String)?.hasPrefix("2026-01-01T10:30:00") == true)
    }

    @Test("rows are filtered, ordered and limited")
    func filters() throws {
        let place = try place()
        func keys(_ arguments: String...) throws -> [String] {
            try place.objects(try place.run(["stock", "--json"] + arguments, input: [])).map {
                "\($0["warehouse"] ?? ""):\($0["item"] ?? "")"
            }
        }
        #expect(try keys("--warehouse", "north") == ["north:apple", "north:pear"])
        #expect(try keys("--below", "0") == ["north:pear"])
        #expect(try keys("--below", "-2") == [] && keys("--below", "-1") == ["north:pear"])
        #expect(
            try keys("--sort", "available") == ["north:pear", "south:apple", "north:apple"])
        #expect(try keys("--sort", "available", "--descending", "--limit", "1") == ["north:apple"])
        #expect(try keys("--topic", "nope") == [])
        #expect(try place.run("stock", "--limit", "-1").exitCode == ExitCodes.usage)
        let table = try place.run("stock", "--limit", "1")
        #expect(table.output.contains("north") && table.errors.contains("--limit 0"))
    }

    @Test("the same item of two topics is told apart")
    func twoTopics() throws {
        let place = try place()
        #expect(!(try place.run("stock").output.contains("topic")))
        let run = try place.run(
            "import", place.directory.path("table.csv"), "--topic", "more", "--key",
            "{Where}:{Item}", "--delta", "{Count}", "--time", "{When}")
        #expect(run.exitCode == 0)
        let lines = try place.run("stock", "--item", "pear").lines
        #expect(lines.count == 3 && lines[0].hasPrefix("  topic"))
        #expect(lines[1].hasPrefix("  events") && lines[2].hasPrefix("  more"))
    }

    @Test("without a projection there is no input")
    func nothing() throws {
        let place = try CommandWorkplace()
        let run = try place.run("stock")
        #expect(run.exitCode == ExitCodes.noInput && run.errors.contains("import or project"))
    }
}
