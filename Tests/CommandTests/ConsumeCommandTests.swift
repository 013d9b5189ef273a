import Foundation
import Synchronization
import TallyCommand
import TallyTestSupport
import Testing

@Suite struct ConsumeCommandTests {
    private func offsets(_ run: CommandRun) throws -> [Int] {
        try run.lines.map { line in
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
            return try #require((object as? [String: Any])?["offset"] as? Int)
        }
    }

    @Test("records come with topic, partition, key, value and headers, as text")
    func json() async throws {
        let run = await CommandRun.consume(
            "golden-plain", "--data", Golden.directory, "--json", "--max", "6")
        #expect(run.exitCode == 0)
        #expect(
            run.lines.map(String.init) == [
                #"{"topic": "golden-plain", "partition": 0, "offset": 0, "timestamp": "#
                    + #"1767225606500, "key": "GOT-01:SKU-101", "value": "{\"quantityDelta\":-3}""#
                    + #", "headers": [["trace-id", "7af3c1"], ["event-version", "1"]]}"#,
                #"{"topic": "golden-plain", "partition": 0, "offset": 1, "timestamp": "#
                    + #"1767225607037, "key": null, "value": "no key", "headers": []}"#,
                #"{"topic": "golden-plain", "partition": 0, "offset": 2, "timestamp": "#
                    + #"1767225607074, "key": "tombstone", "value": null, "headers": []}"#,
                #"{"topic": "golden-plain", "partition": 0, "offset": 3, "timestamp": "#
                    + #"1767225607111, "key": "", "value": "", "headers": []}"#,
                #"{"topic": "golden-plain", "partition": 0, "offset": 4, "timestamp": "#
                    + #"1767225607148, "key": null, "value": null, "headers": [["null-header", "#
                    + #"null], ["dup", "a"], ["dup", "b"], ["", "empty name"]]}"#,
                #"{"topic": "golden-plain", "partition": 0, "offset": 5, "timestamp": "#
                    + #"1767225607185, "key": "Malmö-02:SKU-9é", "value": "åäö 😀", "#
                    + #""headers": []}"#,
            ])
    }

    @Test("bytes that are no text are replaced with a note, and exact in base64")
    func encoding() async throws {
        let text = await CommandRun.consume("golden-plain", "--data", Golden.directory, "--json")
        #expect(text.lines.count == 120)
        #expect(text.errors.contains("--encoding base64"))
        let exact = await CommandRun.consume(
            "golden-plain", "--data", Golden.directory, "--json", "--encoding", "base64")
        #expect(exact.errors == "")
        let expected = try Golden.expected("golden-plain.read_uncommitted").split(separator: "\n")
        for (line, expected) in zip(exact.lines, expected) {
            let from = try #require(line.range(of: "\"key\""))
            let fromExpected = try #require(expected.range(of: "\"key\""))
            #expect(line[from.lowerBound...] == expected[fromExpected.lowerBound...])
        }
    }

    @Test("reading begins where it is told to")
    func from() async throws {
        func run(_ from: String...) async throws -> [Int] {
            let streams = CommandStreams(output: Output(), errors: Output())
            let code = await ConsumeCommand.run(
                ["golden-lz4", "--data", Golden.directory, "--json"] + from, streams)
            return try offsets(
                CommandRun(
                    output: streams.output.text, errors: streams.errors.text, exitCode: code))
        }
        #expect(try await run() == Array(0..<5000))
        #expect(try await run("--from", "earliest") == Array(0..<5000))
        #expect(try await run("--from", "latest") == [])
        #expect(try await run("--from", "3333", "--partition", "0") == Array(3333..<5000))
        #expect(try await run("--from", "5000", "--partition", "0") == [])
        #expect(
            try await run("--from", "4990", "--partition", "0", "--max", "3") == [4990, 4991, 4992])
        #expect(try await run("--max", "0") == [])
        #expect(try await run("--from", "2010-12-01T10:00") == Array(197..<5000))
        #expect(try await run("--from", "2010-12-01T11:00:00+01:00") == Array(197..<5000))
        #expect(try await run("--from", "@1291197600000") == Array(197..<5000))
        #expect(try await run("--from", "2031-01-01") == [])
    }

    @Test("read_committed leaves out what was aborted")
    func isolation() async throws {
        for (isolation, count) in [("read_committed", 47), ("read_uncommitted", 65)] {
            let run = await CommandRun.consume(
                "golden-transactions", "--data", Golden.directory, "--json", "--isolation",
                isolation)
            let expected = try Golden.expected("golden-transactions.\(isolation)")
                .split(separator: "\n").map { line in
                    Int(line.dropFirst("{\"offset\": ".count).prefix { $0 != "," }) ?? -1
                }
            #expect(try offsets(run) == expected)
            #expect(expected.count == count)
        }
    }

    @Test("what cannot be done is said, with an exit code")
    func failures() async {
        let data = Golden.directory
        let topic = await CommandRun.consume("nope", "--data", data)
        #expect(topic.exitCode == ExitCodes.noInput && topic.errors.contains("golden-plain"))
        let directory = await CommandRun.consume("golden-plain", "--data", "/nowhere")
        #expect(directory.exitCode == ExitCodes.noInput && directory.errors.contains("--data"))
        let partition = await CommandRun.consume("golden-plain", "--data", data, "--partition", "4")
        #expect(partition.exitCode == ExitCodes.noInput)
        let offset = await CommandRun.consume("golden-plain", "--data", data, "--from", "4")
        #expect(offset.exitCode == ExitCodes.usage && offset.errors.contains("--partition"))
        let range = await CommandRun.consume(
            "golden-plain", "--data", data, "--from", "400", "--partition", "0")
        #expect(range.exitCode == ExitCodes.failure && range.errors.contains("0 to 120"))
        for name in Golden.unreadable {
            let codec = await CommandRun.consume(name, "--data", data)
            #expect(codec.exitCode == ExitCodes.unsupportedCodec)
            #expect(codec.errors.contains("codec not supported: \(name.dropFirst(7))"))
        }
        let time = await CommandRun.consume("golden-plain", "--data", data, "--from", "2010-13-01")
        #expect(time.exitCode == ExitCodes.usage)
    }

    @Test("following shows what is written later, and ends when told to")
    func follow() async throws {
        let directory = try TemporaryDirectory()
        let path = try Golden.copy("golden-lz4", to: directory)
        let file = URL(fileURLWithPath: path + "/00000000000000003300.log")
        let whole = try Data(contentsOf: file)
        try whole.prefix(1096).write(to: file)
        let streams = Mutex("")
        let command = Task {
            let own = CommandStreams(output: Output(), errors: Output())
            let code = await ConsumeCommand.run(
                ["golden-lz4", "--data", directory.path, "--json", "--follow", "--max", "4000"],
                own)
            streams.withLock { $0 = own.output.text }
            return code
        }
        try await Task.sleep(for: .milliseconds(300))
        let handle = try FileHandle(forWritingTo: file)
        try handle.seekToEnd()
        // In pieces that tear batches.
        var at = 1096
        while at < whole.count {
            let end = min(at + 700, whole.count)
            try handle.write(contentsOf: whole[at..<end])
            at = end
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(await command.value == 0)
        let run = CommandRun(output: streams.withLock { $0 }, errors: "", exitCode: 0)
        #expect(try offsets(run) == Array(0..<4000))
        withExtendedLifetime(directory) {}
    }
}
