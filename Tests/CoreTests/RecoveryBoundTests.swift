import TallyFiles
import TallyTestSupport
import Testing

@testable import Tally

/// What an opening after a crash costs: what is unsynced, and not what there is.
@Suite(.timeLimit(.minutes(10))) struct RecoveryBoundTests {
    private static let partitions: Int32 = 20
    private static let value = String(repeating: "v", count: 20_000)

    private func send(_ engine: Engine, _ partitions: Range<Int32>, count: Int) async throws {
        for partition in partitions {
            for number in 0..<count {
                let record = ProducerRecord(
                    topic: "a", partition: partition, key: "\(number)", value: Self.value)
                _ = try await engine.producer().send(record)
            }
        }
    }

    private func scannedByteCount(of engine: Engine) -> Int {
        engine.recoveryReports.values.reduce(0) { $0 + $1.scannedByteCount }
    }

    @Test("what one recovery has read is not read, and nothing is synced, by the next")
    func bounded() async throws {
        var files = SimulatedFileSystem(directories: ["/data"])
        // No checkpoint by the clock, however busy the machine is.
        var configuration = EngineConfiguration()
        configuration.checkpointIntervalMilliseconds = 3_600_000
        var engine = try await Engine.open(on: files, configuration: configuration)
        try await engine.createTopic("a", partitions: Int(Self.partitions))
        try await send(engine, 0..<Self.partitions, count: 10)

        // No checkpoint was written yet: everything is looked at.
        files = files.processCrash()
        engine = try await Engine.open(on: files)
        let batchBytes = Self.value.utf8.count + 100
        #expect(scannedByteCount(of: engine) > Int(Self.partitions) * 10 * Self.value.utf8.count)

        // From its checkpoints on: of each partition the last batch, to see that it ends there.
        files = files.processCrash()
        let syncs = files.count(.sync) + files.count(.syncDirectory)
        engine = try await Engine.open(on: files)
        #expect(scannedByteCount(of: engine) <= Int(Self.partitions) * batchBytes)
        // The checkpoint files, and the directory of each.
        #expect(files.count(.sync) + files.count(.syncDirectory) - syncs <= 6)

        // What three partitions were sent is all that comes on top.
        try await send(engine, 0..<3, count: 5)
        files = files.processCrash()
        engine = try await Engine.open(on: files)
        let scanned = scannedByteCount(of: engine)
        #expect(scanned <= (Int(Self.partitions) + 15) * batchBytes)
        #expect(scanned >= 15 * Self.value.utf8.count)
        #expect(try engine.describeTopic("a").partitions.map(\.logEnd.rawValue).reduce(0, +) == 215)
        // What is appended now survives, in segments whose directories were not synced again.
        try await send(engine, 10..<20, count: 1)
        files = files.crash(keeping: .nothing)
        engine = try await Engine.open(on: files)
        #expect(try engine.describeTopic("a").partitions.map(\.logEnd.rawValue).reduce(0, +) == 225)
        try await engine.close()
    }
}
