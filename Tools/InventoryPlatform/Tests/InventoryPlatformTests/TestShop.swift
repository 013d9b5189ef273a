import Foundation
import GRDB
import Logging
import ServiceLifecycle
import Synchronization
import Tally
import TallyStateStore
import Testing

@testable import InventoryPlatform

/// A platform in a directory of the test's own, whose services run when the test says so.
struct TestShop {
    /// What stands for the death of a process.
    struct Crash: Error {}

    let directory: TestDirectory
    let platform: Platform
    var engine: Engine { platform.engine }

    init(
        in directory: TestDirectory, at time: Int64 = 0, partitions: Int = 2
    ) async throws {
        self.directory = directory
        var configuration = PlatformConfiguration()
        configuration.partitions = partitions
        platform = try await Platform.open(
            at: directory.path, clock: PlatformClock(at: Timestamp(milliseconds: time)),
            configuration)
    }

    /// Runs services until something is so, and shuts them down.
    func run(
        _ services: [any Service], until condition: @Sendable () async throws -> Bool
    ) async throws {
        let group = ServiceGroup(
            configuration: .init(
                services: services.map { .init(service: $0) }, logger: Logger(label: "test")))
        let hasEnded = Mutex(false)
        let running = Task {
            defer { hasEnded.withLock { $0 = true } }
            try await group.run()
        }
        let deadline = ContinuousClock.now + .seconds(120)
        while try await !condition() {
            if hasEnded.withLock({ $0 }) { break }
            guard ContinuousClock.now < deadline else {
                Issue.record("what was waited for has not come")
                // It may hang, and an end in order would wait for it.
                running.cancel()
                break
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        await group.triggerGracefulShutdown()
        try await running.value
    }

    /// Runs a service until its group has read all of the topic.
    func run(_ services: [any Service], through group: String, _ topic: String) async throws {
        try await run(services) { try await platform.lag(ofGroup: group, in: topic) == 0 }
    }

    /// The files as they are now, as a process that is killed leaves them, opened by another.
    func crashed() async throws -> TestShop {
        let copy = try TestDirectory(copying: directory)
        try await engine.close()
        return try await TestShop(in: copy, at: platform.clock.now.rawValue)
    }

    /// Runs a service that dies when it comes to a step for the `count`th time; gives what another
    /// process finds then.
    func crash(
        at step: WorkStep, count: Int, _ service: (@escaping WorkProbe) -> any Service
    ) async throws -> TestShop {
        let seen = Mutex(0)
        let image = Mutex<TestDirectory?>(nil)
        let dying = service { reached, _ in
            guard reached == step else { return }
            let number = seen.withLock { seen in
                seen += 1
                return seen
            }
            guard number == count else { return }
            let copy = try TestDirectory(copying: directory)
            image.withLock { $0 = copy }
            throw Crash()
        }
        await #expect(throws: Crash.self) { try await run([dying]) { false } }
        try await engine.close()
        let found = try #require(image.withLock { $0 })
        return try await TestShop(in: found, at: platform.clock.now.rawValue)
    }

    // MARK: What is in the logs

    /// Committed records of a topic, by partition in order of offsets.
    func records(_ topic: String) async throws -> [TestRecord] {
        var all: [TestRecord] = []
        for partition in try engine.describeTopic(topic).partitions {
            var fold = PartitionFold(
                engine, topic: topic, partition: partition.index, [TestRecord]()
            ) { list, record in
                list.append(
                    TestRecord(
                        partition: partition.index, offset: record.offset,
                        key: record.keyText ?? "", value: record.valueBytes))
            }
            try await fold.catchUp()
            all += fold.state
        }
        return all
    }

    func events() async throws -> [(key: String, event: StockEvent)] {
        try await records(Topics.events).map { ($0.key, try $0.decoded(StockEvent.self)) }
    }

    /// The stock of all items, from the events.
    func ledger() async throws -> StockLedger {
        var ledger = StockLedger()
        for (key, event) in try await events() { ledger.apply(event, to: key) }
        return ledger
    }

    func send(_ commands: [(key: String, command: OrderCommand)]) async throws {
        let producer = try engine.producer()
        for (key, command) in commands {
            _ = try await producer.send(try command.record(key: key))
        }
    }

    func receive(_ quantity: Int64, of keys: [String]) async throws {
        let answers = try await platform.inventory.accept(
            keys.map {
                Adjustment(
                    id: "opening:\($0)", key: $0, .received, quantity: quantity,
                    at: Timestamp(milliseconds: 0))
            })
        #expect(answers.allSatisfy { $0 == .accepted })
    }
}

/// A record that a test looks at.
struct TestRecord: Hashable {
    var partition: Int32
    var offset: Offset
    var key: String
    var value: [UInt8]?

    func decoded<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try JSON.decode(type, try #require(value))
    }
}

/// A directory that is removed when nobody needs it any more.
final class TestDirectory: Sendable {
    let path: String

    init() throws {
        path =
            FileManager.default.temporaryDirectory
            .appendingPathComponent("inventory-platform-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }

    /// What a process leaves that dies now. One at work goes on while its files are copied, and a
    /// copy of some of them before and of others after a write is what no death leaves: it is made
    /// again until nothing has changed meanwhile.
    init(copying other: TestDirectory) throws {
        path = other.path + "-\(UUID().uuidString)"
        // Or a file that was renamed was there when it was listed, and not when it was copied.
        let missing: Set<CocoaError.Code> = [.fileNoSuchFile, .fileReadNoSuchFile]
        for _ in 0..<200 {
            do {
                let before = try other.files()
                // Longer than the file system's clock takes from one time to the next.
                Thread.sleep(forTimeInterval: 0.02)
                try FileManager.default.copyItem(atPath: other.path, toPath: path)
                if try other.files() == before { return }
            } catch let error as CocoaError where missing.contains(error.code) {}
            try? FileManager.default.removeItem(atPath: path)
        }
        throw CocoaError(.fileWriteUnknown)
    }

    private struct FileState: Equatable {
        var byteCount: UInt64
        var changedAt: Date?
    }

    /// How each file stands.
    private func files() throws -> [String: FileState] {
        let manager = FileManager.default
        return try manager.subpathsOfDirectory(atPath: path).reduce(into: [:]) { files, name in
            let attributes = try manager.attributesOfItem(atPath: path + "/" + name)
            files[name] = FileState(
                byteCount: attributes[.size] as? UInt64 ?? 0,
                changedAt: attributes[.modificationDate] as? Date)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Random numbers that can be had again: TALLY_SEED is the seed where it is set (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ test: String = #function) {
        let given = ProcessInfo.processInfo.environment["TALLY_SEED"].flatMap { UInt64($0) }
        let seed = given ?? UInt64.random(in: 0...UInt64(UInt32.max))
        print("\(test): TALLY_SEED=\(seed)")
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Something that has happened or has not. Any thread.
final class Flag: Sendable {
    private let state = Mutex(false)

    var isSet: Bool { state.withLock { $0 } }
    func set() { state.withLock { $0 = true } }
}
