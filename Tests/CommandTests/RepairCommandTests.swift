import Foundation
import TallyCommand
import TallyTestSupport
import Testing

@testable import Tally

@Suite struct RepairCommandTests {
    private let directory: TemporaryDirectory
    private var data: String { directory.path("the data") }
    private var partition: String { data + "/a-0" }

    init() throws { directory = try TemporaryDirectory(holdsDamage: true) }

    /// Two partitions of small segments; the first has 30 records, the second none.
    private func prepare() async throws {
        let engine = try await Engine.open(at: data)
        try await engine.createTopic(
            "a", partitions: 2, configuration: try TopicConfiguration(["segment.bytes": "500"]))
        let producer = try engine.producer()
        for number in 0..<30 {
            let record = ProducerRecord(
                topic: "a", partition: 0, key: nil as String?, value: "value \(number)")
            _ = try await producer.send(record)
        }
        try await engine.close()
    }

    private func segments() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: partition)
            .filter { $0.hasSuffix(".log") }.sorted()
    }

    /// Changes a byte of the second batch of a segment. Returns the batch's offset and position.
    private func damage(_ segment: String) throws -> (offset: Int64, position: Int) {
        let file = URL(fileURLWithPath: partition + "/" + segment)
        var bytes = try Data(contentsOf: file)
        let first = try RecordBatchHeader(decoding: Array(bytes).span.bytes)
        bytes[first.sizeInBytes + 25] ^= 1
        try bytes.write(to: file)
        return (first.nextOffset.rawValue, first.sizeInBytes)
    }

    @Test("inspect misses a partition whose directory is gone, as repair does")
    func missingDirectory() async throws {
        try await prepare()
        try FileManager.default.removeItem(atPath: partition)
        let verified = await CommandRun.inspect("--verify", data)
        #expect(verified.exitCode == ExitCodes.failure)
        #expect(verified.output.contains("damage: \(partition): byte 0: the directory is missing"))
        #expect(verified.output.contains("1 problem found"))
        try FileManager.default.removeItem(atPath: data + "/topics.json")
    }

    @Test("indexes come back; what was done is said before, and the second run has nothing to do")
    func indexes() async throws {
        try await prepare()
        let index = partition + "/" + (try segments())[1].replacing(".log", with: ".index")
        let whole = try Data(contentsOf: URL(fileURLWithPath: index))
        try FileManager.default.removeItem(atPath: index)
        for path in [data, partition] {
            let planned = await CommandRun.repair(path, "--dry-run")
            #expect(planned.exitCode == ExitCodes.failure && planned.errors.isEmpty)
            #expect(planned.output.contains("a-0: will rebuild "))
            #expect(planned.output.hasSuffix("nothing was changed (--dry-run)\n"))
            #expect(!FileManager.default.fileExists(atPath: index))
        }
        let done = await CommandRun.repair(data)
        #expect(done.exitCode == 0 && done.output.hasPrefix("a data directory of 2 partitions\n"))
        #expect(done.output.hasSuffix("done\n"))
        #expect(try Data(contentsOf: URL(fileURLWithPath: index)) == whole)
        for path in [data, partition] {
            let again = await CommandRun.repair(path)
            #expect(again.exitCode == 0 && again.output.hasSuffix("nothing to do\n"))
        }
    }

    @Test("a damaged log is cut by the command that is shown, and by no other offset")
    func cut() async throws {
        try await prepare()
        let place = try damage(try segments()[1])
        let told = await CommandRun.repair(data)
        #expect(told.exitCode == ExitCodes.failure)
        #expect(
            told.output.contains("the log is damaged at byte \(place.position) of \(partition)"))
        let quoted = "  tally repair '\(partition)' --cut-from \(place.offset)"
        #expect(told.lines.contains { $0 == quoted }, "\(told.output)")
        #expect(told.output.hasSuffix("nothing was changed\n"))
        let wrong = await CommandRun.repair(partition, "--cut-from", "3")
        #expect(wrong.exitCode == ExitCodes.failure && wrong.output.isEmpty)
        #expect(wrong.errors.contains("Only --cut-from \(place.offset) mends it"))
        let whole = await CommandRun.repair(data, "--cut-from", "\(place.offset)")
        #expect(whole.exitCode == ExitCodes.usage)

        let planned = await CommandRun.repair(
            partition, "--cut-from", "\(place.offset)", "--dry-run")
        #expect(planned.exitCode == ExitCodes.failure)
        let done = await CommandRun.repair(partition, "--cut-from", "\(place.offset)")
        #expect(done.exitCode == 0 && done.output.hasSuffix("done\n"))
        let plan = planned.lines.filter { $0.contains(": will ") }
        #expect(plan.count >= 5 && plan == done.lines.filter { $0.contains(": will ") })
        #expect(done.output.contains(": kept what was cut in \(partition)/"))
        let again = await CommandRun.repair(data)
        #expect(again.exitCode == 0 && again.output.hasSuffix("nothing to do\n"))
        #expect(await CommandRun.inspect(data, "--verify").exitCode == 0)
        let engine = try await Engine.open(at: data)
        #expect(engine.offlinePartitions.isEmpty)
        #expect(try engine.partition(0, of: "a").log.logEnd.rawValue == place.offset)
        try await engine.close()
        let nothing = await CommandRun.repair(partition, "--cut-from", "1")
        #expect(nothing.errors.contains("nothing is to be cut"))
    }

    @Test("a directory that an application has open is refused, whichever way it is named")
    func locked() async throws {
        try await prepare()
        let link = directory.path("link")
        try FileManager.default.createSymbolicLink(
            atPath: link, withDestinationPath: partition)
        let engine = try await Engine.open(at: data)
        for path in [data, partition, partition + "/", partition + "/../a-0", link] {
            let run = await CommandRun.repair(path, "--dry-run")
            #expect(run.exitCode == ExitCodes.failure, "\(path): \(run)")
            #expect(run.errors.contains("is in use by"), "\(path): \(run)")
        }
        try await engine.close()
    }

    @Test("what is no partition is said, with the documented code")
    func noPartition() async throws {
        try await prepare()
        let missing = await CommandRun.repair(directory.path("none"))
        #expect(missing.exitCode == ExitCodes.noInput && missing.errors.contains("does not exist"))
        let file = await CommandRun.repair(partition + "/" + (try segments())[0])
        #expect(file.exitCode == ExitCodes.noInput && file.errors.contains("is a file"))
        let empty = directory.path("empty")
        try FileManager.default.createDirectory(
            atPath: empty, withIntermediateDirectories: false)
        let nothing = await CommandRun.repair(empty)
        #expect(nothing.exitCode == ExitCodes.noInput)
        #expect(try FileManager.default.contentsOfDirectory(atPath: empty).isEmpty)
        try FileManager.default.removeItem(atPath: data + "/a-1")
        // It had no records: it is as good as it was.
        #expect(await CommandRun.repair(data).exitCode == 0)
        try FileManager.default.removeItem(atPath: partition)
        let lost = await CommandRun.repair(data)
        #expect(lost.exitCode == ExitCodes.failure)
        #expect(lost.output.contains("a-0: the directory is missing, but offsets up to 30"))
        #expect(
            lost.output.contains("mkdir '\(partition)' && tally repair '\(partition)' --cut-from 0")
        )
    }

    @Test(
        "Kafka's own partitions need no repair, and get back what they lose",
        arguments: Golden.names)
    func golden(_ name: String) async throws {
        let copy = try Golden.copy(name, to: directory)
        let sound = await CommandRun.repair(copy)
        #expect(sound.exitCode == 0 && sound.output.hasSuffix("nothing to do\n"), "\(sound.output)")
        for file in try FileManager.default.contentsOfDirectory(atPath: copy)
        where file.hasSuffix("index") || file == "leader-epoch-checkpoint" {
            let path = copy + "/" + file
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            try FileManager.default.removeItem(atPath: path)
            let mended = await CommandRun.repair(copy)
            #expect(mended.exitCode == 0 && mended.output.hasSuffix("done\n"), "\(mended)")
            let again = await CommandRun.repair(copy)
            #expect(again.output.hasSuffix("nothing to do\n"))
            // These have other index intervals, or went through a cleaner, which leaves less.
            if ["golden-plain", "golden-lz4", "golden-compacted"].contains(name) { continue }
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == whole, "\(file)")
        }
    }
}
