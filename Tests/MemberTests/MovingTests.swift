import Tally
import TallyClient
import TallyCluster
import TallyFiles
import TallyLog
import TallyRecords
import TallyReplication
import TallyWire
import Testing

@Suite("Moves, and reading near", .timeLimit(.minutes(5)))
struct MovingTests {
    @Test("A partition moves to another member, and its old directory goes")
    func move() async throws {
        try await MemberCluster.with { cluster in
            try await cluster.createTopic("t", assignment: [[1]])
            let client = cluster.client()
            for turn in 0..<5 { try await client.produce(["a\(turn)"], to: "t") }
            let bytes = try cluster.log(1, "t").bytes()
            let moved = try await cluster[1].node.administration.reassign(
                0, of: "t", to: [ReplicaID(3)])
            #expect(moved)
            try await cluster.wait(for: "t") { $0.target == nil && $0.leader == ReplicaID(3) }
            #expect(try cluster.log(3, "t").bytes() == bytes)
            try await eventually { try !cluster[1].engine.partition(0, of: "t").isKept }
            try await eventually {
                try !PosixFileSystem().list(cluster[1].engine.directory).contains("t-0")
            }
            #expect(try await client.produce(["b"], to: "t") == 5)
            await client.close()
        }
    }

    @Test("The leader lets the preferred one lead when it is asked, and by itself")
    func preferred() async throws {
        try await MemberCluster.with { cluster in
            try await cluster.createTopic("t", assignment: [[1, 2, 3]])
            let client = cluster.client()
            try await client.produce(["a"], to: "t")
            let administration = ClusterAdministration(cluster.store)
            // Member 2 is the preferred leader from now on, and leads when the move is done.
            try await administration.reassign(0, of: "t", to: [2, 1, 3].map { ReplicaID($0) })
            try await cluster.wait(for: "t") { $0.target == nil && $0.leader == ReplicaID(2) }
            try await cluster.leave(2)
            try await cluster.wait(for: "t") { $0.leader != ReplicaID(2) }
            try await cluster.start(2)
            try await cluster.wait(for: "t") { $0.inSyncReplicas.count == 3 }
            #expect(try await cluster.state(of: "t")?.leader != ReplicaID(2))
            #expect(
                try await administration.changeStates { record, image in
                    Election(live: image.live).asking(record.state)
                } == 1)
            try await cluster.wait(for: "t") {
                !$0.wantsPreferredLeader && $0.leader == ReplicaID(2)
            }
            #expect(try await client.produce(["b"], to: "t") == 1)
            await client.close()
        }
        let balances: @Sendable (inout ClusterConfiguration) -> Void = {
            $0.leaderImbalanceCheckSeconds = 1
        }
        try await MemberCluster.with(2, balances) { cluster in
            try await cluster.createTopic("t", replicas: 2, assignment: [[1, 2]])
            try await cluster.leave(1)
            try await cluster.wait(for: "t") { $0.leader == ReplicaID(2) }
            try await cluster.start(1)
            try await cluster.wait(for: "t") { $0.leader == ReplicaID(1) }
        }
    }

    @Test("Who is named leader and cannot use its log resigns, and the one before leads on")
    func unusable() async throws {
        try await MemberCluster.with(2) { cluster in
            try await cluster.createTopic("t", replicas: 2, assignment: [[2, 1]])
            try await cluster.wait(for: "t") { $0.leaderEpoch > LeaderEpoch(0) }
            let before = try #require(try await cluster.state(of: "t"))
            _ = try cluster.log(1, "t").close()
            try await ClusterAdministration(cluster.store).reassign(
                0, of: "t", to: [1, 2].map { ReplicaID($0) })
            // There and back.
            try await cluster.wait(for: "t") {
                $0.leader == ReplicaID(2) && $0.leaderEpoch >= before.leaderEpoch.next.next
            }
        }
    }

    @Test("A new replica begins where the leader's log begins")
    func trimmed() async throws {
        try await MemberCluster.with { cluster in
            try await cluster.createTopic("t", assignment: [[1]])
            let client = cluster.client()
            for turn in 0..<10 { try await client.produce(["a\(turn)"], to: "t") }
            try await cluster[1].engine.deleteRecords(ofTopic: "t", partition: 0, before: Offset(6))
            try await cluster[1].node.administration.reassign(
                0, of: "t", to: [1, 2].map { ReplicaID($0) })
            try await cluster.wait(for: "t") { $0.inSyncReplicas.count == 2 }
            let log = try cluster.log(2, "t")
            #expect(log.logStart == Offset(6) && log.logEnd == Offset(10))
            await client.close()
        }
    }

    @Test("Readers are sent to a replica in their rack, and read there what is committed")
    func nearReaders() async throws {
        let configure: @Sendable (inout ClusterConfiguration) -> Void = {
            $0.rack = "rack-\($0.nodeID)"
        }
        try await MemberCluster.with(2, configure) { cluster in
            try await cluster.createTopic("t", replicas: 2, assignment: [[1, 2]])
            let client = cluster.client()
            try await client.produce(["a"], to: "t")
            func fetch(_ member: Int32, rack: String) async throws -> FetchResponse.Partition {
                let connection = try await BrokerConnection.connect(to: cluster[member].address)
                var request = FetchRequest()
                request.rackID = rack
                var partition = FetchRequest.Partition()
                partition.partitionMaxBytes = 1000
                var topic = FetchRequest.Topic()
                topic.topic = "t"
                topic.partitions = [partition]
                request.topics = [topic]
                let answer = try await connection.send(request, atMost: 12)
                await connection.close()
                return answer.responses[0].partitions[0]
            }
            let sent = try await fetch(1, rack: "rack-2")
            #expect(sent.preferredReadReplica == 2 && (sent.records ?? []).isEmpty)
            let own = try await fetch(1, rack: "rack-1")
            #expect(own.preferredReadReplica == -1 && !(own.records ?? []).isEmpty)
            let follower = try cluster.log(2, "t")
            try await eventually { follower.highWatermark == Offset(1) }
            let near = try await fetch(2, rack: "rack-2")
            #expect(near.errorCode == .none)
            #expect(near.records.map(Array.init) == own.records.map(Array.init))
            await client.close()
        }
    }

    @Test("Topics are created, altered, enlarged and deleted everywhere")
    func topics() async throws {
        try await MemberCluster.with { cluster in
            try await cluster.createTopic("t", partitions: 2)
            let administration = try cluster[1].node.administration
            try await administration.alterTopic("t") { try $0.set("retention.ms", to: "1234") }
            try await administration.createPartitions(of: "t", count: 5)
            for member: Int32 in 1...3 {
                let engine = try cluster[member].engine
                try await eventually {
                    let topic = try engine.describeTopic("t")
                    return topic.partitions.count == 5
                        && topic.configuration.retentionMilliseconds == 1234
                }
            }
            await #expect(throws: EngineError.self) {
                try await administration.createTopic(
                    "t", partitions: 1, replicationFactor: 1, configuration: TopicConfiguration())
            }
            await #expect(throws: ClusterError.notEnoughMembers(replicationFactor: 4, alive: 3)) {
                try await administration.createTopic(
                    "u", partitions: 1, replicationFactor: 4, configuration: TopicConfiguration())
            }
            try await administration.deleteTopic("t")
            for member: Int32 in 1...3 {
                let engine = try cluster[member].engine
                try await eventually { try engine.topics().isEmpty }
            }
            try await eventually {
                try await administration.image().partitions.isEmpty
            }
        }
    }

    @Test("A member's directory is opened as nothing else")
    func directory() async throws {
        try await MemberCluster.with(1) { cluster in
            let path = try cluster[1].engine.directory
            try await cluster.leave(1)
            await #expect(throws: EngineError.self) { try await Engine.open(at: path) }
            var other = EngineConfiguration()
            try await ClusterNode.join(
                &other, through: cluster.store, ClusterConfiguration(nodeID: 7))
            await #expect(throws: EngineError.self) {
                try await Engine.open(at: path, configuration: other)
            }
            try await cluster.start(1)
        }
    }
}
