import Synchronization
import TallyTestSupport
import Testing

@testable import Tally

/// Where a member of a group begins to read, and what it does while nobody can say.
@Suite(.timeLimit(.minutes(10))) struct GroupPositionTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private static let partitions = [0, 1].map { TopicPartition(topic: "a", partition: $0) }

    /// Two partitions with values 0 to 4, and 10 to 14.
    private func engine() async throws -> Engine {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("a", partitions: 2)
        let outcomes = try await engine.producer().send(
            (0..<10).map { number in
                ProducerRecord(
                    topic: "a", partition: Int32(number / 5), key: nil,
                    value: "\(number / 5 * 10 + number % 5)")
            })
        for outcome in outcomes { _ = try outcome.get() }
        return engine
    }

    private func read(_ count: Int, from consumer: GroupConsumer) async throws -> [String] {
        var values: [String] = []
        var iterator = consumer.makeAsyncIterator()
        while values.count < count, let records = try await iterator.next() {
            try records.forEachRecord { values.append($0.valueText ?? "null") }
        }
        return values
    }

    private func expectUnavailable(_ partition: String, _ consumer: GroupConsumer) async {
        do {
            let values = try await read(1, from: consumer)
            Issue.record("it read \(values)")
        } catch EngineError.offsetUnavailable(let offset) {
            #expect(offset.partition == partition)
        } catch {
            Issue.record("\(error)")
        }
    }

    @Test("nothing is committed by itself; what is comes back with its note and its epoch")
    func note() async throws {
        let engine = try await engine()
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        // A member that would commit by itself would do so now.
        configuration.autoCommitIntervalMilliseconds = 0
        let silent = try engine.consumer(group: "g", topics: ["a"], configuration)
        #expect(try await read(10, from: silent).count == 10)
        #expect(try await silent.committed().isEmpty)
        try await silent.close()
        #expect(try await engine.committedOffsets(ofGroup: "g").isEmpty)

        let telling = try engine.consumer(group: "g", topics: ["a"], configuration)
        #expect(try await read(10, from: telling).count == 10)
        let (first, second) = (Self.partitions[0], Self.partitions[1])
        try await telling.commit([
            first: OffsetToCommit(
                offset: Offset(3), leaderEpoch: LeaderEpoch(0), metadata: "read by the till")
        ])
        let committed = try await telling.committed()
        #expect(committed[first]?.offset == Offset(3) && committed[second] == nil)
        #expect(committed[first]?.metadata == "read by the till")
        #expect(committed[first]?.leaderEpoch == LeaderEpoch(0))
        try await telling.close()
        try await engine.close()
    }

    @Test("commits that nobody waits for keep their order, before one that is, and before closing")
    func background() async throws {
        let engine = try await engine()
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        let consumer = try engine.consumer(group: "g", topics: ["a"], configuration)
        _ = try await read(10, from: consumer)
        let partition = Self.partitions[0]
        let done = Mutex<[Int]>([])
        func commit(_ offset: Int) {
            consumer.commitInBackground(
                [partition: OffsetToCommit(offset: Offset(Int64(offset)), metadata: "\(offset)")]
            ) { result in
                if case .success = result { done.withLock { $0.append(offset) } }
            }
        }
        for round in 0..<40 {
            for offset in [4, 3, 2, 1] { commit(offset) }
            try await consumer.commit([partition: OffsetToCommit(offset: Offset(5))])
            #expect(try await consumer.committed([partition])[partition]?.offset == Offset(5))
            #expect(done.withLock { $0 }.count == 4 * (round + 1))
        }
        #expect(done.withLock { $0 } == (0..<40).flatMap { _ in [4, 3, 2, 1] })
        // Many at once share few writes; who asked for what is refused is told, and nobody else.
        let refused = Mutex(0)
        for offset in 0..<500 {
            commit(offset % 5)
            consumer.commitInBackground(
                [TopicPartition(topic: "a", partition: 7): OffsetToCommit(offset: .zero)]
            ) { result in
                if case .failure = result { refused.withLock { $0 += 1 } }
            }
        }
        try await consumer.commit([Self.partitions[1]: OffsetToCommit(offset: Offset(1))])
        #expect(done.withLock { $0.count } == 160 + 500 && refused.withLock { $0 } == 500)
        #expect(try await consumer.committed([partition])[partition]?.offset == Offset(4))
        commit(2)
        try await consumer.close()
        #expect(done.withLock { $0.last } == 2)
        #expect(
            try await engine.committedOffsets(ofGroup: "g")[partition]?.offset == Offset(2))
        try await engine.close()
    }

    @Test("a partition without a position is an error each time, and is never passed over")
    func again() async throws {
        let engine = try await engine()
        try await engine.commitOffsets(
            [Self.partitions[1]: OffsetToCommit(offset: Offset(3))], ofGroup: "g")
        let consumer = try engine.consumer(group: "g", topics: ["a"])
        await expectUnavailable("a-0", consumer)
        await expectUnavailable("a-0", consumer)
        #expect(consumer.assignment == Set(Self.partitions), "it has both all the same")
        // Somebody decides for the one; the other begins where the group stands.
        try await consumer.seek(Self.partitions[0], to: .offset(Offset(4)))
        #expect(Set(try await read(3, from: consumer)) == ["4", "13", "14"])
        try await consumer.close()
        try await engine.close()
    }

    @Test("the listener may seek before the group is asked; what it leaves is the group's")
    func seekInListener() async throws {
        let engine = try await engine()
        let mayFail = Mutex(true)
        var configuration = GroupConsumerConfiguration()
        configuration.onRebalance = { consumer, event in
            guard case .assigned = event else { return }
            try await consumer.seek(Self.partitions[0], to: .offset(Offset(4)))
            if mayFail.withLock({ $0 }) { throw CancellationError() }
        }
        let consumer = try engine.consumer(group: "g", topics: ["a"], configuration)
        // What the listener throws comes once; the partitions stay.
        await #expect(throws: CancellationError.self) { try await read(1, from: consumer) }
        await expectUnavailable("a-1", consumer)
        mayFail.withLock { $0 = false }
        try await consumer.seek(Self.partitions[1], to: .latest)
        #expect(try await read(1, from: consumer) == ["4"])
        try await consumer.close()
        try await engine.close()
    }

    @Test("a position that was not found is found once somebody commits it")
    func committedMeanwhile() async throws {
        let engine = try await engine()
        let consumer = try engine.consumer(group: "g", topics: ["a"])
        await expectUnavailable("a-0", consumer)
        try await consumer.commit([
            Self.partitions[0]: OffsetToCommit(offset: Offset(4)),
            Self.partitions[1]: OffsetToCommit(offset: Offset(4)),
        ])
        #expect(Set(try await read(2, from: consumer)) == ["4", "14"])
        try await consumer.close()
        try await engine.close()
    }

    private static var fromEarliest: GroupConsumerConfiguration {
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        return configuration
    }

    @Test("what is committed late of a topic that was deleted says nothing of the next of its name")
    func lateCommit() async throws {
        let engine = try await engine()
        let consumer = try engine.consumer(group: "g", topics: ["a"], Self.fromEarliest)
        var iterator = consumer.makeAsyncIterator()
        let records = try #require(try await iterator.next())
        try await engine.deleteTopic("a")
        // Refused or not.
        try? await consumer.commit(records)
        try await engine.createTopic("a", partitions: 2)
        #expect(try await engine.committedOffsets(ofGroup: "g").isEmpty)
        try await engine.close()
    }

    @Test("what is committed of a topic that was replaced is refused")
    func replacedCommit() async throws {
        let engine = try await engine()
        let consumer = try engine.consumer(group: "g", topics: ["a"], Self.fromEarliest)
        var iterator = consumer.makeAsyncIterator()
        let records = try #require(try await iterator.next())
        try await engine.deleteTopic("a")
        try await engine.createTopic("a", partitions: 2)
        await #expect(throws: (any Error).self) { try await consumer.commit(records) }
        #expect(try await engine.committedOffsets(ofGroup: "g").isEmpty)
        try await engine.close()
    }

    @Test("a position that auto.offset.reset has chosen is behind no record, and of no epoch")
    func resetEpoch() async throws {
        let engine = try await engine()
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .latest
        let consumer = try engine.consumer(group: "g", topics: ["a"], configuration)
        let reading = Task { try await read(1, from: consumer) }
        #expect(try await eventually { consumer.positions.count == 2 })
        let reader = try #require(consumer.readers.first(Self.partitions[0]))
        // Read up to the end, and then retired together with it.
        _ = try await engine.producer().send(
            ProducerRecord(topic: "a", partition: 0, key: nil, value: "5"))
        _ = try await reading.value
        #expect(reader.positionAndEpoch?.epoch == LeaderEpoch(0))
        let producer = try engine.producer()
        for _ in 0..<3 {
            _ = try await producer.send(
                ProducerRecord(topic: "a", partition: 0, key: nil, value: "gone"))
        }
        try await engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(9))
        let waiting = Task { try await read(1, from: consumer) }
        #expect(try await eventually { reader.position == Offset(9) })
        #expect(reader.positionAndEpoch?.epoch == LeaderEpoch.none)
        try await consumer.close()
        _ = try await waiting.value
        try await engine.close()
    }
}
