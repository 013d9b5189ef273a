import Foundation
import TallyStateStore
import TallyTestSupport
import Testing

@testable import Tally
@testable import TallyLog

/// Transactions and groups whose engine dies, with `state.db` beside the logs.
@Suite(.timeLimit(.minutes(10))) struct TransactionRecoveryTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func open(_ name: String = "data") async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.state = .sqlite
        return try await Engine.open(at: directory.path(name), configuration: configuration)
    }

    private func producer(_ engine: Engine) async throws -> Producer {
        var configuration = ProducerConfiguration()
        configuration.transactionalID = "t"
        let producer = try engine.producer(configuration)
        try await producer.initTransactions()
        return producer
    }

    private func committed(_ engine: Engine, _ topic: String) async throws -> [String] {
        var configuration = ConsumerConfiguration(end: .currentEnd)
        configuration.isolation = .readCommitted
        var values: [String] = []
        for try await records in try engine.consumer(of: topic, configuration) {
            try records.forEachRecord { values.append($0.valueText ?? "null") }
        }
        return values
    }

    /// Waits until nothing is open in two topics.
    private func settled(_ engine: Engine) async throws -> Bool {
        for _ in 0..<500 {
            let open =
                try await engine.openTransactions(of: "a") + engine.openTransactions(of: "b")
            if open.isEmpty { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    /// How far a transaction had come when the process died.
    enum Moment: CaseIterable {
        case undecided, committing, aborting
    }

    @Test(
        "what was decided is finished at the next opening, in that direction",
        arguments: Moment.allCases)
    func decided(moment: Moment) async throws {
        let engine = try await open()
        try await engine.createTopic("a", partitions: 1)
        try await engine.createTopic("b", partitions: 1)
        let producer = try await producer(engine)
        try producer.beginTransaction()
        for topic in ["a", "b"] {
            _ = try await producer.send(key: nil, value: "in \(topic)", to: topic)
        }
        // The marker of topic b has to wait; that of topic a comes.
        let isOver = DispatchSemaphore(value: 0)
        engine.transactions.start { partition, work in
            if partition.topic == "b" { isOver.wait() }
            guard let found = try? engine.partition(partition.partition, of: partition.topic)
            else { return .failed }
            return found.write(work)
        }
        let end = Task {
            switch moment {
            case .undecided: break
            case .committing: try await producer.commitTransaction()
            case .aborting: try await producer.abortTransaction()
            }
        }
        if moment != .undecided {
            let other = try engine.partition(0, of: "a").log
            for _ in 0..<500 where other.highWatermark < Offset(2) {
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(other.highWatermark == Offset(2), "the first marker")
        }
        try copyLiveDirectory(directory.path("data"), to: directory.path("crashed"))
        isOver.signal()
        try await end.value
        try? await engine.close()

        let again = try await open("crashed")
        #expect(try await settled(again))
        let expected = moment == .committing
        #expect(try await committed(again, "a") == (expected ? ["in a"] : []))
        #expect(try await committed(again, "b") == (expected ? ["in b"] : []))
        // The id goes on.
        let next = try await self.producer(again)
        try await next.withTransaction { producer in
            _ = try await producer.send(key: nil, value: "next", to: "b")
        }
        #expect(try await committed(again, "b").last == "next")
        try await again.close()
    }

    @Test("a producer of before is fenced by one of the next life of the process")
    func fenced() async throws {
        let engine = try await open()
        try await engine.createTopic("a", partitions: 1)
        let before = try await producer(engine)
        try await before.withTransaction { _ = try await $0.send(key: nil, value: "1", to: "a") }
        try await engine.close()
        let again = try await open()
        let after = try await producer(again)
        try await after.withTransaction { _ = try await $0.send(key: nil, value: "2", to: "a") }
        var epochs: [Int16] = []
        var ids: Set<Int64> = []
        let consumer = try again.consumer(of: "a", ConsumerConfiguration(end: .currentEnd))
        for try await records in consumer {
            try records.forEachBatch { batch in
                if !batch.header.attributes.isControl { epochs.append(batch.header.producerEpoch) }
                ids.insert(batch.header.producerID)
            }
        }
        #expect(ids.count == 1 && epochs.count == 2 && epochs[0] < epochs[1])
        try await again.close()
    }

    @Test(
        "a group goes on where it committed in another life of the engine; a new topic begins anew")
    func group() async throws {
        let engine = try await open()
        try await engine.createTopic("a", partitions: 1)
        for number in 0..<5 {
            _ = try await engine.producer().send(key: nil, value: "\(number)", to: "a")
        }
        let partition = TopicPartition(topic: "a", partition: 0)
        try await engine.commitOffsets(
            [partition: OffsetToCommit(offset: Offset(3), metadata: "note")], ofGroup: "g")
        try await engine.close()

        let again = try await open()
        #expect(try await again.groupListings().map(\.group) == ["g"])
        let consumer = try again.consumer(group: "g", topics: ["a"])
        var iterator = consumer.makeAsyncIterator()
        let records = try #require(try await iterator.next())
        #expect(records.startOffset == Offset(3))
        #expect(try await consumer.committed()[partition]?.metadata == "note")
        let generation = consumer.generation
        try await consumer.close()
        try await again.deleteTopic("a")
        try await again.createTopic("a", partitions: 1)
        #expect(try await again.committedOffsets(ofGroup: "g").isEmpty)
        try await again.close()

        // Generations go on, so that nobody of before can commit into them.
        let last = try await open()
        let member = try last.consumer(group: "g", topics: ["a"])
        for _ in 0..<500 where member.generation < 0 {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(member.generation > generation)
        try await member.close()
        try await last.close()
    }
}
