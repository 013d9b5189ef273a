import Foundation
import TallyCommand
import TallyTestSupport
import Testing

@Suite struct ProduceCommandTests {
    private let place: CommandWorkplace

    init() throws {
        place = try CommandWorkplace()
        _ = try place.run("topics", "create", "a", "--partitions", "1")
    }

    private func consume(_ arguments: String...) throws -> [[String: Any]] {
        try place.objects(
            try place.run(["consume", "a", "--json"] + arguments, input: []))
    }

    @Test("a line is key, tab, value; without a tab a value; the last needs no line end")
    func tabs() throws {
        let run = try place.run("produce", "a", input: "k\tv\tw\r\nonly\n\tempty key\n\nå\tlast")
        #expect(run.exitCode == 0 && run.errors.contains("Produced 5 records"))
        let records = try consume()
        #expect(records.map { $0["key"] as? String } == ["k", nil, "", nil, "å"])
        #expect(
            records.map { $0["value"] as? String } == ["v\tw", "only", "empty key", "", "last"])
    }

    @Test("a JSON line has key, value, headers, partition and timestamp")
    func json() throws {
        let run = try place.run(
            "produce", "a", "--json",
            input: """
                {"key": "k", "value": "v", "headers": [["n", "x"], ["n", null]], "partition": 0, \
                "timestamp": 1234}
                {"key": null, "value": null}
                {"value": "😀"}
                """)
        #expect(run.exitCode == 0)
        let records = try consume()
        #expect(records.map { $0["value"] as? String } == ["v", nil, "😀"])
        #expect(records[0]["timestamp"] as? Int == 1234)
        let headers = try #require(records[0]["headers"] as? [[Any]])
        #expect(headers.map { $0.map { $0 as? String } } == [["n", "x"], ["n", nil]])
    }

    @Test(
        "a bad line is named by its number, and what came before it is in the topic",
        arguments: [
            ("{\"value\": 1}", "Line 3: \"value\" is not a string or null"),
            ("nonsense", "Line 3: it is no JSON object"), ("[1]", "Line 3: it is no JSON object"),
            ("{\"value\": \"x\", \"partition\": \"0\"}", "\"partition\" is not a whole number"),
            ("{\"value\": \"x\", \"partition\": 1.5}", "\"partition\" is not a whole number"),
            ("{\"value\": \"x\", \"headers\": {}}", "\"headers\" is not a list"),
            ("{\"key\": \"k\", \"val\": \"x\"}", "Line 3: there is no field \"val\""),
            ("{\"key\": \"k\"}", "Line 3: it has no \"value\""), ("{}", "it has no \"value\""),
            ("{\"value\": \"x\", \"timestamp\": -1}", "Line 3: a timestamp"),
            ("{\"headers\": [[\"x\"]]}", "Line 3: a header"),
            ("{\"value\": \"x\", \"partition\": 5}", "Line 3: Topic \"a\" has partitions 0 to 0"),
        ])
    func badLine(_ line: String, _ expected: String) throws {
        let good = "{\"value\": \"x\"}\n"
        let run = try place.run("produce", "a", "--json", input: good + good + line + "\n" + good)
        #expect(run.exitCode != 0)
        #expect(run.errors.contains(expected) && run.errors.contains("2 records before that"))
        #expect(try consume().count == 2)
    }

    @Test("what consume prints as JSON can be produced again")
    func roundTrip() throws {
        _ = try place.run("produce", "a", input: "k\tv\n")
        let printed = try place.run("consume", "a", "--json").output
        #expect(try place.run("produce", "a", "--json", input: printed).exitCode == 0)
        let records = try consume()
        #expect(records.count == 2 && records.allSatisfy { $0["value"] as? String == "v" })
    }

    @Test("bytes go through base64 unchanged, and are refused as text")
    func base64() throws {
        let bytes: [UInt8] = [0, 255, 9, 10, 195]
        let text = Data(bytes).base64EncodedString()
        let run = try place.run(
            "produce", "a", "--encoding", "base64", input: "\(text)\t\(text)\n")
        #expect(run.exitCode == 0)
        let record = try #require(try consume("--encoding", "base64").first)
        #expect(record["key"] as? String == text && record["value"] as? String == text)
        let wrong = try place.run("produce", "a", "--encoding", "base64", input: "!\n")
        #expect(wrong.exitCode == 1 && wrong.errors.contains("Line 1: the value is not valid"))
        let raw = try place.run(["produce", "a"], input: [97, 10, 255, 10])
        #expect(raw.exitCode == 1 && raw.errors.contains("Line 2: it is not UTF-8"))
        #expect(try consume().count == 2)
    }
}
