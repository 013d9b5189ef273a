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

    // MARK: Groups

    /// Has a group commit these offsets of the source's partitions.
    private func commit(_ offsets: [Int32: Int64], of group: String) async throws {
        let engine = try await GroupsWorkplace.open(place)
        var positions: [TopicPartition: OffsetToCommit] = [:]
        for (partition, offset) in offsets {
            positions[TopicPartition(topic: "old", partition: partition)] = OffsetToCommit(
                offset: Offset(offset))
        }
        try await engine.commitOffsets(positions, ofGroup: group)
        try await engine.close()
    }

    /// The records of each key that a group has not read.
    private func unread(_ group: String, in topic: String) async throws -> [String: [String]] {
        let engine = try await GroupsWorkplace.open(place)
        let offsets = try await engine.committedOffsets(ofGroup: group)
        var records: [String: [String]] = [:]
        let consumer = try engine.consumer(of: topic, ConsumerConfiguration(end: .currentEnd))
        for try await fetched in consumer {
            let id = TopicPartition(topic: topic, partition: fetched.partition)
            try fetched.forEachRecord { record in
                guard record.offset >= offsets[id]?.offset ?? .zero else { return }
                let text = "\(record.timestamp.rawValue) \(record.valueText ?? "null")"
                records[record.keyText ?? "", default: []].append(text)
            }
        }
        try await engine.close()
        return records
    }

    private func ends() async throws -> [Int32: Int64] {
        let engine = try await Engine.open(at: place.data)
        var ends: [Int32: Int64] = [:]
        for partition in try engine.describeTopic("old").partitions {
            ends[partition.index] = partition.logEnd.rawValue
        }
        try await engine.close()
        return ends
    }

    @Test("groups that are through with a topic stand at the end of the copy")
    func finishedGroups() async throws {
        try await fill()
        try await commit(try await ends(), of: "done")
        let run = try migrate()
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.output.contains("Groups with positions in new: done."))
        #expect(try await unread("done", in: "new").isEmpty)
    }

    @Test("a group that would read records again is refused, or reads again rather than miss one")
    func unfinishedGroups() async throws {
        try await fill()
        var offsets = try await ends()
        offsets[0] = 20
        offsets[1] = nil
        try await commit(offsets, of: "behind")
        try await commit(try await ends(), of: "done")
        let refused = try migrate()
        #expect(refused.exitCode == ExitCodes.failure)
        #expect(refused.errors.contains("behind") && !refused.errors.contains("done ("))
        #expect(try place.run("topics", "list", "--json").lines.count == 1)
        let before = try await unread("behind", in: "old")
        let run = try migrate("--group-offsets", "at-least-once")
        #expect(run.exitCode == 0, "\(run.errors)")
        let after = try await unread("behind", in: "new")
        for (key, records) in before {
            // In their order, and perhaps with some that were read before them.
            #expect(after[key]?.suffix(records.count) == records[...])
        }
        let (were, are) = (before.values.joined().count, after.values.joined().count)
        #expect(are > were && run.output.contains("behind will read \(are - were) records again"))
        #expect(try await unread("done", in: "new").isEmpty)
    }

    @Test("without their positions groups are left alone")
    func noGroups() async throws {
        try await fill()
        try await commit([0: 3], of: "behind")
        #expect(try migrate("--group-offsets", "none").exitCode == 0)
        let engine = try await GroupsWorkplace.open(place)
        let offsets = try await engine.committedOffsets(ofGroup: "behind")
        #expect(offsets.keys.map(\.topic) == ["old"])
        try await engine.close()
        #expect(try migrate("--group-offsets", "some").exitCode == ExitCodes.usage)
    }

    @Test("a group whose position the log does not hold is refused, or reads everything again")
    func lostPositions() async throws {
        try await fill()
        // As after a power loss that took the end of a partition back.
        var offsets = try await ends()
        offsets[0] = 100_000
        try await commit(offsets, of: "ahead")
        let refused = try migrate()
        #expect(refused.exitCode == ExitCodes.failure && refused.errors.contains("ahead"))
        let run = try migrate("--group-offsets", "at-least-once")
        #expect(run.exitCode == 0, "\(run.errors)")
        let unread = try await unread("ahead", in: "new").values.joined().count
        #expect(unread >= Int(try await ends()[0] ?? 0))
    }
}
