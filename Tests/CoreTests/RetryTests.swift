import TallyFiles
import TallyTestSupport
import Testing

@testable import Tally

/// Batches that the log has no room for, tried again.
@Suite(.timeLimit(.minutes(10))) struct RetryTests {
    private let files = SimulatedFileSystem(directories: ["/data"])

    private func engine() async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.spaceReserveBytes = 0
        let engine = try await Engine.open(on: files, configuration: configuration)
        try await engine.createTopic("a", partitions: 1)
        _ = try await engine.producer().send(record("before"))
        return engine
    }

    /// A producer with a batch for each record.
    private func producer(
        _ engine: Engine, retries: Int, _ change: (inout ProducerConfiguration) -> Void = { _ in }
    ) throws -> Producer {
        var configuration = ProducerConfiguration()
        configuration.batchBytes = 1
        configuration.retriesMax = retries
        configuration.retryBackoffMilliseconds = 2
        change(&configuration)
        return try engine.producer(configuration)
    }

    /// Larger than what was reserved for the log ahead.
    private func record(_ name: String) -> ProducerRecord {
        ProducerRecord(
            topic: "a", key: nil as String?, value: name + String(repeating: ".", count: 900_000))
    }

    private func names(in engine: Engine) async throws -> [String] {
        try await engine.values(of: "a")[0, default: []].map { value in
            String(value.prefix { $0 != "." })
        }
    }

    private func fill() { files.capacityBytes = files.usedBytes }

    /// Until somebody has found no room so often.
    private func waitForFaults(_ engine: Engine, _ count: Int) async throws {
        let before = files.count(.reserve)
        #expect(try await eventually { files.count(.reserve) >= before + count })
    }

    @Test("a batch waits for room, the later ones wait behind it, and each is stored once")
    func order() async throws {
        let engine = try await engine()
        let producer = try producer(engine, retries: .max)
        fill()
        for name in ["one", "two", "three"] {
            let record = record(name)
            try producer.enqueue(topic: "a", key: nil, value: record.value?.rawSpan)
        }
        try await waitForFaults(engine, 3)
        #expect(try await names(in: engine) == ["before"])
        files.capacityBytes = nil
        try await producer.flush()
        #expect(try await names(in: engine) == ["before", "one", "two", "three"])
        try await engine.close()
    }

    @Test("when all tries were in vain the sender is told why, and the next has tries of its own")
    func exhausted() async throws {
        let engine = try await engine()
        fill()
        let callsOfOneTry = try await failingSend("zero", by: try producer(engine, retries: 0))
        #expect(callsOfOneTry > 0)
        let producer = try producer(engine, retries: 3)
        for name in ["one", "two"] {
            #expect(try await failingSend(name, by: producer) == 4 * callsOfOneTry)
        }
        files.capacityBytes = nil
        #expect(try await producer.send(record("three")).offset == Offset(1))
        #expect(try await names(in: engine) == ["before", "three"])
        try await engine.close()
    }

    /// Sends what finds no room; how often space was asked for.
    private func failingSend(_ name: String, by producer: Producer) async throws -> Int {
        let before = files.count(.reserve)
        let error = await #expect(throws: LogError.self) {
            _ = try await producer.send(record(name))
        }
        guard case .file(let cause) = error else { throw UnexpectedError(error) }
        #expect(cause.isNoSpace)
        return files.count(.reserve) - before
    }

    @Test("the delivery timeout ends the tries: not stored, and what follows is")
    func timeout() async throws {
        let engine = try await engine()
        let producer = try producer(engine, retries: .max) {
            $0.deliveryTimeoutMilliseconds = 150
        }
        fill()
        let error = await #expect(throws: EngineError.self) {
            _ = try await producer.send(record("one"))
        }
        guard case .deliveryTimeout(_, _, let mayBeStored) = error else {
            throw UnexpectedError(error)
        }
        files.capacityBytes = nil
        _ = try await producer.send(record("two"))
        // The time may have been over in the very moment of a try.
        let wanted = mayBeStored ? ["before", "one", "two"] : ["before", "two"]
        let found = try await names(in: engine)
        #expect(found == wanted || found == ["before", "two"])
        try await engine.close()
    }

    @Test("a transaction commits once there is room, with all of its records in order")
    func transaction() async throws {
        let engine = try await engine()
        let producer = try producer(engine, retries: .max) { $0.transactionalID = "t" }
        try await producer.initTransactions()
        try producer.beginTransaction()
        _ = try await producer.send(record("one"))
        fill()
        for name in ["two", "three"] {
            let record = record(name)
            try producer.enqueue(topic: "a", key: nil, value: record.value?.rawSpan)
        }
        try await waitForFaults(engine, 2)
        files.capacityBytes = nil
        try await producer.commitTransaction()
        var configuration = ConsumerConfiguration(end: .currentEnd)
        configuration.isolation = .readCommitted
        var found: [String] = []
        for try await records in try engine.consumer(of: "a", configuration) {
            try records.forEachRecord { record in
                found.append(String((record.valueText ?? "").prefix { $0 != "." }))
            }
        }
        #expect(found == ["before", "one", "two", "three"])
        try await engine.close()
    }

    private struct UnexpectedError: Error {
        let error: (any Error)?
        init(_ error: (any Error)?) { self.error = error }
    }
}
