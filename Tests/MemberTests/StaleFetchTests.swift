import TallyClient
import TallyCluster
import TallyLog
import TallyRecords
import TallyReplication
import TallyWire
import Testing

/// Whose fetches a leader believes.
@Suite("Fetches of nobody's process", .timeLimit(.minutes(2)))
struct StaleFetchTests {
    /// Member 1 leads `t`, whose other replica is of a member that is gone.
    private func withLeader(
        _ body: (MemberCluster, BrokerConnection, PartitionState) async throws -> Void
    ) async throws {
        try await MemberCluster.with(2) { cluster in
            try await cluster.createTopic("t", replicas: 2, assignment: [[1, 2]])
            let client = cluster.client()
            try await client.produce(["a"], to: "t")
            try await cluster.crash(2)
            // Nobody waits for it: the store has not heard yet that it is gone.
            try await client.produce(["b"], to: "t", acks: 1)
            await client.close()
            let connection = try await BrokerConnection.connect(to: try cluster[1].address)
            let state = try #require(try await cluster.state(of: "t"))
            #expect(state.inSyncReplicas.count == 2)
            try await body(cluster, connection, state)
            await connection.close()
        }
    }

    /// A fetch of everything behind what is in the log of the leader, as a replica of member 2.
    private func fetch(
        _ connection: BrokerConnection, as process: UInt64?, at offset: Int64 = 2,
        _ state: PartitionState, _ cluster: MemberCluster
    ) async throws -> FetchResponse.Partition {
        let id = try #require(try cluster[1].node.news.image.topics["t"]?.record.id)
        var request = FetchRequest()
        var topic = FetchRequest.Topic()
        topic.topic = "t"
        topic.topicID = WireUUID(TopicID(id))
        var partition = FetchRequest.Partition()
        partition.fetchOffset = offset
        partition.currentLeaderEpoch = state.leaderEpoch.rawValue
        partition.partitionMaxBytes = 1 << 20
        topic.partitions = [partition]
        request.topics = [topic]
        guard let process else {
            request.replicaID = 2
            let answer = try await connection.send(request, atMost: 13)
            return try #require(answer.responses.first?.partitions.first)
        }
        request.replicaState.replicaID = 2
        request.replicaState.replicaEpoch = Int64(bitPattern: process)
        let answer = try await connection.send(request)
        return try #require(answer.responses.first?.partitions.first)
    }

    @Test("A replica's number alone, or with a made-up epoch, gets nothing and moves nothing")
    func stranger() async throws {
        try await withLeader { cluster, connection, state in
            let log = try cluster.log(1, "t")
            #expect(log.logEnd == Offset(2) && log.highWatermark == Offset(1))
            for process: UInt64? in [nil, .max, 4711] {
                for offset: Int64 in [0, 1, 2, 99] {
                    let answer = try await fetch(
                        connection, as: process, at: offset, state, cluster)
                    #expect(answer.errorCode == .staleBrokerEpoch)
                    #expect(answer.records?.isEmpty ?? true)
                }
            }
            #expect(log.highWatermark == Offset(1))
            let registered = try #require(
                try cluster[1].node.news.image.members[ReplicaID(2)]?.incarnation)
            let answer = try await fetch(connection, as: registered, state, cluster)
            #expect(answer.errorCode == .none)
            #expect(log.highWatermark == Offset(2), "as far as the leader knows that is it")
        }
    }

    @Test("A fetch that comes when its process is gone does not bring the member back in sync")
    func late() async throws {
        try await withLeader { cluster, connection, _ in
            let registered = try #require(
                try cluster[1].node.news.image.members[ReplicaID(2)]?.incarnation)
            cluster.endLeases()
            try await cluster.wait(for: "t") { $0.inSyncReplicas == [ReplicaID(1)] }
            let log = try cluster.log(1, "t")
            try await eventually {
                try cluster[1].node.isServing && log.highWatermark == Offset(2)
            }
            let alone = try #require(try await cluster.state(of: "t"))
            let answer = try await fetch(connection, as: registered, alone, cluster)
            #expect(answer.errorCode == .staleBrokerEpoch)
            // Another process of the member, which is asked for nothing that the one before said.
            cluster.loseDirectory(of: 2)
            try await cluster.start(2)
            try await cluster.wait(for: "t") { $0.inSyncReplicas.count == 2 }
            #expect(try cluster.log(2, "t").logEnd == Offset(2))
            let now = try #require(try await cluster.state(of: "t"))
            let after = try await fetch(connection, as: registered, now, cluster)
            #expect(after.errorCode == .staleBrokerEpoch)
        }
    }
}
