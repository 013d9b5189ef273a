import TallyTestSupport
import Testing

@testable import Tally

@Suite struct TransactionTests {
    private static let start = Timestamp(milliseconds: 1_767_225_600_000)

    /// Producer 7, of epoch 3, has a transaction open at offsets 1 to 4; other records are around.
    private static func hang(_ engine: Engine, topic: String = "shop") async throws {
        try await engine.ensureTopic(topic, partitions: 2)
        let producer = try engine.producer()
        _ = try await producer.send(
            ProducerRecord(topic: topic, partition: 1, key: nil, value: "before"))
        let log = try engine.partition(1, of: topic).log
        try log.appendTransactional(count: 3, producerID: 7, epoch: 3, timestamp: start)
        try log.appendTransactional(
            count: 1, producerID: 7, epoch: 3, sequence: 3,
            timestamp: start.advanced(bySeconds: 60))
        _ = try await producer.send(
            ProducerRecord(topic: topic, partition: 1, key: nil, value: "behind"))
    }

    private static func open(_ producerID: Int64 = 7) -> OpenTransaction {
        OpenTransaction(
            topic: "shop", partition: 1, producerID: producerID, producerEpoch: 3,
            firstOffset: Offset(1), lastOffset: Offset(4), startedAt: start)
    }

    @Test(
        "an open transaction is seen, aborted, and no longer holds up committed readers",
        arguments: [Durability.synced, .buffered])
    func abort(_ durability: Durability) async throws {
        let directory = try TemporaryDirectory()
        var configuration = EngineConfiguration()
        configuration.durability = durability
        var engine = try await Engine.open(at: directory.path, configuration: configuration)
        try await Self.hang(engine)
        #expect(try await engine.openTransactions(of: "shop") == [Self.open()])
        var log = try engine.partition(1, of: "shop").log
        #expect(try log.lastStableOffset() == Offset(1))
        #expect(log.logEnd == Offset(6))

        let done = try await engine.abortTransaction(
            topic: "shop", partition: 1, producerID: 7, producerEpoch: 3)
        #expect(
            done
                == TransactionAbort(
                    transaction: Self.open(), markerOffset: Offset(6),
                    lastStableOffset: Offset(7)))
        #expect(try log.lastStableOffset() == log.logEnd)
        #expect(log.recoveryPoint == log.logEnd, "the marker is on stable storage")
        #expect(try await engine.openTransactions(of: "shop").isEmpty)
        let aborted = AbortedTransaction(
            producerID: 7, firstOffset: Offset(1), lastOffset: Offset(6),
            lastStableOffset: Offset(7))
        #expect(try log.abortedTransactions(in: Offset(0)..<Offset(7)) == [aborted])

        try await engine.close()
        engine = try await Engine.open(at: directory.path, configuration: configuration)
        log = try engine.partition(1, of: "shop").log
        #expect(try await engine.openTransactions(of: "shop").isEmpty)
        #expect(try log.lastStableOffset() == Offset(7))
        #expect(try log.abortedTransactions(in: Offset(0)..<Offset(7)) == [aborted])
        try await engine.close()
    }

    @Test("what is not open is not aborted, and the error names what is")
    func refusals() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        try await Self.hang(engine)
        let log = try engine.partition(1, of: "shop").log
        func refused(
            _ producerID: Int64, _ epoch: Int16?, open: [OpenTransaction] = [Self.open()]
        ) async throws {
            let error = EngineError.noOpenTransaction(
                partition: "shop-1", producerID: producerID, producerEpoch: epoch, open: open)
            await #expect(throws: error) {
                try await engine.abortTransaction(
                    topic: "shop", partition: 1, producerID: producerID, producerEpoch: epoch)
            }
        }
        try await refused(8, nil)
        try await refused(7, 2)
        try await refused(7, 4)
        let text = await message {
            try await engine.abortTransaction(
                topic: "shop", partition: 1, producerID: 7, producerEpoch: 2)
        }
        #expect(
            text == """
                shop-1 has no open transaction of producer 7 with epoch 2. Open are: producer 7 \
                with epoch 3, from offset 1 on.
                """)
        #expect(log.logEnd == Offset(6), "nothing was written")

        try await engine.abortTransaction(topic: "shop", partition: 1, producerID: 7)
        try await refused(7, nil, open: [])
        #expect(log.logEnd == Offset(7))
        let again = await message {
            try await engine.abortTransaction(topic: "shop", partition: 1, producerID: 7)
        }
        #expect(again.hasSuffix("producer 7. No transaction is open there."))
        await #expect(throws: EngineError.unknownTopic(name: "none", known: ["shop"])) {
            try await engine.openTransactions(of: "none")
        }
        await #expect(
            throws: EngineError.unknownPartition(topic: "shop", partition: 2, count: 2)
        ) {
            try await engine.abortTransaction(topic: "shop", partition: 2, producerID: 7)
        }
        try await engine.close()
        await #expect(throws: EngineError.closed) {
            try await engine.openTransactions(of: "shop")
        }
    }

    @Test("one transaction is aborted while another stays open and holds readers where it began")
    func two() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        try await Self.hang(engine)
        let log = try engine.partition(1, of: "shop").log
        try log.appendTransactional(count: 2, producerID: 5, timestamp: Self.start)
        #expect(try await engine.openTransactions(of: "shop").map(\.producerID) == [7, 5])
        let first = try await engine.abortTransaction(topic: "shop", partition: 1, producerID: 7)
        #expect(first.markerOffset == Offset(8) && first.lastStableOffset == Offset(6))
        #expect(try await engine.openTransactions(of: "shop").map(\.producerID) == [5])
        let second = try await engine.abortTransaction(topic: "shop", partition: 1, producerID: 5)
        #expect(second.lastStableOffset == log.logEnd)
        try await engine.close()
    }

    @Test("a producer that aborts were written for before is aborted again as its coordinator was")
    func coordinatorEpoch() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("shop", partitions: 2)
        let log = try engine.partition(1, of: "shop").log
        try log.appendTransactional(count: 1, producerID: 7, timestamp: Self.start)
        _ = try log.append(
            TransactionMarker(
                didCommit: true, producerID: 7, producerEpoch: 0, coordinatorEpoch: 9),
            now: Self.start)
        try log.appendTransactional(count: 1, producerID: 7, sequence: 1, timestamp: Self.start)
        try await engine.abortTransaction(topic: "shop", partition: 1, producerID: 7)
        #expect(try log.producerStates().map(\.coordinatorEpoch) == [9])
        #expect(try log.lastStableOffset() == Offset(4))
        try await engine.close()
    }

    @Test("of many who abort one transaction, one does")
    func race() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        try await Self.hang(engine)
        let done = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    do {
                        try await engine.abortTransaction(
                            topic: "shop", partition: 1, producerID: 7)
                        return true
                    } catch EngineError.noOpenTransaction {
                        return false
                    }
                }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(done == 1)
        #expect(try engine.partition(1, of: "shop").log.logEnd == Offset(7))
        try await engine.close()
    }
}

extension Timestamp {
    fileprivate func advanced(bySeconds seconds: Int64) -> Timestamp {
        Timestamp(milliseconds: rawValue + seconds * 1000)
    }
}
