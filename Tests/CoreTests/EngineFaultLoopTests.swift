import Glibc
import TallyFiles
import TallyTestSupport
import Testing

@testable import Tally

/// One life of an engine on a file system of which one call fails: what was acknowledged, and
/// what may be gone.
private final class EngineLife: InterruptedLife {
    /// Acknowledged values by partition and offset.
    private(set) var acknowledged: [Int32: [Int64: String]] = [0: [:], 1: [:]]
    /// The log starts that were promised, and those that retention may have reached.
    private var promisedStart: [Int32: Offset] = [:]
    private var largestStart: [Int32: Offset] = [:]
    /// Whether topic "a" was acknowledged.
    private var hasTopic = false
    private var number = 0
    /// The machine is dying: from some call on all fail.
    private let isDying: Bool
    /// As little as has each kind of call, so that all of them can fail in turn.
    private let isSmall: Bool

    init(isDying: Bool = false, isSmall: Bool = false) {
        self.isDying = isDying
        self.isSmall = isSmall
    }

    static let settings = [
        "segment.bytes": "400", "index.interval.bytes": "100", "retention.bytes": "700",
        "file.delete.delay.ms": "0",
    ]

    /// Two openings with all that an engine does, going on after errors as an application would.
    func run(on files: SimulatedFileSystem) async throws {
        if isSmall { return try await runOnce(on: files) }
        for round in 0..<2 {
            guard let engine = try await openTwice(files) else { return }
            try await createTopic(in: engine)
            for _ in 0..<5 { await send(to: engine) }
            await consume(engine)
            // Two fifths of a life: a fault is over by then or comes later.
            await retire(engine)
            for _ in 0..<3 { await send(to: engine) }
            await deleteRecords(engine, before: Offset(Int64(2 + 6 * round)))
            try? engine.writeCheckpoints()
            await createAndDelete(engine)
            let stopped = engine.partitions.count { $0.onlineLog?.stopReason != nil }
            #expect(stopped <= 1 || isDying, "one fault stopped \(stopped) partitions")
            noteStarts(of: engine)
            try? await engine.close()
        }
    }

    /// One opening, and each thing once.
    private func runOnce(on files: SimulatedFileSystem) async throws {
        guard let engine = try await openTwice(files) else { return }
        try await createTopic(in: engine)
        for _ in 0..<4 { await send(to: engine) }
        await deleteRecords(engine, before: Offset(2))
        await retire(engine)
        await consume(engine)
        try? await engine.close()
    }

    /// Opens; after an error once more, which must work, for the fault is over.
    private func openTwice(_ files: SimulatedFileSystem) async throws -> Engine? {
        do {
            return try await Engine.open(on: files)
        } catch {
            #expect(error is LogError || error is EngineError, "\(error)")
            return try await Engine.open(on: files)
        }
    }

    private func createTopic(in engine: Engine) async throws {
        let configuration = try TopicConfiguration(Self.settings)
        do {
            try await engine.ensureTopic("a", partitions: 2, configuration: configuration)
        } catch {
            #expect(!hasTopic || isDying, "a topic that was there is not: \(error)")
            #expect(error is LogError || error is EngineError, "\(error)")
            try await engine.ensureTopic("a", partitions: 2, configuration: configuration)
        }
        hasTopic = true
    }

    private func send(to engine: Engine) async {
        for partition in Int32(0)..<2 {
            number += 1
            let value = "value \(number) of many"
            do {
                var configuration = ProducerConfiguration()
                configuration.lingerMilliseconds = 0
                let record = ProducerRecord(
                    topic: "a", partition: partition, key: nil as String?, value: value)
                let sent = try await engine.producer(configuration).send(record)
                #expect(acknowledged[partition]?[sent.offset.rawValue] == nil)
                acknowledged[partition]?[sent.offset.rawValue] = value
            } catch {
                #expect(error is LogError || error is EngineError, "\(error)")
            }
        }
    }

    private func consume(_ engine: Engine) async {
        for partition in Int32(0)..<2 {
            do {
                try await expectAcknowledged(in: engine, partition)
            } catch {
                #expect(error is LogError || error is EngineError, "\(error)")
            }
        }
    }

    private func retire(_ engine: Engine) async {
        try? await engine.enforceRetention()
        engine.removeRetiredFiles()
        noteStarts(of: engine)
    }

    private func noteStarts(of engine: Engine) {
        for partition in engine.partitions where partition.topic == "a" {
            guard let log = partition.onlineLog else { continue }
            largestStart[partition.index] = max(
                largestStart[partition.index] ?? .zero, log.logStart)
        }
    }

    private func deleteRecords(_ engine: Engine, before offset: Offset) async {
        do {
            promisedStart[0] = try await engine.deleteRecords(
                ofTopic: "a", partition: 0, before: offset)
        } catch {
            #expect(error is LogError || error is EngineError, "\(error)")
        }
        noteStarts(of: engine)
    }

    private func createAndDelete(_ engine: Engine) async {
        do {
            try await engine.ensureTopic("b", partitions: 1)
            _ = try await engine.producer().send(key: nil, value: "gone soon", to: "b")
            try await engine.deleteTopic("b")
        } catch {
            #expect(error is LogError || error is EngineError, "\(error)")
        }
    }

