import Foundation
import TallyTestSupport
import Testing

/// Thousands of partitions in one engine, counted in a process of its own.
@Suite("4,000 partitions", .serialized, .timeLimit(.minutes(10)))
struct ScaleTests {
    private static let partitions = 4_000

    /// What a child has measured, by name.
    private func measure(_ mode: String, _ path: String, _ number: Int) async throws -> [String:
        Double]
    {
        let child = try ChildProcess(mode, path, "\(number)")
        let output = String(decoding: await child.waitUntilExit(), as: UTF8.self)
        var found: [String: Double] = [:]
        for line in output.split(separator: "\n") {
            let words = line.split(separator: " ")
            found[String(words[0])] = Double(words[1])
        }
        print("\(mode) \(number): \(found.sorted { $0.key < $1.key })")
        return found
    }

    @Test("they open in little memory under ulimit -n 1024, and recovery reads what is unsynced")
    func engine() async throws {
        // In memory where there is such a file system, to be quick.
        let memory = "/dev/shm/tally-scale-\(ProcessInfo.processInfo.processIdentifier)"
        let temporary = try TemporaryDirectory()
        let isInMemory = mkdir(memory, 0o700) == 0
        defer { if isInMemory { try? FileManager.default.removeItem(atPath: memory) } }
        let path = isInMemory ? memory : temporary.path
        _ = try await measure("fill", path, Self.partitions)

        let clean = try await measure("scale", path, 500)
        expectSmall(clean)
        #expect(clean["clean"] == Double(Self.partitions))
        #expect(clean["scanned-bytes"] == 0)
        #expect(clean["done"] == 1)

        // After the crash: what the 500 were sent, and of each partition at most the batches
        // between two index entries, here the one there was.
        let crashed = try await measure("scale", path, 0)
        expectSmall(crashed)
        #expect(crashed["clean"] == 0)
        let batchBytes = 90.0
        let scanned = try #require(crashed["scanned-bytes"])
        #expect(scanned <= Double(Self.partitions + 500) * batchBytes)
        #expect(scanned >= 500 * 70)
        // The time is printed, and held to a bound only that a machine at work keeps too.
        #expect((clean["open-milliseconds"] ?? .infinity) < 20_000)
    }

    private func expectSmall(_ found: [String: Double]) {
        #expect(found["partitions"] == Double(Self.partitions))
        #expect((found["resident-kilobytes"] ?? .infinity) < 200 * 1024)
        #expect((found["descriptors"] ?? .infinity) < 600)
        #expect((found["idle-milliseconds-per-second"] ?? .infinity) < 50)
    }
}
