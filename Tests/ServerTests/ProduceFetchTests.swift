import Tally
import TallyWire
import Testing

@Suite("Produce and fetch over the wire", .timeLimit(.minutes(10)))
struct ProduceFetchTests {
    @Test("batches are stored as they came, and come back so, in every version")
    func roundTrip() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            for version in ProduceRequest.versions {
                let records = try batch(["a\(version)", "b\(version)"], codec: .lz4)
                let produced = try await client.produce(records, to: "t", version: version)
                #expect(produced.errorCode == .none)
                let fetched = try await client.fetch(
                    FetchRequest("t", from: produced.baseOffset))
                // But for the base offset and the leader epoch, which lie outside of the checksum.
                #expect(Array(fetched.records ?? [])[16...] == records[16...])
                #expect(fetched.highWatermark == produced.baseOffset + 2)
            }
            let last = ProduceRequest.versions.upperBound
            let topicID = WireUUID(try served.engine.describeTopic("t").id)
            for version in FetchRequest.versions {
                var request = FetchRequest("t", from: 1)
                request.topics[0].topicID = topicID
                let fetched = try await client.fetch(request, version: version)
                let all = try values(in: fetched.records)
                #expect(all.first == "0:a3", "the whole batch comes, from its beginning")
                #expect(all.last == "\(2 * (Int(last) - 3) + 1):b\(last)")
            }
        }
    }

    @Test("a fetch waits for what comes, and no longer")
    func longPoll() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let (reader, writer) = (try await served.connect(), try await served.connect())
            // Longer than the test would ever take.
            let request = FetchRequest("t", maxWait: 600_000)
            try await reader.post(request, version: 12)
            try await Task.sleep(for: .milliseconds(50))
            _ = try await writer.produce(batch(["a"]), to: "t")
            let response = try await reader.response(to: FetchRequest.self, version: 12)
            #expect(try values(in: response.responses[0].partitions[0].records) == ["0:a"])
            // Not enough, and no more comes.
            let start = ContinuousClock.now
            let poor = try await reader.fetch(FetchRequest("t", minBytes: 10_000, maxWait: 100))
            #expect(try values(in: poor.records) == ["0:a"])
            #expect(ContinuousClock.now - start >= .milliseconds(100))
            // Not enough, until more comes.
            try await reader.post(
                FetchRequest("t", minBytes: 120, maxWait: 600_000), version: 12)
            for value in ["b", "c"] { _ = try await writer.produce(batch([value]), to: "t") }
            let enough = try await reader.response(to: FetchRequest.self, version: 12)
            #expect(try values(in: enough.responses[0].partitions[0].records).count >= 2)
        }
    }

    @Test("max.bytes bounds a fetch, but for its first batch")
    func maxBytes() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 2)
            let client = try await served.connect()
            let large = try batch([String(repeating: "x", count: 1000)])
            for partition in [Int32(0), 1, 0, 1] {
                _ = try await client.produce(large, to: "t", partition: partition)
            }
            var request = FetchRequest("t", maxBytes: 10)
            var second = request.topics[0].partitions[0]
            second.partition = 1
            request.topics[0].partitions.append(second)
            let response = try await client.ask(request, version: 12)
            let partitions = response.responses[0].partitions
            #expect(partitions[0].records?.count == large.count)
            #expect(partitions[1].records?.isEmpty == true)
            request.maxBytes = Int32(3 * large.count)
            for index in 0..<2 { request.topics[0].partitions[index].partitionMaxBytes = 1 << 20 }
            let more = try await client.ask(request, version: 12).responses[0].partitions
            #expect(more.map { $0.records?.count } == [2 * large.count, large.count])
            // A batch that is only begun by what is left is not for this answer.
            request.maxBytes += Int32(-1)
            let fewer = try await client.ask(request, version: 12).responses[0].partitions
            #expect(fewer.map { $0.records?.count } == [2 * large.count, 0])
        }
    }

    @Test("what is refused has its error, and leaves nothing behind")
    func refusals() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            try await served.engine.createTopic(
                "compacted", partitions: 1, configuration: .init(["cleanup.policy": "compact"]))
            try await served.engine.createTopic(
                "small", partitions: 1, configuration: .init(["max.message.bytes": "200"]))
            let client = try await served.connect()
            let good = try batch(["a"])
            #expect(
                try await client.produce(good, to: "none").errorCode == .unknownTopicOrPartition)
            #expect(
                try await client.produce(good, to: "t", partition: 1).errorCode
                    == .unknownTopicOrPartition)
            #expect(
                try await client.produce(good, to: "t", acks: 2).errorCode == .invalidRequiredAcks)
            #expect(
                try await client.produce(batch(["a"], key: nil), to: "compacted").errorCode
                    == .invalidRecord)
            let long = try batch([String(repeating: "x", count: 300)])
            #expect(try await client.produce(long, to: "small").errorCode == .messageTooLarge)
            var damaged = good
            damaged[good.count - 1] ^= 1
            #expect(try await client.produce(damaged, to: "t").errorCode == .corruptMessage)
            #expect(try await client.produce([], to: "t").errorCode == .corruptMessage)
            #expect(
                try await client.produce(Array(good.dropLast()), to: "t").errorCode
                    == .corruptMessage)
            var old = good
            old[16] = 1
            #expect(
                try await client.produce(old, to: "t").errorCode == .unsupportedForMessageFormat)
            let future = try batch(["a"], timestamp: Timestamp(milliseconds: 1 << 50))
            #expect(try await client.produce(future, to: "t").errorCode == .invalidTimestamp)
            for topic in try served.engine.topics() {
                #expect(topic.partitions.allSatisfy { $0.logEnd == .zero })
            }
        }
    }

    @Test("acks 0 gets no answer, and what was sent is there")
    func noAcknowledgement() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            try await client.post(ProduceRequest(batch(["a"]), to: "t", acks: 0), version: 9)
            // The next answer is that of the next request.
            let versions = try await client.ask(ApiVersionsRequest(), version: 3)
            #expect(versions.errorCode == .none)
            let fetched = try await client.fetch(FetchRequest("t", maxWait: 10_000))
            #expect(try values(in: fetched.records) == ["0:a"])
        }
    }

    @Test("a client that wants no answers sends, and goes: all of it is there")
    func sentAndGone() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            var bytes: [UInt8] = []
            // More than is handled before the server learns that the client is gone.
            let request = ProduceRequest(try batch(["v"]), to: "t", acks: 0)
            let frame = WireClient.framed(try WireClient.frame(request, version: 9))
            for _ in 0..<2000 { bytes += frame }
            try await client.send(bytes: bytes)
            await client.close()
            let log = try served.engine.partition(0, of: "t").log
            while log.logEnd < Offset(2000) { try await Task.sleep(for: .milliseconds(5)) }
            while served.server.connectionCount > 0 {
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    @Test("with acks 0 an error ends the connection: there is no other way to say it")
    func unacknowledgedError() async throws {
        try await ServedEngine.with { served in
            let client = try await served.connect()
            try await client.post(ProduceRequest(batch(["a"]), to: "none", acks: 0), version: 9)
            #expect(await client.frame() == nil)
        }
    }

    @Test("requests that are sent ahead are answered in their order")
    func pipelining() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            var bytes: [UInt8] = []
            for id in Int32(0)..<50 {
                let records = try batch(["v\(id)"])
                let frame = try WireClient.frame(
                    ProduceRequest(records, to: "t"), version: 9, correlationID: id)
                bytes += WireClient.framed(frame)
            }
            try await client.send(bytes: bytes)
            for id in Int32(0)..<50 {
                let response = try await client.response(
                    to: ProduceRequest.self, version: 9, correlationID: id)
                #expect(response.responses[0].partitions[0].baseOffset == Int64(id))
            }
        }
    }

    @Test(
        "no record lies behind the end that its answer names, while more are written",
        arguments: [false, true])
    func namedEnd(isCommitted: Bool) async throws {
        try await ServedEngine.with { served in
            let settings = try TopicConfiguration(["tally.durability": "buffered"])
            try await served.engine.createTopic("t", partitions: 1, configuration: settings)
            let producer = try served.engine.producer()
            let writing = Task {
                while !Task.isCancelled {
                    _ = try await producer.send(key: nil, value: "v", to: "t")
                }
            }
            let client = try await served.connect()
            var next: Int64 = 0
            for _ in 0..<2000 {
                let answer = try await client.fetch(
                    FetchRequest("t", from: next, maxWait: 100, isCommitted: isCommitted))
                let end = isCommitted ? answer.lastStableOffset : answer.highWatermark
                let last = try values(in: answer.records).last?.split(separator: ":").first
                next = last.flatMap { Int64($0) }.map { $0 + 1 } ?? next
                #expect(next <= end)
                #expect(answer.lastStableOffset <= answer.highWatermark)
            }
            #expect(next > 0)
            writing.cancel()
            _ = try await writing.value
        }
    }

    @Test("leader epochs, offsets outside, sessions and topics that are not there")
    func fetchErrors() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            _ = try await client.produce(batch(["a"]), to: "t")
            func code(
                version: Int16 = 12, _ change: (inout FetchRequest) -> Void
            ) async throws -> ErrorCode {
                var request = FetchRequest("t", maxWait: 60_000)
                change(&request)
                return try await client.fetch(request, version: version).errorCode
            }
            let epoch = try served.engine.describeTopic("t").partitions[0].leaderEpoch.rawValue
            #expect(
                try await code { $0.topics[0].partitions[0].currentLeaderEpoch = epoch } == .none)
            #expect(
                try await code { $0.topics[0].partitions[0].currentLeaderEpoch = epoch + 1 }
                    == .unknownLeaderEpoch)
            if epoch > 0 {
                #expect(
                    try await code { $0.topics[0].partitions[0].currentLeaderEpoch = epoch - 1 }
                        == .fencedLeaderEpoch)
            }
            #expect(
                try await code { $0.topics[0].partitions[0].fetchOffset = 5 } == .offsetOutOfRange)
            #expect(try await code { $0.topics[0].topic = "u" } == .unknownTopicOrPartition)
            #expect(
                try await code(version: 16) {
                    $0.topics[0].topicID = WireUUID(high: 1, low: 2)
                } == .unknownTopicID)
            var session = FetchRequest("t")
            session.sessionID = 7
            #expect(
                try await client.ask(session, version: 12).errorCode == .fetchSessionIDNotFound)
        }
    }

    @Test("an idempotent producer's batch is stored once")
    func idempotence() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            let given = try await client.ask(InitProducerIDRequest.new(), version: 4)
            func send(_ sequence: Int32) async throws -> ProduceResponse.Partition {
                let producer = BatchProducer(
                    id: given.producerID, epoch: given.producerEpoch, baseSequence: sequence)
                return try await client.produce(batch(["s"], producer: producer), to: "t")
            }
            #expect(try await send(0).baseOffset == 0)
            #expect(try await send(1).baseOffset == 1)
            #expect(try await send(0).baseOffset == 0)
            #expect(try await send(3).errorCode == .outOfOrderSequenceNumber)
            #expect(try served.engine.describeTopic("t").partitions[0].logEnd == Offset(2))
        }
    }

    @Test("a long answer is sent from its file, others are copied: the same bytes")
    func longAnswers() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 3)
            let client = try await served.connect()
            var sent: [[UInt8]] = []
            for (partition, length) in [(Int32(0), 300_000), (1, 10), (2, 900_000)] {
                let records = try batch([String(repeating: "x", count: length)])
                _ = try await client.produce(records, to: "t", partition: partition)
                sent.append(records)
            }
            var request = FetchRequest("t", maxBytes: 50 << 20)
            for partition in Int32(1)..<3 {
                var wanted = request.topics[0].partitions[0]
                wanted.partition = partition
                request.topics[0].partitions.append(wanted)
            }
            for _ in 0..<3 {
                let response = try await client.ask(request, version: 12)
                for (partition, records) in zip(response.responses[0].partitions, sent) {
                    #expect(Array(partition.records ?? []).dropFirst(16) == records[16...])
                }
            }
        }
    }
}

extension InitProducerIDRequest {
    static func new(_ transactionalID: String? = nil, timeout: Int32 = 60_000) -> Self {
        var request = InitProducerIDRequest()
        request.transactionalID = transactionalID
        request.transactionTimeoutMilliseconds = timeout
        return request
    }
}
