import Foundation
import TallyTestSupport
import Testing

@testable import Tally

/// Data directories whose damage a person has to settle.
@Suite struct RepairTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path("data") }
    private var damagedFile: URL {
        URL(fileURLWithPath: path + "/a-0/00000000000000000000.log")
    }

    init() throws { directory = try TemporaryDirectory(holdsDamage: true) }

    /// A directory with a topic "a" of two partitions, ten records in each, the third batch of the
    /// first damaged, and stopped like after a crash.
    private func prepare() async throws {
        let engine = try await Engine.open(at: path)
        try await engine.createTopic("a", partitions: 2)
        let producer = try engine.producer()
        for number in 0..<20 {
            let record = ProducerRecord(
                topic: "a", partition: Int32(number % 2), key: nil as String?, value: "\(number)")
            _ = try await producer.send(record)
        }
        try await engine.close()
        var bytes = try Data(contentsOf: damagedFile)
        let third = bytes.count / 10 * 2
        bytes[third + 30] ^= 1
        try bytes.write(to: damagedFile)
        try FileManager.default.removeItem(atPath: path + "/.kafka_cleanshutdown")
    }

    @Test("a partition that was offline works again once its damaged end was given up")
    func offline() async throws {
        try await prepare()
        let damaged = try Data(contentsOf: damagedFile)
        var engine = try await Engine.open(at: path)
        let reason = try #require(try engine.describeTopic("a").partitions[0].problem)
        #expect(reason.contains("`tally repair --dry-run \(path)/a-0`"))
        // An engine has it: nobody repairs behind its back.
        let pid = "\(ProcessInfo.processInfo.processIdentifier)"
        for target in [path, path + "/a-0"] {
            #expect(throws: EngineError.directoryInUse(directory: path, holder: pid)) {
                try DirectoryRepair(path: target)
            }
        }
        try await engine.close()

        var repair: DirectoryRepair? = try DirectoryRepair(path: path + "/a-0")
        await #expect(throws: EngineError.directoryInUse(directory: path, holder: pid)) {
            try await Engine.open(at: path)
        }
        let plan = try #require(repair).plan(path + "/a-0")
        let end = try #require(plan.damage?.offset)
        #expect(end == Offset(2) && plan.steps.isEmpty)
        let position = try #require(plan.damage).position.rawValue
        try repair?.apply(try #require(repair).plan(path + "/a-0", cuttingFrom: end))
        #expect(try #require(repair).plan(path + "/a-0").steps.isEmpty)
        repair = nil

        engine = try await Engine.open(at: path)
        #expect(engine.offlinePartitions.isEmpty)
        #expect(try await engine.values(of: "a") == [0: ["0", "2"], 1: odd])
        let record = ProducerRecord(topic: "a", partition: 0, key: nil as String?, value: "new")
        #expect(try await engine.producer().send(record).offset == end)
        try await engine.close()
        let sideFile = URL(fileURLWithPath: damagedFile.path + ".cut-\(position)")
        #expect(try Data(contentsOf: sideFile) == damaged[position...])
        let again = try DirectoryRepair(path: path)
        #expect(again.partitions.map { ($0 as NSString).lastPathComponent } == ["a-0", "a-1"])
        for partition in again.partitions {
            let plan = try again.plan(partition)
            #expect(plan.steps.isEmpty && plan.damage == nil && plan.leftAlone.isEmpty)
        }
    }

    private var odd: [String] { (0..<10).map { "\($0 * 2 + 1)" } }

    @Test("a crash right after the checkpoints came down loses no more than was given up")
    func crashAfterCheckpoints() async throws {
        try await prepare()
        do {
            let repair = try DirectoryRepair(path: path + "/a-0")
            var plan = try repair.plan(path + "/a-0", cuttingFrom: Offset(2))
            plan.steps = Array(plan.steps.prefix(1))
            #expect(plan.steps == [.lowerCheckpoints(to: Offset(2))])
            try repair.apply(plan)
        }
        let engine = try await Engine.open(at: path)
        #expect(try await engine.values(of: "a") == [0: ["0", "2"], 1: odd])
        try await engine.close()
    }

    @Test("a copy of a partition is repaired without the directory it came from")
    func loneCopy() async throws {
        try await prepare()
        let copy = directory.path("elsewhere/a-0")
        try FileManager.default.createDirectory(
            atPath: directory.path("elsewhere"), withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: path + "/a-0", toPath: copy)
        let engine = try await Engine.open(at: path)
        let repair = try DirectoryRepair(path: copy)
        #expect(repair.dataDirectory == nil && !repair.isWholeDirectory)
        try repair.apply(try repair.plan(copy, cuttingFrom: Offset(2)))
        #expect(try repair.plan(copy).steps.isEmpty)
        #expect(LogVerification.damage(in: copy, on: PosixFileSystem()).isEmpty)
        // A directory of copies is none of the engine's either.
        let all = try DirectoryRepair(path: directory.path("elsewhere"))
        #expect(all.dataDirectory == nil && all.isWholeDirectory && all.partitions == [copy])
        try await engine.close()
    }

    @Test("a partition whose directory was lost is told of, and opens empty once given up")
    func missing() async throws {
        try await prepare()
        try FileManager.default.removeItem(atPath: path + "/a-0")
        do {
            let repair = try DirectoryRepair(path: path)
            #expect(repair.missing.map(\.name) == ["a-0"])
            #expect(repair.missing.map(\.recoveryPoint) == [Offset(10)])
        }
        try FileManager.default.createDirectory(
            atPath: path + "/a-0", withIntermediateDirectories: false)
        do {
            let repair = try DirectoryRepair(path: path + "/a-0")
            let damage = try repair.plan(path + "/a-0").damage
            #expect(damage?.offset == .zero)
            try repair.apply(try repair.plan(path + "/a-0", cuttingFrom: .zero))
        }
        let engine = try await Engine.open(at: path)
        #expect(engine.offlinePartitions.isEmpty)
        #expect(try await engine.values(of: "a") == [1: odd])
        try await engine.close()
    }
}
