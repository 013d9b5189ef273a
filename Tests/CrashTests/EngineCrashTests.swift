import Foundation
import TallyTestSupport
import Testing

@testable import Tally

/// An engine in a process of its own, killed while all its parts are busy.
@Suite("An engine that is killed", .serialized, .timeLimit(.minutes(10)))
struct EngineCrashTests {
    /// What a child has told of a topic, life after life.
    private struct Told {
        /// Values of acknowledged records by partition and offset.
        var stored: [Int32: [Int64: String]] = [:]
        /// Log starts that were acknowledged, and those that were asked for.
        var deleted: [Int32: Int64] = [:]
        var deleting: [Int32: Int64] = [:]
        /// The newest acknowledged record of each key of the compacted topic.
        var latest: [Int32: (offset: Int64, value: String)] = [:]
        var lineCount = 0

        mutating func take(_ output: Data) {
            // The last line may be cut by the kill; it was written whole or not at all.
            for line in String(decoding: output, as: UTF8.self).split(separator: "\n") {
                let words = line.split(separator: " ")
                guard words.count >= 3, let partition = Int32(words[1]),
                    let offset = Int64(words[2])
                else { continue }
                lineCount += 1
                switch words[0] {
                case "stored": stored[partition, default: [:]][offset] = String(words[3])
                case "latest": latest[partition] = (offset, String(words[3]))
                case "deleting": deleting[partition] = max(offset, deleting[partition] ?? 0)
                case "deleted": deleted[partition] = max(offset, deleted[partition] ?? 0)
                default: break
                }
            }
        }
    }

    @Test("killed again and again in rolls, retention and cleanings: nothing stored is lost")
    func churn() async throws {
        var generator = SeededGenerator.fromEnvironment("churn")
        let temporary = try TemporaryDirectory()
        let path = temporary.path("data")
        var told = Told()
        var life = 0
        var runCount = 0
        // Some more where the disk is so slow that few cleanings were through.
        while life < 30 || runCount <= 10 && life < 90 {
            let child = try ChildProcess("churn", path, "\(life)")
            await child.waitForLines(Int.random(in: 1..<300, using: &generator))
            try await Task.sleep(
                for: .microseconds(Int.random(in: 0..<5_000, using: &generator)))
            told.take(await child.kill())
            weak var dropped: Engine?
            do {
                let engine = try await Engine.open(at: path)
                dropped = engine
                try await expectAll(told, in: engine)
                try await expectLatest(told, in: engine)
                runCount = try await engine.compactionStatus().first?.history.runCount ?? 0
                // At times the child finds a stop in order, mostly what we too leave behind.
                if life % 7 == 6 || life == 29 { try await engine.close() }
            }
            // A cleaning under way keeps it, and with it the directory.
            while dropped != nil { try await Task.sleep(for: .milliseconds(5)) }
            life += 1
        }
        #expect(told.stored.values.reduce(0) { $0 + $1.count } > 300)
        #expect((told.deleted[2] ?? 0) > 20)
        let engine = try await Engine.open(at: path)
        let status = try #require(try await engine.compactionStatus().first)
        #expect(status.topic == "c" && status.history.runCount > 10, "\(status)")
        #expect(status.history.removedRecordCount > 100, "\(status)")
        try await engine.close()
        print("\(told.lineCount) things were acknowledged in \(life) lives")
    }

    private func expectAll(_ told: Told, in engine: Engine) async throws {
        #expect(engine.offlinePartitions.isEmpty)
        // Killed before the topic was acknowledged.
        guard !told.stored.isEmpty else { return }
        for partition in Int32(0)..<3 {
            let log = try engine.partition(partition, of: "t").log
            let start = log.logStart.rawValue
            var values: [Int64: String] = [:]
            var last = (life: -1, number: -1)
            for try await records in try engine.consumer(
                of: "t", partitions: [partition], ConsumerConfiguration(end: .currentEnd))
            {
                try records.forEachRecord { record in
                    let value = record.valueText ?? ""
                    values[record.offset.rawValue] = value
                    let parts = value.split(separator: ".").prefix(2).compactMap { Int($0) }
                    let this = (life: parts[0], number: parts[1])
                    #expect(last < this, "\(value) comes after \(last)")
                    last = this
                }
            }
            #expect(values.keys.sorted() == Array(start..<log.logEnd.rawValue))
            for (offset, value) in told.stored[partition] ?? [:] where offset >= start {
                #expect(values[offset] == value, "t-\(partition) offset \(offset)")
            }
            expectStart(start, of: log, partition, told)
        }
    }

