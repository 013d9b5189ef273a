import Tally
import TallyWire
import Testing

@Suite("Looking at transactions and the cluster over the wire", .timeLimit(.minutes(10)))
struct TransactionAdminTests {
    @Test("transactional ids are listed by state, producer and age, and described")
    func listed() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 2)
            let client = try await served.connect()
            var open = try await TransactionWireTests.Remote.begin(client, id: "open")
            let idle = try await TransactionWireTests.Remote.begin(client, id: "idle")
            #expect(try await open.add([0, 1]) == .none)
            #expect(try await open.send("a") == .none)
            func list(
                _ change: (inout ListTransactionsRequest) -> Void
            ) async throws -> (ids: [String], unknown: [String]) {
                var request = ListTransactionsRequest()
                change(&request)
                let response = try await client.ask(request, version: 1)
                return (
                    response.transactionStates.map(\.transactionalID).sorted(),
                    response.unknownStateFilters
                )
            }
            #expect(try await list { _ in } == (["idle", "open"], []))
            #expect(try await list { $0.stateFilters = ["Ongoing"] } == (["open"], []))
            #expect(try await list { $0.stateFilters = ["Empty", "Odd"] } == (["idle"], ["Odd"]))
            #expect(try await list { $0.stateFilters = ["Odd"] } == ([], ["Odd"]))
            #expect(
                try await list { $0.producerIDFilters = [idle.producer.id] } == (["idle"], []))
            #expect(try await list { $0.durationFilterMilliseconds = 3_600_000 } == ([], []))
            var describe = DescribeTransactionsRequest()
            describe.transactionalIDs = ["open", "none", "open"]
            let told = try await client.ask(describe, version: 0).transactionStates
            #expect(told.map(\.errorCode) == [.none, .transactionalIDNotFound])
            #expect(told[0].transactionState == "Ongoing")
            #expect(told[0].producerID == open.producer.id)
            #expect(told[0].producerEpoch == open.producer.epoch)
            #expect(told[0].transactionTimeoutMilliseconds == 60_000)
            #expect(told[0].transactionStartTimeMilliseconds > 0)
            #expect(told[0].topics.map(\.name) == ["t"])
            #expect(told[0].topics.map(\.partitions) == [[0, 1]])
            #expect(told[1].producerID == -1)
            #expect(try await open.end(commits: true) == .none)
        }
    }

    @Test("partitions tell of their producers, and where a transaction begins")
    func producers() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            _ = try await client.produce(batch(["before"]), to: "t")
            var remote = try await TransactionWireTests.Remote.begin(client)
            #expect(try await remote.add() == .none)
            for value in ["a", "b"] { #expect(try await remote.send(value) == .none) }
            func producers(
                _ partition: Int32 = 0
            ) async throws -> DescribeProducersResponse.Partition {
                var request = DescribeProducersRequest()
                var topic = DescribeProducersRequest.Topic()
                (topic.name, topic.partitions) = ("t", [partition])
                request.topics = [topic]
                return try await client.ask(request, version: 0).topics[0].partitions[0]
            }
            let open = try await producers().activeProducers
            #expect(open.map(\.producerID) == [remote.producer.id])
            #expect(open.map(\.producerEpoch) == [Int32(remote.producer.epoch)])
            #expect(open.map(\.lastSequence) == [1])
            #expect(open.map(\.currentTransactionStartOffset) == [1])
            #expect(try await remote.end(commits: true) == .none)
            let ended = try await producers().activeProducers
            #expect(ended.map(\.currentTransactionStartOffset) == [-1])
            #expect(try await producers(1).errorCode == .unknownTopicOrPartition)
        }
    }

    @Test("partitions that are not there, or only looked at, begin no transaction")
    func addition() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 2)
            let client = try await served.connect()
            let remote = try await TransactionWireTests.Remote.begin(client)
            var request = AddPartitionsToTransactionRequest()
            request.transactionalID = remote.id
            request.producerID = remote.producer.id
            request.producerEpoch = remote.producer.epoch
            var topic = AddPartitionsToTransactionRequest.Topic()
            (topic.name, topic.partitions) = ("t", [0, 7])
            request.topics = [topic]
            let mixed = try await client.ask(request, version: 3).topicResults[0].partitions
            #expect(
                mixed.map(\.partitionErrorCode)
                    == [.operationNotAttempted, .unknownTopicOrPartition])
            func ask(verifyOnly: Bool) async throws -> ErrorCode {
                var transaction = AddPartitionsToTransactionRequest.Transaction()
                transaction.transactionalID = remote.id
                transaction.producerID = remote.producer.id
                transaction.producerEpoch = remote.producer.epoch
                transaction.verifyOnly = verifyOnly
                topic.partitions = [1]
                transaction.topics = [topic]
                var request = AddPartitionsToTransactionRequest()
                request.transactions = [transaction]
                let answer = try await client.ask(request, version: 4).transactionResults[0]
                return answer.topicResults[0].partitions[0].partitionErrorCode
            }
            #expect(try await ask(verifyOnly: true) != .none)
            #expect(try await ask(verifyOnly: false) == .none)
            #expect(try await ask(verifyOnly: true) == .none)
        }
    }

    @Test("groups and transactions have their coordinator here, other things none")
    func coordinators() async throws {
        try await ServedEngine.with { served in
            let client = try await served.connect()
            let port = Int32(served.address.port)
            for type in Int8(0)...2 {
                var one = FindCoordinatorRequest()
                (one.key, one.keyType) = ("x", type)
                let old = try await client.ask(one, version: 3)
                #expect((old.errorCode == .none) == (type < 2))
                #expect(type == 2 || old.port == port)
                var many = FindCoordinatorRequest()
                (many.coordinatorKeys, many.keyType) = (["x", "y", "x"], type)
                let all = try await client.ask(many, version: 4).coordinators
                #expect(all.map(\.key) == ["x", "y"])
                #expect(all.allSatisfy { ($0.errorCode == .none) == (type < 2) })
            }
            let cluster = try await client.ask(DescribeClusterRequest(), version: 1)
            #expect(cluster.clusterID == served.engine.identity.clusterID)
            #expect(cluster.controllerID == served.engine.identity.nodeID)
            #expect(cluster.brokers.map(\.port) == [port])
            var controllers = DescribeClusterRequest()
            controllers.endpointType = 2
            #expect(
                try await client.ask(controllers, version: 1).errorCode
                    == .unsupportedEndpointType)
        }
    }
}
