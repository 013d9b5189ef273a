import Tally
import TallyWire
import Testing

@Suite("Limits of groups over the wire", .timeLimit(.minutes(10)))
struct GroupLimitTests {
    /// Joins a group as somebody new, with metadata of a size.
    private func join(
        _ client: WireClient, _ group: String, metadata byteCount: Int
    ) async throws -> JoinGroupResponse {
        var request = JoinGroupRequest()
        (request.groupID, request.protocolType) = (group, "custom")
        // Longer than the test takes, however busy the machine is.
        request.sessionTimeoutMilliseconds = 600_000
        request.rebalanceTimeoutMilliseconds = 600_000
        var known = JoinGroupRequest.ProtocolMetadata()
        (known.name, known.metadata) = ("p", [UInt8](repeating: 7, count: byteCount))
        request.protocols = [known]
        // Before version 4 nobody has to come twice.
        return try await client.ask(request, version: 3)
    }

    private func sync(
        _ client: WireClient, _ group: String, _ joined: JoinGroupResponse, byteCount: Int
    ) async throws -> SyncGroupResponse {
        var request = SyncGroupRequest()
        (request.groupID, request.memberID) = (group, joined.memberID)
        request.generationID = joined.generationID
        var assignment = SyncGroupRequest.MemberAssignment()
        assignment.memberID = joined.memberID
        assignment.assignment = [UInt8](repeating: 1, count: byteCount)
        request.assignments = [assignment]
        return try await client.ask(request, version: 3)
    }

    private func leave(
        _ client: WireClient, _ group: String, _ members: [LeaveGroupRequest.Member]
    ) async throws -> LeaveGroupResponse {
        var request = LeaveGroupRequest()
        (request.groupID, request.members) = (group, members)
        return try await client.ask(request, version: 5)
    }

    private func member(_ id: String, _ instance: String? = nil) -> LeaveGroupRequest.Member {
        var member = LeaveGroupRequest.Member()
        (member.memberID, member.groupInstanceID) = (id, instance)
        return member
    }

    @Test("group.max.size: a member more is refused, until one has left")
    func size() async throws {
        try await ServedEngine.with(engine: { $0.groups.groupSizeMax = 1 }) { served in
            let (client, other) = (try await served.connect(), try await served.connect())
            let first = try await join(client, "g", metadata: 10)
            #expect(first.errorCode == .none)
            #expect(try await join(other, "g", metadata: 10).errorCode == .groupMaxSizeReached)
            #expect(try await join(other, "h", metadata: 10).errorCode == .none)
            let left = try await leave(client, "g", [member(first.memberID), member("none")])
            #expect(left.members.map(\.errorCode) == [.none, .unknownMemberID])
            #expect(try await join(other, "g", metadata: 10).errorCode == .none)
        }
    }

    @Test("what members of all groups hand over is bounded, and given back when they go")
    func bytes() async throws {
        try await ServedEngine.with(engine: { $0.groups.memberBytesMax = 10_000 }) { served in
            let client = try await served.connect()
            let first = try await join(client, "g", metadata: 4000)
            #expect(first.errorCode == .none)
            #expect(
                try await join(client, "h", metadata: 6000).errorCode == .coordinatorNotAvailable)
            #expect(
                try await sync(client, "g", first, byteCount: 6000).errorCode
                    == .coordinatorNotAvailable)
            let synced = try await sync(client, "g", first, byteCount: 3000)
            #expect((synced.errorCode, synced.assignment.count) == (.none, 3000))
            #expect(
                try await join(client, "h", metadata: 3000).errorCode == .coordinatorNotAvailable)
            // An older request says it of one member.
            var old = LeaveGroupRequest()
            (old.groupID, old.memberID) = ("g", first.memberID)
            #expect(try await client.ask(old, version: 2).errorCode == .none)
            #expect(try await client.ask(old, version: 2).errorCode == .unknownMemberID)
            #expect(try await join(client, "h", metadata: 6000).errorCode == .none)
            var list = ListGroupsRequest()
            list.statesFilter = ["CompletingRebalance", "Stable"]
            #expect(try await client.ask(list, version: 5).groups.map(\.groupID) == ["h"])
        }
    }

    @Test("offsets are deleted one by one, but not those that members read")
    func offsetDelete() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 2)
            try await served.engine.createTopic("u", partitions: 1)
            let client = try await served.connect()
            func delete(_ group: String, _ topic: String) async throws -> [ErrorCode] {
                var request = OffsetDeleteRequest()
                request.groupID = group
                var wanted = OffsetDeleteRequest.Topic()
                wanted.name = topic
                wanted.partitions = [OffsetDeleteRequest.Partition()]
                request.topics = [wanted]
                let response = try await client.ask(request, version: 0)
                return [response.errorCode]
                    + response.topics.flatMap { $0.partitions.map(\.errorCode) }
            }
            #expect(try await delete("none", "t") == [.groupIDNotFound])
            let outside = GroupWireTests.Remote(client: client)
            #expect(try await outside.commit(3) == .none)
            var inside = outside
            #expect(try await inside.join(session: 600_000) == .none)
            #expect(try await inside.sync([inside.memberID: [1]]).errorCode == .none)
            #expect(try await delete("g", "t") == [.none, .groupSubscribedToTopic])
            #expect(try await delete("g", "u") == [.none, .none])
            #expect(try await served.engine.committedOffsets(ofGroup: "g").count == 1)
            var groups = DeleteGroupsRequest()
            groups.groupNames = ["g"]
            #expect(
                try await client.ask(groups, version: 2).results.map(\.errorCode)
                    == [.nonEmptyGroup])
            _ = try await leave(client, "g", [member(inside.memberID)])
            #expect(try await delete("g", "t") == [.none, .none])
            #expect(try await served.engine.committedOffsets(ofGroup: "g").isEmpty)
        }
    }
}
