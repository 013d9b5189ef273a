import Foundation
import TallyCommand
import TallyTestSupport
import Testing

@testable import Tally

@Suite struct MigrateCommandTests {
    let place: CommandWorkplace

    init() throws { place = try CommandWorkplace() }

    /// Records of 50 keys, numbered in their order, some deleted, with headers and old timestamps.
    private func fill(
        count: Int = 500, settings: [String: String] = ["retention.ms": "-1"]
    ) async throws {
        let engine = try await Engine.open(at: place.data)
        try await engine.createTopic(
            "old", partitions: 3, configuration: try TopicConfiguration(settings))
        let producer = try engine.producer()
        for number in 0..<count {
            let key = Array("key \(number % 50)".utf8)
            let value = Array("\(number)".utf8)
            try producer.enqueue(
                topic: "old", key: key.span.bytes,
                value: number % 7 == 0 ? nil : value.span.bytes,
                timestamp: Timestamp(milliseconds: Int64(number)),
                headers: [RecordHeader(name: "n", value: value)])
        }
        try await producer.flush()
        try await engine.close()
    }

    /// The records of each key in a topic, in their order, and the partitions each key lies in.
    private func keys(
        of topic: String
    ) async throws -> (records: [String: [String]], places: [String: Set<Int32>]) {
        let engine = try await Engine.open(at: place.data)
        var records: [String: [String]] = [:]
        var places: [String: Set<Int32>] = [:]
        let consumer = try engine.consumer(of: topic, ConsumerConfiguration(end: .currentEnd))
        for try await fetched in consumer {
            try fetched.forEachRecord { record in
                let key = record.keyText ?? ""
                var headers = record.headers
                let header = try headers.next()?.value?.byteCount ?? -1
                records[key, default: []].append(
                    "\(record.valueText ?? "null") \(record.timestamp.rawValue) \(header)")
                places[key, default: []].insert(fetched.partition)
            }
        }
        try await engine.close()
        return (records, places)
    }

    private func migrate(_ more: String...) throws -> CommandRun {
        let arguments = ["topics", "migrate", "old", "--to", "new", "--partitions", "8"]
        return try place.run(arguments + more, input: [])
    }

    @Test("each key keeps its records and their order, in one partition, under the old settings")
    func life() async throws {
        try await fill(settings: ["retention.ms": "-1", "cleanup.policy": "compact"])
        let run = try migrate()
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(
            run.output == "Copied 500 records of topic old to new, 8 partitions. Read again, they "
                + "are the same.\n")
        let (old, new) = (try await keys(of: "old"), try await keys(of: "new"))
        #expect(old.records == new.records && old.records.count == 50)
        for (key, places) in new.places {
            let bytes = Array(key.utf8)
            #expect(places == [Murmur2.partition(forKey: bytes.rawSpan, count: 8)])
        }
        let listed = try place.objects(try place.run("topics", "list", "--json"))
        let settings = listed.compactMap { $0["settings"] as? String }
        #expect(settings == Array(repeating: "cleanup.policy=compact retention.ms=-1", count: 2))
        let again = try migrate()
        #expect(again.exitCode == ExitCodes.failure && again.errors.contains("exists already"))
    }

    /// The target as an interruption leaves it: some partitions cut.
    private func interrupt(keeping counts: [Int32: Int64]) async throws {
        let engine = try await Engine.open(at: place.data)
        let settings = [
            "cleanup.policy": "delete", "max.message.bytes": "536870912",
            "message.timestamp.after.max.ms": "\(Int64.max)",
            "message.timestamp.before.max.ms": "\(Int64.max)",
            "message.timestamp.type": "CreateTime", "retention.bytes": "-1",
            "retention.ms": "-1", "tally.durability": "buffered",
        ]
        var copies: [(Int32, [UInt8], [UInt8]?, Timestamp, [RecordHeader])] = []
        for (partition, count) in counts {
            let consumer = try engine.consumer(
                of: "new", partitions: [partition], ConsumerConfiguration(end: .currentEnd))
            for try await fetched in consumer {
                try fetched.forEachRecord { record in
                    guard record.offset.rawValue < count else { return }
                    let number = Array("\(record.timestamp.rawValue)".utf8)
                    copies.append(
                        (
                            partition, record.keyBytes ?? [], record.valueBytes, record.timestamp,
                            [RecordHeader(name: "n", value: number)]
                        ))
                }
            }
        }
        try await engine.deleteTopic("new")
        try await engine.createTopic(
            "new", partitions: 8, configuration: try TopicConfiguration(settings))
        let producer = try engine.producer()
        for (partition, key, value, timestamp, headers) in copies {
            try producer.enqueue(
                topic: "new", partition: partition, key: key.span.bytes,
                value: value?.span.bytes, timestamp: timestamp, headers: headers)
        }
        try await producer.flush()
        try await engine.close()
    }

    @Test("what was interrupted goes on, and nothing is copied twice")
    func resume() async throws {
        try await fill()
        #expect(try migrate().exitCode == 0)
        let whole = try await keys(of: "new")
        try await interrupt(keeping: [0: 5, 1: 1000, 3: 1])
        #expect(try await keys(of: "new").records != whole.records)
        let run = try migrate()
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.output.contains("were there already"))
        #expect(try await keys(of: "new").records == whole.records)
    }

    @Test("a target that holds something else is refused, and left as it is")
    func otherTarget() async throws {
        try await fill()
        #expect(try migrate().exitCode == 0)
        try await interrupt(keeping: [0: 5])
        let engine = try await Engine.open(at: place.data)
        _ = try await engine.producer().send(
            ProducerRecord(topic: "new", partition: 0, key: "x", value: "stranger"))
        try await engine.close()
        let before = try await keys(of: "new").records
        let run = try migrate()
        #expect(run.exitCode == ExitCodes.failure)
        #expect(run.errors.contains("holds something else than the beginning of old"))
        #expect(try await keys(of: "new").records == before)
    }

    @Test("keys that lie where they do not belong are refused before anything is made")
    func movedKeys() async throws {
        try await fill()
        let engine = try await Engine.open(at: place.data)
        try await engine.createPartitions(ofTopic: "old", count: 4)
        try await engine.close()
        let run = try migrate()
        #expect(run.exitCode == ExitCodes.failure && run.errors.contains("belongs to another"))
        #expect(try place.run("topics", "list", "--json").lines.count == 1)
        for arguments in [
            ["topics", "migrate", "old", "--to", "old", "--partitions", "8"],
            ["topics", "migrate", "old", "--to", "new", "--partitions", "0"],
        ] {
            #expect(try place.run(arguments, input: []).exitCode == ExitCodes.usage)
        }
        let unknown = try place.run("topics", "migrate", "x", "--to", "y", "--partitions", "1")
        #expect(unknown.exitCode == ExitCodes.noInput)
    }
}
