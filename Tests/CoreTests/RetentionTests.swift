import Foundation
import Synchronization
import TallyTestSupport
import Testing

@testable import Tally

@Suite(.timeLimit(.minutes(10))) struct RetentionTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// An engine that looks after retention often, with ten old records in small segments.
    private func engine(_ settings: [String: String]) async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.retentionCheckIntervalMilliseconds = 50
        let engine = try await Engine.open(at: directory.path, configuration: configuration)
        var all = ["segment.bytes": "300", "file.delete.delay.ms": "0"]
        for (name, value) in settings { all[name] = value }
        try await engine.createTopic(
            "a", partitions: 1, configuration: try TopicConfiguration(all))
        var producing = ProducerConfiguration()
        producing.lingerMilliseconds = 0
        let producer = try engine.producer(producing)
        let value = [UInt8](repeating: 7, count: 100)
        for number in 0..<10 {
            try producer.enqueue(
                topic: "a", partition: 0, key: nil, value: value.span.bytes,
                timestamp: Timestamp(milliseconds: Int64(number)))
            try await producer.flush()
        }
        return engine
    }

    private func files() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory.path + "/a-0")
    }

    @Test("old records go by themselves, files and all; who wants them is told the bounds")
    func housekeeping() async throws {
        let engine = try await engine(["retention.ms": "1000"])
        #expect(
            try await eventually {
                (try? files())?.filter { $0.contains(".log") } == ["00000000000000000010.log"]
            })
        let consumer = try engine.consumer(
            of: "a", ConsumerConfiguration(start: .offset(Offset(3))))
        var iterator = consumer.makeAsyncIterator()
        do {
            _ = try await iterator.next()
            Issue.record("a retired record was read")
        } catch LogError.offsetOutOfRange(let range) {
            #expect(range.requested == Offset(3) && range.logStart == Offset(10))
        }
        _ = try await engine.producer().send(key: "k", value: "new", to: "a")
        try await engine.close()
        let again = try await Engine.open(at: directory.path)
        // The new record may be a second old by now, and retired too.
        #expect(try again.partition(0, of: "a").log.logStart >= Offset(10))
        try await again.close()
    }

    @Test("deleted records stay deleted, and their segments go with the next retention")
    func deleteRecords() async throws {
        let engine = try await engine(["retention.ms": "-1"])
        #expect(
            try await engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(5))
                == Offset(5))
        try await engine.enforceRetention()
        #expect(try files().filter { $0.hasSuffix(".log") }.count == 5)
        await #expect(throws: LogError.self) {
            try await engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(11))
        }
        try await engine.close()
        let again = try await Engine.open(at: directory.path)
        #expect(try again.partition(0, of: "a").log.logStart == Offset(5))
        #expect(try await again.deleteRecords(ofTopic: "a", partition: 0) == Offset(10))
        try await again.close()
    }

    @Test("what was not acknowledged can be taken back, and what was cannot")
    func truncation() async throws {
        // Without a roll, which would have the housekeeper sync.
        let engine = try await engine(["retention.ms": "-1", "segment.ms": "\(Int64.max)"])
        let log = try engine.partition(0, of: "a").log
        var builder = try RecordBatchBuilder()
        let value = [UInt8](repeating: 1, count: 10)
        try builder.append(key: nil, value: value.span.bytes, timestamp: .now)
        var bytes = try builder.finishMutable()
        _ = try log.append(&bytes, from: .outside, now: .now)
        #expect(log.logEnd == Offset(11) && log.highWatermark == Offset(10))
        let told = message(from: log, waitingFor: Offset(11))
        await #expect(throws: LogError.self) {
            try await engine.truncateUnacknowledged(ofTopic: "a", partition: 0, to: Offset(9))
        }
        #expect(
            try await engine.truncateUnacknowledged(ofTopic: "a", partition: 0) == Offset(10))
        #expect(told.text.contains("truncated to offset 10"))
        // A consumer that waits for more gets what comes next.
        let consumer = try engine.consumer(
            of: "a", ConsumerConfiguration(start: .offset(Offset(10))))
        let next = Task {
            var iterator = consumer.makeAsyncIterator()
            return try await iterator.next()?.startOffset
        }
        _ = try await engine.producer().send(key: "k", value: "new", to: "a")
        #expect(try await next.value == Offset(10))
        try await engine.close()
        let again = try await Engine.open(at: directory.path)
        #expect(try again.partition(0, of: "a").log.logEnd == Offset(11))
        try await again.close()
    }

    /// What somebody who waits for an offset is told.
    private func message(
        from log: PartitionLog, waitingFor offset: Offset
    ) -> SharedText {
        let text = SharedText()
        log.highWatermarkWatermark.whenReached(offset) { text.set("\(String(describing: $0))") }
        return text
    }

    @Test("retention is on again once the configuration of a topic that was found is stated")
    func stated() async throws {
        try await engine(["retention.ms": "-1"]).close()
        try FileManager.default.removeItem(atPath: directory.path + "/topics.json")
        var engine = try await Engine.open(at: directory.path)
        let stated = try TopicConfiguration(["retention.ms": "1", "segment.bytes": "300"])
        await #expect(throws: EngineError.self) {
            try await engine.stateConfiguration(ofTopic: "b", stated)
        }
        try await engine.stateConfiguration(ofTopic: "a", stated)
        let topic = try engine.describeTopic("a")
        #expect(!topic.isDiscovered && topic.configuration == stated)
        // Once, and for such topics only.
        await #expect(throws: EngineError.configurationIsStated(topic: "a")) {
            try await engine.stateConfiguration(ofTopic: "a", stated)
        }
        let id = topic.id
        try await engine.close()
        engine = try await Engine.open(at: directory.path)
        #expect(try engine.describeTopic("a").id == id)
        let log = try engine.partition(0, of: "a").log
        #expect(log.logStart == .zero && log.logEnd > .zero)
        try await engine.enforceRetention()
        #expect(log.logStart == log.logEnd)
        try await engine.close()
    }

    @Test("nothing is retired by defaults that nobody stated")
    func discovered() async throws {
        try await engine(["retention.ms": "-1"]).close()
        try FileManager.default.removeItem(atPath: directory.path + "/topics.json")
        let engine = try await Engine.open(at: directory.path)
        #expect(try engine.describeTopic("a").isDiscovered)
        try await engine.enforceRetention()
        #expect(try engine.partition(0, of: "a").log.logStart == .zero)
        try await engine.close()
    }
}

/// A text that one thread sets and another reads.
private final class SharedText: Sendable {
    private let state = Mutex("")
    var text: String { state.withLock { $0 } }
    func set(_ text: String) { state.withLock { $0 = text } }
}
