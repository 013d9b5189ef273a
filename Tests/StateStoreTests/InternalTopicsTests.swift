import Foundation
import TallyTestSupport
import Testing

@testable import Tally
@testable import TallyGroups
@testable import TallyLog
@testable import TallyRecords
@testable import TallyStateStore
@testable import TallyTransactions

/// Groups and transactions that are recorded in `__consumer_offsets` and `__transaction_state`
/// before they count, with `state.db` as what one can query.
@Suite("Internal topics", .timeLimit(.minutes(10)))
struct InternalTopicsTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path("data") }
    private let first = TopicPartition(topic: "a", partition: 0)

    init() throws { directory = try TemporaryDirectory() }

    private func open(
        _ name: String = "data", _ change: (inout EngineConfiguration) -> Void = { _ in }
    ) async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.state = .sqlite
        configuration.groups.sessionTimeoutMillisecondsMin = 100
        var topics = InternalTopicsConfiguration()
        topics.offsetsPartitionCount = 4
        topics.transactionsPartitionCount = 3
        topics.commitTimeoutMilliseconds = 500
        configuration.internalTopics = topics
        change(&configuration)
        return try await Engine.open(at: directory.path(name), configuration: configuration)
    }

    private func removeState(_ name: String = "data") {
        for ending in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(
                atPath: directory.path(name) + "/" + StateDatabase.fileName + ending)
        }
    }

    private func offset(_ value: Int64, _ note: String = "") -> OffsetToCommit {
        OffsetToCommit(offset: Offset(value), leaderEpoch: LeaderEpoch(3), metadata: note)
    }

    private func committed(_ engine: Engine, _ group: String) async throws -> [Int64] {
        try await engine.committedOffsets(ofGroup: group).sorted { $0.key < $1.key }
            .map(\.value.offset.rawValue)
    }

    /// Groups of partitions of their own, by partition.
    private func groups(_ count: Int32 = 4) -> [Int32: String] {
        var found: [Int32: String] = [:]
        for number in 0..<100 {
            let partition = InternalTopic.partition(of: "g\(number)", count: count)
            if found[partition] == nil { found[partition] = "g\(number)" }
        }
        return found
    }

    private func producer(_ engine: Engine, id: String = "t") async throws -> Producer {
        var configuration = ProducerConfiguration()
        configuration.transactionalID = id
        let producer = try engine.producer(configuration)
        try await producer.initTransactions()
        return producer
    }

    /// What `state.db` has of groups.
    private func stored(_ name: String = "data") throws -> [String: StoredGroup] {
        let state = try SQLiteState.read(inDataDirectory: directory.path(name))
        defer { try? state.close() }
        return Dictionary(
            uniqueKeysWithValues: try state.offsets.loadGroups().map { ($0.group, $0) })
    }

    // MARK: Coming back

    @Test("state.db is lost, and everything is back: offsets, generations, transactional ids")
    func lostState() async throws {
        var engine = try await open()
        try await engine.createTopic("a", partitions: 2)
        for number in 0..<4 {
            _ = try await engine.producer().send(key: nil, value: "\(number)", to: "a")
        }
        let second = TopicPartition(topic: "a", partition: 1)
        try await engine.commitOffsets(
            [first: offset(1, "note"), second: offset(2)], ofGroup: "outside")
        try await engine.commitOffsets([first: offset(3)], ofGroup: "outside")
        try await engine.commitOffsets([first: offset(9)], ofGroup: "gone")
        try await engine.deleteGroup("gone")
        let consumer = try engine.consumer(
            group: "members", topics: ["a"], .fromTheBeginning)
        var iterator = consumer.makeAsyncIterator()
        let records = try #require(try await iterator.next())
        try await consumer.commit(records)
        let generation = consumer.generation
        try await consumer.close()
        let before = try await producer(engine)
        try await before.withTransaction { _ = try await $0.send(key: nil, value: "x", to: "a") }
        let producers = try await engine.transactions.ask { coordinator, now in
            coordinator.list(now: now)
        }
        try await engine.close()
        #expect(try stored()["outside"]?.offsets[first]?.metadata == "")
        #expect(try stored()["gone"] == nil)

        removeState()
        engine = try await open()
        #expect(try await committed(engine, "outside") == [3, 2])
        let found = try await engine.committedOffsets(ofGroup: "outside")[second]
        #expect(found?.leaderEpoch == LeaderEpoch(3) && found?.metadata == "")
        #expect(try await engine.groupListings().map(\.group) == ["members", "outside"])
        #expect(try await engine.describeGroup("members").generation >= generation)
        #expect(try await engine.describeGroup("members").protocolType == "consumer")
        let again = try await engine.transactions.ask { coordinator, now in
            coordinator.list(now: now)
        }
        #expect(again == producers && again.count == 1)
        // Its producer goes on in the next epoch, which fences the one of before.
        let after = try await producer(engine)
        try await after.withTransaction { _ = try await $0.send(key: nil, value: "y", to: "a") }
        let now = try await engine.transactions.ask { coordinator, now in
            coordinator.list(now: now)
        }
        #expect(now[0].producer.id == again[0].producer.id)
        #expect(now[0].producer.epoch > again[0].producer.epoch)
        try await engine.close()
        // The queryable form is there again too.
        #expect(try stored()["outside"]?.offsets.count == 2)
        #expect(try stored()["members"] != nil)
    }

    @Test("what is in the log counts, though a crash came before state.db had it")
    func crashBeforeState() async throws {
        let store = RefusingStore()
        let engine = try await open { configuration in
            configuration.state = EngineStateFactory { _ in BrokenState(offsets: store) }
        }
        try await engine.commitOffsets([first: offset(7)], ofGroup: "g")
        #expect(try await committed(engine, "g") == [7])
        for _ in 0..<500 where store.refusedCount == 0 {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(store.refusedCount > 0)
        try copyLiveDirectory(path, to: directory.path("crashed"))
        try await engine.close()
        let again = try await open("crashed")
        #expect(try await committed(again, "g") == [7])
        try await again.close()
        #expect(try stored("crashed")["g"]?.offsets[first]?.offset == Offset(7))
    }

    @Test("groups that were in state.db alone are recorded when internal topics are turned on")
    func migration() async throws {
        var engine = try await open { $0.internalTopics = nil }
        try await engine.commitOffsets([first: offset(4, "kept")], ofGroup: "g")
        try await engine.close()
        engine = try await open()
        #expect(try await committed(engine, "g") == [4])
        try await engine.close()
        removeState()
        engine = try await open()
        #expect(try await engine.committedOffsets(ofGroup: "g")[first]?.metadata == "kept")
        try await engine.close()
    }

    @Test("a deleted topic's offsets do not count for another of its name")
    func deletedTopic() async throws {
        var engine = try await open()
        try await engine.createTopic("a", partitions: 1)
        try await engine.commitOffsets([first: offset(4)], ofGroup: "g")
        try await engine.deleteTopic("a")
        #expect(try await committed(engine, "g") == [])
        try await engine.createTopic("a", partitions: 1)
        try await engine.close()
        removeState()
        engine = try await open()
        #expect(try await committed(engine, "g") == [])
        try await engine.close()
    }

    // MARK: Waiting

    @Test("an answer waits for its partition, and no longer than is allowed; others go on")
    func timeout() async throws {
        let engine = try await open()
        let groups = groups()
        let (stuck, other) = try (#require(groups[0]), #require(groups[1]))
        try await engine.commitOffsets([first: offset(1)], ofGroup: stuck)
        try await engine.commitOffsets([first: offset(1)], ofGroup: other)
        let log = try engine.partition(0, of: "__consumer_offsets").log
        let held = await log.holdSync()
        let start = ContinuousClock.now
        let late = try await #require(throws: EngineError.self) {
            try await engine.commitOffsets([first: offset(2)], ofGroup: stuck)
        }
        guard case .group(.coordinatorNotAvailable) = late else {
            Issue.record("\(late)")
            return
        }
        #expect(ContinuousClock.now - start >= .milliseconds(500))
        // What is not committed is told to nobody.
        await #expect(throws: EngineError.self) { try await committed(engine, stuck) }
        try await engine.commitOffsets([first: offset(5)], ofGroup: other)
        #expect(try await committed(engine, other) == [5])
        held.signal()
        // It may have counted, and did; asking again does no harm.
        try await engine.commitOffsets([first: offset(2)], ofGroup: stuck)
        #expect(try await committed(engine, stuck) == [2])
        try await engine.close()
    }

    @Test("commits that come together share a sync")
    func shared() async throws {
        let engine = try await open()
        try await engine.commitOffsets([first: offset(1)], ofGroup: "g")
        let syncs = engine.syncCount
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask {
                    try await engine.commitOffsets([first: offset(Int64(number))], ofGroup: "g")
                }
            }
            try await group.waitForAll()
        }
        #expect(engine.syncCount - syncs < 100)
        try await engine.close()
    }

    // MARK: Leading

    @Test("a partition is given up and taken over again; those of others are not touched")
    func resigned() async throws {
        let engine = try await open()
        let groups = groups()
        let (mine, other) = try (#require(groups[2]), #require(groups[3]))
        for group in [mine, other] {
            try await engine.commitOffsets([first: offset(8)], ofGroup: group)
        }
        let partition = TopicPartition(topic: "__consumer_offsets", partition: 2)
        await engine.resignCoordinator(of: partition, epoch: LeaderEpoch(1))
        for _ in 0..<2 {
            await #expect(throws: EngineError.group(.notCoordinator(mine))) {
                try await engine.commitOffsets([first: offset(9)], ofGroup: mine)
            }
            await #expect(throws: EngineError.group(.notCoordinator(mine))) {
                try await committed(engine, mine)
            }
        }
        #expect(try await committed(engine, other) == [8])
        try await engine.becomeCoordinator(of: partition, epoch: LeaderEpoch(2))
        #expect(try await committed(engine, mine) == [8])
        // Late news of an older leader.
        await engine.resignCoordinator(of: partition, epoch: LeaderEpoch(1))
        try await engine.commitOffsets([first: offset(10)], ofGroup: mine)
        #expect(try await committed(engine, mine) == [10])
        #expect(try await committed(engine, other) == [8])
        try await engine.close()
        #expect(try stored()[mine]?.offsets[first]?.offset == Offset(10))
        #expect(try stored()[other]?.offsets[first]?.offset == Offset(8))
    }

    @Test("a member goes on with the coordinator that takes its group over")
    func members() async throws {
        let engine = try await open()
        try await engine.createTopic("a", partitions: 1)
        _ = try await engine.producer().send(key: nil, value: "1", to: "a")
        let consumer = try engine.consumer(group: "g", topics: ["a"], .fromTheBeginning)
        var iterator = consumer.makeAsyncIterator()
        let records = try #require(try await iterator.next())
        let member = try await engine.describeGroup("g")
        #expect(member.state == .stable && member.members.count == 1)
        let partition = try #require(engine.offsetsPartition(ofGroup: "g"))
        await engine.resignCoordinator(of: partition, epoch: nil)
        try await engine.becomeCoordinator(of: partition, epoch: LeaderEpoch(5))
        let after = try await engine.describeGroup("g")
        #expect(after == member)
        try await consumer.commit(records)
        #expect(try await committed(engine, "g") == [1])
        try await consumer.close()
        #expect(try await engine.describeGroup("g").members.isEmpty)
        try await engine.close()
    }

    @Test("a record that cannot be understood stops its partition, and nothing else")
    func damaged() async throws {
        var engine = try await open()
        let groups = groups()
        for group in groups.values {
            try await engine.commitOffsets([first: offset(3)], ofGroup: group)
        }
        var builder = try RecordBatchBuilder()
        let bytes: [UInt8] = [0, 1, 0]
        try builder.append(
            key: bytes.rawSpan, value: bytes.rawSpan, timestamp: Timestamp(milliseconds: 1))
        let log = try engine.partition(1, of: "__consumer_offsets").log
        var batch = try builder.finishMutable()
        _ = try log.append(&batch, from: .ownEncoder, now: .now)
        try log.flush()
        try await engine.close()
        engine = try await open()
        for (partition, group) in groups {
            guard partition == 1 else {
                #expect(try await committed(engine, group) == [3])
                continue
            }
            let error = await #expect(throws: EngineError.self) {
                try await committed(engine, group)
            }
            #expect("\(String(describing: error))".contains("cannot be understood"))
        }
        await #expect(throws: LogError.self) {
            try await engine.becomeCoordinator(
                of: TopicPartition(topic: "__consumer_offsets", partition: 1),
                epoch: LeaderEpoch(9))
        }
        try await engine.close()
    }

    @Test("nobody writes to internal topics, changes or deletes them")
    func protected() async throws {
        let engine = try await open()
        try await engine.commitOffsets([first: offset(3)], ofGroup: "g")
        let topic = "__consumer_offsets"
        let refusal = EngineError.internalTopic(name: topic)
        await #expect(throws: refusal) { try await engine.deleteTopic(topic) }
        await #expect(throws: refusal) { try await engine.createTopic(topic, partitions: 1) }
        await #expect(throws: refusal) {
            try await engine.createPartitions(ofTopic: topic, count: 9)
        }
        await #expect(throws: refusal) {
            try await engine.alterTopic(topic, setting: ["cleanup.policy": "delete"])
        }
        await #expect(throws: refusal) {
            try await engine.deleteRecords(ofTopic: topic, partition: 0)
        }
        await #expect(throws: refusal) {
            try await engine.producer().send(key: "k", value: "v", to: topic)
        }
        let made = try engine.describeTopic(topic)
        #expect(made.partitions.count == 4)
        #expect(made.configuration.values["cleanup.policy"] == "compact")
        #expect(made.configuration.values["segment.bytes"] == "104857600")
        try await engine.close()
        // Where nothing is recorded in it, a topic of the name is like any other.
        let plain = try await open("other") { $0.internalTopics = nil }
        try await plain.createTopic(topic, partitions: 1)
        try await plain.deleteTopic(topic)
        try await plain.close()
    }
}

