import Foundation
import Synchronization
import Tally
import TallyStateStore
import TallyTestSupport

/// What the scenarios of consumer groups have in common.
enum GroupScenario {
    /// Opens an engine that keeps its groups in `state.db`, as applications do.
    static func open(at directory: String) async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.state = .sqlite
        configuration.isCleanerEnabled = false
        return try await Engine.open(at: directory, configuration: configuration)
    }

    /// A topic of records that nothing retires by itself. It is not synced after each record: a
    /// scenario is about what the process does, and the crash tests are about the disk.
    static func createTopic(
        _ name: String, partitions: Int, _ more: [String: String] = [:], in engine: Engine
    ) async throws {
        let settings = ["retention.ms": "-1", "tally.durability": "buffered"]
        try await engine.createTopic(
            name, partitions: partitions,
            configuration: try TopicConfiguration(settings.merging(more) { _, new in new }))
    }

    /// Sends records, each in a batch of its own, in this order.
    static func send(
        _ records: [(key: String, value: String?)], to topic: String, in engine: Engine
    ) async throws {
        let producer = try engine.producer()
        for (key, value) in records {
            _ = try await producer.send(key: key, value: value, to: topic)
        }
    }

    /// Waits until something is so; false when it is not after half a minute.
    static func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
        for _ in 0..<3000 {
            if try await condition() { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }

    /// The error that something throws; nil where it throws none.
    static func error(of body: () async throws -> Void) async -> (any Error)? {
        do {
            try await body()
            return nil
        } catch {
            return error
        }
    }
}

/// Holds tasks up while it is shut. Thread rule: any task.
final class Gate: Sendable {
    private let isShut: Mutex<Bool>

    init(isShut: Bool = false) { self.isShut = Mutex(isShut) }

    func shut() { isShut.withLock { $0 = true } }
    func open() { isShut.withLock { $0 = false } }

    /// Returns once it is open, also in a task that was cancelled.
    func pass() async {
        while isShut.withLock({ $0 }) { try? await Task.sleep(for: .milliseconds(5)) }
    }
}
