import TallyClient
import TallyCluster
import TallyLog
import TallyRecords
import TallyReplication
import TallyWire
import Testing

@Suite("Coordinators of a cluster", .timeLimit(.minutes(5)))
struct CoordinatorTests {
    private let configure: @Sendable (inout ClusterConfiguration) -> Void = {
        $0.internalTopicsPartitionCount = 3
    }

    @Test("What a group committed survives the member that answered for it")
    func offsets() async throws {
        try await MemberCluster.with(3, configure) { cluster in
            try await cluster.createTopic("t")
            let client = cluster.client()
            let coordinator = try await client.coordinator(of: "g", keyType: 0)
            try await client.commit(offset: 7, of: "t", in: "g")
            #expect(try await client.committed("t", in: "g") == 7)
            try await cluster.crash(coordinator)
            cluster.endLeases()
            let other = cluster.client()
            #expect(try await other.committed("t", in: "g") == 7)
            #expect(try await other.coordinator(of: "g", keyType: 0) != coordinator)
            try await other.commit(offset: 9, of: "t", in: "g")
            // And once more, from what the second one has written.
            try await cluster.start(coordinator)
            let second = try await other.coordinator(of: "g", keyType: 0)
            try await cluster.wait(for: "__consumer_offsets", try partition(of: "g", cluster)) {
                $0.inSyncReplicas.count == 3
            }
            try await cluster.leave(second)
            let third = cluster.client()
            #expect(try await third.committed("t", in: "g") == 9)
            for client in [client, other, third] { await client.close() }
        }
    }

    private func partition(of group: String, _ cluster: MemberCluster) throws -> Int32 {
        try cluster[1].engine.offsetsPartition(ofGroup: group)?.partition ?? -1
    }

    @Test("A transaction over partitions of several members is committed, or aborted, in all")
    func transaction() async throws {
        try await MemberCluster.with(3, configure) { cluster in
            try await cluster.createTopic(
                "t", partitions: 3, assignment: [[1, 2, 3], [2, 3, 1], [3, 1, 2]])
            let client = cluster.client()
            for (turn, isCommit) in [true, false].enumerated() {
                let producer = try await client.initProducer("tx")
                for partition: Int32 in 0..<3 {
                    try await client.addPartition(partition, of: "t", to: "tx", producer)
                    try await client.produce(
                        "v\(turn)", to: "t", partition, in: "tx", producer)
                }
                try await client.endTransaction("tx", producer, isCommit: isCommit)
                for partition: Int32 in 0..<3 {
                    let end = Offset(Int64(2 * (turn + 1)))
                    for member: Int32 in 1...3 {
                        let log = try cluster.log(member, "t", partition)
                        // A record and a marker each time, at all replicas, and nothing is open.
                        try await eventually {
                            try log.logEnd == end && log.lastStableOffset() == end
                        }
                    }
                    let aborted = try cluster.log(1, "t", partition).abortedTransactions(
                        in: Offset(0)..<end)
                    #expect(aborted.count == (isCommit ? 0 : 1))
                }
            }
            await client.close()
        }
    }

    @Test("A marker that is carried out late does not end the producer's next transaction")
    func lateMarker() async throws {
        try await MemberCluster.with(3, configure) { cluster in
            try await cluster.createTopic("t", assignment: [[1, 2, 3]])
            let client = cluster.client()
            // Coordinated by another member than the one that leads the partition.
            var id = "tx"
            while try await client.coordinator(of: id, keyType: 1) == 1 { id += "x" }
            let transaction = id
            let producer = try await client.initProducer(transaction)
            func write(_ value: String, sequence: Int32) async throws {
                try await client.addPartition(0, of: "t", to: transaction, producer)
                try await client.produce(
                    value, to: "t", 0, in: transaction, producer, sequence: sequence)
            }
            let log = try cluster.log(1, "t", 0)
            let epoch = log.leaderEpoch.rawValue
            try await write("one", sequence: 0)
            try await client.endTransaction(transaction, producer, isCommit: true)
            let coordinatorEpoch = try #require(try log.producerStates().first).coordinatorEpoch
            try await write("two", sequence: 1)
            // As the coordinator's first request would be, had it been lost on its way for long.
            let orders: [(Int64, Int32)] = [(0, epoch), (.max, epoch - 1), (.max, epoch + 1)]
            for (attempt, leaderEpoch) in orders {
                let code = try await client.writeMarker(
                    for: producer, coordinatorEpoch: coordinatorEpoch, to: "t",
                    order: .init(attempt: attempt, leaderEpoch: leaderEpoch))
                #expect(code != .none)
            }
            #expect(log.logEnd == Offset(3))
            #expect(try log.lastStableOffset() == Offset(2))
            try await client.endTransaction(transaction, producer, isCommit: true)
            #expect(log.logEnd == Offset(4))
            #expect(try log.lastStableOffset() == Offset(4))
            await client.close()
        }
    }

