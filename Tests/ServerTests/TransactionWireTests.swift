import Tally
import TallyServer
import TallyStateStore
import TallyTestSupport
import TallyWire
import Testing

@Suite("Transactions over the wire", .timeLimit(.minutes(10)))
struct TransactionWireTests {
    /// A producer as a client library drives one.
    struct Remote {
        let client: WireClient
        let id: String
        var producer: ProducerIdentity
        var sequences: [Int32: Int32] = [:]

        static func begin(_ client: WireClient, id: String = "x") async throws -> Remote {
            while true {
                let given = try await client.ask(InitProducerIDRequest.new(id), version: 4)
                if given.errorCode == .concurrentTransactions {
                    try await Task.sleep(for: .milliseconds(5))
                    continue
                }
                #expect(given.errorCode == .none)
                return Remote(
                    client: client, id: id,
                    producer: ProducerIdentity(id: given.producerID, epoch: given.producerEpoch))
            }
        }

        func add(_ partitions: [Int32] = [0]) async throws -> ErrorCode {
            var request = AddPartitionsToTransactionRequest()
            request.transactionalID = id
            (request.producerID, request.producerEpoch) = (producer.id, producer.epoch)
            var topic = AddPartitionsToTransactionRequest.Topic()
            (topic.name, topic.partitions) = ("t", partitions)
            request.topics = [topic]
            let response = try await client.ask(request, version: 3)
            return response.topicResults[0].partitions[0].partitionErrorCode
        }

        mutating func send(
            _ value: String, to partition: Int32 = 0, version: Int16 = 9
        ) async throws -> ErrorCode {
            let sequence = sequences[partition, default: 0]
            let records = try batch(
                [value],
                producer: BatchProducer(
                    id: producer.id, epoch: producer.epoch, baseSequence: sequence),
                isTransactional: true)
            let answer = try await client.produce(
                records, to: "t", partition: partition, transactionalID: id, version: version)
            if answer.errorCode == .none { sequences[partition] = sequence + 1 }
            return answer.errorCode
        }

        mutating func end(
            commits: Bool, version: Int16 = 3
        ) async throws -> ErrorCode {
            var request = EndTransactionRequest()
            request.transactionalID = id
            (request.producerID, request.producerEpoch) = (producer.id, producer.epoch)
            request.isCommit = commits
            let response = try await client.ask(request, version: version)
            if version >= 5, response.errorCode == .none {
                producer = ProducerIdentity(
                    id: response.producerID, epoch: response.producerEpoch)
                sequences = [:]
            }
            return response.errorCode
        }
    }

    private func committed(_ client: WireClient) async throws -> [String] {
        let fetched = try await client.fetch(
            FetchRequest("t", maxBytes: 1 << 20, isCommitted: true))
        var aborted = fetched.abortedTransactions ?? []
        var values: [String] = []
        // As a client does: what is of an aborted transaction is passed over up to its marker.
        var passing: Set<Int64> = []
        let bytes = Array(fetched.records ?? [])
        var decoder = RecordDecoder()
        var at = 0
        while at < bytes.count {
            let batch = try RecordBatch(bytes.rawSpan, at: at)
            let header = batch.header
            while let next = aborted.first, next.firstOffset <= header.baseOffset.rawValue {
                passing.insert(next.producerID)
                aborted.removeFirst()
            }
            if header.attributes.isControl {
                passing.remove(header.producerID)
            } else if !passing.contains(header.producerID) {
                var cursor = try decoder.records(of: batch)
                while let record = try cursor.next() { values.append(record.valueText ?? "") }
            }
            at += header.sizeInBytes
        }
        return values
    }

    @Test(
        "by the first version of the protocol a producer keeps its epoch", arguments: [false, true])
    func oldProtocol(isRecorded: Bool) async throws {
        try await ServedEngine.with(engine: { $0.record(isRecorded) }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            var remote = try await Remote.begin(client)
            let epoch = remote.producer.epoch
            for (index, commits) in [true, false, true, true].enumerated() {
                #expect(try await remote.add() == .none)
                #expect(try await remote.send("v\(index)") == .none)
                #expect(try await remote.end(commits: commits) == .none)
                // Asked again, since the answer may have been lost.
                #expect(try await remote.end(commits: commits) == .none)
                #expect(try await remote.end(commits: !commits) == .invalidTransactionState)
            }
            #expect(remote.producer.epoch == epoch)
            #expect(try await committed(client) == ["v0", "v2", "v3"])
            let markers = try served.engine.partition(0, of: "t").log.producerStates()
            #expect(markers.map(\.epoch) == [epoch])
        }
    }

