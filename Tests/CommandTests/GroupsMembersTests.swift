import Foundation
import Tally
import TallyTestSupport
import Testing

@testable import TallyCommand

/// What `tally groups` knows of the members that live in an application.
@Suite(.timeLimit(.minutes(10))) struct GroupsMembersTests {
    /// Waits until the application has noted its members.
    private func eventually(_ isTrue: () throws -> Bool) async throws {
        for _ in 0..<2_000 {
            if try isTrue() { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("it did not come")
    }

    @Test("members and their lag are seen beside the application, and gone with it")
    func members() async throws {
        let place = try CommandWorkplace()
        try await GroupsWorkplace.fill(place)
        let engine = try await GroupsWorkplace.open(place)
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        configuration.instanceID = "till 1"
        let consumer = try engine.consumer(group: "live", topics: ["a"], configuration)
        var iterator = consumer.makeAsyncIterator()
        let records = try #require(try await iterator.next())
        try await consumer.commit(records)
        func listed() throws -> [String: Any] {
            try #require(
                try place.objects(try place.run("groups", "list", "--json"))
                    .first { $0["group"] as? String == "live" })
        }
        try await eventually { try listed()["state"] as? String == "Stable" }
        #expect(try listed()["members"] as? Int == 1)
        let owners = try await engine.lag(ofGroup: "live")
        #expect(owners.count == 3)
        let memberID = try #require(owners[0].memberID)

        let rows = try place.objects(try place.run("groups", "describe", "live", "--json"))
        let partitions = rows.filter { $0["row"] as? String == "partition" }
        #expect(partitions.count == 3)
        #expect(partitions.allSatisfy { $0["member"] as? String == memberID })
        let member = try #require(rows.first { $0["row"] as? String == "member" })
        #expect(member["member"] as? String == memberID)
        #expect(member["instanceId"] as? String == "till 1")
        #expect(member["partitions"] as? Int == 3)
        #expect(member["lag"] as? Int == partitions.compactMap { $0["lag"] as? Int }.reduce(0, +))
        let text = try place.run("groups", "describe", "live").output
        #expect(text.contains("member \(memberID), instance till 1: 3 partitions, lag "))

        // A note of another generation, or one that makes no sense, is none.
        let note = place.data + "/group-members.json"
        let sound = try String(contentsOfFile: note, encoding: .utf8)
        for damaged in ["", sound.replacing("\"generation\" : 1", with: "\"generation\" : 7")] {
            #expect(damaged != sound)
            try damaged.write(toFile: note, atomically: true, encoding: .utf8)
            #expect(try listed()["state"] as? String == "Unknown")
            #expect(try listed()["members"] is NSNull)
            let text = try place.run("groups", "describe", "live").output
            #expect(text.contains("state Unknown: its members are known to the application"))
        }
        try await consumer.close()
        try await engine.close()
        #expect(try listed()["state"] as? String == "Empty")
        #expect(try listed()["members"] as? Int == 0)
        try sound.write(toFile: note, atomically: true, encoding: .utf8)
        #expect(try listed()["state"] as? String == "Empty", "nobody has it open")
        let again = try await GroupsWorkplace.open(place)
        #expect(!FileManager.default.fileExists(atPath: note), "said by an earlier process")
        try await again.close()
    }
}
