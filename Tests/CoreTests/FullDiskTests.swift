import Glibc
import TallyFiles
import TallyTestSupport
import Testing

@testable import Tally

/// An engine on a disk without room, and what its reserve is good for.
@Suite(.timeLimit(.minutes(10))) struct FullDiskTests {
    private let files = SimulatedFileSystem(directories: ["/data"])

    /// An engine with a topic of small segments, of which retention keeps two or three.
    private func engine(
        reserve: Int = 16 << 10, partitions: Int = 2, retention: String = "1000"
    ) async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.spaceReserveBytes = reserve
        // Where a test takes long, it would make room that the test believes is not there.
        configuration.isCleanerEnabled = false
        let engine = try await Engine.open(on: files, configuration: configuration)
        try await engine.ensureTopic(
            "a", partitions: partitions,
            configuration: try TopicConfiguration([
                "segment.bytes": "500", "retention.bytes": retention,
                "file.delete.delay.ms": "0",
            ]))
        return engine
    }

    @discardableResult
    private func send(
        _ value: String, to engine: Engine, partition: Int32 = 0, topic: String = "a"
    ) async throws -> Offset {
        let record = ProducerRecord(
            topic: topic, partition: partition, key: nil as String?, value: value)
        return try await engine.producer().send(record).offset
    }

    /// Sends until nothing fits any more; the values that were acknowledged.
    private func fill(_ engine: Engine) async throws -> [String] {
        files.capacityBytes = files.usedBytes + 3_000
        // One producer: each that ever wrote is in every snapshot.
        let producer = try engine.producer()
        var values: [String] = []
        while true {
            let value = "value \(values.count)" + String(repeating: ".", count: 80)
            do {
                _ = try await producer.send(
                    ProducerRecord(topic: "a", partition: 0, key: nil as String?, value: value))
                values.append(value)
            } catch LogError.file(let error) {
                #expect(error.isNoSpace)
                break
            }
        }
        // Not even a small file has room.
        files.capacityBytes = files.usedBytes
        return values
    }

    @Test("retention, its checkpoint, deletions and a stop in order go on; appends do not get it")
    func reserve() async throws {
        let engine = try await engine()
        try await engine.createTopic("b", partitions: 1)
        let values = try await fill(engine)
        #expect(values.count > 15)
        #expect(try await engine.values(of: "a")[0] == values)
        #expect(
            try await engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(3)) > .zero)
        #expect(engine.reserve.heldByteCount >= 4 << 10)
        try await engine.deleteTopic("b")
        // What that gave back is taken at once by others.
        files.capacityBytes = files.usedBytes
        await #expect(throws: LogError.self) { try await send("more", to: engine) }
        try await engine.close()
        #expect(try files.information("/data/.kafka_cleanshutdown") != nil)

        let again = try await self.engine()
        #expect(again.recoveryReports.values.allSatisfy { $0.wasClean })
        #expect(try again.topics().map(\.name) == ["a"])
        #expect(try await again.values(of: "a")[0] == Array(values.dropFirst(3)))
        try await again.enforceRetention()
        again.removeRetiredFiles()
        #expect(try again.partition(0, of: "a").log.byteCount <= 1_500)
        // Room was made: appends work, and the reserve is there for the next time.
        try await send("more", to: again)
        again.reserve.hold()
        #expect(again.reserve.heldByteCount == 16 << 10)
        try await again.close()
    }

    @Test("without a reserve nothing is lost either, but deletions have to wait for room")
    func noReserve() async throws {
        let engine = try await engine(reserve: 0)
        let values = try await fill(engine)
        #expect(try files.information("/data/.reserve") == nil)
        await #expect(throws: LogError.self) { try await engine.deleteTopic("a") }
        await #expect(throws: LogError.self) {
            try await engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(3))
        }
        #expect(try engine.describeTopic("a").partitions.count == 2)
        await #expect(throws: (any Error).self) { try await engine.close() }
        files.capacityBytes = nil
        let again = try await self.engine(reserve: 0)
        #expect(try await again.values(of: "a", partitions: [0]) == [0: values])
        try await again.close()
    }

    @Test("a compacted topic is cleaned on a full disk, and what that frees can be written again")
    func compaction() async throws {
        let engine = try await engine()
        try await engine.createTopic(
            "c", partitions: 1,
            configuration: try TopicConfiguration([
                "cleanup.policy": "compact", "segment.bytes": "500", "file.delete.delay.ms": "0",
            ]))
        let producer = try engine.producer()
        func put(_ number: Int) async throws {
            _ = try await producer.send(key: "k\(number % 3)", value: "v\(number)", to: "c")
        }
        for number in 0..<40 { try await put(number) }
        // Not even a small file has room.
        files.capacityBytes = files.usedBytes
        await #expect(throws: LogError.self) { for number in 40..<50 { try await put(number) } }
        let log = try engine.partition(0, of: "c").log
        let before = log.byteCount
        _ = try await engine.compact(topic: "c")
        #expect(log.byteCount < before / 2)
        engine.removeRetiredFiles()
        for number in 40..<50 { try await put(number) }
        try await engine.close()
        files.capacityBytes = nil
        let again = try await self.engine()
        #expect(try await again.values(of: "c")[0]?.suffix(3) == ["v47", "v48", "v49"])
        try await again.close()
    }

    @Test("while the reserve is used no append takes it, and afterwards it is there again")
    func gate() async throws {
        let engine = try await engine()
        _ = try await fill(engine)
        var attempts = 0
        let log = try engine.partition(0, of: "a").log
        try engine.reserve.spend { () throws(LogError) in
            attempts += 1
            guard attempts > 1 else {
                throw .file(FileError(operation: "write", path: "x", code: ENOSPC))
            }
            #expect(files.usedBytes + (16 << 10) <= files.capacityBytes ?? 0)
            #expect(throws: LogError.self) { try log.appendText("greedy") }
        }
        #expect(attempts == 2 && engine.reserve.heldByteCount == 16 << 10)
        #expect(log.stopReason == nil)
        files.capacityBytes = nil
        try log.appendText("modest")
        try await engine.close()
    }

    @Test(
        "a reserve that somebody removed, or of another size, is made anew",
        arguments: [true, false])
    func renewed(canReserve: Bool) async throws {
        files.supportsReserving = canReserve
        try await engine().close()
        let before = files.usedBytes
        for size in [40 << 10, 8 << 10] {
            try await engine(reserve: size).close()
            #expect(try files.information("/data/.reserve")?.byteCount == Int64(size))
            #expect(abs(files.usedBytes - before - (size - 16 << 10)) < 4 << 10)
        }
        try files.remove("/data/.reserve")
        let engine = try await engine()
        #expect(try files.information("/data/.reserve")?.byteCount == 16 << 10)
        try await engine.close()
        try await self.engine(reserve: 0).close()
        #expect(try files.information("/data/.reserve") == nil)
    }

    @Test("a recovery without room for what it cuts takes that partition offline and no other")
    func recovery() async throws {
        let engine = try await engine(reserve: 0, retention: "-1")
        for partition in Int32(0)..<2 {
            for number in 0..<3 {
                try await send("\(number)", to: engine, partition: partition)
            }
        }
        // A torn batch behind the last one, as a crash leaves it.
        let left = files.processCrash()
        let path = "/data/a-1/00000000000000000000.log"
        let log = try left.open(path, .write)
        try log.write(all: [UInt8](repeating: 0x55, count: 200), at: log.byteCount())
        left.capacityBytes = left.usedBytes
        var configuration = EngineConfiguration()
        configuration.spaceReserveBytes = 0
        let again = try await Engine.open(on: left, configuration: configuration)
        #expect(Array(again.offlinePartitions.keys) == ["a-1"])
        guard case .file(let error)? = again.offlinePartitions["a-1"] else {
            Issue.record("another reason: \(again.offlinePartitions)")
            return
        }
        #expect(error.isNoSpace)
        #expect(try await again.values(of: "a", partitions: [0]) == [0: ["0", "1", "2"]])
        try? await again.close()
        left.capacityBytes = nil
        let mended = try await Engine.open(on: left, configuration: configuration)
        #expect(mended.offlinePartitions.isEmpty)
        #expect(try await mended.values(of: "a")[1] == ["0", "1", "2"])
        try await mended.close()
    }
}

extension PartitionLog {
    /// Appends one record without waiting for the disk.
    fileprivate func appendText(_ text: String) throws {
        var builder = try RecordBatchBuilder()
        let value = Array(text.utf8)
        try builder.append(key: nil, value: value.span.bytes, timestamp: .now)
        var bytes = try builder.finishMutable()
        _ = try append(&bytes, from: .outside, now: .now)
    }
}
