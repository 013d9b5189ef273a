import Foundation
import Synchronization
import TallyTestSupport
import Testing

@testable import Tally

@Suite(.timeLimit(.minutes(10))) struct ProducerTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func engine(_ topic: String = "a", partitions: Int = 1) async throws -> Engine {
        let engine = try await Engine.open(at: directory.path)
        try await engine.createTopic(topic, partitions: partitions)
        return engine
    }

    /// A producer whose batches wait for a flush, or for being full.
    private func patient(
        _ engine: Engine, _ change: (inout ProducerConfiguration) -> Void = { _ in }
    ) throws -> Producer {
        var configuration = ProducerConfiguration()
        configuration.lingerMilliseconds = 3_600_000
        change(&configuration)
        return try engine.producer(configuration)
    }

    @Test("a key decides its partition, a number overrides it")
    func partitions() async throws {
        let engine = try await engine(partitions: 7)
        let producer = try engine.producer()
        for number in 0..<30 {
            let key = "key \(number)"
            let bytes = Array(key.utf8)
            let expected = Murmur2.partition(forKey: bytes.span.bytes, count: 7)
            #expect(try await producer.send(key: key, value: nil, to: "a").partition == expected)
            let record = ProducerRecord(topic: "a", partition: 3, key: key, value: nil)
            #expect(try await producer.send(record).partition == 3)
        }
        try await engine.close()
    }

    @Test("records without a key stick to a partition for a batch, then go to another")
    func sticky() async throws {
        let engine = try await engine(partitions: 5)
        let producer = try patient(engine) { $0.batchBytes = 1000 }
        let value = String(repeating: "x", count: 100)
        for _ in 0..<100 { try producer.enqueue(value, to: "a") }
        try await producer.flush()
        let counts = try await engine.values(of: "a").values.map(\.count)
        // Ten of 100 bytes reach batch.size.
        #expect(counts.allSatisfy { $0 % 10 == 0 } && counts.count > 1)
        #expect(counts.reduce(0, +) == 100)
        try await engine.close()
    }

    @Test("unknown topics and partitions are refused")
    func unknown() async throws {
        let engine = try await engine(partitions: 2)
        let producer = try engine.producer()
        await #expect(throws: EngineError.unknownTopic(name: "b", known: ["a"])) {
            try await producer.send(key: nil, value: "x", to: "b")
        }
        for index in [Int32(-1), 2] {
            await #expect(
                throws: EngineError.unknownPartition(topic: "a", partition: index, count: 2)
            ) {
                try await producer.send(
                    ProducerRecord(topic: "a", partition: index, key: nil as String?, value: "x"))
            }
        }
        try await producer.flush()
        try await engine.close()
    }

    @Test(
        "a record that fits no batch is refused, and the batch before it goes out",
        arguments: [("max.message.bytes", 2 << 20), ("max.request.size", 1 << 20)])
    func tooLarge(refusing: String, requestBytesMax: Int) async throws {
        let engine = try await engine()
        let producer = try patient(engine) { $0.requestBytesMax = requestBytesMax }
        try producer.enqueue("before", to: "a")
        let large = RecordHeader(name: "h", value: Array(repeating: 7, count: 1_100_000))
        do {
            _ = try await producer.send(
                ProducerRecord(
                    topic: "a", key: nil as String?, value: "x", headers: [large]))
            Issue.record("it was taken")
        } catch EngineError.recordTooLarge(let byteCount, let limit, let setting) {
            #expect(byteCount > limit && setting == refusing)
        }
        var records = try engine.consumer(of: "a").makeAsyncIterator()
        #expect(try await records.next()?.nextOffset == Offset(1))
        try await producer.flush()
        try await engine.close()
    }

    @Test("a linger gathers records into one batch, and ends by itself")
    func linger() async throws {
        let engine = try await engine()
        let gathering = try patient(engine)
        for number in 0..<10 { try gathering.enqueue("\(number)", to: "a") }
        try await gathering.flush()
        #expect(try await engine.batchSizes(of: "a") == [10])
        let lingering = try engine.producer(
            {
                var configuration = ProducerConfiguration()
                configuration.lingerMilliseconds = 20
                return configuration
            }())
        #expect(try await lingering.send(key: nil, value: "x", to: "a").offset == Offset(10))
        try await engine.close()
    }

    @Test("a batch that has arrived keeps nothing in memory until its linger would have ended")
    func lingerOfDelivered() async throws {
        func sendAndDrop() async throws {
            let engine = try await self.engine()
            let producer = try patient(engine)
            try producer.enqueue("x", to: "a")
            try await producer.flush()
        }
        try await sendAndDrop()
        // The engine that nobody closed goes, and gives the directory back.
        let engine = try await openWhenFree(directory.path)
        #expect(try await engine.values(of: "a") == [0: ["x"]])
        try await engine.close()
    }

    @Test("batch.size splits batches")
    func split() async throws {
        let engine = try await engine()
        let producer = try patient(engine) { $0.batchBytes = 1000 }
        let value = String(repeating: "x", count: 300)
        for _ in 0..<10 { try producer.enqueue(value, to: "a") }
        try await producer.flush()
        #expect(try await engine.batchSizes(of: "a") == [3, 3, 3, 1])
        try await engine.close()
    }

    @Test("compression.type: batches have the producer's codec, where the topic names none")
    func compression() async throws {
        let engine = try await engine()
        for codec in [Codec.lz4, .none] {
            let producer = try patient(engine) { $0.compression = codec }
            for _ in 0..<100 { try producer.enqueue("the same again and again", to: "a") }
            try await producer.flush()
        }
        var codecs: [Codec] = []
        var byteCounts: [Int] = []
        let configuration = ConsumerConfiguration(end: .currentEnd)
        for try await records in try engine.consumer(of: "a", configuration) {
            try records.forEachBatch { batch in
                codecs.append(batch.header.attributes.codec)
                byteCounts.append(batch.header.sizeInBytes)
            }
        }
        #expect(codecs == [.lz4, .none] && 2 * byteCounts[0] < byteCounts[1])
        let values = try await engine.values(of: "a")[0]
        #expect(values?.count == 200 && Set(values ?? []).count == 1)
        try await engine.close()
    }

    @Test("sixteen tasks at once keep their own order, and lose and double nothing")
    func concurrent() async throws {
        let engine = try await engine(partitions: 3)
        let producer = try engine.producer()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<16 {
                group.addTask {
                    for number in 0..<50 {
                        let sent = try await producer.send(
                            key: "\(task)", value: "\(task) \(number)", to: "a")
                        let end = try engine.describeTopic("a").partitions[Int(sent.partition)]
                        // Under .synced what was acknowledged can be read.
                        #expect(end.highWatermark > sent.offset)
                    }
                }
            }
            try await group.waitForAll()
        }
        var seen: [Substring: [Int]] = [:]
        for value in try await engine.values(of: "a").values.joined() {
            let parts = value.split(separator: " ")
            seen[parts[0], default: []].append(try #require(Int(parts[1])))
        }
        #expect(seen.count == 16 && seen.values.allSatisfy { $0 == Array(0..<50) })
        try await engine.close()
    }

    @Test("flush gives the first error, once, and returns although nothing can be delivered")
    func flushError() async throws {
        let engine = try await engine()
        let producer = try patient(engine)
        try producer.enqueue("late", to: "a")
        try await engine.close()
        let text = await message { try await producer.flush() }
        #expect(text.contains("closed"))
        try await producer.flush()
        #expect(!producer.isFull)
    }

    @Test("flush tells nothing of a record whose sender was told")
    func flushAfterToldError() async throws {
        let engine = try await engine()
        let producer = try patient(engine)
        let sending = Task { try await producer.send(key: nil, value: "told", to: "a") }
        #expect(try await eventually { producer.pendingByteCount > 0 })
        try await engine.close()
        try await producer.flush()
        #expect(await message { _ = try await sending.value }.contains("closed"))
    }

    @Test("a full buffer refuses, and waiting for room ends when there is some")
    func backPressure() async throws {
        let engine = try await engine()
        let producer = try patient(engine) { $0.bufferBytesMax = 1000 }
        var taken = 0
        while !producer.isFull {
            try producer.enqueue(String(repeating: "x", count: 100), to: "a")
            taken += 1
        }
        #expect((8...10).contains(taken))
        #expect(throws: EngineError.self) { try producer.enqueue("x", to: "a") }
        let waiting = Task { try await producer.waitForRoom() }
        try await Task.sleep(for: .milliseconds(20))
        try await producer.flush()
        try await waiting.value
        #expect(!producer.isFull)
        try producer.enqueue("x", to: "a")
        try await producer.flush()
        #expect(try await engine.values(of: "a")[0]?.count == taken + 1)
        try await engine.close()
    }

    @Test("flush returns although others go on sending")
    func flushUnderLoad() async throws {
        let engine = try await engine()
        let producer = try patient(engine)
        try producer.enqueue("first", to: "a")
        let load = Task {
            while !Task.isCancelled {
                try? producer.enqueue("more", to: "a")
                await Task.yield()
            }
        }
        let hasReturned = Mutex(false)
        let flushing = Task {
            try await producer.flush()
            hasReturned.withLock { $0 = true }
        }
        #expect(try await eventually { hasReturned.withLock { $0 } })
        load.cancel()
        await load.value
        try await producer.flush()
        try await flushing.value
        #expect(try await engine.values(of: "a")[0]?.first == "first")
        try await engine.close()
    }

    @Test("waiting for room does not wait for lingers")
    func roomInSpiteOfLinger() async throws {
        let engine = try await engine()
        let producer = try patient(engine) { $0.bufferBytesMax = 1000 }
        while !producer.isFull {
            try producer.enqueue(String(repeating: "x", count: 100), to: "a")
        }
        let hasReturned = Mutex(false)
        let waiting = Task {
            try await producer.waitForRoom()
            hasReturned.withLock { $0 = true }
        }
        #expect(try await eventually { hasReturned.withLock { $0 } })
        try await producer.flush()
        try await waiting.value
        try await engine.close()
    }

    @Test("a producer forgets a topic that is gone")
    func deletedTopic() async throws {
        let engine = try await engine()
        let producer = try patient(engine)
        try producer.enqueue("lost", to: "a")
        try await engine.deleteTopic("a")
        #expect(throws: EngineError.unknownTopic(name: "a", known: [])) {
            try producer.enqueue("refused", to: "a")
        }
        try await engine.createTopic("a", partitions: 1)
        try producer.enqueue("new", to: "a")
        // Flushing does not wait for the end of the linger of what is lost, and tells of it.
        #expect(await message { try await producer.flush() }.contains("closed"))
        #expect(try await engine.values(of: "a") == [0: ["new"]])
        try await engine.close()
    }

    @Test("closing while records are sent answers every sender and loses nothing acknowledged")
    func closeWhileSending() async throws {
        for _ in 0..<5 {
            let path = directory.path(UUID().uuidString)
            let engine = try await Engine.open(at: path)
            try await engine.createTopic("a", partitions: 3)
            let producer = try engine.producer()
            let acknowledged = Acknowledged()
            await withTaskGroup(of: Void.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        var number = 0
                        while true {
                            let value = "\(task) \(number)"
                            guard
                                let sent = try? await producer.send(
                                    key: "\(number)", value: value, to: "a")
                            else { return }
                            acknowledged.add(sent, value)
                            number += 1
                        }
                    }
                }
                group.addTask {
                    try? await Task.sleep(for: .milliseconds(30))
                    do { try await engine.close() } catch { Issue.record(error) }
                }
                await group.waitForAll()
            }
            let reopened = try await Engine.open(at: path)
            #expect(reopened.partitions.allSatisfy { $0.onlineLog?.recovery.wasClean == true })
            let stored = try await reopened.values(of: "a")
            let sent = acknowledged.values
            #expect(!sent.isEmpty)
            for (partition, values) in sent {
                for (offset, value) in values {
                    #expect(stored[partition]?[Int(offset)] == value)
                }
            }
            try await reopened.close()
        }
    }

    @Test("settings that make no sense are refused by name")
    func settings() async throws {
        let engine = try await engine()
        func refusal(_ change: (inout ProducerConfiguration) -> Void) async -> String {
            await message { _ = try patient(engine, change) }
        }
        #expect(await refusal { $0.batchBytes = 0 }.contains("batch.size"))
        #expect(await refusal { $0.bufferBytesMax = 0 }.contains("buffer.memory"))
        #expect(await refusal { $0.blockMillisecondsMax = -1 }.contains("max.block.ms"))
        #expect(await refusal { $0.lingerMilliseconds = -1 }.contains("linger.ms"))
        for codec in Codec.allCases {
            let text = await refusal { $0.compression = codec }
            #expect(codec.isSupported ? text.isEmpty : text.contains(codec.advice))
        }
        try await engine.close()
    }
}

/// What senders were told, by partition and offset.
private final class Acknowledged: Sendable {
    private let state = Mutex<[Int32: [Int64: String]]>([:])

    var values: [Int32: [Int64: String]] { state.withLock { $0 } }

    func add(_ sent: RecordMetadata, _ value: String) {
        state.withLock { $0[sent.partition, default: [:]][sent.offset.rawValue] = value }
    }
}
