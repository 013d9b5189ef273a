import Foundation
import TallyTestSupport
import Testing

@testable import Tally

@Suite(.timeLimit(.minutes(10)))
struct CreatePartitionsTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func engine(partitions: Int) async throws -> Engine {
        let engine = try await Engine.open(at: directory.path("data"))
        try await engine.createTopic("a", partitions: partitions)
        return engine
    }

    @Test("partitions become more, keep their records and identity, and it lasts")
    func life() async throws {
        let engine = try await engine(partitions: 1)
        let producer = try engine.producer()
        _ = try await producer.send(key: "k", value: "before", to: "a")
        let id = try engine.describeTopic("a").id
        let grown = try await engine.createPartitions(ofTopic: "a", count: 3)
        #expect(grown.partitions.map(\.index) == [0, 1, 2] && grown.id == id)
        #expect(try await engine.createPartitions(ofTopic: "a", count: 3) == grown)
        // A producer that exists uses them.
        for partition in Int32(0)..<3 {
            try producer.enqueue("after \(partition)", to: "a", partition: partition)
        }
        try await producer.flush()
        let expected: [Int32: [String]] = [
            0: ["before", "after 0"], 1: ["after 1"], 2: ["after 2"],
        ]
        #expect(try await engine.values(of: "a") == expected)
        let image = try crashImage(of: directory.path("data"), in: directory)
        try await engine.close()
        for path in [directory.path("data"), image] {
            let again = try await Engine.open(at: path)
            #expect(again.offlinePartitions.isEmpty)
            #expect(try await again.values(of: "a") == expected)
            try await again.close()
        }
    }

    @Test("fewer, none and too many are refused")
    func refusals() async throws {
        let engine = try await engine(partitions: 3)
        await #expect(
            throws: EngineError.partitionsCannotBeRemoved(topic: "a", count: 3, requested: 2)
        ) { try await engine.createPartitions(ofTopic: "a", count: 2) }
        for count in [0, -1, 10_001] {
            await #expect(throws: EngineError.invalidPartitionCount(count)) {
                try await engine.createPartitions(ofTopic: "a", count: count)
            }
        }
        await #expect(throws: EngineError.unknownTopic(name: "b", known: ["a"])) {
            try await engine.createPartitions(ofTopic: "b", count: 4)
        }
        try await engine.close()
    }

    @Test("a consumer of the whole topic that waits joins the new partitions; others do not")
    func consumers() async throws {
        let engine = try await engine(partitions: 1)
        let whole = try engine.consumer(of: "a", ConsumerConfiguration(start: .latest))
        let one = try engine.consumer(of: "a", partitions: [0])
        let first = Task {
            for try await records in whole { return records.partition }
            return Int32(-1)
        }
        let waits = try await eventually {
            (try? engine.partition(0, of: "a").arrivals.count) == 1
        }
        #expect(waits)
        try await engine.createPartitions(ofTopic: "a", count: 2)
        let producer = try engine.producer()
        try producer.enqueue("x", to: "a", partition: 1)
        try await producer.flush()
        #expect(try await first.value == 1)
        #expect(Set(whole.positions.keys) == [0, 1] && Set(one.positions.keys) == [0])
        try await engine.close()
    }

    @Test("records on their way keep their order while partitions are added")
    func order() async throws {
        let engine = try await engine(partitions: 1)
        var configuration = ProducerConfiguration()
        configuration.lingerMilliseconds = 0
        // Many batches wait for their turn at any moment.
        configuration.batchBytes = 100
        let producer = try engine.producer(configuration)
        let grower = Task {
            for count in 2...30 { try await engine.createPartitions(ofTopic: "a", count: count) }
        }
        for number in 0..<5000 {
            try producer.enqueue("\(number)", to: "a", partition: 0)
            if number % 100 == 0 { await Task.yield() }
        }
        try await grower.value
        try await producer.flush()
        #expect(try await engine.values(of: "a")[0] == (0..<5000).map { "\($0)" })
        try await engine.close()
    }

    @Test("what an interrupted attempt left is taken over, and records of others are not")
    func leftOvers() async throws {
        let engine = try await engine(partitions: 1)
        let path = directory.path("data/a-2")
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false)
        let log = path + "/00000000000000000000.log"
        try Data("records".utf8).write(to: URL(filePath: log))
        await #expect(throws: EngineError.recordsWithoutTopic(directory: path)) {
            try await engine.createPartitions(ofTopic: "a", count: 3)
        }
        #expect(try engine.describeTopic("a").partitions.count == 1)
        try Data().write(to: URL(filePath: log))
        #expect(try await engine.createPartitions(ofTopic: "a", count: 3).partitions.count == 3)
        try await engine.close()
    }
}

/// Alterations and new partitions while some call fails, or the machine dies there.
@Suite("Every call of an alteration fails once", .timeLimit(.minutes(10)))
struct AlterationFaultLoopTests {
    /// What was acknowledged, and what was begun.
    private struct Life: InterruptedLife {
        var count = 1
        var countBegun = 1
        var retention = "-1"
        var retentionBegun = "-1"
        var values: [String] = []
        var wasOpened = false

        mutating func run(on files: SimulatedFileSystem) async throws {
            let engine = try await Engine.open(on: files)
            try await engine.createTopic(
                "a", partitions: 1, configuration: try TopicConfiguration(["retention.ms": "-1"]))
            wasOpened = true
            defer { Task { try? await engine.close() } }
            for round in 1...3 {
                retentionBegun = "\(round)000000000000"
                try await engine.alterTopic("a", setting: ["retention.ms": retentionBegun])
                retention = retentionBegun
                countBegun = round + 1
                try await engine.createPartitions(ofTopic: "a", count: countBegun)
                count = countBegun
                let record = ProducerRecord(
                    topic: "a", partition: Int32(round), key: nil as String?, value: "\(round)")
                _ = try await engine.producer().send(record)
                values.append("\(round)")
            }
        }

        func check(_ files: SimulatedFileSystem) async throws {
            let engine = try await Engine.open(on: files)
            guard wasOpened else { return try await engine.close() }
            #expect(engine.offlinePartitions.isEmpty, "\(engine.offlinePartitions)")
            let topic = try engine.describeTopic("a")
            #expect([count, countBegun].contains(topic.partitions.count))
            #expect(
                [retention, retentionBegun].contains(
                    topic.configuration.value(of: .retentionMilliseconds)))
            let found = try await engine.values(of: "a")
            for value in values {
                let partition = try #require(Int32(value))
                #expect(found[partition]?.contains(value) == true)
            }
            // And it can be done again, over whatever was left.
            #expect(
                try await engine.createPartitions(ofTopic: "a", count: 6).partitions.count == 6)
            try await engine.alterTopic("a", resetting: ["retention.ms"])
            try await engine.close()
        }
    }

    @Test(
        "all of an alteration is there or nothing of it, and what was acknowledged is",
        arguments: [true, false])
    func faults(isDying: Bool) async throws {
        var generator = SeededGenerator.fromEnvironment("alterationFaults \(isDying)")
        let hits = await interruptLives(
            stride: 5, using: &generator,
            fault: { Fault(.error(isDying ? ESTALE : EIO), after: $0, repeats: isDying) }
        ) { Life() }
        #expect(hits > 10, "only \(hits) calls failed")
    }
}
