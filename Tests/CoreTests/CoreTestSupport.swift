import Foundation
import TallyTestSupport
import Testing

@testable import Tally
@testable import TallyLog

extension Engine {
    /// The values of a topic's records up to the end it has now, by partition.
    func values(
        of topic: String, partitions: [Int32]? = nil, from start: StartingPosition = .earliest
    ) async throws -> [Int32: [String]] {
        let configuration = ConsumerConfiguration(start: start, end: .currentEnd)
        var values: [Int32: [String]] = [:]
        for try await records in try consumer(of: topic, partitions: partitions, configuration) {
            try records.forEachRecord { record in
                values[records.partition, default: []].append(record.valueText ?? "null")
            }
        }
        return values
    }

    /// What readers of committed records see of a topic up to its end, in the order of offsets.
    func committedValues(of topic: String) async throws -> [String] {
        var configuration = ConsumerConfiguration(end: .currentEnd)
        configuration.isolation = .readCommitted
        var values: [String] = []
        for try await records in try consumer(of: topic, configuration) {
            try records.forEachRecord { values.append($0.valueText ?? "null") }
        }
        return values
    }

    /// A producer with a transactional id, ready to begin.
    func transactionalProducer(
        id: String = "t", _ change: (inout ProducerConfiguration) -> Void = { _ in }
    ) async throws -> Producer {
        var configuration = ProducerConfiguration()
        configuration.transactionalID = id
        change(&configuration)
        let producer = try producer(configuration)
        try await producer.initTransactions()
        return producer
    }

    /// An engine whose cleaner tries again soon.
    static func cleaning(
        at path: String, _ change: (inout EngineConfiguration) -> Void = { _ in }
    ) async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.cleanerBackoffMilliseconds = 20
        change(&configuration)
        return try await open(at: path, configuration: configuration)
    }

    /// The number of records in each batch of partition 0.
    func batchSizes(of topic: String) async throws -> [Int] {
        var sizes: [Int] = []
        let configuration = ConsumerConfiguration(end: .currentEnd)
        for try await records in try consumer(of: topic, partitions: [0], configuration) {
            try records.forEachBatch { sizes.append(Int($0.header.recordCount)) }
        }
        return sizes
    }
}

extension Producer {
    /// Enqueues text.
    func enqueue(_ value: String, to topic: String, partition: Int32? = nil) throws {
        let bytes = Array(value.utf8)
        try enqueue(topic: topic, partition: partition, key: nil, value: bytes.span.bytes)
    }
}

/// State in stores of a test's own; what it names none for is forgotten with the engine.
struct TestState: EngineState {
    var offsets: any OffsetStore = InMemoryOffsetStore()
    var transactions: any TransactionStore = InMemoryTransactionStore()

    func identifyTopics(by identify: @escaping @Sendable (_ topic: String) -> TopicID?) {}
    func close() {}
}

extension PartitionLog {
    /// Lets nothing be written until the semaphore is signalled.
    func holdWriter() async -> DispatchSemaphore {
        let isOver = DispatchSemaphore(value: 0)
        await withCheckedContinuation { isHeld in
            let holder = Thread {
                self.writer.withLock { _ in
                    isHeld.resume()
                    isOver.wait()
                }
            }
            holder.start()
        }
        return isOver
    }
}

/// A copy of a data directory as a crash of the process would leave it at this moment.
func crashImage(of directory: String, in parent: TemporaryDirectory) throws -> String {
    let path = parent.path("crashed-\(UUID().uuidString)")
    try copyLiveDirectory(directory, to: path)
    return path
}

/// Opens a directory that a dropped engine is about to give back.
func openWhenFree(_ directory: String) async throws -> Engine {
    for _ in 0..<1000 {
        do {
            return try await Engine.open(at: directory)
        } catch EngineError.directoryInUse {
            try await Task.sleep(for: .milliseconds(10))
        }
    }
    return try await Engine.open(at: directory)
}

/// Waits until something is so; false when it is not after ten seconds.
func eventually(_ isTrue: () -> Bool) async throws -> Bool {
    for _ in 0..<1000 {
        if isTrue() { return true }
        try await Task.sleep(for: .milliseconds(10))
    }
    return isTrue()
}

/// The text of what was thrown; empty where nothing was.
func message(_ body: () async throws -> Void) async -> String {
    do {
        try await body()
        return ""
    } catch {
        return "\(error)"
    }
}
