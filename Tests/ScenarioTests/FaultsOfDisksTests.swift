import Foundation
import TallyTestSupport
import Testing

@testable import Tally

/// Disks that are full, read-only, or taken away, for real.
@Suite(.serialized, .timeLimit(.minutes(10))) struct FaultsOfDisksTests {
    private static let value = String(repeating: "v", count: 10_000)

    private func configuration(
        _ durability: Durability = .buffered, reserve: Int = 1 << 20
    ) -> EngineConfiguration {
        var configuration = EngineConfiguration()
        configuration.spaceReserveBytes = reserve
        configuration.durability = durability
        return configuration
    }

    /// Sends until the disk is full, to all partitions in turn; how many were acknowledged in each.
    private func fill(_ engine: Engine, partitions: Int32) async throws -> [Int32: Int] {
        var counts: [Int32: Int] = [:]
        var full: Set<Int32> = []
        let producer = try engine.producer()
        while full.count < partitions {
            for partition in 0..<partitions where !full.contains(partition) {
                let count = counts[partition, default: 0]
                let record = ProducerRecord(
                    topic: "a", partition: partition, key: "\(count)", value: Self.value)
                do {
                    let sent = try await producer.send(record)
                    #expect(sent.offset == Offset(Int64(count)))
                    counts[partition] = count + 1
                } catch LogError.file(let error) {
                    #expect(error.isNoSpace, "\(error)")
                    full.insert(partition)
                }
            }
        }
        return counts
    }

    /// Takes what is left of a disk, to the last byte.
    private func takeRest(of mount: TemporaryMount) throws {
        let rest = mount.path + "/rest"
        #expect(FileManager.default.createFile(atPath: rest, contents: nil))
        let taker = try #require(FileHandle(forWritingAtPath: rest))
        for size in [1 << 16, 1 << 12, 1] {
            while (try? taker.write(contentsOf: Data(count: size))) != nil {}
        }
    }

    /// Records of every partition, each at its offset with its value.
    private func counts(in engine: Engine) async throws -> [Int32: Int] {
        var counts: [Int32: Int] = [:]
        for try await records in try engine.consumer(
            of: "a", ConsumerConfiguration(start: .earliest, end: .currentEnd))
        {
            try records.forEachRecord { record in
                #expect(record.keyText == "\(record.offset)")
                #expect(record.value?.byteCount == Self.value.utf8.count)
                counts[records.partition, default: 0] += 1
            }
        }
        return counts
    }

    @Test(
        "a full disk: reads and retention go on, nothing is lost, room brings writes back",
        .needsRoot, arguments: [Durability.buffered, .synced])
    func fullDisk(_ durability: Durability) async throws {
        let mount = try TemporaryMount(mebibytes: 32)
        let path = mount.path + "/data"
        var engine = try await Engine.open(at: path, configuration: configuration(durability))
        var settings = [
            "segment.bytes": "1000000", "retention.bytes": "4000000", "file.delete.delay.ms": "0",
        ]
        try await engine.createTopic(
            "a", partitions: 3, configuration: try TopicConfiguration(settings))
        settings["retention.bytes"] = "-1"
        try await engine.createTopic(
            "b", partitions: 1, configuration: try TopicConfiguration(settings))
        let filled = try await fill(engine, partitions: 3)
        try takeRest(of: mount)
        #expect(filled.values.reduce(0, +) > 2_500)
        #expect(try await counts(in: engine) == filled)

        // A stop in order, an opening and a deletion, without any room.
        try await engine.close()
        engine = try await Engine.open(at: path, configuration: configuration(durability))
        #expect(engine.recoveryReports.values.allSatisfy { $0.wasClean })
        #expect(try await counts(in: engine) == filled)
        try await engine.deleteTopic("b")
        try await engine.deleteRecords(ofTopic: "a", partition: 1, before: Offset(20))

        try await engine.enforceRetention()
        engine.removeRetiredFiles()
        let kept = try await counts(in: engine)
        for partition in Int32(0)..<3 {
            let log = try engine.partition(partition, of: "a").log
            #expect(log.logEnd == Offset(Int64(filled[partition] ?? 0)))
            #expect(log.byteCount < 5_100_000 && (kept[partition] ?? 0) > 300)
            let sent = try await engine.producer().send(
                ProducerRecord(
                    topic: "a", partition: partition, key: "\(log.logEnd)", value: Self.value))
            #expect(sent.offset == Offset(Int64(filled[partition] ?? 0)))
        }
        engine.reserve.hold()
        #expect(engine.reserve.heldByteCount == 1 << 20)
        let before = try await counts(in: engine)
        try await engine.close()
        engine = try await Engine.open(at: path, configuration: configuration(durability))
        #expect(engine.recoveryReports.values.allSatisfy { $0.wasClean })
        #expect(try await counts(in: engine) == before)
        try await engine.close()
        mount.close()
    }

    @Test("on a full disk a compacted topic is cleaned, and that is room to write in", .needsRoot)
    func compactionOnFullDisk() async throws {
        let mount = try TemporaryMount(mebibytes: 32)
        let path = mount.path + "/data"
        var configuration = configuration(.synced)
        configuration.isCleanerEnabled = false
        let engine = try await Engine.open(at: path, configuration: configuration)
        try await engine.createTopic(
            "a", partitions: 1,
            configuration: try TopicConfiguration([
                "cleanup.policy": "compact", "segment.bytes": "1000000",
                "file.delete.delay.ms": "0",
            ]))
        let producer = try engine.producer()
        var latest: [String: Int] = [:]
        var number = 0
        while true {
            let record = ProducerRecord(
                topic: "a", key: "\(number % 20)", value: "\(number) " + Self.value)
            do {
                _ = try await producer.send(record)
            } catch LogError.file(let error) {
                #expect(error.isNoSpace, "\(error)")
                break
            }
            latest["\(number % 20)"] = number
            number += 1
        }
        try takeRest(of: mount)
        _ = try await engine.compact(topic: "a")
        engine.removeRetiredFiles()
        #expect(try engine.partition(0, of: "a").log.byteCount < 3_000_000)
        for again in 0..<100 {
            latest["\(again % 20)"] = number + again
            _ = try await producer.send(
                ProducerRecord(
                    topic: "a", key: "\(again % 20)", value: "\(number + again) " + Self.value))
        }
        try await engine.close()
        let reopened = try await Engine.open(at: path, configuration: configuration)
        var found: [String: Int] = [:]
        for try await records in try reopened.consumer(
            of: "a", ConsumerConfiguration(start: .earliest, end: .currentEnd))
        {
            try records.forEachRecord { record in
                let text = record.valueText?.split(separator: " ").first ?? ""
                found[record.keyText ?? ""] = Int(text)
            }
        }
        #expect(found == latest)
        try await reopened.close()
        mount.close()
    }

    @Test(
        "without a reserve: retention makes room, and nothing else that must be noted works",
        .needsRoot)
    func fullDiskWithoutReserve() async throws {
        let mount = try TemporaryMount(mebibytes: 8)
        let path = mount.path + "/data"
        let engine = try await Engine.open(at: path, configuration: configuration(reserve: 0))
        try await engine.createTopic(
            "a", partitions: 2,
            configuration: try TopicConfiguration([
                "segment.bytes": "500000", "retention.bytes": "1000000",
                "file.delete.delay.ms": "0",
            ]))
        let filled = try await fill(engine, partitions: 2)
        try takeRest(of: mount)
        await expectNoSpace { try await engine.deleteTopic("a") }
        await expectNoSpace {
            try await engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(1))
        }
        try await engine.enforceRetention()
        engine.removeRetiredFiles()
        let kept = try await counts(in: engine)
        #expect(kept.values.reduce(0, +) < filled.values.reduce(0, +) / 2)
        try await engine.close()
        // The log starts where the first segment does that is left.
        let again = try await Engine.open(at: path, configuration: configuration(reserve: 0))
        #expect(try await counts(in: again) == kept)
        try await again.close()
        mount.close()
    }

    private func expectNoSpace(_ body: () async throws -> Void) async {
        do {
            try await body()
            Issue.record("there was room")
        } catch {
            #expect(error.isLackOfSpace, "\(error)")
        }
    }

    @Test("after a crash on a full disk everything acknowledged is there", .needsRoot)
    func crashOnFullDisk() async throws {
        let mount = try TemporaryMount(mebibytes: 8)
        let path = mount.path + "/data"
        var engine: Engine? = try await Engine.open(at: path, configuration: configuration())
        try await engine?.createTopic("a", partitions: 2)
        let filled = try await fill(try #require(engine), partitions: 2)
        // Dropped, not closed: as after a crash of the process.
        engine = nil
        var again: Engine?
        while again == nil {
            do {
                again = try await Engine.open(at: path, configuration: configuration())
            } catch EngineError.directoryInUse {
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        let reopened = try #require(again)
        #expect(reopened.offlinePartitions.isEmpty)
        #expect(try await counts(in: reopened) == filled)
        try await reopened.close()
        mount.close()
    }

    /// A directory with a topic of one record. The engine is gone on return, with all files that
    /// it had open for writing.
    private func prepare(_ path: String) async throws {
        let engine = try await Engine.open(at: path, configuration: configuration())
        try await engine.createTopic("a", partitions: 1)
        _ = try await engine.producer().send(key: "0", value: Self.value, to: "a")
        try await engine.close()
    }

    @Test("a read-only file system is refused by name; commands that only read work", .needsRoot)
    func readOnly() async throws {
        let mount = try TemporaryMount(mebibytes: 8)
        let path = mount.path + "/data"
        try await prepare(path)
        try mount.remount(readOnly: true)
        do {
            _ = try await Engine.open(at: path)
            Issue.record("it was opened")
        } catch LogError.file(let error) {
            #expect(error.code == EROFS && error.path.hasPrefix(path))
            #expect("\(error)".contains("mounted read-only"))
        }
        let reader = try DirectoryReader(path: path)
        #expect(try reader.topics().map { $0.partitions[0].logEnd } == [Offset(1)])
        let log = try PartitionSnapshot(
            opening: path + "/a-0", environment: .readOnly(on: PosixFileSystem()))
        #expect(try log.read(from: .zero, bytesMax: 1 << 20)?.nextOffset == Offset(1))
        let report = try LogVerifier(
            of: path + "/a-0", environment: .readOnly(on: PosixFileSystem())
        ).verify()
        #expect(report.problems.isEmpty)
        try mount.remount(readOnly: false)
        try await Engine.open(at: path).close()
        mount.close()
    }

    @Test("a data directory that is removed under an engine: typed errors, nothing acknowledged")
    func removedDirectory() async throws {
        let temporary = try TemporaryDirectory()
        let path = temporary.path("data")
        let engine = try await Engine.open(at: path)
        try await engine.createTopic("a", partitions: 2)
        let producer = try engine.producer()
        for partition in Int32(0)..<2 {
            _ = try await producer.send(
                ProducerRecord(topic: "a", partition: partition, key: "0", value: Self.value))
        }
        try FileManager.default.removeItem(atPath: path)
        for _ in 0..<2 {
            for partition in Int32(0)..<2 {
                await expectLogError(naming: path) {
                    _ = try await producer.send(
                        ProducerRecord(
                            topic: "a", partition: partition, key: "1", value: Self.value))
                }
            }
        }
        await expectLogError(naming: path) { try await engine.createTopic("b", partitions: 1) }
        await expectLogError(naming: path) {
            try await engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(1))
        }
        try await engine.enforceRetention()
        // What is mapped can be read on.
        #expect(try await counts(in: engine).isEmpty == false)
        await expectLogError(naming: path) { try await engine.close() }
        // A new one there is a new one.
        let again = try await Engine.open(at: path)
        #expect(try again.topics().isEmpty)
        try await again.close()
    }

    private func expectLogError(
        naming path: String, _ body: () async throws -> Void
    ) async {
        do {
            try await body()
            Issue.record("it worked")
        } catch {
            #expect(error is LogError && "\(error)".contains(path), "\(error)")
        }
    }
}
