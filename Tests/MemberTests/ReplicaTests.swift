import TallyClient
import TallyCluster
import TallyLog
import TallyRecords
import TallyReplication
import TallyWire
import Testing

@Suite("Replicas of a partition", .timeLimit(.minutes(5)))
struct ReplicaTests {
    @Test("Followers have byte for byte what the leader has, and learn the high watermark")
    func shipping() async throws {
        try await MemberCluster.with { cluster in
            try await cluster.createTopic("t", partitions: 3)
            let client = cluster.client()
            for turn in 0..<20 {
                for partition: Int32 in 0..<3 {
                    try await client.produce(["a\(turn)", "b\(turn)"], to: "t", partition)
                }
            }
            for partition: Int32 in 0..<3 {
                let first = try cluster.log(1, "t", partition)
                let bytes = try first.bytes()
                #expect(first.logEnd == Offset(40) && bytes.count > 40 * 10)
                for member: Int32 in 2...3 {
                    let log = try cluster.log(member, "t", partition)
                    // With acks=all the answer came when all had it.
                    #expect(try log.bytes() == bytes, "member \(member), partition \(partition)")
                    try await eventually { log.highWatermark == Offset(40) }
                }
            }
            await client.close()
        }
    }

    @Test("Leaders are spread, and who does not lead refuses")
    func leaders() async throws {
        try await MemberCluster.with { cluster in
            try await cluster.createTopic("t", partitions: 3)
            var leaders: Set<ReplicaID?> = []
            for partition: Int32 in 0..<3 {
                leaders.insert(try await cluster.state(of: "t", partition)?.leader)
            }
            #expect(leaders == [1, 2, 3].map { ReplicaID($0) }.reduce(into: []) { $0.insert($1) })
            let state = try #require(try await cluster.state(of: "t"))
            let other = try #require(state.replicas.first { $0 != state.leader })
            try await eventually { try cluster.log(other.rawValue, "t").isReplicated }
            let member = try cluster[other.rawValue]
            let connection = try await BrokerConnection.connect(to: member.address)
            var request = ListOffsetsRequest()
            var topic = ListOffsetsRequest.Topic()
            topic.name = "t"
            var partition = ListOffsetsRequest.Partition()
            partition.timestamp = -1
            topic.partitions = [partition]
            request.topics = [topic]
            let answer = try await connection.send(request)
            #expect(answer.topics[0].partitions[0].errorCode == .notLeaderOrFollower)
            await connection.close()
        }
    }

    @Test("Below min.insync.replicas nothing is appended for acks=all")
    func inSyncMin() async throws {
        try await MemberCluster.with { cluster in
            try await cluster.createTopic(
                "t", settings: ["min.insync.replicas": "2"], assignment: [[1, 2, 3]])
            let client = cluster.client()
            try await client.produce(["a"], to: "t")
            try await cluster.crash(2)
            try await cluster.crash(3)
            cluster.endLeases()
            try await cluster.wait(for: "t") { $0.inSyncReplicas == [ReplicaID(1)] }
            try await eventually { try cluster[1].node.isServing }
            let log = try cluster.log(1, "t")
            // The leader hears of it moments later than the store.
            try await eventually {
                do throws(LogError) {
                    try log.checkAppend(forAll: true)
                    return false
                } catch {
                    if case .notEnoughReplicas = error { return true }
                    return false
                }
            }
            do {
                try await client.produce(["b"], to: "t", retries: false)
                Issue.record("it was taken")
            } catch let error as ClientError {
                #expect(error.code == .notEnoughReplicas)
            }
            #expect(log.logEnd == Offset(1), "nothing was appended")
            // Who does not ask for all is not kept from it.
            try await client.produce(["c"], to: "t", acks: 1)
            try await cluster.start(2)
            #expect(try await client.produce(["d"], to: "t") == 2)
            await client.close()
        }
    }

    @Test("A new leader has all that was acknowledged; who comes back cuts what it alone had")
    func failover() async throws {
        try await MemberCluster.with { cluster in
            try await cluster.createTopic("t", assignment: [[1, 2, 3]])
            let client = cluster.client()
            for turn in 0..<10 { try await client.produce(["a\(turn)"], to: "t") }
            let bytes = try cluster.log(1, "t").bytes()
            // What nobody else will ever have: appended when the others are gone.
            try await cluster.crash(2)
            try await cluster.crash(3)
            try await client.produce(["lost"], to: "t", acks: 1)
            let old = try cluster.log(1, "t")
            #expect(old.logEnd == Offset(11))
            try await cluster.crash(1)
            cluster.endLeases()
            try await cluster.start(2)
            try await cluster.start(3)
            try await cluster.wait(for: "t") { $0.leader != nil && $0.leader != ReplicaID(1) }
            let other = cluster.client()
            #expect(try await other.produce(["b"], to: "t") == 10)
            try await cluster.start(1)
            try await cluster.wait(for: "t") { $0.inSyncReplicas.count == 3 }
            let (first, second) = (try cluster.log(1, "t"), try cluster.log(2, "t"))
            #expect(try first.bytes() == second.bytes())
            #expect(Array(try first.bytes().prefix(bytes.count)) == bytes)
            #expect(first.logEnd == Offset(11))
            await client.close()
            await other.close()
        }
    }

