import Foundation
import TallyCommand
import TallyStateStore
import TallyTestSupport
import Testing

@testable import Tally

/// A data directory with groups in it.
enum GroupsWorkplace {
    static func open(_ place: CommandWorkplace) async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.state = .sqlite
        return try await Engine.open(at: place.data, configuration: configuration)
    }

    /// Topics `a` (3 partitions, records at 0 to 9 of each of the first two, a second apart from
    /// 2026-01-01 on) and `b`; group `billing` has committed 4 and 10 in `a`.
    static func fill(_ place: CommandWorkplace) async throws {
        let engine = try await open(place)
        try await engine.createTopic("a", partitions: 3)
        try await engine.createTopic("b", partitions: 1)
        let records = (0..<20).map { number in
            var record = ProducerRecord(
                topic: "a", partition: Int32(number % 2), key: "k", value: "\(number)")
            let time = 1_767_225_600_000 + Int64(number / 2) * 1000
            record.timestamp = Timestamp(milliseconds: time)
            return record
        }
        for outcome in try await engine.producer().send(records) { _ = try outcome.get() }
        try await engine.commitOffsets(
            [
                partition("a", 0): OffsetToCommit(offset: Offset(4), metadata: "by hand"),
                partition("a", 1): OffsetToCommit(offset: Offset(10)),
            ], ofGroup: "billing")
        try await engine.close()

        func partition(_ topic: String, _ partition: Int32) -> TopicPartition {
            TopicPartition(topic: topic, partition: partition)
        }
    }
}

