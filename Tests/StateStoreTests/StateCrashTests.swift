import Foundation
import Tally
import TallyGroups
import TallyTestSupport
import TallyTransactions
import Testing

@testable import TallyStateStore

/// A process that commits offsets and transactions, killed again and again.
@Suite("Commits of a process that is killed", .serialized, .timeLimit(.minutes(10)))
struct StateCrashTests {
    private static let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("TallyStateChild")

    @Test("every commit that was acknowledged is there, whole, and at most one more")
    func killed() throws {
        var generator = TallyTestSupport.SeededGenerator.fromEnvironment()
        let directory = try ScratchDirectory()
        let partition = TopicPartition(topic: "events", partition: 0)
        var acknowledged: Int64 = 0
        for _ in 0..<12 {
            let lines = try run(directory.path, &generator)
            acknowledged = max(acknowledged, lines.last ?? 0)
            let state = try SQLiteState.open(inDataDirectory: directory.path)
            let groups = try state.offsets.loadGroups()
            let records = try state.transactions.loadTransactions()
            try state.database.expectSound()
            try state.close()
            guard acknowledged > 0 else { continue }
            let group = try #require(groups.first)
            let offset = try #require(group.offsets[partition])
            let found = offset.offset.rawValue
            #expect(found == acknowledged || found == acknowledged + 1)
            // The halves of one change agree.
            #expect(offset.metadata == "commit \(found)")
            #expect(group.metadata.generation == Int32(found))
            #expect(group.pendingOffsets.map(\.offsets) == [[partition: offset]])
            let record = try #require(records.first)
            let number = record.updatedAt.rawValue
            #expect(number == found || number == found - 1)
            #expect(
                record.partitions
                    == [partition, TopicPartition(topic: "events", partition: Int32(number))])
            acknowledged = found
        }
        #expect(acknowledged > 12)
    }

    /// Runs the child until a random moment, and gives the numbers that it said.
    private func run(
        _ directory: String, _ generator: inout TallyTestSupport.SeededGenerator
    ) throws -> [Int64] {
        let process = Process()
        let output = Pipe()
        process.executableURL = Self.program
        process.arguments = [directory]
        process.standardOutput = output
        try process.run()
        let reader = output.fileHandleForReading
        let first = reader.availableData
        usleep(UInt32.random(in: 0..<60_000, using: &generator))
        kill(process.processIdentifier, SIGKILL)
        let text = first + reader.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationReason == .uncaughtSignal)
        #expect(process.terminationStatus == SIGKILL)
        return String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap { Int64($0) }
    }
}
