import Glibc
import TallyFiles
import TallyTestSupport
import Testing

@testable import Tally

/// Disks that cannot read.
@Suite(.timeLimit(.minutes(10))) struct ReadFaultTests {
    private func engine(
        on files: SimulatedFileSystem, _ readMode: ReadMode
    ) async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.readMode = readMode
        configuration.isCleanerEnabled = false
        return try await Engine.open(on: files, configuration: configuration)
    }

    @Test(
        "a read that fails names the file and loses nothing: the next one works, appends go on",
        arguments: [ReadMode.mapped, .copied])
    func reading(_ mode: ReadMode) async throws {
        let files = SimulatedFileSystem(directories: ["/data"])
        let engine = try await engine(on: files, mode)
        try await engine.createTopic("a", partitions: 1)
        let producer = try engine.producer()
        for number in 0..<20 {
            _ = try await producer.send(key: nil, value: "\(number)", to: "a")
        }
        let consumer = try engine.consumer(
            of: "a", ConsumerConfiguration(start: .earliest, end: .currentEnd))
        files.plan(
            Fault(
                .error(EIO), on: mode == .mapped ? .populate : .read, pathSuffix: ".log",
                repeats: true))
        for _ in 0..<2 {
            do {
                for try await _ in consumer { Issue.record("it was read") }
            } catch LogError.file(let error) {
                #expect(error.isInputOutput && error.path.hasSuffix("00000000000000000000.log"))
            }
        }
        #expect(files.faultsHit >= 2)
        // Reading tells nothing of writing: the partition takes appends.
        #expect(try await producer.send(key: nil, value: "20", to: "a").offset == Offset(20))
        files.clearFaults()
        var values: [String] = []
        for try await records in consumer {
            try records.forEachRecord { values.append($0.valueText ?? "") }
        }
        #expect(values.prefix(20) == (0..<20).map { "\($0)" }[...])
        #expect(try await engine.values(of: "a")[0]?.count == 21)
        try await engine.close()
    }

    @Test("a cleaning that cannot read is marked with its reason, and the others go on")
    func cleaning() async throws {
        let files = SimulatedFileSystem(directories: ["/data"])
        let engine = try await engine(on: files, .mapped)
        for topic in ["broken", "sound"] {
            try await engine.createTopic(
                topic, partitions: 1,
                configuration: try TopicConfiguration([
                    "cleanup.policy": "compact", "segment.bytes": "500",
                ]))
            let producer = try engine.producer()
            for number in 0..<30 {
                _ = try await producer.send(key: "k\(number % 3)", value: "\(number)", to: topic)
            }
        }
        let path = "broken-0/00000000000000000000.log"
        for kind in [OperationKind.read, .populate] {
            files.plan(Fault(.error(EIO), on: kind, pathSuffix: path, repeats: true))
        }
        _ = try? await engine.compact(topic: "broken", rolling: true)
        _ = try await engine.compact(topic: "sound", rolling: true)
        #expect(files.faultsHit > 0)
        let statuses = try await engine.compactionStatus()
        let broken = try #require(statuses.first { $0.topic == "broken" })
        let sound = try #require(statuses.first { $0.topic == "sound" })
        #expect(broken.history.failure?.contains("broken-0") == true)
        #expect(sound.history.failure == nil)
        #expect(sound.history.runCount == 1 && sound.history.removedRecordCount == 27)
        files.clearFaults()
        // Nothing was lost, and asked again it is cleaned.
        let latest: Set = ["k0 27", "k1 28", "k2 29"]
        _ = try await engine.compact(topic: "broken", rolling: true)
        var found: Set<String> = []
        for try await records in try engine.consumer(
            of: "broken", ConsumerConfiguration(start: .earliest, end: .currentEnd))
        {
            try records.forEachRecord { found.insert("\($0.keyText ?? "") \($0.valueText ?? "")") }
        }
        #expect(found == latest)
        try await engine.close()
    }
}
