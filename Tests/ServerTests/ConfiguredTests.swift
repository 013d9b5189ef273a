import Foundation
import Tally
import TallyWire
import Testing

@testable import TallyServer

@Suite("What settings and requests say", .timeLimit(.minutes(10)))
struct ConfiguredTests {
    @Test("fetch.max.bytes bounds a fetch that asks for more")
    func fetchBytes() async throws {
        let large = try batch([String(repeating: "x", count: 1000)])
        try await ServedEngine.with(server: { $0.fetchBytesMax = 2 * large.count }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            for _ in 0..<4 { _ = try await client.produce(large, to: "t") }
            let fetched = try await client.fetch(FetchRequest("t", maxBytes: 1 << 30))
            #expect(fetched.records?.count == 2 * large.count)
        }
    }

    @Test("partition.max.bytes bounds each partition by itself")
    func partitionBytes() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            let large = try batch([String(repeating: "x", count: 1000)])
            for _ in 0..<4 { _ = try await client.produce(large, to: "t") }
            var request = FetchRequest("t", maxBytes: 1 << 30)
            request.topics[0].partitions[0].partitionMaxBytes = Int32(3 * large.count)
            let fetched = try await client.fetch(request)
            #expect(fetched.records?.count == 3 * large.count)
        }
    }

    @Test("a partition that is named many times is answered once")
    func repetition() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 2)
            let client = try await served.connect()
            let records = try batch(["a"])
            for partition in Int32(0)..<2 {
                _ = try await client.produce(records, to: "t", partition: partition)
            }
            var request = FetchRequest("t")
            let first = request.topics[0].partitions[0]
            request.topics[0].partitions = Array(repeating: first, count: 1000)
            var second = request.topics[0]
            second.partitions[0].partition = 1
            request.topics.append(second)
            let topics = try await client.ask(request, version: 12).responses
            #expect(topics.map { $0.partitions.map(\.partitionIndex) } == [[0], [1]])
            #expect(topics.allSatisfy { $0.partitions[0].records?.count == records.count })
            var producers = DescribeProducersRequest()
            var topic = DescribeProducersRequest.Topic()
            topic.name = "t"
            topic.partitions = Array(repeating: 1, count: 1000)
            producers.topics = [topic]
            #expect(try await client.ask(producers, version: 0).topics[0].partitions.count == 1)
        }
    }

    @Test("clients are told the advertised address")
    func advertised() async throws {
        try await ServedEngine.with(server: {
            ($0.advertisedHost, $0.advertisedPort) = ("broker.example", 19_092)
        }) { served in
            let client = try await served.connect()
            let broker = try await client.ask(MetadataRequest(), version: 12).brokers.first
            #expect(broker?.host == "broker.example")
            #expect(broker?.port == 19_092)
            var request = FindCoordinatorRequest()
            request.coordinatorKeys = ["g"]
            let coordinator = try await client.ask(request, version: 4).coordinators.first
            #expect(coordinator?.host == "broker.example")
            #expect(coordinator?.port == 19_092)
        }
    }

    @Test("topics are created by asking where both the server and the client say so")
    func automaticTopics() async throws {
        for (server, client) in [(true, true), (true, false), (false, true)] {
            try await ServedEngine.with(server: {
                $0.createsTopicsAutomatically = server
                $0.partitionCount = 3
            }) { served in
                var request = MetadataRequest()
                var topic = MetadataRequest.Topic()
                topic.name = "new"
                request.topics = [topic]
                request.allowAutoTopicCreation = client
                let answer = try await served.connect().ask(request, version: 9).topics[0]
                #expect((answer.errorCode == .none) == (server && client))
                #expect(answer.partitions.count == (server && client ? 3 : 0))
                #expect(try served.engine.topics().count == (server && client ? 1 : 0))
            }
        }
    }

    @Test("records before an offset are deleted, and not before one that means nothing")
    func deleteRecords() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            for value in ["a", "b", "c"] { _ = try await client.produce(batch([value]), to: "t") }
            func delete(before offset: Int64) async throws -> (ErrorCode, Int64) {
                var request = DeleteRecordsRequest()
                var topic = DeleteRecordsRequest.Topic()
                topic.name = "t"
                var partition = DeleteRecordsRequest.Partition()
                partition.offset = offset
                topic.partitions = [partition]
                request.topics = [topic]
                let answer = try await client.ask(request, version: 2).topics[0].partitions[0]
                return (answer.errorCode, answer.lowWatermark)
            }
            #expect(try await delete(before: -2) == (.offsetOutOfRange, -1))
            #expect(try await delete(before: 4) == (.offsetOutOfRange, -1))
            #expect(try await delete(before: 1) == (.none, 1))
            #expect(try await delete(before: -1) == (.none, 3))
        }
    }

    @Test("a follower with another end of its epoch is told where the epoch ends")
    func divergingEpoch() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            for value in ["a", "b"] { _ = try await client.produce(batch([value]), to: "t") }
            let epoch = try served.engine.describeTopic("t").partitions[0].leaderEpoch.rawValue
            var request = FetchRequest("t", from: 1, maxWait: 60_000)
            request.topics[0].partitions[0].lastFetchedEpoch = epoch
            #expect(try values(in: try await client.fetch(request).records) == ["1:b"])
            request.topics[0].partitions[0].fetchOffset = 7
            let told = try await client.fetch(request)
            #expect(told.divergingEpoch.epoch == epoch)
            #expect(told.divergingEpoch.endOffset == 2)
            #expect(told.records?.isEmpty == true)
            // As in Kafka: of an epoch that is not there yet nobody can say where it ends.
            request.topics[0].partitions[0].lastFetchedEpoch = epoch + 1
            #expect(try await client.fetch(request).errorCode == .offsetOutOfRange)
        }
    }

    @Test("consumers see what acks 1 has answered, soon; a write that waits for all is synced")
    func acknowledgements() async throws {
        try await ServedEngine.with(engine: { $0.durability = .synced }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            let log = try served.engine.partition(0, of: "t").log
            let client = try await served.connect()
            _ = try await client.produce(batch(["a"]), to: "t", acks: -1)
            #expect(log.highWatermark == Offset(1))
            // Each time: a sync that was asked for once is over at some time.
            for offset in Int64(1)..<4 {
                _ = try await client.produce(batch(["b"]), to: "t", acks: 1)
                let fetched = try await client.fetch(
                    FetchRequest("t", from: offset, maxWait: 20_000))
                #expect(try values(in: fetched.records) == ["\(offset):b"])
            }
        }
    }

    @Test("batches of one request get their offsets in place, each its own")
    func manyBatches() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 3)
            let client = try await served.connect()
            for round in Int64(0)..<3 {
                var request = ProduceRequest(try batch(["p0-\(round)"]), to: "t")
                for partition in Int32(1)..<3 {
                    var more = ProduceRequest.Partition()
                    more.index = partition
                    more.records = try batch(["p\(partition)-\(round)"])[...]
                    request.topics[0].partitions.append(more)
                }
                // One of them is damaged, and one has no records: the others are stored.
                var damaged = ProduceRequest.Partition()
                var bytes = try batch(["damaged"])
                bytes[bytes.count - 1] ^= 1
                damaged.records = bytes[...]
                request.topics[0].partitions.append(damaged)
                request.topics[0].partitions.append(ProduceRequest.Partition())
                let answers = try await client.ask(request, version: 9).responses[0].partitions
                #expect(answers.map(\.baseOffset) == [round, round, round, -1, -1])
                #expect(answers[3].errorCode == .corruptMessage)
                #expect(answers[4].errorCode == .corruptMessage)
            }
            for partition in Int32(0)..<3 {
                let fetched = try await client.fetch(FetchRequest("t", partition: partition))
                #expect(
                    try values(in: fetched.records) == (0..<3).map { "\($0):p\(partition)-\($0)" })
            }
        }
    }

    @Test("the budget is whole again when requests have ended, however they end")
    func budget() async throws {
        try await ServedEngine.with(server: {
            $0.requestBytesMax = 100_000
            $0.queuedRequestBytesMax = 100_000
            $0.requestReceiveMilliseconds = 300
        }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            let large = try batch([String(repeating: "x", count: 60_000)])
            // Each takes more than half: one that keeps its place would keep the others out.
            for turn in 0..<3 {
                let client = try await served.connect()
                #expect(try await client.produce(large, to: "t").errorCode == .none)
                let half = try await served.connect()
                try await half.send(bytes: [0, 1, 0x80, 0, 0, 0])
                try await Task.sleep(for: .milliseconds(20))
                // Waits for its place, and goes.
                let waiting = try await served.connect()
                try await waiting.send(bytes: [0, 1, 0x80, 0, 0, 0])
                try await Task.sleep(for: .milliseconds(20))
                // One says that it sends no more, the other is gone at once.
                if turn == 0 { await waiting.close() } else { try await waiting.reset() }
                try await Task.sleep(for: .milliseconds(20))
                await half.close()
            }
            let last = try await served.connect()
            #expect(try await last.produce(large, to: "t").errorCode == .none)
        }
    }

    @Test("room of requests is used again, and only where it is worth it")
    func framePool() {
        let pool = FramePool()
        var room = pool.room(for: 1_000_000)
        #expect(room.capacity >= 1_000_000)
        room.append(contentsOf: [1, 2, 3])
        pool.giveBack(&room)
        let again = pool.room(for: 20_000)
        #expect(again.isEmpty)
        #expect(again.capacity >= 1_000_000, "it is the same")
        #expect(pool.room(for: 20_000).capacity < 1_000_000, "nobody else gets it")
        // No length says how much memory there is.
        #expect(pool.room(for: 100 << 20).capacity < 4 * FramePool.roomMax)
        var kept = again
        pool.giveBack(&kept)
        #expect(pool.room(for: 10).capacity < MemoryBudget.freeByteCount, "none is wasted on it")
        #expect(pool.room(for: 20_000).capacity >= 1_000_000)
    }

    @Test("a file that was sent is let go of, and others may be sent")
    func sentFiles() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("sent-from-files", partitions: 1)
            func files() throws -> Int {
                let folder = "/proc/self/fd"
                return try FileManager.default.contentsOfDirectory(atPath: folder).count { name in
                    let path = "\(folder)/\(name)"
                    let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path)
                    return target?.contains("/sent-from-files-0/") == true
                }
            }
            let client = try await served.connect()
            let large = try batch([String(repeating: "x", count: 900_000)])
            for _ in 0..<10 { _ = try await client.produce(large, to: "sent-from-files") }
            let before = try files()
            var request = FetchRequest("sent-from-files", maxBytes: 1 << 20)
            for _ in 0..<100 {
                #expect(try await client.fetch(request).records?.count == large.count)
            }
            while try files() > before { try await Task.sleep(for: .milliseconds(5)) }
            // More than the system keeps for somebody who does not read.
            request.maxBytes = 50 << 20
            request.topics[0].partitions[0].partitionMaxBytes = 50 << 20
            try await client.setReading(false)
            try await client.post(request, version: 12)
            while try files() == before { try await Task.sleep(for: .milliseconds(5)) }
            try await client.setReading(true)
            _ = try await client.response(to: FetchRequest.self, version: 12)
            while try files() > before { try await Task.sleep(for: .milliseconds(5)) }
        }
    }

    @Test("a shutdown waits for a request that is being worked on")
    func shutdownWaits() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            try await client.post(FetchRequest("t", maxWait: .max), version: 12)
            try await Task.sleep(for: .milliseconds(100))
            let begin = ContinuousClock.now
            await served.server.shutdown()
            #expect(ContinuousClock.now - begin < .seconds(4), "it is told to answer now")
            let answer = try await client.response(to: FetchRequest.self, version: 12)
            #expect(answer.errorCode == .none)
        }
    }
}
