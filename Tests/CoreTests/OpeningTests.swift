import Foundation
import TallyTestSupport
import Testing

@testable import Tally

@Suite struct OpeningTests {
    private func fill(_ engine: Engine, _ topic: String, partitions: Int = 2) async throws {
        try await engine.createTopic(topic, partitions: partitions)
        let producer = try engine.producer()
        for number in 0..<20 {
            let record = ProducerRecord(
                topic: topic, partition: Int32(number % partitions), key: nil as String?,
                value: "\(number)")
            _ = try await producer.send(record)
        }
    }

    private func epochs(_ engine: Engine, _ topic: String) throws -> [Int32] {
        try engine.describeTopic(topic).partitions.map(\.leaderEpoch.rawValue)
    }

    @Test("after a close nothing is recovered; without one the leader epoch rises")
    func cleanAndUnclean() async throws {
        let directory = try TemporaryDirectory()
        var engine: Engine? = try await Engine.open(at: directory.path)
        try await fill(try #require(engine), "a")
        try await engine?.close()
        engine = try await Engine.open(at: directory.path)
        #expect(try epochs(try #require(engine), "a") == [0, 0])
        for partition in try #require(engine).partitions {
            #expect(partition.onlineLog?.recovery.wasClean == true)
        }
        // Dropped, not closed.
        engine = nil
        let reopened = try await openWhenFree(directory.path)
        #expect(try epochs(reopened, "a") == [1, 1])
        for partition in reopened.partitions {
            #expect(partition.onlineLog?.recovery.wasClean == false)
        }
        #expect(try await reopened.values(of: "a").values.map(\.count) == [10, 10])
        try await reopened.close()
    }

    @Test("an engine that is dropped ends its threads")
    func dropped() async throws {
        let directory = try TemporaryDirectory()
        var engine: Engine? = try await Engine.open(at: directory.path)
        try await fill(try #require(engine), "a")
        let workers = try #require(engine?.workers)
        weak let dropped = engine
        #expect(workers.threadCount > 0)
        engine = nil
        #expect(try await eventually { dropped == nil && workers.threadCount == 0 })
    }

    @Test("what a dropped engine's producer took is written before the directory is given back")
    func droppedWithRecords() async throws {
        let directory = try TemporaryDirectory()
        do {
            let engine = try await Engine.open(at: directory.path)
            try await engine.createTopic("a", partitions: 1)
            var configuration = ProducerConfiguration()
            configuration.lingerMilliseconds = 200
            try engine.producer(configuration).enqueue("last", to: "a")
        }
        let reopened = try await openWhenFree(directory.path)
        #expect(try await reopened.values(of: "a") == [0: ["last"]])
        try await reopened.close()
    }

    @Test("a second engine of this process is told the holder's process id")
    func sameProcess() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        let pid = "\(ProcessInfo.processInfo.processIdentifier)"
        await #expect(
            throws: EngineError.directoryInUse(directory: directory.path, holder: pid)
        ) { try await Engine.open(at: directory.path) }
        func message(_ holder: String) -> String {
            "\(EngineError.directoryInUse(directory: "d", holder: holder))"
        }
        #expect(message(pid).contains("another engine of this process"))
        #expect(message("1").contains("the process with id 1"))
        try await engine.close()
        try await Engine.open(at: directory.path).close()
    }

    @Test("many engines live in one process")
    func many() async throws {
        let directory = try TemporaryDirectory()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<20 {
                group.addTask {
                    let engine = try await Engine.open(at: directory.path("deep/\(number)"))
                    try await engine.createTopic("a", partitions: 1)
                    let producer = try engine.producer()
                    _ = try await producer.send(key: nil, value: "\(number)", to: "a")
                    #expect(try await engine.values(of: "a") == [0: ["\(number)"]])
                    try await engine.close()
                }
            }
            try await group.waitForAll()
        }
    }

    @Test("closing twice, also at once, is closing once")
    func closeTwice() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        try await fill(engine, "a")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    try await engine.close()
                    // Whoever returns from closing finds the directory given back.
                    #expect(engine.state.withLock { $0.lock == nil })
                }
            }
            try await group.waitForAll()
        }
        #expect(throws: EngineError.closed) { try engine.topics() }
        await #expect(throws: EngineError.closed) {
            try await engine.createTopic("b", partitions: 1)
        }
    }

    @Test("a cancelled service closes the engine")
    func service() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        let service = Task { try await engine.run() }
        service.cancel()
        try await service.value
        #expect(throws: EngineError.closed) { try engine.topics() }
        try await Engine.open(at: directory.path).close()
    }

    @Test("closing writes the checkpoints")
    func checkpoints() async throws {
        let directory = try TemporaryDirectory()
        let engine = try await Engine.open(at: directory.path)
        try await fill(engine, "a")
        try await engine.close()
        for name in ["recovery-point", "replication"] {
            let path = directory.path("\(name)-offset-checkpoint")
            let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
            #expect(lines.sorted() == ["0", "2", "a 0 10", "a 1 10"])
        }
        let path = directory.path("log-start-offset-checkpoint")
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        #expect(lines.sorted() == ["0", "2", "a 0 0", "a 1 0"])
        // Nothing is written afterwards: the directory may be somebody else's.
        try FileManager.default.removeItem(atPath: path)
        try engine.writeCheckpoints()
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("long work keeps no appends waiting, even with one thread")
    func longWork() async throws {
        let directory = try TemporaryDirectory()
        var configuration = EngineConfiguration()
        configuration.threadsMax = 1
        let engine = try await Engine.open(at: directory.path, configuration: configuration)
        try await engine.createTopic("a", partitions: 40)
        let release = DispatchSemaphore(value: 0)
        let long = Task { try await engine.blocking { _ in release.wait() } }
        let producer = try engine.producer()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for partition in Int32(0)..<40 {
                group.addTask {
                    _ = try await producer.send(
                        ProducerRecord(
                            topic: "a", partition: partition, key: nil as String?, value: "x"))
                }
            }
            try await group.waitForAll()
        }
        #expect(try await engine.values(of: "a").count == 40)
        release.signal()
        try await long.value
        try await engine.close()
    }
}
