import Foundation
import TallyCommand
import TallyTestSupport
import Testing

@testable import Tally

@Suite struct TransactionsCommandTests {
    /// Producer 7, of epoch 3, has had a transaction open at offsets 0 to 2 of shop-1, in two
    /// segments, for an hour, producer 8 one at offset 3 for a moment.
    private static func hang(in place: CommandWorkplace) async throws {
        let engine = try await Engine.open(at: place.data)
        try await engine.createTopic("shop", partitions: 2)
        try await engine.createTopic("other", partitions: 1)
        let log = try engine.partition(1, of: "shop").log
        let start = Timestamp(milliseconds: Timestamp.now.rawValue - 3_600_000)
        try log.appendTransactional(count: 2, producerID: 7, epoch: 3, timestamp: start)
        try log.roll()
        try log.appendTransactional(
            count: 1, producerID: 7, epoch: 3, sequence: 2, timestamp: .now)
        try log.appendTransactional(count: 1, producerID: 8, timestamp: .now)
        _ = try await engine.producer().send(key: "a", value: "behind", to: "other")
        try await engine.close()
    }

    @Test("a hanging transaction is listed, aborted by the command that is shown, and then gone")
    func life() async throws {
        let place = try CommandWorkplace()
        try await Self.hang(in: place)
        let listed = try place.run("transactions", "hanging", "--json")
        let rows = try place.objects(listed)
        #expect(listed.exitCode == 0 && rows.count == 1)
        let row = try #require(rows.first)
        #expect(row["topic"] as? String == "shop" && row["partition"] as? Int == 1)
        #expect(row["producerId"] as? Int == 7 && row["producerEpoch"] as? Int == 3)
        #expect(row["firstOffset"] as? Int == 0 && row["lastOffset"] as? Int == 2)
        #expect((row["startedAt"] as? String)?.hasSuffix("Z") == true)
        #expect((3_600_000..<3_900_000).contains(try #require(row["ageMilliseconds"] as? Int)))

        // The command that is shown, as a shell would split it, without the data directory.
        let shown = try #require(listed.errors.split(separator: "\n").last)
        let words = shown.split(separator: " ").map { String($0) }
        #expect(words.first == "tally" && words.suffix(2) == ["--data", place.data])
        let aborted = try place.run(Array(words.dropFirst().dropLast(2)), input: [])
        #expect(aborted.exitCode == 0 && aborted.errors.isEmpty, "\(aborted.errors)")
        #expect(aborted.output.contains("producer 7 with epoch 3 in shop-1: offsets 0 to 2,"))
        #expect(aborted.output.hasSuffix("marker has offset 4; the last stable offset is 3.\n"))

        let gone = try place.run("transactions", "hanging")
        #expect(gone.exitCode == 0 && gone.output.isEmpty)
        #expect(
            gone.errors == "No transaction has been open for 15m or longer; 1 open for less "
                + "(--older-than 0s lists all).\n")
        let again = try place.run(Array(words.dropFirst().dropLast(2)), input: [])
        #expect(again.exitCode == ExitCodes.failure && again.output.isEmpty)
        #expect(
            again.errors == "error: shop-1 has no open transaction of producer 7 with epoch 3. "
                + "Open are: producer 8 with epoch 0, from offset 3 on.\n")
    }

    @Test("--older-than and --topic choose, and the table is for people")
    func choices() async throws {
        let place = try CommandWorkplace()
        try await Self.hang(in: place)
        func producers(_ arguments: String...) throws -> [Int?] {
            let run = try place.run(["transactions", "hanging", "--json"] + arguments, input: [])
            return try place.objects(run).map { $0["producerId"] as? Int }
        }
        #expect(try producers("--older-than", "0s") == [7, 8])
        #expect(try producers("--older-than", "59m") == [7])
        #expect(try producers("--older-than", "2h") == [])
        #expect(try producers("--topic", "shop", "--older-than", "0ms") == [7, 8])
        #expect(try producers("--topic", "other", "--older-than", "0s") == [])
        let table = try place.run("transactions", "hanging", "--topic", "shop")
        #expect(table.lines.count == 2, "\(table)")
        let row = try #require(table.lines.last).split(separator: " ")
        #expect(row.prefix(6) == ["shop", "1", "7", "3", "0", "2"] && row[7] == "1h")
        let unknown = try place.run("transactions", "hanging", "--topic", "nothing")
        #expect(unknown.exitCode == ExitCodes.noInput)
        #expect(unknown.errors.contains("Topics are: other, shop"))
        for text in ["15", "m", "-1s", "1.5h", "9223372036854775807d", ""] {
            let wrong = try place.run("transactions", "hanging", "--older-than=\(text)")
            #expect(wrong.exitCode == ExitCodes.usage, "\(text)")
        }
    }

    @Test("looking takes no lock and writes nothing; aborting wants the directory for itself")
    func inUse() async throws {
        let place = try CommandWorkplace()
        try await Self.hang(in: place)
        let engine = try await Engine.open(at: place.data)
        let before = try place.directory.state()
        let listed = try place.run("transactions", "hanging", "--json")
        #expect(listed.exitCode == 0 && listed.lines.count == 1)
        #expect(try place.directory.state() == before)
        let refused = try place.run(
            "transactions", "abort", "--topic", "shop", "--partition", "1", "--producer-id", "7")
        #expect(refused.exitCode == ExitCodes.failure && refused.errors.contains("is in use by"))
        // What the application appends meanwhile is seen. Of a batch without a timestamp nobody
        // can tell that it is young.
        try engine.partition(0, of: "other").log.appendTransactional(
            count: 1, producerID: 9, timestamp: .none)
        let both = try place.objects(try place.run("transactions", "hanging", "--json"))
        #expect(both.map { $0["producerId"] as? Int } == [9, 7])
        #expect(both[0]["startedAt"] is NSNull && both[0]["ageMilliseconds"] is NSNull)
        #expect(try await engine.openTransactions(of: "other").map(\.startedAt) == [nil])
        try await engine.close()
    }

    @Test("no transaction is open in what Kafka wrote, until its last markers are cut off")
    func golden() throws {
        let none = try CommandRun.program(
            "transactions", "hanging", "--data", Golden.directory, "--older-than", "0s")
        #expect(none.exitCode == 0 && none.output.isEmpty)
        #expect(none.errors == "No transaction has been open for 0s or longer.\n")

        let place = try CommandWorkplace()
        try FileManager.default.createDirectory(
            atPath: place.data, withIntermediateDirectories: true)
        let partition = place.data + "/golden-transactions-0"
        try FileManager.default.copyItem(
            atPath: Golden.partition("golden-transactions"), toPath: partition)
        // As a broker that died would leave it: the batch before is not settled, and the snapshot
        // of the clean stop is not there.
        let log = URL(fileURLWithPath: partition + "/00000000000000000015.log")
        try Data(contentsOf: log).prefix(1784).write(to: log)
        try? FileManager.default.removeItem(atPath: partition + "/00000000000000000071.snapshot")
        let rows = try place.objects(try place.run("transactions", "hanging", "--json"))
        #expect(rows.count == 1)
        let row = try #require(rows.first)
        #expect(row["producerId"] as? Int == 1 && row["producerEpoch"] as? Int == 0)
        #expect(row["firstOffset"] as? Int == 65 && row["lastOffset"] as? Int == 67)
        #expect(row["startedAt"] as? String == "2026-01-01T00:00:07.000Z")
        let aborted = try place.run(
            "transactions", "abort", "--topic", "golden-transactions", "--partition", "0",
            "--producer-id", "1")
        #expect(aborted.exitCode == 0, "\(aborted.errors)")
        #expect(aborted.output.contains("marker has offset 70; the last stable offset is 71."))
        let read = try place.run(
            "consume", "golden-transactions", "--isolation", "read_committed", "--json")
        let offsets = try place.objects(read).compactMap { $0["offset"] as? Int }
        #expect(offsets.suffix(3) == [57, 68, 69], "neither 65 to 67 nor what Kafka aborted")
    }

    @Test("a damaged partition is told of, and the others are listed all the same")
    func damage() async throws {
        let place = try CommandWorkplace()
        try await Self.hang(in: place)
        let golden = place.data + "/golden-lz4-0"
        try FileManager.default.copyItem(
            atPath: Golden.partition("golden-lz4"), toPath: golden)
        let log = URL(fileURLWithPath: golden + "/00000000000000000000.log")
        var bytes = [UInt8](try Data(contentsOf: log))
        bytes[2300] ^= 1
        try Data(bytes).write(to: log)
        let run = try place.run("transactions", "hanging", "--json")
        #expect(run.exitCode == ExitCodes.failure)
        #expect(try place.objects(run).map { $0["producerId"] as? Int } == [7])
        #expect(run.errors.contains("error: golden-lz4-0: "))
        #expect(run.errors.contains("byte 2194") && run.errors.contains("checksum mismatch"))
        #expect(run.errors.contains("of 4 partitions, 1 could not be read to the end"))
        try FileManager.default.removeItem(atPath: golden)
    }
}

extension TemporaryDirectory {
    /// Every file, with its bytes and when it was changed.
    fileprivate func state() throws -> [String: [String]] {
        var state: [String: [String]] = [:]
        let manager = FileManager.default
        for name in try manager.subpathsOfDirectory(atPath: path("data")) {
            let full = path("data") + "/" + name
            let attributes = try manager.attributesOfItem(atPath: full)
            let time = (attributes[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
            let bytes = manager.contents(atPath: full)?.base64EncodedString() ?? ""
            state[name] = ["\(time)", bytes]
        }
        return state
    }
}
