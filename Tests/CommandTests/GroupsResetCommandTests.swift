import Foundation
import TallyCommand
import TallyTestSupport
import Testing

@testable import Tally

@Suite(.timeLimit(.minutes(10))) struct GroupsResetCommandTests {
    private let place: CommandWorkplace

    init() async throws {
        place = try CommandWorkplace()
        try await GroupsWorkplace.fill(place)
    }

    private func reset(_ arguments: String...) throws -> CommandRun {
        try place.run(["groups", "reset-offsets", "billing"] + arguments, input: [])
    }

    /// Old and new offsets of a run that prints JSON.
    private func offsets(_ arguments: String...) throws -> [[Int?]] {
        let run = try place.run(
            ["groups", "reset-offsets", "billing", "--json"] + arguments, input: [])
        #expect(run.exitCode == 0, "\(run)")
        return try place.objects(run).map { [$0["oldOffset"] as? Int, $0["newOffset"] as? Int] }
    }

    /// What is committed, by partition of `a`.
    private func committed() throws -> [Int?] {
        let run = try place.run("groups", "describe", "billing", "--json")
        return try place.objects(run).filter { $0["row"] as? String == "partition" }
            .map { $0["committed"] as? Int }
    }

    @Test("a dry run shows each way to move, and changes nothing")
    func dryRun() throws {
        #expect(try offsets("--all-topics", "--to-earliest") == [[4, 0], [10, 0], [nil, 0]])
        #expect(
            try offsets("--all-topics", "--to-latest", "--dry-run") == [
                [4, 10], [10, 10], [nil, 0],
            ])
        #expect(try offsets("--all-topics", "--to-current") == [[4, 4], [10, 10], [nil, 0]])
        #expect(try offsets("--topic", "a:1", "--to-offset", "7") == [[10, 7]])
        #expect(try offsets("--topic", "a:0,1", "--shift-by", "-3") == [[4, 1], [10, 7]])
        #expect(
            try offsets("--topic", "a:0", "--to-datetime", "2026-01-01T00:00:02.500Z") == [[4, 3]])
        // All is younger than that; and the other way says the same.
        #expect(try offsets("--topic", "a:0", "--by-duration", "P36500DT1H") == [[4, 0]])
        #expect(try offsets("--topic", "a:0", "--by-duration", "36500d") == [[4, 0]])
        #expect(try offsets("--topic", "a:0", "--to-datetime", "9999-01-01") == [[4, 10]])
        #expect(
            try offsets("--topic", "a:0", "--topic", "b", "--to-latest") == [[4, 10], [nil, 0]])
        let shown = try reset("--topic", "a:0", "--to-earliest")
        #expect(
            shown.lines.count == 2 && shown.lines[1].split(separator: " ") == ["a", "0", "4", "0"])
        #expect(
            shown.errors == "1 offset of group billing would change; nothing was done: "
                + "--execute does it.\n")
        #expect(try committed() == [4, 10, nil])
    }

    @Test("offsets outside of the log are moved to its nearer end, and that is said")
    func clamping() throws {
        #expect(try offsets("--topic", "a:0", "--to-offset", "11") == [[4, 10]])
        #expect(try offsets("--topic", "a:0", "--shift-by", "-9223372036854775808") == [[4, 0]])
        #expect(try offsets("--topic", "a:0", "--shift-by", "9223372036854775807") == [[4, 10]])
        let run = try reset("--topic", "a:0", "--to-offset", "11")
        #expect(run.output.contains("11 is above the log end 10"))
    }

    @Test("--execute changes all partitions, and keeps note and epoch where nothing moves")
    func execution() throws {
        _ = try reset("--topic", "a:0", "--to-current", "--execute")
        let kept = try place.run("groups", "describe", "billing", "--json")
        #expect(try place.objects(kept)[0]["metadata"] as? String == "by hand")
        let run = try reset("--topic", "a:0,1", "--shift-by=-2", "--execute")
        #expect(
            run.exitCode == 0 && run.errors == "Changed 2 offsets of group billing.\n", "\(run)")
        #expect(try committed() == [2, 8, nil])
        _ = try reset("--all-topics", "--to-current", "--execute")
        #expect(try committed() == [2, 8, 0])
        // A group that is new is made, with the epoch of the record before the offset.
        let made = try place.run(
            "groups", "reset-offsets", "fresh", "--topic", "a:0", "--to-latest", "--execute")
        #expect(made.exitCode == 0, "\(made)")
        let rows = try place.objects(try place.run("groups", "describe", "fresh", "--json"))
        #expect(rows[0]["committed"] as? Int == 10 && rows[0]["leaderEpoch"] as? Int == 0)
    }

    @Test("a position whose records were replaced is put to where it is, in their epoch")
    func replacedRecords() async throws {
        let partition = TopicPartition(topic: "a", partition: 0)
        let engine = try await GroupsWorkplace.open(place)
        try await engine.commitOffsets(
            [partition: OffsetToCommit(offset: Offset(4), leaderEpoch: LeaderEpoch(rawValue: 7))],
            ofGroup: "billing")
        try await engine.close()
        let run = try reset("--topic", "a:0", "--to-current", "--execute")
        #expect(run.exitCode == 0 && run.errors.contains("Changed 1 offset"), "\(run)")
        #expect(run.output.contains("replaced"))
        let again = try reset("--topic", "a:0", "--to-current")
        #expect(again.errors.contains("0 offsets") && !again.output.contains("replaced"))
        // The group goes on from there.
        let reopened = try await GroupsWorkplace.open(place)
        let committed = try await reopened.committedOffsets(ofGroup: "billing")[partition]
        let found = try #require(committed)
        let position = StoredPosition(offset: found.offset, leaderEpoch: found.leaderEpoch)
        #expect(try reopened.state(of: position, in: partition) == .held)
        #expect(found.offset == Offset(4) && found.leaderEpoch == LeaderEpoch(rawValue: 0))
        try await reopened.close()
    }

    @Test("what --export prints is what --from-file takes, and Kafka's lines with groups too")
    func file() throws {
        let exported = try reset("--all-topics", "--to-current", "--export")
        #expect(exported.exitCode == 0 && exported.output == "a,0,4\na,1,10\na,2,0\n")
        let path = place.directory.path("offsets.csv")
        try Data(exported.output.utf8).write(to: URL(fileURLWithPath: path))
        _ = try reset("--all-topics", "--to-earliest", "--execute")
        #expect(try committed() == [0, 0, 0])
        _ = try reset("--from-file", path, "--execute")
        #expect(try committed() == [4, 10, 0])
        let others = "billing,a,0,5\r\nother,a,0,1\n\"billing\",a,1,6\n\n"
        try Data(others.utf8).write(to: URL(fileURLWithPath: path))
        #expect(try offsets("--from-file", path) == [[4, 5], [10, 6]])
        for (text, reason) in [
            ("a,0", "line 1: topic,partition,offset are wanted"),
            ("a,0,1\na,0,2", "line 2: a-0 is there twice"),
            ("a,0,-1", "line 1: a topic, and two numbers"), ("a,x,1", "line 1: a topic"),
            ("", "it names no partition"), ("other,a,0,1", "it names no partition"),
        ] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
            let run = try reset("--from-file", path)
            #expect(run.exitCode == ExitCodes.failure && run.errors.contains(reason), "\(run)")
        }
        #expect(try reset("--from-file", path + "x").exitCode == ExitCodes.noInput)
    }

    @Test("what cannot be is refused before anything is touched")
    func refusals() throws {
        for arguments in [
            ["--all-topics"], ["--to-earliest"], ["--all-topics", "--topic", "a", "--to-latest"],
            ["--all-topics", "--to-earliest", "--to-latest"],
            ["--all-topics", "--to-latest", "--dry-run", "--execute"],
            ["--all-topics", "--to-latest", "--export", "--json"],
            ["--all-topics", "--from-file", "x"], ["--topic", "a:x", "--to-latest"],
            ["--topic", "a:", "--to-latest"], ["--topic", "a", "--to-offset=-1"],
            ["--topic", "a", "--to-datetime", "yesterday"],
            ["--topic", "a", "--by-duration", "P"], ["--topic", "a", "--by-duration", "PT"],
            ["--topic", "a", "--by-duration", "PT1M1H"], ["--topic", "a", "--by-duration", "P1H"],
            ["--topic", "a", "--by-duration", "P9223372036854775807D"],
        ] {
            let run = try place.run(["groups", "reset-offsets", "billing"] + arguments, input: [])
            #expect(run.exitCode == ExitCodes.usage, "\(arguments): \(run)")
        }
        #expect(try reset("--topic", "no", "--to-latest").exitCode == ExitCodes.noInput)
        #expect(try reset("--topic", "a:3", "--to-latest").exitCode == ExitCodes.noInput)
        let shifted = try reset("--topic", "a:2", "--shift-by", "1")
        #expect(shifted.exitCode == ExitCodes.failure)
        #expect(shifted.errors == "error: nothing is committed for a-2: nothing can be shifted\n")
        let unknown = try place.run(
            "groups", "reset-offsets", "none", "--all-topics", "--to-latest")
        #expect(unknown.exitCode == ExitCodes.noInput)
    }
}