    /// A reader from the beginning sees the newest value of each key that was acknowledged, or a
    /// newer one.
    private func expectLatest(_ told: Told, in engine: Engine) async throws {
        guard !told.latest.isEmpty else { return }
        var found: [Int32: (offset: Int64, value: String)] = [:]
        var last = Int64(-1)
        for try await records in try engine.consumer(
            of: "c", ConsumerConfiguration(end: .currentEnd))
        {
            try records.forEachRecord { record in
                let offset = record.offset.rawValue
                #expect(offset > last)
                last = offset
                let key = try #require(Int32(record.keyText ?? ""))
                found[key] = (offset, record.valueText ?? "")
            }
        }
        for (key, latest) in told.latest {
            let now = try #require(found[key], "key \(key) is gone")
            #expect(now.offset >= latest.offset, "key \(key) went back")
            #expect(now.offset > latest.offset || now.value == latest.value)
        }
    }

    /// Nothing went that ought not to, and what was deleted stays deleted.
    private func expectStart(_ start: Int64, of log: PartitionLog, _ partition: Int32, _ told: Told)
    {
        #expect(start >= told.deleted[partition] ?? 0)
        guard start > told.deleting[partition] ?? 0 else { return }
        // By size: at least so much is left.
        #expect(log.byteCount > 6_000 - 1_500, "only \(log.byteCount) bytes are left")
    }

    @Test("a directory that another process has open is refused by its id, until it is dead")
    func held() async throws {
        let temporary = try TemporaryDirectory()
        let path = temporary.path("data")
        let child = try ChildProcess("hold", path, "0")
        #expect(await child.waitForLine() == "opened")
        await #expect(
            throws: EngineError.directoryInUse(directory: path, holder: "\(child.identifier)")
        ) { try await Engine.open(at: path) }
        _ = await child.kill()
        try await Engine.open(at: path).close()
    }

    @Test("200 partitions live under ulimit -n 64; without any descriptor appends are refused")
    func descriptors() async throws {
        // Once a second libdispatch looks at its threads in /proc, and ends a process in which it
        // cannot: with no descriptor at all that is a matter of luck. A trap of ours would say so.
        var lives = 0
        var temporary: TemporaryDirectory
        var path: String
        var child: ChildProcess
        var output: Data
        var text: String
        repeat {
            lives += 1
            temporary = try TemporaryDirectory(holdsDamage: true)
            path = temporary.path("data")
            child = try ChildProcess("descriptors", path, "200")
            output = await child.waitUntilExit()
            text = String(decoding: output, as: UTF8.self)
        } while lives < 8 && child.status == SIGILL && text.contains("no topic\n")
            && !text.contains("atal error")
        #expect(child.status == 0)
        #expect(text.hasSuffix("closed\n"))
        // Files of the pool make room for each other; directories have no such reserve.
        #expect(text.contains("no topic\n"))
        let lines = text.split(separator: "\n")
        let most = lines.first { $0.hasPrefix("most ") }.flatMap { Int($0.dropFirst(5)) }
        #expect(try #require(most) <= 32 + 3 + 16)
        let unanswered = lines.count { $0 == "refused" }
        #expect(lines.count { $0.hasPrefix("stored ") && $0.hasSuffix(" 2") } + unanswered == 200)
        var told = Told()
        told.take(output)
        let engine = try await Engine.open(at: path)
        #expect(engine.recoveryReports.values.allSatisfy { $0.wasClean })
        for partition in Int32(0)..<200 {
            var values: [Int64: String] = [:]
            for try await records in try engine.consumer(
                of: "t", partitions: [partition], ConsumerConfiguration(end: .currentEnd))
            {
                try records.forEachRecord { values[$0.offset.rawValue] = $0.valueText }
            }
            let stored = told.stored[partition] ?? [:]
            #expect(stored.count >= 3 && Set(values.values) == Set(stored.values))
            for (offset, value) in stored { #expect(values[offset] == value) }
        }
        try await engine.close()
        #expect(LogVerification.damage(under: path).isEmpty)
    }
}
