import Foundation
import Tally
import TallyCommand
import TallyTestSupport
import Testing

@Suite struct ImportCommandTests {
    private let place: CommandWorkplace
    private static let table = """
        Where,Item,Count,When
        north,apple,5,2026-01-01 10:00
        north,pear,-2,2026-01-01 11:00
        south,apple,7,2026-01-02 10:00

        """

    init() throws { place = try CommandWorkplace() }

    private func run(
        _ table: String, _ more: String..., key: String = "{Where}:{Item}"
    ) throws -> CommandRun {
        let file = place.directory.path("table.csv")
        try table.write(toFile: file, atomically: true, encoding: .utf8)
        return try place.run(
            [
                "import", file, "--topic", "events", "--key", key, "--delta", "-{Count}",
                "--time", "{When}",
            ] + more, input: [])
    }

    private func stock() throws -> [String: Int] {
        let rows = try place.objects(try place.run("stock", "--json"))
        return Dictionary(
            uniqueKeysWithValues: try rows.map { row in
                let warehouse = try #require(row["warehouse"] as? String)
                let item = try #require(row["item"] as? String)
                return ("\(warehouse):\(item)", try #require(row["onHand"] as? Int))
            })
    }

    @Test("a table becomes events and stock")
    func good() throws {
        let run = try run(
            Self.table, "--partitions", "3", "--config", "retention.ms=-1")
        #expect(run.exitCode == 0 && run.output.contains("Imported 3 rows"))
        #expect(!run.errors.contains("Warning"))
        #expect(try stock() == ["north:apple": -5, "north:pear": 2, "south:apple": -7])
        let topic = try place.objects(try place.run("topics", "list", "--json"))
        #expect(topic[0]["partitions"] as? Int == 3 && topic[0]["records"] as? Int == 3)
    }

    @Test("the projection reads every codec that the build has", arguments: Codec.allCases)
    func codecs(codec: Codec) async throws {
        let run = try run(
            Self.table, "--partitions", "2", "--config", "retention.ms=-1", "--compression",
            "\(codec)")
        guard codec.isSupported else {
            #expect(run.exitCode == 1 && run.errors.contains(codec.advice), "\(run.errors)")
            return
        }
        #expect(run.exitCode == 0, "\(run.errors)")
        let rebuilt = try place.run("projection", "rebuild")
        #expect(rebuilt.exitCode == 0)
        #expect(try stock() == ["north:apple": -5, "north:pear": 2, "south:apple": -7])
        let inspected = await CommandRun.inspect(place.data + "/events-0")
        #expect(inspected.output.contains("batches by codec: \(codec) "), "\(inspected)")
    }

    @Test("a bad row stops the import before anything is written")
    func stop() throws {
        let run = try run(Self.table + "south,pear,many,2026-01-02 10:00\n")
        #expect(run.exitCode == 1)
        #expect(run.errors.contains("line 5") && run.errors.contains("Nothing was imported"))
        #expect(!FileManager.default.fileExists(atPath: place.data))
    }

    @Test("bad rows are skipped where that is asked for, and counted")
    func skip() throws {
        let bad = "south,pear,many,2026-01-02 10:00\n"
        let run = try run(Self.table + bad + bad, "--on-error", "skip")
        #expect(run.exitCode == 0)
        #expect(run.output.contains("Imported 3 rows") && run.output.contains("Skipped 2 bad"))
        #expect(run.errors.contains("line 5") && run.errors.contains("line 6"))
        #expect(try stock().count == 3)
    }

    @Test("an import that fails midway says how many rows are in the topic")
    func failure() throws {
        _ = try place.run(
            "topics", "create", "events", "--partitions", "1", "--config", "max.message.bytes=300")
        let long = String(repeating: "x", count: 500)
        let run = try run(Self.table + "\(long),pear,1,2026-01-02 10:00\n")
        #expect(run.exitCode == 1 && run.errors.contains("error: A record of"))
        #expect(run.errors.contains("3 rows of \(place.directory.path("table.csv")) are in topic"))
        let topics = try place.objects(try place.run("topics", "list", "--json"))
        #expect(topics[0]["records"] as? Int == 3)
    }

    @Test("rows stay imported, and that is said, where the projection cannot be written")
    func projectionFails() throws {
        _ = try place.run("topics", "create", "events", "--partitions", "1")
        try FileManager.default.createDirectory(
            atPath: place.data + "/state.db", withIntermediateDirectories: false)
        let run = try run(Self.table)
        #expect(run.exitCode == 1 && run.output.contains("Imported 3 rows"))
    }

    @Test("standard input is named as such")
    func standardInput() throws {
        let run = try place.run(
            "import", "-", "--topic", "events", "--key", "{Where}:{Item}", "--delta", "{Count}",
            "--time", "{When}", input: Self.table + "south,pear,many,2026-01-02 10:00\n")
        #expect(run.exitCode == 1 && run.errors.contains("error: standard input, line 5"))
    }

    @Test("the help names the default of an option as it is written")
    func defaults() throws {
        let imports = try CommandRun.program("import", "--help").output
        let produce = try CommandRun.program("produce", "--help").output
        #expect(imports.contains("default: lz4") && produce.contains("default: none"))
    }

    @Test("history that the retention would delete is warned of")
    func retention() throws {
        let old = Self.table.replacingOccurrences(of: "2026-", with: "2010-")
        let run = try run(old)
        #expect(run.exitCode == 0 && run.errors.contains("retention.ms=604800000"))
        #expect(run.errors.contains("--config retention.ms=-1"))
    }

    @Test("nothing is said of retention where a topic is only compacted")
    func compacted() throws {
        _ = try place.run(
            "topics", "create", "events", "--partitions", "1", "--config", "cleanup.policy=compact")
        let run = try run(Self.table.replacingOccurrences(of: "2026-", with: "2010-"))
        #expect(run.exitCode == 0 && run.errors.isEmpty, "\(run.errors)")
    }

    @Test("a topic keeps its number of partitions, and that is said")
    func partitions() throws {
        _ = try place.run("topics", "create", "events", "--partitions", "2")
        let run = try run(Self.table, "--partitions", "5")
        #expect(run.exitCode == 0 && run.errors.contains("exists with 2 partitions"))
    }

    @Test("a column that is not there is refused with those that are")
    func column() throws {
        let run = try run(Self.table, key: "{Warehouse}:{Item}")
        #expect(run.exitCode == 1)
        for name in ["\"Warehouse\"", "\"Where\"", "\"Item\"", "\"Count\"", "\"When\""] {
            #expect(run.errors.contains(name))
        }
    }

    @Test("a file that is not there is refused")
    func file() throws {
        let run = try place.run(
            "import", "/nowhere.csv", "--topic", "a", "--key", "{a}", "--delta", "{b}", "--time",
            "{c}")
        #expect(run.exitCode == ExitCodes.noInput && run.errors.contains("/nowhere.csv"))
    }
}
