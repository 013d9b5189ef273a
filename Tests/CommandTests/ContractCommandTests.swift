import Foundation
import TallyCommand
import TallyTestSupport
import Testing

@Suite struct ContractCommandTests {
    let place: CommandWorkplace

    init() throws { place = try CommandWorkplace() }

    /// A contract with these channels, in a file.
    private func contract(_ channels: String) throws -> String {
        let head = "asyncapi: 3.0.0\ninfo: {title: Shop, version: 1.0.0}\nchannels:\n"
        let path = place.directory.path("shop.yaml")
        try Data((head + channels).utf8).write(to: URL(filePath: path))
        return path
    }

    private func topic(_ name: String, partitions: Int, _ settings: String, key: Bool = false)
        -> String
    {
        """
          \(name):
            bindings:
              kafka: {partitions: \(partitions), topicConfiguration: {\(settings)}}
        \(key ? "    messages: {m: {bindings: {kafka: {key: {type: string}}}}}\n" : "")
        """
    }

    private func settings() throws -> [String: String] {
        let rows = try place.objects(try place.run("topics", "list", "--json"))
        return Dictionary(
            uniqueKeysWithValues: try rows.map { row in
                let name = try #require(row["topic"] as? String)
                return (name, "\(row["partitions"] ?? "") \(row["settings"] ?? "")")
            })
    }

    @Test("applying shows the difference, makes it so, and then finds nothing to do")
    func apply() throws {
        let path = try contract(
            topic("orders", partitions: 3, "retention.ms: 5, preallocate: true")
                + topic("state", partitions: 1, "cleanup.policy: [compact]"))
        let shown = try place.run("topics", "apply", path, "--dry-run")
        #expect(shown.exitCode == 0, "\(shown.errors)")
        #expect(
            shown.output == """
                + topic orders: 3 partitions
                +   retention.ms: 5
                    note: preallocate is not for an embedded engine, and stays in the \
                contract
                + topic state: 1 partition
                +   cleanup.policy: compact

                """)
        #expect(shown.errors.contains("dry run"))
        #expect(!FileManager.default.fileExists(atPath: place.data))
        let applied = try place.run("topics", "apply", path)
        #expect(applied.exitCode == 0 && applied.output == shown.output)
        let made = ["orders": "3 retention.ms=5", "state": "1 cleanup.policy=compact"]
        #expect(try settings() == made)
        let again = try place.run("topics", "apply", path)
        #expect(again.exitCode == 0 && again.errors == "Nothing to do.\n")
        #expect(again.output.contains("= topic orders\n") && !again.output.contains("~"))

