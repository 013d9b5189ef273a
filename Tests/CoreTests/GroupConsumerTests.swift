import Foundation
import Synchronization
import TallyTestSupport
import Testing

@testable import Tally

/// Members of consumer groups, as applications use them.
@Suite(.timeLimit(.minutes(10))) struct GroupConsumerTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func engine(partitions: Int, records: Int = 0) async throws -> Engine {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("a", partitions: partitions)
        try await produce(0..<records, partitions: partitions, to: engine)
        return engine
    }

    private func produce(_ numbers: Range<Int>, partitions: Int, to engine: Engine) async throws {
        let outcomes = try await engine.producer().send(
            numbers.map { number in
                ProducerRecord(
                    topic: "a", partition: Int32(number % partitions), key: nil,
                    value: "\(number)")
            })
        for outcome in outcomes { _ = try outcome.get() }
    }

    private func consumer(
        _ engine: Engine, _ change: (inout GroupConsumerConfiguration) -> Void = { _ in }
    ) throws -> GroupConsumer {
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        change(&configuration)
        return try engine.consumer(group: "g", topics: ["a"], configuration)
    }

    /// Reads on until so many records have come; commits after each element where asked to.
    private func read(
        _ count: Int, from consumer: GroupConsumer, committing: Bool = false
    ) async throws -> [String] {
        var values: [String] = []
        var iterator = consumer.makeAsyncIterator()
        while values.count < count, let records = try await iterator.next() {
            try records.forEachRecord { values.append($0.valueText ?? "null") }
            if committing { try await consumer.commit(records) }
        }
        return values
    }

    /// A member that is iterated until it is closed, and what it has seen.
    private final class Reader: Sendable {
        let consumer: GroupConsumer
        private let values = Mutex<[String]>([])
        private let task: Mutex<Task<Void, any Error>?> = Mutex(nil)

        init(_ consumer: GroupConsumer, isCommitting: Bool = true) {
            self.consumer = consumer
            task.withLock { task in
                task = Task { [self] in
                    for try await records in consumer {
                        try records.forEachRecord { record in
                            let value = record.valueText ?? "null"
                            values.withLock { $0.append(value) }
                        }
                        if isCommitting { try await consumer.commit(records) }
                    }
                }
            }
        }

        var seen: [String] { values.withLock { $0 } }

        func close() async throws {
            try await consumer.close()
            try await task.withLock { $0 }?.value
        }

        /// Never asks for anything again, and does not leave.
        func hang() { task.withLock { $0 }?.cancel() }
    }

    /// Waits until the group has committed so many records of all partitions together.
    private func eventuallyCommitted(_ count: Int64, in engine: Engine) async throws -> Bool {
        for _ in 0..<1000 {
            let offsets = try await engine.committedOffsets(ofGroup: "g")
            if offsets.values.map(\.offset.rawValue).reduce(0, +) == count { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    // MARK: One member

    @Test("a group goes on where it committed, in another member")
    func resume() async throws {
        let engine = try await engine(partitions: 2, records: 10)
        let first = try consumer(engine)
        #expect(try await read(10, from: first, committing: true).count == 10)
        #expect(first.assignment.count == 2)
        let committed = try await first.committed()
        #expect(committed.values.allSatisfy { $0.offset == Offset(5) })
        // With the epoch of the records before them, by which a cut log would be noticed.
        #expect(committed.values.allSatisfy { $0.leaderEpoch == LeaderEpoch(0) })
        try await first.close()
        try await produce(10..<12, partitions: 2, to: engine)
        let second = try consumer(engine)
        #expect(Set(try await read(2, from: second)) == ["10", "11"])
        try await second.close()
        // Not committed: read again.
        let third = try consumer(engine)
        #expect(Set(try await read(2, from: third)) == ["10", "11"])
        try await third.close()
        try await engine.close()
    }

    @Test("without a position, and without being told where to begin, it is an error with bounds")
    func noPosition() async throws {
        let engine = try await engine(partitions: 1, records: 3)
        let consumer = try consumer(engine) { $0.reading.reset = .none }
        do {
            _ = try await read(1, from: consumer)
            Issue.record("it began somewhere")
        } catch EngineError.offsetUnavailable(let offset) {
            #expect(offset.committed == nil)
            #expect(offset.logStart == .zero && offset.logEnd == Offset(3))
            #expect(offset.group == "g" && offset.partition == "a-0")
        }
        try await consumer.close()

        try await engine.commitOffsets(
            [TopicPartition(topic: "a", partition: 0): OffsetToCommit(offset: Offset(1))],
            ofGroup: "g")
        _ = try await engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(2))
        let behind = try self.consumer(engine) { $0.reading.reset = .none }
        do {
            _ = try await read(1, from: behind)
            Issue.record("it skipped records in silence")
        } catch EngineError.offsetUnavailable(let offset) {
            #expect(offset.committed == Offset(1) && offset.logStart == Offset(2))
        }
        try await behind.close()
        try await engine.close()
    }

    @Test("automatic commits hold what was returned for more, and never what is worked on")
    func autoCommit() async throws {
        let engine = try await engine(partitions: 1)
        for number in 0..<3 {
            try await produce(number..<(number + 1), partitions: 1, to: engine)
        }
        let consumer = try consumer(engine) {
            $0.isAutoCommitting = true
            $0.autoCommitIntervalMilliseconds = 0
            $0.reading.fetchBytesMax = 1
        }
        let partition = TopicPartition(topic: "a", partition: 0)
        var iterator = consumer.makeAsyncIterator()
        for expected in [nil, Offset(1), Offset(2)] {
            _ = try await iterator.next()
            #expect(try await consumer.committed([partition])[partition]?.offset == expected)
        }
        try await consumer.close()
        // The third record was handed out, and nobody came back for more.
        #expect(
            try await engine.committedOffsets(ofGroup: "g")[partition]?.offset == Offset(2))
        try await engine.close()
    }

    @Test("seek, pause, positions and lag are those of the assigned partitions")
    func positions() async throws {
        let engine = try await engine(partitions: 2, records: 10)
        let consumer = try consumer(engine)
        #expect(try await read(10, from: consumer).count == 10)
        let (zero, one) = (
            TopicPartition(topic: "a", partition: 0), TopicPartition(topic: "a", partition: 1)
        )
        #expect(consumer.positions == [zero: Offset(5), one: Offset(5)])
        try await consumer.seek(one, to: .offset(Offset(3)))
        #expect(consumer.lag == [zero: 0, one: 2])
        #expect(try await read(2, from: consumer) == ["7", "9"])
        try consumer.pause([one])
        try await consumer.seek(one, to: .earliest)
        try await consumer.seek(zero, to: .offset(Offset(4)))
        #expect(try await read(1, from: consumer) == ["8"])
        try consumer.resume([one])
        #expect(try await read(5, from: consumer).first == "1")
        let stranger = TopicPartition(topic: "a", partition: 9)
        await #expect(throws: EngineError.self) { try await consumer.seek(stranger, to: .latest) }
        try await consumer.close()
        try await engine.close()
    }

    // MARK: Several members

    @Test("members share the partitions; each record is seen once; who leaves is replaced at once")
    func sharing() async throws {
        let engine = try await engine(partitions: 6)
        var readers = [Reader(try consumer(engine)), Reader(try consumer(engine))]
        #expect(try await eventually { readers.allSatisfy { $0.consumer.assignment.count == 3 } })
        try await produce(0..<60, partitions: 6, to: engine)
        readers.append(Reader(try consumer(engine)))
        #expect(try await eventually { readers.allSatisfy { $0.consumer.assignment.count == 2 } })
        try await produce(60..<120, partitions: 6, to: engine)
        // Through with everything, so that nothing is left uncommitted.
        let both = { [readers] in readers.flatMap { $0.seen } }
        #expect(try await eventually { both().count == 120 })
        #expect(
            try await eventuallyCommitted(120, in: engine), "60 of the first and 60 of the second")
        let gone = readers.removeFirst()
        try await gone.close()
        #expect(try await eventually { readers.allSatisfy { $0.consumer.assignment.count == 3 } })
        try await produce(120..<180, partitions: 6, to: engine)
        let all = { [readers] in (readers + [gone]).flatMap(\.seen) }
        #expect(try await eventually { all().count >= 180 })
        #expect(try await eventuallyCommitted(180, in: engine))
        // Those that were committed are not seen twice; nothing is missing.
        #expect(all().compactMap { Int($0) }.sorted() == Array(0..<180))
        for reader in readers { try await reader.close() }
        try await engine.close()
    }

    @Test("members that come and go take nobody's commits away")
    func commitsMeanwhile() async throws {
        let engine = try await engine(partitions: 4)
        let readers = [Reader(try consumer(engine)), Reader(try consumer(engine))]
        var number = 0
        for round in 0..<40 {
            let guest = Reader(try consumer(engine))
            try await produce(number..<(number + 8), partitions: 4, to: engine)
            number += 8
            if round % 3 > 0 { try await Task.sleep(for: .milliseconds(round % 7)) }
            // It may be in the middle of an element, and then hears that it has left.
            try? await guest.close()
        }
        // None of them was thrown out of its loop by a commit that was overtaken.
        #expect(try await eventuallyCommitted(Int64(number), in: engine))
        for reader in readers { try await reader.close() }
        try await engine.close()
    }

    @Test("a member more than partitions waits, and takes over when the other one dies")
    func standby() async throws {
        let engine = try await engine(partitions: 1)
        let first = Reader(
            try consumer(engine) {
                // Long for a busy machine, short for a test.
                $0.pollIntervalMillisecondsMax = 8_000
            })
        #expect(try await eventually { first.consumer.assignment.count == 1 })
        let standby = Reader(try consumer(engine))
        try await produce(0..<3, partitions: 1, to: engine)
        #expect(try await eventually { first.seen.count == 3 })
        #expect(standby.consumer.assignment.isEmpty)
        // Its application hangs: it does not come back for more.
        first.hang()
        #expect(try await eventually { standby.consumer.assignment.count == 1 })
        try await produce(3..<6, partitions: 1, to: engine)
        #expect(try await eventually { standby.seen == ["3", "4", "5"] })
        // What the first one would still like to commit is refused.
        let late = await message { try await first.consumer.commit() }
        #expect(!late.isEmpty)
        try await standby.close()
        try await engine.close()
    }

    @Test("the listener hears of a revocation also where the automatic commit before it fails")
    func failingCommit() async throws {
        let offsets = FailingOffsets()
        var settings = EngineConfiguration()
        settings.state = EngineStateFactory { _ in TestState(offsets: offsets) }
        let engine = try await Engine.open(at: directory.path, configuration: settings)
        try await engine.createTopic("a", partitions: 1)
        try await produce(0..<2, partitions: 1, to: engine)
        let heard = Mutex<[GroupRebalance]>([])
        let consumer = try consumer(engine) {
            $0.isAutoCommitting = true
            $0.reading.fetchBytesMax = 1
            $0.onRebalance = { _, change in heard.withLock { $0.append(change) } }
        }
        #expect(try await read(2, from: consumer) == ["0", "1"])
        offsets.isFailing.store(true, ordering: .releasing)
        await #expect(throws: EngineError.self) { try await consumer.close() }
        let partition = TopicPartition(topic: "a", partition: 0)
        #expect(heard.withLock { $0.last } == .revoked([partition]))
        try await engine.close()
    }

    @Test("closing twice is closing once: both return when it is done, with the same outcome")
    func closingTwice() async throws {
        let engine = try await engine(partitions: 1, records: 1)
        let isOver = Mutex(false)
        let consumer = try consumer(engine) {
            $0.onRebalance = { consumer, change in
                guard case .revoked = change else { return }
                try await consumer.close()
                try await Task.sleep(for: .milliseconds(100))
                isOver.withLock { $0 = true }
                throw CancellationError()
            }
        }
        _ = try await read(1, from: consumer)
        async let first = message { try await consumer.close() }
        let second = await message { try await consumer.close() }
        #expect(isOver.withLock { $0 }, "it was not done")
        #expect(await first == second && !second.isEmpty)
        try await engine.close()
    }

    @Test("closing the engine ends members, those that only wait for their turn too")
    func closing() async throws {
        let engine = try await engine(partitions: 1)
        let consumers = [try consumer(engine), try consumer(engine)]
        let readers = consumers.map { consumer in
            Task { await message { _ = try await read(1, from: consumer) } }
        }
        #expect(try await eventually { consumers.contains { $0.assignment.count == 1 } })
        try await engine.close()
        for reader in readers { #expect(await reader.value.contains("closed")) }
        let partition = TopicPartition(topic: "a", partition: 0)
        await #expect(throws: EngineError.closed) {
            try await consumers[0].commit([partition: OffsetToCommit(offset: Offset(1))])
        }
    }

    @Test("the listener hears what is revoked, while it can be committed, and what is assigned")
    func listener() async throws {
        let engine = try await engine(partitions: 2, records: 4)
        let heard = Mutex<[GroupRebalance]>([])
        let reference = Mutex<GroupConsumer?>(nil)
        let first = try consumer(engine) {
            $0.onRebalance = { _, event in
                heard.withLock { $0.append(event) }
                if case .revoked = event { try await reference.withLock { $0 }?.commit() }
            }
        }
        reference.withLock { $0 = first }
        let reader = Reader(first, isCommitting: false)
        #expect(try await eventually { reader.seen.count == 4 })
        let second = Reader(try consumer(engine), isCommitting: false)
        #expect(try await eventually { second.consumer.assignment.count == 1 })
        #expect(try await eventually { first.assignment.count == 1 })
        let moved = second.consumer.assignment
        let events = heard.withLock { $0 }
        let both = Set([0, 1].map { TopicPartition(topic: "a", partition: $0) })
        #expect(events.first == .assigned(both))
        #expect(events.contains(.revoked(moved)))
        // Committed while it was given up: the second member reads nothing again.
        try await produce(4..<6, partitions: 2, to: engine)
        #expect(try await eventually { reader.seen.count + second.seen.count == 6 })
        reference.withLock { $0 = nil }
        try await reader.close()
        try await second.close()
        try await engine.close()
    }

    @Test("a cooperative rebalance moves only what has to move", arguments: Assignor.allCases)
    func assignors(assignor: Assignor) async throws {
        let engine = try await engine(partitions: 4)
        let revoked = Mutex<Set<TopicPartition>>([])
        let first = Reader(
            try consumer(engine) {
                $0.assignors = [assignor]
                $0.onRebalance = { _, event in
                    if case .revoked(let gone) = event { revoked.withLock { $0.formUnion(gone) } }
                }
            })
        #expect(try await eventually { first.consumer.assignment.count == 4 })
        let second = Reader(try consumer(engine) { $0.assignors = [assignor] })
        #expect(try await eventually { second.consumer.assignment.count == 2 })
        #expect(try await eventually { first.consumer.assignment.count == 2 })
        #expect(first.consumer.assignment.isDisjoint(with: second.consumer.assignment))
        #expect(revoked.withLock { $0.count } == (assignor.isCooperative ? 2 : 4))
        try await first.close()
        try await second.close()
        try await engine.close()
    }

    @Test("settings that make no sense are refused by name, and unknown topics too")
    func settings() async throws {
        let engine = try await engine(partitions: 1)
        #expect(
            await message { _ = try consumer(engine) { $0.assignors = [] } }
                .contains("partition.assignment.strategy"))
        #expect(
            await message { _ = try consumer(engine) { $0.reading.end = .currentEnd } }
                .contains("close()"))
        #expect(
            await message { _ = try engine.consumer(group: "", topics: ["a"]) }
                .contains("group.id"))
        #expect(throws: EngineError.unknownTopic(name: "b", known: ["a"])) {
            try engine.consumer(group: "g", topics: ["b"])
        }
        // What only the coordinator can know comes with the iteration.
        let refused = try consumer(engine) { $0.sessionTimeoutMilliseconds = .max }
        await #expect(throws: EngineError.self) { try await read(1, from: refused) }
        try await engine.close()
        await #expect(throws: EngineError.closed) { try await engine.groupListings() }
    }
}

/// Refuses changes when it is told to.
private final class FailingOffsets: OffsetStore {
    let isFailing = Atomic<Bool>(false)
    private let inner = InMemoryOffsetStore()

    func loadGroups() throws(OffsetStoreError) -> [StoredGroup] { try inner.loadGroups() }

    func apply(_ changes: [OffsetStoreChange]) throws(OffsetStoreError) {
        if isFailing.load(ordering: .acquiring) { throw OffsetStoreError(reason: "a test says so") }
        try inner.apply(changes)
    }
}
