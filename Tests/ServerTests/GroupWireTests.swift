import Tally
import TallyWire
import Testing

@Suite("Groups over the wire", .timeLimit(.minutes(10)))
struct GroupWireTests {
    /// A member as a client library drives one.
    struct Remote {
        let client: WireClient
        var memberID = ""
        var instanceID: String?
        var generation: Int32 = -1
        var isLeader = false
        var members: [JoinGroupResponse.Member] = []

        static let metadata: [UInt8] =
            (try? ConsumerSubscription(topics: ["t"]).encoded()) ?? []

        /// Sends a join; the answer comes when the group has gathered.
        func post(session: Int32 = 10_000, rebalance: Int32 = 10_000) async throws {
            var request = JoinGroupRequest()
            (request.groupID, request.memberID) = ("g", memberID)
            request.groupInstanceID = instanceID
            request.protocolType = "consumer"
            request.sessionTimeoutMilliseconds = session
            request.rebalanceTimeoutMilliseconds = rebalance
            var range = JoinGroupRequest.ProtocolMetadata()
            (range.name, range.metadata) = ("range", Self.metadata)
            request.protocols = [range]
            try await client.post(request, version: 9)
        }

        mutating func joined() async throws -> ErrorCode {
            let response = try await client.response(to: JoinGroupRequest.self, version: 9)
            memberID = response.memberID
            generation = response.generationID
            isLeader = response.leader == response.memberID
            members = response.members
            return response.errorCode
        }

        mutating func join(session: Int32 = 10_000) async throws -> ErrorCode {
            try await post(session: session)
            let code = try await joined()
            guard code == .memberIDRequired else { return code }
            try await post(session: session)
            return try await joined()
        }

        func sync(_ assignments: [String: [UInt8]] = [:]) async throws -> SyncGroupResponse {
            var request = SyncGroupRequest()
            (request.groupID, request.memberID) = ("g", memberID)
            request.groupInstanceID = instanceID
            request.generationID = generation
            request.protocolType = "consumer"
            request.protocolName = "range"
            request.assignments = assignments.map { member, bytes in
                var assignment = SyncGroupRequest.MemberAssignment()
                (assignment.memberID, assignment.assignment) = (member, bytes)
                return assignment
            }
            return try await client.ask(request, version: 5)
        }

        func heartbeat() async throws -> ErrorCode {
            var request = HeartbeatRequest()
            (request.groupID, request.memberID) = ("g", memberID)
            request.groupInstanceID = instanceID
            request.generationID = generation
            return try await client.ask(request, version: 4).errorCode
        }

        func commit(_ offset: Int64, metadata: String = "note") async throws -> ErrorCode {
            var request = TallyWire.OffsetCommitRequest()
            (request.groupID, request.memberID) = ("g", memberID)
            request.generationIDOrMemberEpoch = generation
            request.groupInstanceID = instanceID
            var partition = TallyWire.OffsetCommitRequest.Partition()
            partition.committedOffset = offset
            partition.committedMetadata = metadata
            var topic = TallyWire.OffsetCommitRequest.Topic()
            (topic.name, topic.partitions) = ("t", [partition])
            request.topics = [topic]
            return try await client.ask(request, version: 8).topics[0].partitions[0].errorCode
        }
    }