    @Test("by the second version each end raises the epoch, and the old one is fenced")
    func newProtocol() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            var remote = try await Remote.begin(client)
            for index in 0..<3 {
                let before = remote
                #expect(try await remote.add() == .none)
                #expect(try await remote.send("v\(index)") == .none)
                #expect(try await remote.end(commits: true, version: 5) == .none)
                #expect(remote.producer.epoch == before.producer.epoch + 1)
                var zombie = before
                #expect(try await zombie.add() == .producerFenced)
                #expect(try await zombie.send("late") == .invalidProducerEpoch)
            }
            #expect(try await committed(client) == ["v0", "v1", "v2"])
        }
    }

    @Test("a record outside of the transaction is refused before it is written")
    func verification() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 2)
            let client = try await served.connect()
            var remote = try await Remote.begin(client)
            #expect(try await remote.send("early") == .invalidTransactionState)
            #expect(try await remote.add([0]) == .none)
            #expect(try await remote.send("a") == .none)
            // Newer versions have a word of their own for it.
            #expect(try await remote.send("b", to: 1) == .invalidTransactionState)
            #expect(
                try await remote.send("b", to: 1, version: 12) == .transactionAbortable)
            #expect(try await remote.end(commits: true) == .none)
            // One that was on its way when the transaction ended.
            #expect(try await remote.send("late") == .invalidTransactionState)
            let partitions = try served.engine.describeTopic("t").partitions
            #expect(partitions.map(\.logEnd) == [Offset(2), .zero])
            #expect(try await served.engine.openTransactions(of: "t").isEmpty)
        }
    }

    @Test("an epoch that nobody was given does not slip into an open transaction")
    func otherEpoch() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            var remote = try await Remote.begin(client)
            #expect(try await remote.add() == .none)
            #expect(try await remote.send("a") == .none)
            var liar = remote
            liar.producer.epoch += 1
            liar.sequences = [:]
            #expect(try await liar.send("b") == .invalidProducerEpoch)
            #expect(try await remote.end(commits: true) == .none)
            #expect(try await served.engine.openTransactions(of: "t").isEmpty)
            #expect(try await committed(client) == ["a"])
        }
    }

    @Test(
        "a second producer of the id fences the first, and its transaction is aborted",
        arguments: [false, true])
    func fencing(isRecorded: Bool) async throws {
        try await ServedEngine.with(engine: { $0.record(isRecorded) }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            var first = try await Remote.begin(client)
            #expect(try await first.add() == .none)
            #expect(try await first.send("lost") == .none)
            var second = try await Remote.begin(client)
            #expect(second.producer.id == first.producer.id)
            #expect(second.producer.epoch > first.producer.epoch)
            #expect(try await first.send("zombie") == .invalidProducerEpoch)
            #expect(try await first.end(commits: true) == .producerFenced)
            #expect(try await second.add() == .none)
            #expect(try await second.send("kept") == .none)
            #expect(try await second.end(commits: true) == .none)
            #expect(try await committed(client) == ["kept"])
        }
    }

    @Test(
        "offsets in a transaction count when it commits, and do not when it aborts",
        arguments: [false, true])
    func offsets(isRecorded: Bool) async throws {
        try await ServedEngine.with(engine: { $0.record(isRecorded) }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            var remote = try await Remote.begin(client)
            func commit(_ offset: Int64) async throws -> ErrorCode {
                var request = TransactionOffsetCommitRequest()
                (request.transactionalID, request.groupID) = (remote.id, "g")
                request.producerID = remote.producer.id
                request.producerEpoch = remote.producer.epoch
                var partition = TransactionOffsetCommitRequest.Partition()
                partition.committedOffset = offset
                var topic = TransactionOffsetCommitRequest.Topic()
                (topic.name, topic.partitions) = ("t", [partition])
                request.topics = [topic]
                return try await client.ask(request, version: 3).topics[0].partitions[0].errorCode
            }
            func add() async throws -> ErrorCode {
                var request = AddOffsetsToTransactionRequest()
                (request.transactionalID, request.groupID) = (remote.id, "g")
                request.producerID = remote.producer.id
                request.producerEpoch = remote.producer.epoch
                return try await client.ask(request, version: 3).errorCode
            }
            let id = TopicPartition(topic: "t", partition: 0)
            #expect(try await commit(1) == .invalidTransactionState, "the group takes no part yet")
            for (offset, commits, expected) in [(Int64(5), true, Int64(5)), (9, false, 5)] {
                #expect(try await add() == .none)
                #expect(try await commit(offset) == .none)
                let pending = try await served.engine.committedOffsets(ofGroup: "g")
                #expect(pending[id]?.offset.rawValue != offset)
                #expect(try await remote.end(commits: commits) == .none)
                let after = try await served.engine.committedOffsets(ofGroup: "g")
                #expect(after[id]?.offset.rawValue == expected)
            }
        }
    }

    @Test(
        "an open transaction goes on when the server comes back, until its timeout",
        arguments: [false, true])
    func restart(isRecorded: Bool) async throws {
        let directory = try TemporaryDirectory()
        var configuration = EngineConfiguration()
        configuration.state = .sqlite
        configuration.transactions.areProducersRemote = true
        configuration.record(isRecorded)
        var remote: Remote?
        for life in 0..<2 {
            let engine = try await Engine.open(at: directory.path, configuration: configuration)
            var serverConfiguration = ServerConfiguration()
            serverConfiguration.port = 0
            let server = try TallyServer(engine: engine, configuration: serverConfiguration)
            let client = try await WireClient.connect(to: try await server.start())
            if life == 0 {
                try await engine.createTopic("t", partitions: 1)
                var begun = try await Remote.begin(client)
                #expect(try await begun.add() == .none)
                #expect(try await begun.send("before") == .none)
                remote = begun
            } else if let before = remote {
                var resumed = Remote(
                    client: client, id: before.id, producer: before.producer,
                    sequences: before.sequences)
                #expect(try await resumed.send("after") == .none)
                #expect(try await resumed.end(commits: true) == .none)
                #expect(try await committed(client) == ["before", "after"])
            }
            await server.shutdown()
            try await engine.close()
        }
    }
}