    /// All that was acknowledged and lies above the log start is there, once, at its offset.
    private func expectAcknowledged(in engine: Engine, _ partition: Int32) async throws {
        let start = try engine.partition(partition, of: "a").log.logStart
        var found: [Int64: String] = [:]
        let consumer = try engine.consumer(
            of: "a", partitions: [partition], ConsumerConfiguration(end: .currentEnd))
        for try await records in consumer {
            try records.forEachRecord { found[$0.offset.rawValue] = $0.valueText }
        }
        for (offset, value) in acknowledged[partition] ?? [:] where offset >= start.rawValue {
            #expect(found[offset] == value, "a-\(partition) offset \(offset)")
        }
    }

    /// What must be so after whatever ended this life.
    func check(_ files: SimulatedFileSystem) async throws {
        let engine = try await Engine.open(on: files)
        #expect(engine.offlinePartitions.isEmpty, "\(engine.offlinePartitions)")
        guard hasTopic else { return try await engine.close() }
        for partition in Int32(0)..<2 {
            let start = try engine.partition(partition, of: "a").log.logStart
            #expect(start >= promisedStart[partition] ?? .zero)
            #expect(start <= largestStart[partition] ?? .zero)
            try await expectAcknowledged(in: engine, partition)
        }
        await send(to: engine)
        for partition in Int32(0)..<2 { try await expectAcknowledged(in: engine, partition) }
        try await engine.close()
        for directory in ["/data/a-0", "/data/a-1"] {
            let damage = LogVerification.damage(in: directory, on: files)
            #expect(damage.isEmpty)
        }
    }
}

extension Engine {
    /// An engine on a file system of a test's own.
    static func open(
        on files: any FileSystem, at path: String = "/data",
        configuration: EngineConfiguration = EngineConfiguration()
    ) async throws -> Engine {
        let workers = WorkerPool(name: "test", threadsMax: 4)
        do {
            return try await EngineOpening(
                data: DataDirectory(path: path, fileSystem: files), configuration: configuration,
                workers: workers
            ).open()
        } catch {
            workers.close()
            throw error
        }
    }
}

@Suite("Every call of an engine fails once", .timeLimit(.minutes(10)))
struct EngineFaultLoopTests {
    static let effects: [FaultEffect] = [
        .error(EIO), .error(ENOSPC), .error(EMFILE), .partial(byteCount: 40, code: ENOSPC),
        .partial(byteCount: 40, code: EIO), .short(byteCount: 7),
    ]
    /// One of so many calls fails in a run; which, the seed decides.
    private static let stride = 29

    @Test(
        "nothing acknowledged is lost, the other partitions work, and nothing hangs",
        arguments: effects)
    func faultLoop(effect: FaultEffect) async throws {
        var generator = SeededGenerator.fromEnvironment("engineFaultLoop \(effect)")
        let first = Int.random(in: 0..<Self.stride, using: &generator)
        let hits = await failInTurn(effect, from: first, stride: Self.stride, using: &generator)
        #expect(hits > 3, "only \(hits) calls failed")
    }

    /// Lives one life after the other, each with its fault `stride` calls later than the last one,
    /// until one meets none; how many met theirs.
    private func failInTurn(
        _ effect: FaultEffect, isSmall: Bool = false, from first: Int, stride: Int,
        using generator: inout SeededGenerator
    ) async -> Int {
        var call = first
        var hits = 0
        while true {
            let files = SimulatedFileSystem(directories: ["/data"])
            files.plan(Fault(effect, after: call))
            let life = EngineLife(isSmall: isSmall)
            let ending = ["same power", "process crash", "power loss"][
                Int.random(in: 0..<3, using: &generator)]
            do {
                try await life.run(on: files)
                let isHit = files.faultsHit > 0
                files.clearFaults()
                let left =
                    switch ending {
                    case "same power": files
                    case "process crash": files.processCrash()
                    default: files.crash(choose: &generator)
                    }
                try await life.check(left)
                guard isHit else { return hits }
                hits += 1
            } catch {
                Issue.record("call \(call), \(ending): \(error)\n\(files.recentOperations)")
            }
            call += stride
        }
    }

    @Test("of a short life no call is passed over", arguments: effects)
    func everyCall(effect: FaultEffect) async throws {
        var generator = SeededGenerator.fromEnvironment("everyCall \(effect)")
        let hits = await failInTurn(effect, isSmall: true, from: 0, stride: 1, using: &generator)
        // Only reads and writes can be short.
        #expect(hits > (effect == .short(byteCount: 7) ? 20 : 200), "only \(hits) calls failed")
    }

    @Test(
        "killed, or without power, at any call of a roll, a retention, a checkpoint or a deletion")
    func diesAnywhere() async throws {
        var generator = SeededGenerator.fromEnvironment("engineDies")
        let deaths = await interruptLives(
            stride: Self.stride, using: &generator,
            // Nothing is changed any more from this call on.
            fault: { Fault(.error(ESTALE), after: $0, repeats: true) }
        ) { EngineLife(isDying: true) }
        #expect(deaths > 10, "it died only \(deaths) times")
    }

    @Test("a record whose sync failed is not acknowledged, whichever sync it was")
    func failedSyncs() async throws {
        var generator = SeededGenerator.fromEnvironment("failedSyncs")
        var number = Int.random(in: 0..<4, using: &generator)
        var hits = 0
        while true {
            let files = SimulatedFileSystem(directories: ["/data"])
            files.plan(Fault(.error(EIO), on: .sync, pathSuffix: ".log", after: number))
            let life = EngineLife()
            try await life.run(on: files)
            guard files.faultsHit > 0 else { break }
            files.clearFaults()
            try await life.check(files.crash(keeping: .nothing))
            number += 4
            hits += 1
        }
        #expect(hits > 5, "only \(hits) syncs failed")
    }
}
