import Logging
import ServiceLifecycle
import Synchronization
import TallyTestSupport
import Testing

@testable import Tally

/// Engine, producer and consumer in a service group.
@Suite(.timeLimit(.minutes(10))) struct ServiceTests {
    private struct Refused: Error {}

    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func member(_ engine: Engine) throws -> GroupConsumer {
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        configuration.reading.fetchBytesMax = 1
        return try engine.consumer(group: "g", topics: ["a"], configuration)
    }

    @Test(
        "a shutdown lets the element end, commits it, leaves the group, and delivers what is left")
    func shutdown() async throws {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("a", partitions: 1)
        try await engine.createTopic("b", partitions: 1)
        for number in 0..<3 {
            _ = try await engine.producer().send(key: "k", value: "\(number)", to: "a")
        }
        var lingering = ProducerConfiguration()
        lingering.lingerMilliseconds = 3_600_000
        let producer = try engine.producer(lingering)
        let consumer = try member(engine)
        let handled = Mutex<[Offset]>([])
        let isInside = Arrival()
        let mayEnd = Arrival()
        let service = ConsumerService(consumer) { records in
            isInside.signal()
            if records.startOffset == Offset(1) { try await mayEnd.wait(after: 0) }
            try records.forEachRecord { record in
                try producer.enqueue(topic: "b", key: record.key, value: record.value)
                handled.withLock { $0.append(record.offset) }
            }
        }
        let group = ServiceGroup(
            services: [ProducerService(producer), service], logger: Logger(label: "test"))
        let running = Task { try await group.run() }
        try await isInside.wait(after: 0)
        try await isInside.wait(after: 1)
        await group.triggerGracefulShutdown()
        // It is in the middle of the second element, and is asked for no third.
        try await Task.sleep(for: .milliseconds(50))
        #expect(handled.withLock { $0 } == [Offset(0)])
        mayEnd.signal()
        try await running.value
        #expect(handled.withLock { $0 } == [Offset(0), Offset(1)])
        let partition = TopicPartition(topic: "a", partition: 0)
        #expect(
            try await engine.committedOffsets(ofGroup: "g")[partition]?.offset == Offset(2))
        #expect(try await engine.describeGroup("g").members.isEmpty)
        #expect(try await engine.values(of: "b") == [0: ["0", "1"]])
        try await engine.close()
    }

    @Test("a group that waits for records ends at once, and the engine is closed behind it")
    func waiting() async throws {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("a", partitions: 1)
        let consumer = try member(engine)
        let group = ServiceGroup(
            services: [engine, ConsumerService(consumer) { _ in }], logger: Logger(label: "test"))
        let running = Task { try await group.run() }
        #expect(try await eventually { consumer.assignment.count == 1 })
        await group.triggerGracefulShutdown()
        // Where the waiting is not ended, the suite's time limit is met here.
        try await running.value
        #expect(throws: EngineError.closed) { try engine.requireNotClosed() }
    }

    @Test("a closure that commits by itself is left alone with it")
    func notCommitting() async throws {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("a", partitions: 1)
        for number in 0..<3 {
            _ = try await engine.producer().send(key: "k", value: "\(number)", to: "a")
        }
        let consumer = try member(engine)
        await #expect(throws: Refused.self) {
            try await consumer.run(isCommitting: false) { records in
                if records.startOffset == .zero { try await consumer.commit(records) }
                if records.startOffset == Offset(2) { throw Refused() }
            }
        }
        let offsets = try await engine.committedOffsets(ofGroup: "g")
        #expect(offsets.values.map(\.offset) == [Offset(1)])
        try await engine.close()
    }

    @Test("what the closure throws ends the service, and its element is not committed")
    func refused() async throws {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("a", partitions: 1)
        for number in 0..<3 {
            _ = try await engine.producer().send(key: "k", value: "\(number)", to: "a")
        }
        let consumer = try member(engine)
        await #expect(throws: Refused.self) {
            try await consumer.run { records in
                if records.startOffset == Offset(1) { throw Refused() }
            }
        }
        let partition = TopicPartition(topic: "a", partition: 0)
        #expect(
            try await engine.committedOffsets(ofGroup: "g")[partition]?.offset == Offset(1))
        #expect(try await engine.describeGroup("g").members.isEmpty)
        try await engine.close()
    }

    @Test("a task that is cancelled leaves the group, and throws")
    func cancelled() async throws {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic("a", partitions: 1)
        let consumer = try member(engine)
        let running = Task { try await consumer.run { _ in } }
        #expect(try await eventually { consumer.assignment.count == 1 })
        running.cancel()
        await #expect(throws: CancellationError.self) { try await running.value }
        #expect(try await engine.describeGroup("g").members.isEmpty)
        try await engine.close()
    }
}
