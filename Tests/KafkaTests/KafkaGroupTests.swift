import Foundation
import Synchronization
import Tally
import TallyKafka
import TallyServed
import TallyTestSupport
import Testing

/// Members of groups, by the same code on an engine and on a cluster.
@Suite("Groups behind a backend", .timeLimit(.minutes(5))) struct KafkaGroupTests {
    private func configuration(
        _ change: (inout GroupConsumerConfiguration) -> Void = { _ in }
    ) -> GroupConsumerConfiguration {
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        configuration.sessionTimeoutMilliseconds = 6_000
        change(&configuration)
        return configuration
    }

    private func fill(_ engine: Engine, partitions: Int, count: Int) async throws {
        try await engine.ensureTopic("orders", partitions: partitions)
        let producer = try engine.producer()
        for number in 0..<count {
            let value = Array("\(number)".utf8)
            try producer.enqueue(
                topic: "orders", partition: Int32(number % partitions), key: nil,
                value: value.span.bytes)
        }
        try await producer.flush()
    }

    @Test(
        "a member reads all, commits, and the next goes on behind that", arguments: Place.allCases)
    func readAndCommit(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await fill(engine, partitions: 3, count: 30)
            let first = try backend.consumer(group: "g", topics: ["orders"], configuration())
            var count = 0
            for try await record in first.records {
                count += 1
                #expect(record.topic == "orders")
                if count == 12 {
                    try await first.commit()
                    break
                }
            }
            #expect(first.assignment.count == 3 && first.generation >= 0)
            let committed = try await first.committed()
            #expect(committed.values.reduce(0) { $0 + $1.offset.rawValue } == 12)
            try await first.close()
            let second = try backend.consumer(group: "g", topics: ["orders"], configuration())
            for try await records in second {
                try records.forEachRecord { _ in count += 1 }
                try await second.commit(records)
                if count >= 30 { break }
            }
            #expect(count == 30)
            #expect(second.lag.values.allSatisfy { $0 == 0 })
            try await second.close()
            let here = try await engine.committedOffsets(ofGroup: "g")
            #expect(here.values.reduce(0) { $0 + $1.offset.rawValue } == 30)
        }
    }

    @Test(
        "two members share partitions, and what one leaves the other takes",
        arguments: Place.allCases)
    func rebalance(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await fill(engine, partitions: 4, count: 4)
            let changes = Mutex<[GroupRebalance]>([])
            let first = try backend.consumer(
                group: "g", topics: ["orders"],
                configuration {
                    $0.onRebalance = { _, change in changes.withLock { $0.append(change) } }
                })
            let reading = Task {
                for try await records in first { try? await first.commit(records) }
            }
            func waits(until isSo: () -> Bool) async throws -> Bool {
                for _ in 0..<1000 {
                    if isSo() { return true }
                    try await Task.sleep(for: .milliseconds(20))
                }
                return false
            }
            #expect(try await waits { first.assignment.count == 4 })
            let second = try backend.consumer(group: "g", topics: ["orders"], configuration())
            let alsoReading = Task { for try await _ in second {} }
            #expect(
                try await waits { first.assignment.count == 2 && second.assignment.count == 2 })
            #expect(first.assignment.isDisjoint(with: second.assignment))
            #expect(
                changes.withLock { changes in
                    changes.contains {
                        if case .revoked(let gone) = $0 { gone.count == 2 } else { false }
                    }
                })
            try await second.close()
            _ = try? await alsoReading.value
            #expect(try await waits { first.assignment.count == 4 })
            try await first.close()
            _ = try? await reading.value
        }
    }

    @Test("automatic commits, seeking and pausing are the same", arguments: Place.allCases)
    func automatic(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await fill(engine, partitions: 1, count: 10)
            let zero = TopicPartition(topic: "orders", partition: 0)
            let consumer = try backend.consumer(
                group: "g", topics: ["orders"],
                configuration {
                    $0.isAutoCommitting = true
                    $0.autoCommitIntervalMilliseconds = 0
                })
            var iterator = consumer.records.makeAsyncIterator()
            for number in 0..<5 {
                #expect(try await iterator.next()?.valueText == "\(number)")
            }
            // The fifth is not through with.
            #expect(try await engine.committedOffsets(ofGroup: "g")[zero]?.offset == Offset(4))
            try await consumer.seek(zero, to: .offset(Offset(8)))
            #expect(try await iterator.next()?.valueText == "8")
            try await consumer.close()
            #expect(try await iterator.next() == nil)
            #expect(try await engine.committedOffsets(ofGroup: "g")[zero]?.offset == Offset(8))
            await #expect(throws: EngineError.self) {
                try await consumer.commit([zero: OffsetToCommit(offset: Offset(9))])
            }
        }
    }

    @Test(
        "a group without a position is an error unless it says where to begin",
        arguments: Place.allCases)
    func noPosition(_ place: Place) async throws {
        try await place.with { backend, engine in
            try await fill(engine, partitions: 1, count: 3)
            let consumer = try backend.consumer(
                group: "g", topics: ["orders"], configuration { $0.reading.reset = .none })
            do {
                for try await _ in consumer { Issue.record("it was read") }
            } catch EngineError.offsetUnavailable(let unavailable) {
                #expect(unavailable.group == "g" && unavailable.committed == nil)
                #expect(unavailable.logEnd == Offset(3))
            }
            try await consumer.close()
        }
    }

    @Test("a member of an engine and one of a cluster are in one group")
    func mixed() async throws {
        try await Place.served.with { backend, engine in
            try await fill(engine, partitions: 2, count: 40)
            let seen = Seen()
            let members = [
                try backend.consumer(group: "g", topics: ["orders"], configuration()),
                try engine.consumer(group: "g", topics: ["orders"], configuration()),
            ]
            let tasks = [
                Self.read(members[0], into: seen), Self.read(members[1], into: seen),
            ]
            for _ in 0..<1000 {
                if seen.count == 40, members.allSatisfy({ $0.assignment.count == 1 }) { break }
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(seen.count == 40)
            #expect(members.allSatisfy { $0.assignment.count == 1 })
            for member in members { try await member.close() }
            for task in tasks { _ = try? await task.value }
        }
    }

    /// Values that some member has read.
    private final class Seen: Sendable {
        private let values = Mutex<Set<String>>([])

        var count: Int { values.withLock { $0.count } }

        func add(_ value: String) { values.withLock { _ = $0.insert(value) } }
    }

    private static func read(
        _ member: GroupConsumer, into seen: Seen
    ) -> Task<Void, any Error> {
        Task {
            for try await records in member {
                try records.forEachRecord { seen.add($0.valueText ?? "") }
                try? await member.commit(records)
            }
        }
    }

    @Test("a coordinator that goes away and comes back finds the member again")
    func restarts() async throws {
        try await ServedEngine.withState { served in
            try await fill(served.engine, partitions: 1, count: 2)
            let backend = try Backend.kafka(bootstrap: served.address)
            let consumer = try backend.consumer(
                group: "g", topics: ["orders"], configuration())
            var iterator = consumer.records.makeAsyncIterator()
            #expect(try await iterator.next()?.valueText == "0")
            for number in 1..<4 {
                await served.stop()
                try await Task.sleep(for: .milliseconds(50))
                try await served.start()
                if number > 1 {
                    _ = try await served.engine.producer().send(
                        key: nil, value: "\(number)", to: "orders")
                }
                #expect(try await iterator.next()?.valueText == "\(number)")
                try await consumer.commit()
            }
            try await consumer.close()
            try await backend.close()
        }
    }

    @Test(
        "a cluster of several brokers keeps groups too", .enabled(if: MockCluster.isAvailable))
    func mockCluster() async throws {
        let mock = try MockCluster(brokers: 3, topics: ["orders": 4])
        let backend = try Backend.kafka(bootstrap: mock.addresses.joined(separator: ","))
        let producer = try backend.producer()
        for number in 0..<20 {
            _ = try await producer.send(
                ProducerRecord(
                    topic: "orders", partition: Int32(number % 4), key: nil, value: "\(number)"))
        }
        let consumer = try backend.consumer(
            group: "g", topics: ["orders"], configuration { $0.assignors = [.range] })
        var values: Set<String> = []
        for try await records in consumer {
            try records.forEachRecord { values.insert($0.valueText ?? "") }
            try await consumer.commit(records)
            if values.count == 20 { break }
        }
        let committed = try await consumer.committed()
        #expect(committed.values.allSatisfy { $0.offset == Offset(5) } && committed.count == 4)
        try await consumer.close()
        try await backend.close()
    }
}
