import Foundation
import TallyTestSupport
import Testing

@testable import Tally

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

/// A copy of a data directory as a crash of the process would leave it at this moment.
func crashImage(of directory: String, in parent: TemporaryDirectory) throws -> String {
    let path = parent.path("crashed-\(UUID().uuidString)")
    try FileManager.default.copyItem(atPath: directory, toPath: path)
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