    @Test("Producer ids come from the store, and no two members give out the same")
    func producerIDs() async throws {
        try await MemberCluster.with(3, configure) { cluster in
            var ids: Set<Int64> = []
            for member: Int32 in 1...3 {
                let connection = try await BrokerConnection.connect(to: cluster[member].address)
                // More than a block has: the next one is fetched meanwhile.
                while ids.count < 600 * Int(member) {
                    var request = InitProducerIDRequest()
                    request.transactionalID = nil
                    let answer = try await connection.send(request)
                    guard answer.errorCode == .none else { continue }
                    #expect(ids.insert(answer.producerID).inserted)
                }
                await connection.close()
            }
            let snapshot = try await cluster.store.read(prefix: ClusterKeys.producerIDs)
            let entry = try #require(snapshot.entries.first)
            let record = try ProducerIDsRecord(decoding: entry.value)
            #expect(ids.allSatisfy { (0..<record.nextProducerID).contains($0) })
            // Three at the start, and three more when half of these were used.
            #expect(record.nextProducerID == 6 * ProducerIDsRecord.blockCount)
        }
    }

    @Test("Clients neither make nor change nor delete the topics that coordinators need")
    func protection() async throws {
        try await MemberCluster.with(3, configure) { cluster in
            let connection = try await BrokerConnection.connect(to: cluster[1].address)
            var topic = CreateTopicsRequest.Topic()
            topic.name = "__consumer_offsets"
            topic.partitionCount = 1
            topic.replicationFactor = 1
            var creation = CreateTopicsRequest()
            creation.topics = [topic]
            let made = try await connection.send(creation)
            #expect(made.topics[0].errorCode == .invalidTopicException)
            try await cluster.createTopic("t")
            let client = cluster.client()
            try await client.commit(offset: 1, of: "t", in: "g")
            var deletion = DeleteTopicsRequest()
            deletion.topicNames = ["__consumer_offsets"]
            let deleted = try await connection.send(deletion, atMost: 5)
            #expect(deleted.responses[0].errorCode == .invalidTopicException)
            var growth = CreatePartitionsRequest.Topic()
            growth.name = "__consumer_offsets"
            growth.count = 9
            var partitions = CreatePartitionsRequest()
            partitions.topics = [growth]
            let grown = try await connection.send(partitions)
            #expect(grown.results[0].errorCode == .invalidTopicException)
            #expect(try await client.committed("t", in: "g") == 1)
            await connection.close()
            await client.close()
        }
    }

    @Test("A producer that was replaced is refused, also behind a failover of its coordinator")
    func fencing() async throws {
        try await MemberCluster.with(3, configure) { cluster in
            try await cluster.createTopic("t")
            let client = cluster.client()
            let old = try await client.initProducer("tx")
            let coordinator = try await client.coordinator(of: "tx", keyType: 1)
            try await cluster.crash(coordinator)
            cluster.endLeases()
            let other = cluster.client()
            let new = try await other.initProducer("tx")
            #expect(new.id == old.id && new.epoch > old.epoch)
            await #expect(throws: ClientError.self) {
                try await other.addPartition(0, of: "t", to: "tx", old)
            }
            try await other.addPartition(0, of: "t", to: "tx", new)
            for client in [client, other] { await client.close() }
        }
    }
}
