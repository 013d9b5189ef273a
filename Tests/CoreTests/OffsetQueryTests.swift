import TallyTestSupport
import Testing

@testable import Tally

/// Offsets that are looked up: where partitions begin and end, and where a time is.
@Suite(.timeLimit(.minutes(10))) struct OffsetQueryTests {
    private let directory: TemporaryDirectory
    private let partitions = [0, 1].map { TopicPartition(topic: "a", partition: $0) }

    init() throws { directory = try TemporaryDirectory() }

    /// Ten records a second apart in partition 0, none in partition 1.
    private func engine() async throws -> Engine {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic(
            "a", partitions: 2,
            configuration: try TopicConfiguration(["retention.ms": "-1"]))
        let records = (0..<10).map { number in
            ProducerRecord(
                topic: "a", partition: 0, key: nil, value: "\(number)",
                timestamp: Timestamp(milliseconds: Int64(number) * 1000))
        }
        for outcome in try await engine.producer().send(records) { _ = try outcome.get() }
        return engine
    }

    @Test("the engine, a consumer and a member of a group say the same")
    func everywhere() async throws {
        let engine = try await engine()
        _ = try await engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(2))
        let consumer = try engine.consumer(of: "a")
        let member = try engine.consumer(group: "g", topics: ["a"])
        let all = Set(partitions)
        #expect(
            try await engine.beginningOffsets(of: all)
                == [partitions[0]: Offset(2), partitions[1]: .zero])
        #expect(
            try await engine.endOffsets(of: all)
                == [partitions[0]: Offset(10), partitions[1]: .zero])
        #expect(try await consumer.beginningOffsets() == [0: Offset(2), 1: .zero])
        #expect(try await consumer.endOffsets() == [0: Offset(10), 1: .zero])
        #expect(try await member.beginningOffsets([partitions[0]]) == [partitions[0]: Offset(2)])
        #expect(try await member.endOffsets([partitions[0]]) == [partitions[0]: Offset(10)])
        let times = [partitions[0]: Timestamp(milliseconds: 4500), partitions[1]: .now]
        let found = OffsetAndTimestamp(
            offset: Offset(5), timestamp: Timestamp(milliseconds: 5000))
        #expect(try await engine.offsetsForTimes(times) == [partitions[0]: found])
        #expect(try await member.offsetsForTimes(times) == [partitions[0]: found])
        #expect(
            try await consumer.offsetsForTimes([0: Timestamp(milliseconds: 4500)]) == [0: found])
        // What is deleted has no time any more, and after the last record there is nothing.
        for (time, offset) in [(Int64(0), Offset(2)), (9000, Offset(9)), (9001, nil)] {
            let answer = try await engine.offsetsForTimes([
                partitions[0]: Timestamp(milliseconds: time)
            ])
            #expect(answer[partitions[0]]?.offset == offset)
        }
        try await member.close()
        try await engine.close()
    }

    @Test("for readers of committed records a partition ends before the first open transaction")
    func committed() async throws {
        let engine = try await engine()
        var configuration = ProducerConfiguration()
        configuration.transactionalID = "t"
        let producer = try engine.producer(configuration)
        try await producer.initTransactions()
        try producer.beginTransaction()
        _ = try await producer.send(
            ProducerRecord(
                topic: "a", partition: 0, key: nil, value: "open",
                timestamp: Timestamp(milliseconds: 10_000)))
        let times = [partitions[0]: Timestamp(milliseconds: 10_000)]
        for (isolation, end) in [
            (IsolationLevel.readUncommitted, Offset(11)), (.readCommitted, Offset(10)),
        ] {
            let ends = try await engine.endOffsets(of: [partitions[0]], isolation: isolation)
            #expect(ends == [partitions[0]: end])
            let found = try await engine.offsetsForTimes(times, isolation: isolation)
            #expect(found.isEmpty == (isolation == .readCommitted))
        }
        try await producer.commitTransaction()
        let found = try await engine.offsetsForTimes(times, isolation: .readCommitted)
        #expect(found[partitions[0]]?.offset == Offset(10))
        try await engine.close()
    }

    @Test("partitions that are not there are errors that say so")
    func unknown() async throws {
        let engine = try await engine()
        let stranger = TopicPartition(topic: "a", partition: 9)
        await #expect(throws: EngineError.self) { try await engine.endOffsets(of: [stranger]) }
        await #expect(throws: EngineError.self) {
            try await engine.beginningOffsets(of: [TopicPartition(topic: "b", partition: 0)])
        }
        await #expect(throws: EngineError.self) {
            try await engine.offsetsForTimes([stranger: .now])
        }
        #expect(try await engine.endOffsets(of: []) == [:])
        try await engine.close()
    }
}