extension GroupConsumerConfiguration {
    /// A member that reads what its group has committed nothing of from its beginning.
    static var fromTheBeginning: GroupConsumerConfiguration {
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        return configuration
    }
}

extension PartitionLog {
    /// Lets nothing be synced until the semaphore is signalled.
    func holdSync() async -> DispatchSemaphore {
        let isOver = DispatchSemaphore(value: 0)
        await withCheckedContinuation { isHeld in
            let holder = Thread {
                self.syncing.withLock { _ in
                    isHeld.resume()
                    isOver.wait()
                }
            }
            holder.start()
        }
        return isOver
    }
}

/// A store that takes nothing.
private final class RefusingStore: OffsetStore {
    private let count = UnfairLock(0)

    var refusedCount: Int { count.withLock { $0 } }

    func loadGroups() -> [StoredGroup] { [] }

    func apply(_ changes: [OffsetStoreChange]) throws(OffsetStoreError) {
        count.withLock { $0 += 1 }
        throw OffsetStoreError(reason: "no")
    }
}

private struct BrokenState: EngineState {
    var offsets: any OffsetStore
    var transactions: any TransactionStore = InMemoryTransactionStore()

    func identifyTopics(by identify: @escaping @Sendable (_ topic: String) -> TopicID?) {}
    func close() {}
}
