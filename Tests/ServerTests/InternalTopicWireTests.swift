import Tally
import TallyTestSupport
import TallyWire
import Testing

@Suite("Internal topics over the wire", .timeLimit(.minutes(10)))
struct InternalTopicWireTests {
    private let topic = "__consumer_offsets"

    private func commit(
        _ client: WireClient, _ offset: Int64, group: String = "g"
    ) async throws -> ErrorCode {
        var request = TallyWire.OffsetCommitRequest()
        request.groupID = group
        request.generationIDOrMemberEpoch = -1
        var partition = TallyWire.OffsetCommitRequest.Partition()
        partition.committedOffset = offset
        var wanted = TallyWire.OffsetCommitRequest.Topic()
        (wanted.name, wanted.partitions) = ("t", [partition])
        request.topics = [wanted]
        return try await client.ask(request, version: 8).topics[0].partitions[0].errorCode
    }

    @Test("clients see that they are internal, read them, and cannot write, change or delete them")
    func protected() async throws {
        try await ServedEngine.with(engine: { $0.record(true) }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            #expect(try await commit(client, 7) == .none)
            var all = MetadataRequest()
            all.topics = nil
            let metadata = try await client.ask(all, version: 9)
            #expect(metadata.topics.filter(\.isInternal).map(\.name) == [topic])
            let answer = try await client.produce(
                try batch(["x"]), to: topic, partition: 0, transactionalID: nil, version: 9)
            #expect(answer.errorCode == .invalidTopicException)
            var deletion = DeleteTopicsRequest()
            deletion.topicNames = [topic]
            #expect(
                try await client.ask(deletion, version: 4).responses.map(\.errorCode)
                    == [.invalidTopicException])
            var wanted = CreatePartitionsRequest.Topic()
            (wanted.name, wanted.count) = (topic, 60)
            var more = CreatePartitionsRequest()
            more.topics = [wanted]
            #expect(
                try await client.ask(more, version: 2).results.map(\.errorCode)
                    == [.invalidTopicException])
        }
    }

    @Test("a member that does not lead a group's partition says so, and who reads it says to wait")
    func notCoordinator() async throws {
        try await ServedEngine.with(engine: { $0.record(true) }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            #expect(try await commit(client, 7) == .none)
            let partition = try #require(served.engine.offsetsPartition(ofGroup: "g"))
            await served.engine.resignCoordinator(of: partition, epoch: nil)
            #expect(try await commit(client, 8) == .notCoordinator)
            var fetch = OffsetFetchRequest()
            var group = OffsetFetchRequest.Group()
            group.groupID = "g"
            fetch.groups = [group]
            #expect(
                try await client.ask(fetch, version: 8).groups.map(\.errorCode)
                    == [.notCoordinator])
            var heartbeat = HeartbeatRequest()
            heartbeat.groupID = "g"
            #expect(try await client.ask(heartbeat, version: 3).errorCode == .notCoordinator)
            try await served.engine.becomeCoordinator(of: partition, epoch: LeaderEpoch(1))
            #expect(try await commit(client, 8) == .none)
        }
    }
}
