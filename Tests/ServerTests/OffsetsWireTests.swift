import Tally
import TallyWire
import Testing

@Suite("Offsets and epochs over the wire", .timeLimit(.minutes(10)))
struct OffsetsWireTests {
    /// One partition's answer to ListOffsets.
    private func list(
        _ client: WireClient, _ time: Int64, topic: String = "t", epoch: Int32 = -1,
        isCommitted: Bool = false
    ) async throws -> ListOffsetsResponse.Partition {
        var request = ListOffsetsRequest()
        request.isolationLevel = isCommitted ? 1 : 0
        var wanted = ListOffsetsRequest.Topic()
        wanted.name = topic
        var partition = ListOffsetsRequest.Partition()
        (partition.timestamp, partition.currentLeaderEpoch) = (time, epoch)
        wanted.partitions = [partition]
        request.topics = [wanted]
        return try await client.ask(request, version: 8).topics[0].partitions[0]
    }

    @Test("offsets are found by each of the protocol's marks, and by time")
    func marks() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            #expect(try await list(client, -3).offset == -1, "nothing is there yet")
            for (value, time) in [("a", Int64(1000)), ("b", 3000), ("c", 2000), ("d", 2500)] {
                let records = try batch([value], timestamp: Timestamp(milliseconds: time))
                #expect(try await client.produce(records, to: "t").errorCode == .none)
            }
            try await served.engine.deleteRecords(
                ofTopic: "t", partition: 0, before: Offset(1))
            let epoch = try served.engine.describeTopic("t").partitions[0].leaderEpoch.rawValue
            // The end, the beginning, the latest time, the beginning of what is not elsewhere.
            for (mark, offset, time) in [
                (Int64(-1), Int64(4), Int64(-1)), (-2, 1, -1), (-3, 1, 3000), (-4, 1, -1),
                // What nobody knows, and is therefore nowhere.
                (-5, -1, -1),
                // The first that is not earlier; none is later.
                (1500, 1, 3000), (3000, 1, 3000), (3001, -1, -1),
            ] {
                let found = try await list(client, mark)
                #expect(found.errorCode == .none, "\(mark)")
                #expect(found.offset == offset, "\(mark)")
                #expect(found.timestamp == time, "\(mark)")
                #expect(found.leaderEpoch == (offset < 0 ? -1 : epoch), "\(mark)")
            }
            #expect(try await list(client, -1, topic: "none").errorCode == .unknownTopicOrPartition)
            #expect(try await list(client, -1, epoch: epoch).errorCode == .none)
            #expect(try await list(client, -1, epoch: epoch + 1).errorCode == .unknownLeaderEpoch)
        }
    }

    @Test("what of a transaction is not decided is not read, and not counted in, until it is")
    func isolation() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            let now = Timestamp.now.rawValue
            let earlier = Timestamp(milliseconds: now - 60_000)
            let before = try batch(["before"], timestamp: earlier)
            #expect(try await client.produce(before, to: "t").errorCode == .none)
            var remote = try await TransactionWireTests.Remote.begin(client)
            #expect(try await remote.add() == .none)
            #expect(try await remote.send("open") == .none)
            #expect(try await list(client, -1, isCommitted: true).offset == 1)
            #expect(try await list(client, -1).offset == 2)
            // Its time is the latest there is, and nobody may know of it yet.
            #expect(try await list(client, -3, isCommitted: true).offset == -1)
            #expect(try await list(client, -3).offset == 1)
            #expect(try await list(client, now - 30_000, isCommitted: true).offset == -1)
            #expect(try await list(client, now - 30_000).offset == 1)
            let all = try await client.fetch(FetchRequest("t"))
            let everything = try values(in: all.records)
            #expect(everything == ["0:before", "1:open"])
            #expect(all.abortedTransactions == nil)
            let stable = try await client.fetch(FetchRequest("t", isCommitted: true))
            #expect(try values(in: stable.records) == ["0:before"])
            #expect(stable.lastStableOffset == 1)
            #expect(stable.highWatermark == 2)
            #expect(stable.abortedTransactions == [])
            // Who waits for it is woken by the end of the transaction.
            let reader = try await served.connect()
            try await reader.post(
                FetchRequest("t", from: 1, maxWait: 600_000, isCommitted: true), version: 12)
            try await Task.sleep(for: .milliseconds(50))
            #expect(try await remote.end(commits: false) == .none)
            let woken = try await reader.response(to: FetchRequest.self, version: 12)
            let partition = woken.responses[0].partitions[0]
            #expect(partition.abortedTransactions?.map(\.producerID) == [remote.producer.id])
            #expect(partition.abortedTransactions?.map(\.firstOffset) == [1])
            #expect(partition.lastStableOffset == 3)
        }
    }

    @Test("the end of an epoch is told, of one that there is not nothing is")
    func epochEnds() async throws {
        try await ServedEngine.with { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            for value in ["a", "b"] { _ = try await client.produce(batch([value]), to: "t") }
            let epoch = try served.engine.describeTopic("t").partitions[0].leaderEpoch.rawValue
            func end(
                of epoch: Int32, knowing current: Int32 = -1, topic: String = "t"
            ) async throws -> OffsetForLeaderEpochResponse.EpochEnd {
                var request = OffsetForLeaderEpochRequest()
                var wanted = OffsetForLeaderEpochRequest.Topic()
                wanted.name = topic
                var partition = OffsetForLeaderEpochRequest.Partition()
                (partition.leaderEpoch, partition.currentLeaderEpoch) = (epoch, current)
                wanted.partitions = [partition]
                request.topics = [wanted]
                return try await client.ask(request, version: 4).topics[0].partitions[0]
            }
            let known = try await end(of: epoch, knowing: epoch)
            #expect((known.errorCode, known.leaderEpoch) == (.none, epoch))
            #expect(known.endOffset == 2)
            let later = try await end(of: epoch + 1)
            #expect((later.errorCode, later.leaderEpoch) == (.none, -1))
            #expect(later.endOffset == -1)
            #expect(
                try await end(of: epoch, knowing: epoch + 1).errorCode == .unknownLeaderEpoch)
            #expect(
                try await end(of: epoch, topic: "u").errorCode == .unknownTopicOrPartition)
        }
    }

    @Test("a client with an older leader epoch is fenced, and one at a deleted offset told where")
    func fencedEpoch() async throws {
        try await ServedEngine.with { served in
            let engine = served.engine
            try await engine.createTopic(
                "t", partitions: 1, configuration: .init(["tally.source": "127.0.0.1:1"]))
            // What follows nobody any more has an epoch of its own.
            try await engine.alterTopic("t", resetting: ["tally.source"])
            let client = try await served.connect()
            for value in ["a", "b"] { _ = try await client.produce(batch([value]), to: "t") }
            let epoch = try engine.describeTopic("t").partitions[0].leaderEpoch.rawValue
            try #require(epoch > 0)
            #expect(try await list(client, -1, epoch: epoch).errorCode == .none)
            #expect(try await list(client, -1, epoch: epoch - 1).errorCode == .fencedLeaderEpoch)
            var request = FetchRequest("t", maxWait: 60_000)
            request.topics[0].partitions[0].currentLeaderEpoch = epoch - 1
            #expect(try await client.fetch(request).errorCode == .fencedLeaderEpoch)
            try await engine.deleteRecords(ofTopic: "t", partition: 0, before: Offset(1))
            let gone = try await client.fetch(FetchRequest("t", maxWait: 60_000))
            #expect(gone.errorCode == .offsetOutOfRange)
            #expect(gone.logStartOffset == 1)
            #expect(gone.highWatermark == -1)
        }
    }

    @Test("an offset that was asked for behind an answer with acks 1 counts it")
    func settled() async throws {
        try await ServedEngine.with(engine: { $0.durability = .synced }) { served in
            try await served.engine.createTopic("t", partitions: 1)
            let client = try await served.connect()
            for offset in Int64(0)..<20 {
                let answer = try await client.produce(batch(["a"]), to: "t", acks: 1)
                #expect(answer.baseOffset == offset)
                #expect(try await list(client, -1).offset == offset + 1)
            }
        }
    }
}
