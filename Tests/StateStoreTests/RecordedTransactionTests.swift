import Foundation
import Synchronization
import TallyTestSupport
import Testing

@testable import Tally
@testable import TallyGroups
@testable import TallyLog
@testable import TallyRecords
@testable import TallyStateStore
@testable import TallyTransactions

/// Transactions of an engine that records them, and the offsets in them, in the internal topics.
@Suite("Recorded transactions", .timeLimit(.minutes(10)))
struct RecordedTransactionTests {
    private let directory: TemporaryDirectory
    private let first = TopicPartition(topic: "a", partition: 0)

    init() throws { directory = try TemporaryDirectory() }

    private func open(_ name: String = "data") async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.state = .sqlite
        var topics = InternalTopicsConfiguration()
        topics.offsetsPartitionCount = 4
        topics.transactionsPartitionCount = 3
        configuration.internalTopics = topics
        return try await Engine.open(at: directory.path(name), configuration: configuration)
    }

    private func crash(_ engine: Engine, to name: String) async throws {
        try copyLiveDirectory(engine.directory, to: directory.path(name))
        for ending in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(
                atPath: directory.path(name) + "/" + StateDatabase.fileName + ending)
        }
    }

    private func producer(_ engine: Engine, id: String = "t") async throws -> Producer {
        var configuration = ProducerConfiguration()
        configuration.transactionalID = id
        let producer = try engine.producer(configuration)
        try await producer.initTransactions()
        return producer
    }

    private func committed(_ engine: Engine, _ group: String) async throws -> Int64? {
        try await engine.committedOffsets(ofGroup: group)[first]?.offset.rawValue
    }

    private func values(_ engine: Engine, _ topic: String) async throws -> [String] {
        var configuration = ConsumerConfiguration(end: .currentEnd)
        configuration.isolation = .readCommitted
        var values: [String] = []
        for try await records in try engine.consumer(of: topic, configuration) {
            try records.forEachRecord { values.append($0.valueText ?? "null") }
        }
        return values
    }

    /// An engine with topics `a`, which has records, and `b`; and a member of group `g`.
    private func group() async throws -> (Engine, GroupConsumer, ConsumedRecords) {
        let engine = try await open()
        try await engine.createTopic("a", partitions: 1)
        try await engine.createTopic("b", partitions: 1)
        for number in 0..<3 {
            _ = try await engine.producer().send(key: nil, value: "\(number)", to: "a")
        }
        let consumer = try engine.consumer(group: "g", topics: ["a"], .fromTheBeginning)
        var iterator = consumer.makeAsyncIterator()
        let records = try #require(try await iterator.next())
        return (engine, consumer, records)
    }

    @Test("offsets of a transaction count when it commits, also for who reads the log alone")
    func offsets() async throws {
        let (engine, consumer, records) = try await group()
        let producer = try await producer(engine)
        let end = records.nextOffset.rawValue
        try producer.beginTransaction()
        _ = try await producer.send(key: nil, value: "out", to: "b")
        try await producer.sendOffsets(behind: records, of: consumer)
        #expect(try await committed(engine, "g") == nil)
        try await crash(engine, to: "open")
        try await producer.abortTransaction()
        #expect(try await committed(engine, "g") == nil)
        try await crash(engine, to: "aborted")
        try producer.beginTransaction()
        try await producer.sendOffsets(behind: records, of: consumer)
        try await producer.commitTransaction()
        #expect(try await committed(engine, "g") == end)
        try await crash(engine, to: "committed")
        // The log has it as Kafka's does: nothing is open in it any more.
        #expect(try await engine.openTransactions(of: "__consumer_offsets").isEmpty)
        try await consumer.close()
        try await engine.close()

        for (name, expected) in [("open", nil), ("aborted", nil), ("committed", end)] {
            let again = try await open(name)
            // What was open is aborted: its producer died with the process.
            for _ in 0..<500
            where try await !again.openTransactions(of: "__consumer_offsets").isEmpty {
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(try await committed(again, "g") == expected, "\(name)")
            let isSettled = try await again.groups.ask { coordinator, _ in
                coordinator.groups.values.allSatisfy(\.pendingOffsets.isEmpty)
            }
            #expect(isSettled)
            #expect(try await values(again, "b").isEmpty)
            try await again.close()
        }
    }

    @Test(
        "a decision that was recorded is carried out by whoever reads it",
        arguments: [true, false])
    func prepared(commits: Bool) async throws {
        let (engine, consumer, records) = try await group()
        let producer = try await producer(engine)
        try producer.beginTransaction()
        _ = try await producer.send(key: nil, value: "out", to: "b")
        try await producer.sendOffsets(behind: records, of: consumer)
        // Nobody is told: the process dies between the decision and the markers.
        let isAsked = Mutex<[TopicPartition]>([])
        var others = OtherMembers()
        others.writeMarker = { partition, _ in
            isAsked.withLock { $0.append(partition) }
            return .failed
        }
        engine.transactions.ask(others)
        let end = Task {
            commits ? try await producer.commitTransaction() : try await producer.abortTransaction()
        }
        for _ in 0..<1000 where isAsked.withLock({ $0.count }) < 2 {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(Set(isAsked.withLock { $0.map(\.topic) }) == ["b", "__consumer_offsets"])
        #expect(try await committed(engine, "g") == nil)
        try await crash(engine, to: "crashed")
        engine.transactions.ask(OtherMembers())
        try await end.value
        try await consumer.close()
        try await engine.close()

        let again = try await open("crashed")
        for _ in 0..<1000 where try await !again.openTransactions(of: "b").isEmpty {
            try await Task.sleep(for: .milliseconds(10))
        }
        for _ in 0..<1000
        where try await !again.openTransactions(of: "__consumer_offsets").isEmpty {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(try await values(again, "b") == (commits ? ["out"] : []))
        #expect(
            try await committed(again, "g") == (commits ? records.nextOffset.rawValue : nil))
        // The id goes on, in an epoch of its own.
        let next = try await self.producer(again)
        try await next.withTransaction { _ = try await $0.send(key: nil, value: "n", to: "b") }
        #expect(try await values(again, "b").last == "n")
        try await again.close()
    }

    @Test("nobody is told of a decision before it is committed")
    func uncommitted() async throws {
        let engine = try await open()
        try await engine.createTopic("b", partitions: 1)
        let producer = try await producer(engine)
        try producer.beginTransaction()
        _ = try await producer.send(key: nil, value: "out", to: "b")
        let partition = try #require(engine.transactionsPartition(of: "t"))
        let log = try engine.partition(partition.partition, of: partition.topic).log
        let held = await log.holdSync()
        let end = Task { try await producer.commitTransaction() }
        for _ in 0..<500 where log.highWatermark == log.logEnd {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(log.highWatermark < log.logEnd)
        try await Task.sleep(for: .milliseconds(200))
        #expect(try await engine.openTransactions(of: "b").count == 1)
        #expect(try await values(engine, "b").isEmpty)
        held.signal()
        try await end.value
        #expect(try await values(engine, "b") == ["out"])
        try await engine.close()
    }

    @Test("what a partition did not take is forgotten, and its ids go on as the log has them")
    func untaken() async throws {
        let engine = try await open()
        try await engine.createTopic("b", partitions: 1)
        let producer = try await producer(engine)
        try producer.beginTransaction()
        _ = try await producer.send(key: nil, value: "1", to: "b")
        let partition = try #require(engine.transactionsPartition(of: "t"))
        let log = try engine.partition(partition.partition, of: partition.topic).log
        let configuration = log.configuration
        var narrow = configuration
        narrow.batchBytesMax = 70
        try log.adopt(narrow)
        let end = log.logEnd
        await #expect(throws: EngineError.self) { try await producer.commitTransaction() }
        #expect(log.logEnd == end)
        #expect(try await engine.openTransactions(of: "b").count == 1, "nobody was told")
        try log.adopt(configuration)
        // It is read again by itself; until then, whoever asks is told to ask again.
        for _ in 0..<1000 {
            guard (try? await producer.commitTransaction()) == nil else { break }
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(try await values(engine, "b") == ["1"])
        try await producer.withTransaction { _ = try await $0.send(key: nil, value: "2", to: "b") }
        #expect(try await values(engine, "b") == ["1", "2"])
        try await engine.close()
    }

    @Test("an id of a partition that is led elsewhere is refused, and goes on when it is back")
    func refused() async throws {
        let engine = try await open()
        try await engine.createTopic("b", partitions: 1)
        let producer = try await producer(engine)
        let partition = try #require(engine.transactionsPartition(of: "t"))
        await engine.resignCoordinator(of: partition, epoch: LeaderEpoch(1))
        try producer.beginTransaction()
        await #expect(throws: EngineError.transaction(.notCoordinator)) {
            try await producer.send(key: nil, value: "out", to: "b")
        }
        try await engine.becomeCoordinator(of: partition, epoch: LeaderEpoch(2))
        try await producer.abortTransaction()
        try await producer.withTransaction { _ = try await $0.send(key: nil, value: "x", to: "b") }
        #expect(try await values(engine, "b") == ["x"])
        let record = try await engine.transactions.ask { (coordinator, _) in
            try? coordinator.describe("t")
        }
        #expect(record?.state == .completeCommit)
        // Markers carry the epoch in which the partition is led.
        let states = try engine.partition(0, of: "b").log.producerStates()
        #expect(states.map(\.coordinatorEpoch) == [2])
        try await engine.close()
    }
}