        // Changed, reset, grown; one that is not named stays.
        _ = try place.run("topics", "create", "other", "--partitions", "1")
        let changed = try contract(
            topic("orders", partitions: 4, "segment.bytes: 4096")
                + topic("state", partitions: 1, "cleanup.policy: [delete, compact]"))
        let difference = try place.run("topics", "apply", changed)
        #expect(difference.exitCode == 0, "\(difference.errors)")
        #expect(
            difference.output == """
                ~ topic orders
                ~   partitions: 3 -> 4
                ~   retention.ms: 5 -> 604800000 (the default)
                ~   segment.bytes: 1073741824 -> 4096, with the next opening
                ~ topic state
                ~   cleanup.policy: compact -> delete,compact

                """)
        #expect(difference.errors.contains("left alone: other"))
        #expect(
            try settings() == [
                "orders": "4 segment.bytes=4096", "state": "1 cleanup.policy=delete,compact",
                "other": "1 ",
            ])
    }

    @Test("where one thing cannot be done, nothing is")
    func refused() throws {
        _ = try place.run("topics", "create", "a", "--partitions", "3")
        let before = try settings()
        for (channels, expected) in [
            (topic("a", partitions: 2, ""), ["has 3 partitions and cannot have 2", "shop.yaml:6"]),
            (topic("a", partitions: 3, "segment.bytes: 1"), ["shop.yaml:6", "100 to 2147483647"]),
            (
                topic("a", partitions: 3, "min.compaction.lag.ms: 2, max.compaction.lag.ms: 1"),
                ["max.compaction.lag.ms=1 is less"]
            ),
            ("  a: {address: b}\n", ["topic b is new", "add bindings.kafka.partitions"]),
            (topic("a/b", partitions: 1, ""), ["cannot be the name of a topic"]),
            (
                topic("a", partitions: 4, "", key: true),
                ["its contract has a key", "topics migrate"]
            ),
        ] {
            let path = try contract(topic("new", partitions: 1, "") + channels)
            for arguments in [["topics", "apply", path, "--dry-run"], ["topics", "apply", path]] {
                let run = try place.run(arguments, input: [])
                #expect(run.exitCode == ExitCodes.failure)
                #expect(run.errors.contains("Nothing was changed."), "\(run.errors)")
                for part in expected where !part.hasPrefix("shop.yaml") {
                    #expect(run.errors.contains(part), "\(run.errors)")
                }
            }
        }
        #expect(try settings() == before)
        let wrong = try place.run(
            "topics", "apply", try contract("  a: {bindings: {kafka: {x: 1}}}"))
        #expect(wrong.exitCode == ExitCodes.failure && wrong.errors.contains("shop.yaml:4: "))
        let missing = try place.run("topics", "apply", place.directory.path("none.yaml"))
        #expect(missing.exitCode == ExitCodes.noInput)
        #expect(try place.run("topics", "apply").exitCode == ExitCodes.usage)
    }

    @Test("keyed topics get more partitions only when told, by apply and by alter")
    func keyed() throws {
        for name in ["keyed", "keyless"] {
            _ = try place.run("topics", "create", name, "--partitions", "2")
        }
        _ = try place.run("produce", "keyed", input: "k\tv\n")
        _ = try place.run("produce", "keyless", input: "v\n")
        let alter = try place.run("topics", "alter", "keyed", "--partitions", "4")
        #expect(alter.exitCode == ExitCodes.failure)
        #expect(alter.errors.contains("its log holds records with keys"))
        #expect(alter.errors.contains("about 50 % of its keys"))
        #expect(alter.errors.contains("tally topics migrate keyed --to ANOTHER --partitions 4"))
        let path = try contract(topic("keyed", partitions: 4, ""))
        #expect(try place.run("topics", "apply", path).errors.contains("holds records with keys"))
        let contract = try contract(topic("keyless", partitions: 2, "", key: true))
        let byContract = try place.run(
            "topics", "alter", "keyless", "--partitions", "3", "--contract", contract)
        #expect(byContract.errors.contains("its contract has a key"))
        #expect(try settings().values.allSatisfy { $0 == "2 " })

        let allowed = try place.run(
            "topics", "alter", "keyed", "--partitions", "4", "--allow-key-movement")
        #expect(allowed.exitCode == 0 && allowed.output == "partitions: 2 -> 4\n")
        let keyless = try place.run("topics", "alter", "keyless", "--partitions", "3")
        #expect(keyless.exitCode == 0, "\(keyless.errors)")
        #expect(try settings() == ["keyed": "4 ", "keyless": "3 "])
    }

    @Test("alter changes and resets settings, and says what has changed")
    func alter() throws {
        _ = try place.run(
            "topics", "create", "a", "--partitions", "1", "--config", "retention.ms=5")
        let changed = try place.run(
            "topics", "alter", "a", "--config", "segment.bytes=4096", "--reset", "retention.ms")
        #expect(
            changed.output == """
                retention.ms: 5 -> 604800000
                segment.bytes: 1073741824 -> 4096, with the next opening

                """)
        #expect(try settings() == ["a": "1 segment.bytes=4096"])
        let same = try place.run("topics", "alter", "a", "--config", "segment.bytes=4096")
        #expect(same.exitCode == 0 && same.errors == "Nothing to do.\n")
        for (arguments, code) in [
            ([], ExitCodes.usage), (["--partitions", "0"], ExitCodes.usage),
            (["--config", "x"], ExitCodes.usage), (["--config", "x=1"], ExitCodes.failure),
            (["--reset", "x"], ExitCodes.failure), (["--config", "segment.bytes=1"], 1),
        ] {
            let run = try place.run(["topics", "alter", "a"] + arguments, input: [])
            #expect(run.exitCode == code, "\(arguments): \(run.errors)")
        }
        let unknown = try place.run("topics", "alter", "b", "--partitions", "2")
        #expect(unknown.exitCode == ExitCodes.noInput)
    }

    @Test("what is exported is what apply finds nothing to change in, here and elsewhere")
    func roundTrip() throws {
        _ = try place.run(
            "topics", "create", "a", "--partitions", "3", "--config", "cleanup.policy=compact",
            "--config", "min.cleanable.dirty.ratio=0.25", "--config", "retention.ms=-1", "--config",
            "tally.durability=interval:50", "--config", "compression.type=lz4")
        _ = try place.run("topics", "create", "0x10", "--partitions", "1")
        let exported = try place.run("topics", "export")
        #expect(exported.exitCode == 0, "\(exported.errors)")
        let path = place.directory.path("exported.yaml")
        try Data(exported.output.utf8).write(to: URL(filePath: path))
        let applied = try place.run("topics", "apply", path)
        #expect(applied.output == "= topic 0x10\n= topic a\n")
        #expect(applied.errors == "Nothing to do.\n")
        // In an empty directory it makes the same topics.
        let other = try CommandWorkplace()
        #expect(try other.run("topics", "apply", path).exitCode == 0)
        #expect(try other.run("topics", "export").output == exported.output)
        let one = try place.run("topics", "export", "a")
        #expect(one.output.contains("a:") && !one.output.contains("0x10"))
        #expect(try place.run("topics", "export", "b").exitCode == ExitCodes.noInput)
    }

    @Test("lint prints rule, place, reason and remedy, and fails where it finds something")
    func lint() throws {
        let path = try contract(topic("a", partitions: 1, "segment.bytes: 1"))
        let text = try CommandRun.program("topics", "lint", path)
        #expect(text.exitCode == ExitCodes.failure)
        #expect(
            text.output.contains("shop.yaml:4: channels.a: purpose-described: topic a\n  why: "))
        #expect(text.output.contains("\n  do:  "))
        let run = try CommandRun.program("topics", "lint", path, "--json")
        #expect(run.exitCode == ExitCodes.failure && run.errors.contains("findings in 1 topic"))
        let rows = try place.objects(run)
        let rules = rows.compactMap { $0["rule"] as? String }
        #expect(
            rules == [
                "purpose-described", "contents-stated", "key-described", "partitions-justified",
                "recovery-window-stated", "setting-value",
            ])
        #expect(rows.allSatisfy { ($0["line"] as? Int ?? 0) > 3 && $0["remedy"] is String })
        let missing = try CommandRun.program("topics", "lint", path + "x")
        #expect(missing.exitCode == ExitCodes.noInput)
    }

    @Test("a contract without findings passes")
    func sound() throws {
        let path = try contract(
            """
              a:
                description: What customers ordered
                x-tally-contents: events
                x-tally-key-reason: only counted
                x-tally-partitions-reason: one consumer
                x-tally-recovery-window-ms: 1000
                bindings: {kafka: {partitions: 1}}
            """)
        let run = try CommandRun.program("topics", "lint", path)
        #expect(run.exitCode == 0 && run.output.isEmpty && run.errors == "1 topic, no findings.\n")
    }
}
