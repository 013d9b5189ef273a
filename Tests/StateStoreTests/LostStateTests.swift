import Foundation
import Tally
import TallyTestSupport
import Testing

@testable import TallyStateStore

/// `state.db` lost, locked or damaged, beside a log that may have lost its first events.
@Suite("State that was lost", .timeLimit(.minutes(10)))
struct LostStateTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path("data") }

    init() throws { directory = try TemporaryDirectory() }

    /// An engine with 30 events that each add one, in small segments; its cleaner does nothing by
    /// itself, however long a test takes.
    private func engine() async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.cleanerBackoffMilliseconds = 3_600_000
        let engine = try await Engine.open(at: path, configuration: configuration)
        try await engine.createTopic(
            "events", partitions: 1,
            configuration: try TopicConfiguration(["segment.bytes": "600"]))
        try await append(engine, 30)
        return engine
    }

    private func append(_ engine: Engine, _ count: Int) async throws {
        let producer = try engine.producer()
        for _ in 0..<count {
            let event = TestRecord.event("STOCK_RECEIVED", 1)
            _ = try await producer.send(key: "W:I", value: event.value ?? "", to: "events")
        }
    }

    private func onHand() throws -> Int64 {
        try StateDatabase(readingDirectory: path).onlyStock().onHand
    }

    private func removeState() throws {
        for ending in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(
                atPath: path + "/" + StateDatabase.fileName + ending)
        }
    }

    @Test("topics.json and state.db lost together: all records and counts are there, nothing goes")
    func bothLost() async throws {
        var engine = try await engine()
        try await engine.createTopic(
            "latest", partitions: 1,
            configuration: try TopicConfiguration([
                "cleanup.policy": "compact", "segment.bytes": "500",
                "min.cleanable.dirty.ratio": "0",
            ]))
        let producer = try engine.producer()
        for number in 0..<30 {
            _ = try await producer.send(key: "k\(number % 3)", value: "\(number)", to: "latest")
        }
        let database = try StateDatabase(directory: path)
        try await InventoryProjector(engine: engine, database: database).catchUp(topic: "events")
        try database.close()
        // Nothing was cleaned so far.
        try await engine.close()
        try removeState()
        try FileManager.default.removeItem(atPath: path + "/topics.json")

        var configuration = EngineConfiguration()
        configuration.cleanerBackoffMilliseconds = 1
        configuration.retentionCheckIntervalMilliseconds = 1
        engine = try await Engine.open(at: path, configuration: configuration)
        #expect(try ["events", "latest"].allSatisfy { try engine.describeTopic($0).isDiscovered })
        try await Task.sleep(for: .milliseconds(300))
        try await engine.enforceRetention()
        #expect(try await engine.compactionStatus().isEmpty)
        var count = 0
        for try await records in try engine.consumer(
            of: "latest", ConsumerConfiguration(start: .earliest, end: .currentEnd))
        {
            try records.forEachRecord { _ in count += 1 }
        }
        #expect(count == 30)
        let again = try StateDatabase(directory: path)
        try await InventoryProjector(engine: engine, database: again).catchUp(topic: "events")
        #expect(try onHand() == 30)
        try again.close()
        try await engine.close()
    }

    @Test(
        "a state.db that is missing or corrupt is built again from the log",
        arguments: [false, true])
    func rebuilt(isCorrupt: Bool) async throws {
        let engine = try await engine()
        var database = try StateDatabase(directory: path)
        try await InventoryProjector(engine: engine, database: database).catchUp(topic: "events")
        #expect(try onHand() == 30)
        try database.close()
        if isCorrupt {
            let file = URL(fileURLWithPath: path + "/" + StateDatabase.fileName)
            try Data(repeating: 0x5a, count: 50_000).write(to: file)
            // Neither writing nor reading gets a number out of it.
            for open in [
                { _ = try StateDatabase(directory: path) }, { _ = try onHand() },
            ] {
                do {
                    try open()
                    Issue.record("garbage was opened")
                } catch StateStoreError.corrupt {
                }
            }
        }
        try removeState()
        let missing = StateStoreError.noProjectionYet(path: path + "/" + StateDatabase.fileName)
        #expect(throws: missing) { try onHand() }
        database = try StateDatabase(directory: path)
        try await InventoryProjector(engine: engine, database: database).catchUp(topic: "events")
        #expect(try onHand() == 30)
        try database.expectSound()
        try database.close()
        try await engine.close()
    }

    @Test("another writer's transaction is waited for so long, and then it is an error")
    func locked() async throws {
        let engine = try await engine()
        let database = try StateDatabase(directory: path)
        let projector = InventoryProjector(engine: engine, database: database)
        try await projector.catchUp(topic: "events")
        try await append(engine, 5)
        // As another process has it: a connection of its own, in the middle of a transaction.
        let other = try StateDatabase(directory: path)
        let locked = StateStoreError.locked(path: path + "/" + StateDatabase.fileName)
        let holder = Holder(other)
        try await holder.begin()
        let start = ContinuousClock.now
        #expect(throws: locked) { _ = try StateDatabase(directory: path) }
        await #expect(throws: locked) { try await projector.catchUp(topic: "events") }
        await #expect(throws: locked) { try await projector.rebuild(topic: "events") }
        let elapsed = ContinuousClock.now - start
        #expect(elapsed < .seconds(StateDatabase.busyTimeoutSeconds * 3 + 20))
        // Readers are not concerned, and see the last commit.
        #expect(try onHand() == 30)
        holder.end()
        try await projector.catchUp(topic: "events")
        #expect(try onHand() == 35)
        try database.expectSound()
        try await engine.close()
    }

    @Test("where the first events are gone a rebuild is an error, and the live rows stay right")
    func retired() async throws {
        let engine = try await engine()
        let database = try StateDatabase(directory: path)
        let projector = InventoryProjector(engine: engine, database: database)
        try await projector.catchUp(topic: "events")
        let start = try await engine.deleteRecords(
            ofTopic: "events", partition: 0, before: Offset(12))
        #expect(start == Offset(12))
        let gone = StateStoreError.baselineMissing(
            topic: "events", partition: 0, logStart: Offset(12))
        await #expect(throws: gone) { try await projector.rebuild(topic: "events") }
        #expect(try onHand() == 30)
        // The live projection goes on from its position.
        try await append(engine, 3)
        try await projector.catchUp(topic: "events")
        #expect(try onHand() == 33)
        try database.expectSound()

        // With the rows lost too there is nothing to start from, and no number is given.
        try database.close()
        try removeState()
        let fresh = try StateDatabase(directory: path)
        let again = InventoryProjector(engine: engine, database: fresh)
        await #expect(throws: gone) { try await again.catchUp(topic: "events") }
        #expect(try InventoryQueries(fresh).stock().isEmpty)
        try await engine.close()
    }

    @Test("events that went before they were applied are an error, and not a smaller number")
    func behind() async throws {
        let engine = try await engine()
        let database = try StateDatabase(directory: path)
        let projector = InventoryProjector(engine: engine, database: database)
        try await projector.catchUp(topic: "events")
        try await append(engine, 10)
        _ = try await engine.deleteRecords(ofTopic: "events", partition: 0, before: Offset(36))
        let behind = StateStoreError.behindLogStart(
            topic: "events", partition: 0, position: Offset(30), logStart: Offset(36))
        for _ in 0..<2 {
            await #expect(throws: behind) { try await projector.catchUp(topic: "events") }
        }
        #expect(try onHand() == 30)
        // All of them: the log is empty, and still not at its beginning.
        _ = try await engine.deleteRecords(ofTopic: "events", partition: 0)
        await #expect(throws: StateStoreError.self) {
            try await projector.catchUp(topic: "events")
        }
        await #expect(throws: StateStoreError.self) {
            try await projector.rebuild(topic: "events")
        }
        #expect(try onHand() == 30)
        try await engine.close()
    }
}

/// Holds a write transaction open on a thread of its own.
private final class Holder: @unchecked Sendable {
    private let database: StateDatabase
    private let release = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    init(_ database: StateDatabase) { self.database = database }

    func begin() async throws {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            Thread { [self] in
                try? database.write { connection in
                    try connection.execute(sql: "CREATE TABLE held (number)")
                    continuation.resume()
                    release.wait()
                    throw CancellationError()
                }
                ended.signal()
            }.start()
        }
    }

    func end() {
        release.signal()
        ended.wait()
    }
}