    @Test("two members gather, share, and one takes over when the other is silent")
    func rebalance() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 2)
            var first = Remote(client: try await served.connect())
            #expect(try await first.join() == .none)
            #expect(first.isLeader)
            #expect(try await first.sync([first.memberID: [1]]).assignment == [1])
            var second = Remote(client: try await served.connect())
            // Long enough for a busy machine: it is silent only at the end.
            try await second.post(session: 6000)
            #expect(try await second.joined() == .memberIDRequired)
            try await second.post(session: 6000)
            while try await first.heartbeat() != .rebalanceInProgress {
                try await Task.sleep(for: .milliseconds(2))
            }
            try await first.post()
            #expect(try await first.joined() == .none)
            #expect(try await second.joined() == .none)
            #expect(first.generation == 2 && second.generation == 2)
            #expect(first.members.map(\.metadata) == [Remote.metadata, Remote.metadata])
            let follower = second
            async let assigned = follower.sync()
            let all = [first.memberID: [UInt8(1)], second.memberID: [2]]
            #expect(try await first.sync(all).assignment == [1])
            #expect(try await assigned.assignment == [2])
            #expect(try await first.commit(7) == .none)
            let stale = first.generation
            // Silent from now on: its session ends, and the first has to join again.
            while try await first.heartbeat() != .rebalanceInProgress {
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(try await first.join() == .none)
            #expect(first.members.map(\.memberID) == [first.memberID])
            #expect(try await second.heartbeat() == .unknownMemberID)
            first.generation = stale
            #expect(try await first.commit(8) == .illegalGeneration)
        }
    }

    @Test("an embedded consumer and one of the network are members of one group")
    func mixed() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 4)
            let embedded = try served.engine.consumer(group: "g", topics: ["t"], .earliest)
            let running = Task {
                for try await _ in embedded {}
            }
            while embedded.assignment.count < 4 { try await Task.sleep(for: .milliseconds(5)) }
            var remote = Remote(client: try await served.connect())
            #expect(try await remote.join() == .none)
            // The embedded one came first and leads: it says what the other reads.
            #expect(!remote.isLeader)
            let assignment = try ConsumerAssignment(decoding: try await remote.sync().assignment)
            let assigned = Set(assignment.assignedPartitions.flatMap(\.each))
            #expect(assigned.count == 2)
            while embedded.assignment.count != 2 { try await Task.sleep(for: .milliseconds(5)) }
            #expect(embedded.assignment.isDisjoint(with: assigned))
            running.cancel()
            _ = try? await running.value
        }
    }

    @Test("static members keep their place, and a second of the same name fences the first")
    func staticMembers() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            var first = Remote(client: try await served.connect(), instanceID: "one")
            #expect(try await first.join() == .none)
            #expect(try await first.sync([first.memberID: [1]]).assignment == [1])
            var again = Remote(client: try await served.connect(), instanceID: "one")
            #expect(try await again.join() == .none)
            #expect(again.generation == first.generation, "no rebalance")
            #expect(try await again.sync().assignment == [1])
            #expect(try await first.heartbeat() == .fencedInstanceID)
        }
    }

    @Test("a shutdown does not wait for a rebalance")
    func shutdown() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            var first = Remote(client: try await served.connect())
            #expect(try await first.join() == .none)
            // The second waits for the first, which does not come.
            var second = Remote(client: try await served.connect())
            try await second.post()
            #expect(try await second.joined() == .memberIDRequired)
            try await second.post(rebalance: .max)
            while try await first.heartbeat() != .rebalanceInProgress {
                try await Task.sleep(for: .milliseconds(2))
            }
            let start = ContinuousClock.now
            await served.server.shutdown()
            #expect(ContinuousClock.now - start < .seconds(4))
            #expect(try await second.joined() == .coordinatorNotAvailable)
        }
    }

    @Test("an engine that is closed answers those who wait for a rebalance")
    func closing() async throws {
        try await ServedEngine.with { served in
            let groups = served.engine.groups
            let join = JoinRequest(
                group: "g", clientID: "c",
                protocols: [GroupProtocol(name: "range", metadata: Remote.metadata)],
                requiresKnownMemberID: false)
            let (answers, answering) = AsyncStream<Result<JoinAnswer, GroupError>>.makeStream()
            groups.join(join) { answering.yield($0) }
            var iterator = answers.makeAsyncIterator()
            #expect(try await iterator.next()?.get().generation == 1)
            // The second waits for the first to join again.
            groups.join(join) { answering.yield($0) }
            try await served.engine.close()
            guard case .failure(.coordinatorNotAvailable) = await iterator.next() else {
                Issue.record("the join was not answered with the closing")
                return
            }
        }
    }

    @Test("offsets go there and back with their notes; groups are listed by state and type")
    func offsetsAndLists() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            let outside = Remote(client: client)
            #expect(try await outside.commit(3, metadata: "why") == .none)
            let limit = served.engine.configuration.groups.offsetMetadataBytesMax
            #expect(
                try await outside.commit(4, metadata: String(repeating: "x", count: limit + 1))
                    == .offsetMetadataTooLarge)
            var fetch = OffsetFetchRequest()
            var group = OffsetFetchRequest.Group()
            (group.groupID, group.topics) = ("g", nil)
            fetch.groups = [group]
            let found = try await client.ask(fetch, version: 9).groups[0].topics[0].partitions[0]
            #expect(found.committedOffset == 3 && found.metadata == "why")
            func listed(_ states: [String], _ types: [String] = []) async throws -> [String] {
                var request = ListGroupsRequest()
                (request.statesFilter, request.typesFilter) = (states, types)
                return try await client.ask(request, version: 5).groups.map(\.groupID)
            }
            #expect(try await listed([]) == ["g"])
            #expect(try await listed(["Empty"], ["classic"]) == ["g"])
            #expect(try await listed(["Stable"]).isEmpty)
            #expect(try await listed([], ["consumer"]).isEmpty)
            var describe = DescribeGroupsRequest()
            describe.groups = ["g", "none"]
            let described = try await client.ask(describe, version: 6).groups
            #expect(described.map(\.groupState) == ["Empty", "Dead"])
            #expect(described.map(\.errorCode) == [.none, .groupIDNotFound])
            var delete = DeleteGroupsRequest()
            delete.groupNames = ["g", "g"]
            let deleted = try await client.ask(delete, version: 2).results.map(\.errorCode)
            #expect(deleted == [.none, .groupIDNotFound])
        }
    }
}

extension GroupConsumerConfiguration {
    /// Reads from the beginning, with the assignor that other clients know best.
    fileprivate static var earliest: Self {
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        configuration.assignors = [.range]
        return configuration
    }
}