    @Test("A member that leaves hands over at once, and comes back in sync")
    func leaving() async throws {
        try await MemberCluster.with { cluster in
            try await cluster.createTopic("t", assignment: [[1, 2, 3]])
            let client = cluster.client()
            try await client.produce(["a"], to: "t")
            try await cluster.leave(1)
            // No lease has ended.
            let state = try #require(try await cluster.state(of: "t"))
            #expect(state.leader != ReplicaID(1) && !state.inSyncReplicas.contains(ReplicaID(1)))
            #expect(try await client.produce(["b"], to: "t") == 1)
            try await cluster.start(1)
            try await cluster.wait(for: "t") { $0.inSyncReplicas.count == 3 }
            await client.close()
        }
    }

    @Test("Who lost its directory does not lead with nothing")
    func lostDirectory() async throws {
        try await MemberCluster.with { cluster in
            try await cluster.createTopic("t", assignment: [[1, 2, 3]])
            let client = cluster.client()
            for turn in 0..<5 { try await client.produce(["a\(turn)"], to: "t") }
            try await cluster.crash(1)
            cluster.loseDirectory(of: 1)
            // Back before anybody missed it: the store still says that it leads.
            #expect(try await cluster.state(of: "t")?.leader == ReplicaID(1))
            async let started: Void = cluster.start(1)
            try await Task.sleep(for: .milliseconds(300))
            #expect(!cluster.has("t-0", in: 1), "the next process would take it for what it had")
            cluster.endLeases()
            try await started
            try await cluster.wait(for: "t") {
                $0.leader != ReplicaID(1) && $0.leader != nil && $0.inSyncReplicas.count == 3
            }
            let (first, second) = (try cluster.log(1, "t"), try cluster.log(2, "t"))
            #expect(first.logEnd == Offset(5))
            #expect(try first.bytes() == second.bytes())
            await client.close()
        }
    }

    @Test("A stop in order before the others know what may be lost does not hide that")
    func doubt() async throws {
        try await MemberCluster.with { cluster in
            try await cluster.createTopic(
                "t", settings: ["tally.durability": "buffered"], assignment: [[1, 2, 3]])
            let client = cluster.client()
            try await client.produce(["a"], to: "t")
            try await cluster.crash(2)
            try cluster.forgetCleanStop(of: 2)
            // It waits for the end of the lease of the process before, and is ended meanwhile.
            let start = Task { try await cluster.start(2) }
            try await eventually { cluster.has(".lock", in: 2) }
            try await Task.sleep(for: .milliseconds(300))
            start.cancel()
            await #expect(throws: CancellationError.self) { try await start.value }
            #expect(!cluster.has(MemberCluster.cleanStop, in: 2))
            cluster.endLeases()
            try await cluster.start(2)
            try await cluster.wait(for: "t") { $0.inSyncReplicas.count == 3 }
            try await cluster.leave(2)
            #expect(cluster.has(MemberCluster.cleanStop, in: 2))
            await client.close()
        }
    }

    @Test("Who lost its directory leaves the in-sync set to those that are not there")
    func lostAlone() async throws {
        try await MemberCluster.with(2) { cluster in
            try await cluster.createTopic("t", replicas: 2, assignment: [[2, 1]])
            let client = cluster.client()
            for turn in 0..<5 { try await client.produce(["a\(turn)"], to: "t") }
            try await cluster.crash(1)
            try await cluster.crash(2)
            cluster.loseDirectory(of: 2)
            cluster.endLeases()
            #expect(try await cluster.state(of: "t")?.inSyncReplicas.count == 2)
            try await cluster.start(2)
            let state = try #require(try await cluster.state(of: "t"))
            #expect(state.inSyncReplicas == [ReplicaID(1)] && state.leader == nil)
            try await cluster.start(1)
            try await cluster.wait(for: "t") {
                $0.leader == ReplicaID(1) && $0.inSyncReplicas.count == 2
            }
            #expect(try cluster.log(2, "t").logEnd == Offset(5))
            await client.close()
        }
    }

    @Test("Without the store a leader acknowledges no longer than its lease lasts")
    func outage() async throws {
        let configure: @Sendable (inout ClusterConfiguration) -> Void = {
            $0.sessionTimeoutMilliseconds = 1000
        }
        try await MemberCluster.with(3, configure) { cluster in
            try await cluster.createTopic("t", assignment: [[1, 2, 3]])
            let client = cluster.client()
            try await client.produce(["a"], to: "t")
            cluster.store.setOutage("a test")
            try await eventually { try !cluster[1].node.isServing }
            await #expect(throws: ClientError.self) {
                try await client.produce(["b"], to: "t", retries: false)
            }
            cluster.store.setOutage(nil)
            try await client.produce(["c"], to: "t")
            await client.close()
        }
    }
}