@Suite(.timeLimit(.minutes(10))) struct GroupsCommandTests {
    @Test("a directory without state.db has no groups, and gets none by looking")
    func none() throws {
        let place = try CommandWorkplace()
        _ = try place.run("topics", "create", "a", "--partitions", "1")
        let listed = try place.run("groups", "list")
        #expect(listed.exitCode == 0 && listed.output.isEmpty)
        #expect(listed.errors == "There are no groups.\n")
        for arguments in [["describe", "g"], ["delete", "g"]] {
            let run = try place.run(["groups"] + arguments, input: [])
            #expect(run.exitCode == ExitCodes.noInput, "\(run)")
            #expect(run.errors.contains("GROUP_ID_NOT_FOUND: there is no group 'g'"))
        }
        #expect(!FileManager.default.fileExists(atPath: place.data + "/state.db"))
        let nowhere = try CommandWorkplace()
        #expect(try nowhere.run("groups", "list").exitCode == ExitCodes.noInput)
        #expect(!FileManager.default.fileExists(atPath: nowhere.data))
    }

    @Test("groups are listed and described beside a running application, lag by lag")
    func looking() async throws {
        let place = try CommandWorkplace()
        try await GroupsWorkplace.fill(place)
        let engine = try await GroupsWorkplace.open(place)
        let groups = try place.objects(try place.run("groups", "list", "--json"))
        #expect(groups.count == 1)
        #expect(groups[0]["group"] as? String == "billing" && groups[0]["lag"] as? Int == 6)
        #expect(groups[0]["state"] as? String == "Empty" && groups[0]["members"] as? Int == 0)
        #expect(groups[0]["partitions"] as? Int == 2)

        let rows = try place.objects(try place.run("groups", "describe", "billing", "--json"))
        #expect(
            rows.map { $0["row"] as? String } == ["partition", "partition", "partition", "summary"])
        #expect(rows.map { $0["lag"] as? Int } == [6, 0, nil, 6])
        #expect(rows[0]["committed"] as? Int == 4 && rows[0]["logEnd"] as? Int == 10)
        #expect(rows[0]["logStart"] as? Int == 0 && rows[0]["metadata"] as? String == "by hand")
        #expect((rows[0]["committedAt"] as? String)?.hasSuffix("Z") == true)
        #expect(rows[2]["committed"] is NSNull && rows[2]["logEnd"] as? Int == 0)
        let table = try place.run("groups", "describe", "billing")
        #expect(table.lines.count == 5 && table.errors.isEmpty, "\(table)")
        #expect(table.lines[1].contains("by hand"))
        #expect(table.lines[3].split(separator: " ") == ["a", "2", "-", "0", "0", "-", "-", "-"])
        #expect(
            table.lines[4]
                == "total lag 6, without 1 partition that nothing is committed for; "
                + "generation 0; state Empty")

        // The library counts the same.
        let lags = try await engine.lag(ofGroup: "billing")
        #expect(lags.map(\.lag) == [6, 0, nil])
        await #expect(throws: EngineError.group(.groupIDNotFound("none"))) {
            try await engine.lag(ofGroup: "none")
        }
        // What is done to groups wants the directory for itself.
        let deleted = try place.run("groups", "delete", "billing")
        #expect(deleted.exitCode == ExitCodes.failure && deleted.errors.contains("is in use by"))
        let moved = try place.run(
            "groups", "reset-offsets", "billing", "--all-topics", "--to-earliest", "--execute")
        #expect(moved.exitCode == ExitCodes.failure && moved.errors.contains("is in use by"))
        #expect(try await engine.lag(ofGroup: "billing") == lags)
        try await engine.close()
    }

    @Test("groups are deleted, all that are named or none")
    func deletion() async throws {
        let place = try CommandWorkplace()
        try await GroupsWorkplace.fill(place)
        let refused = try place.run("groups", "delete", "billing", "none")
        #expect(refused.exitCode == ExitCodes.noInput && refused.output.isEmpty)
        #expect(try place.run("groups", "list").lines.count == 2)
        let deleted = try place.run("groups", "delete", "billing", "billing")
        #expect(deleted.exitCode == 0 && deleted.output == "Deleted group billing.\n", "\(deleted)")
        #expect(try place.run("groups", "list").errors == "There are no groups.\n")
    }

    @Test("a dry run says what would be deleted, also beside an application, and changes nothing")
    func dryRun() async throws {
        let place = try CommandWorkplace()
        try await GroupsWorkplace.fill(place)
        let engine = try await GroupsWorkplace.open(place)
        let partition = TopicPartition(topic: "b", partition: 0)
        try await engine.commitOffsets(
            [partition: OffsetToCommit(offset: .zero)], ofGroup: "other")
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        let consumer = try engine.consumer(group: "live", topics: ["a"], configuration)
        var iterator = consumer.makeAsyncIterator()
        try await consumer.commit(try #require(try await iterator.next()))
        func expectDryRun(_ groups: String..., told: String) throws {
            let run = try place.run(["groups", "delete", "--dry-run"] + groups, input: [])
            #expect(run.exitCode == 0 && run.errors.isEmpty, "\(run)")
            #expect(run.output == told)
        }
        try expectDryRun(
            "billing", "other", "billing",
            told: "Would delete group billing with its offsets of 2 partitions.\n"
                + "Would delete group other with its offsets of 1 partition.\n"
                + "Nothing was done: without --dry-run it is.\n")
        try expectDryRun(
            "live",
            told: "Would not delete group live: it may have members, in the application that has "
                + "the directory open.\n"
                + "Nothing was done: without --dry-run it is.\n")
        let missing = try place.run("groups", "delete", "--dry-run", "billing", "none")
        #expect(missing.exitCode == ExitCodes.noInput && missing.output.isEmpty)
        #expect(try await engine.groupListings().map(\.group) == ["billing", "live", "other"])
        try await consumer.close()
        try await engine.close()
        let files = try FileManager.default.subpathsOfDirectory(atPath: place.data).sorted()
        let state = try Data(contentsOf: URL(fileURLWithPath: place.data + "/state.db"))
        try expectDryRun(
            "live",
            told: "Would delete group live with its offsets of 1 partition.\n"
                + "Nothing was done: without --dry-run it is.\n")
        #expect(try FileManager.default.subpathsOfDirectory(atPath: place.data).sorted() == files)
        #expect(try Data(contentsOf: URL(fileURLWithPath: place.data + "/state.db")) == state)
        #expect(try place.run("groups", "list").lines.count == 4)
    }

    @Test("what is committed in a topic that is gone has no lag, nor in another of its name")
    func goneTopic() async throws {
        let place = try CommandWorkplace()
        try await GroupsWorkplace.fill(place)
        _ = try place.run("topics", "delete", "a")
        let gone = try place.run("groups", "describe", "billing", "--json")
        let rows = try place.objects(gone)
        #expect(rows.count == 3 && rows[0]["lag"] is NSNull && rows[0]["logEnd"] is NSNull)
        #expect(gone.errors.contains("note: a-0 is not there, or cannot be read"))
        _ = try place.run("topics", "create", "a", "--partitions", "3")
        let summary = try place.objects(try place.run("groups", "describe", "billing", "--json"))
        #expect(summary.count == 1 && summary[0]["row"] as? String == "summary", "\(summary)")
    }

    @Test("records that were deleted unread, and offsets of open transactions, are told of")
    func remarks() async throws {
        let place = try CommandWorkplace()
        try await GroupsWorkplace.fill(place)
        let engine = try await GroupsWorkplace.open(place)
        try await engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(6))
        let request = OffsetCommitRequest(
            group: "billing", caller: .outside,
            offsets: [
                TopicPartition(topic: "a", partition: 1): OffsetToCommit(offset: Offset(9))
            ])
        _ = try await engine.askGroups { (coordinator, now) throws(GroupError) in
            try coordinator.commitInTransaction(request, producerID: 7, producerEpoch: 0, at: now)
        }
        try await engine.close()
        let run = try place.run("groups", "describe", "billing", "--json")
        #expect(
            run.errors == "note: a-0: offsets 4 to 6 (exclusive) were deleted before they were "
                + "read\n")
        let rows = try place.objects(run)
        #expect(rows[0]["logStart"] as? Int == 6 && rows[0]["lag"] as? Int == 6)
        #expect(rows[3]["row"] as? String == "pending" && rows[3]["producerId"] as? Int == 7)
        #expect(rows[3]["offset"] as? Int == 9 && rows[1]["committed"] as? Int == 10)
        let moved = try place.run(
            "groups", "reset-offsets", "billing", "--topic", "a:0", "--to-current")
        #expect(moved.output.contains("4 is below the log start 6"))
    }
}
