import Foundation
import Tally
import TallyStateStore
import TallyTestSupport
import Testing

/// The projection in a process of its own, killed again and again.
@Suite("A projection that is killed", .serialized)
struct ProjectionCrashTests {
    private static let topic = "stock"
    private static let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("TallyProjectionChild")

    @Test("killed 30 times at random, it ends with the rows of one never killed")
    func killed() async throws {
        var generator = SeededGenerator.fromEnvironment()
        let temporary = try TemporaryDirectory()
        let killed = temporary.path("killed")
        let undisturbed = temporary.path("undisturbed")
        try await fill(killed, using: &generator)
        try FileManager.default.copyItem(atPath: killed, toPath: undisturbed)

        var kills = 0
        while kills < 30 {
            // A run that ends by itself leaves nothing to kill: later runs find all done.
            if try run(killed, recordsPerCommit: 40, killAfter: kills, &generator) { break }
            kills += 1
        }
        #expect(kills == 30, "the projection was done before it was killed 30 times")
        #expect(try run(killed, recordsPerCommit: 40, killAfter: nil, &generator))
        #expect(try run(undisturbed, recordsPerCommit: 100_000, killAfter: nil, &generator))
        let rows = try rows(in: killed)
        #expect(rows.stock.count > 100)
        #expect(rows == (try self.rows(in: undisturbed)))
    }

    /// What must not depend on how often the process died.
    private struct Rows: Equatable {
        var stock: [StockLevel]
        var deadLetters: [DeadLetter]
        var audits: [AuditEntry]
        var positions: [[Int64]]
        var problems: [String]
    }

    private func rows(in directory: String) throws -> Rows {
        let database = try StateDatabase(readingDirectory: directory)
        let queries = InventoryQueries(database)
        return Rows(
            stock: try queries.stock(), deadLetters: try queries.deadLetters(),
            audits: try queries.audits(),
            positions: try queries.status().flatMap(\.partitions).map {
                [
                    Int64($0.partition), $0.nextOffset.rawValue, $0.events, $0.duplicates,
                    $0.deadLetters,
                ]
            },
            problems: try database.verify())
    }

    /// Runs the child. Returns whether it came to the end; kills it at a random moment otherwise.
    private func run(
        _ directory: String, recordsPerCommit: Int, killAfter round: Int?,
        _ generator: inout SeededGenerator
    ) throws -> Bool {
        let process = Process()
        let output = Pipe()
        process.executableURL = Self.program
        process.arguments = [directory, Self.topic, String(recordsPerCommit)]
        process.standardOutput = output
        try process.run()
        let reader = output.fileHandleForReading
        if round != nil {
            // Some die while they open the database, most while they apply and commit.
            if Int.random(in: 0..<6, using: &generator) > 0 { _ = reader.availableData }
            usleep(UInt32.random(in: 0..<25_000, using: &generator))
            kill(process.processIdentifier, SIGKILL)
        }
        let told = String(decoding: reader.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        if round == nil {
            #expect(process.terminationReason == .exit)
            #expect(process.terminationStatus == 0)
        }
        return told.contains("done")
    }

    /// Events of all kinds, some of them sent twice, some of them no events at all.
    private func fill(_ directory: String, using generator: inout SeededGenerator) async throws {
        let engine = try await Engine.open(at: directory)
        var settings = TopicConfiguration()
        try settings.set("tally.durability", to: "buffered")
        try settings.set("compression.type", to: "lz4")
        try await engine.createTopic(Self.topic, partitions: 3, configuration: settings)
        let producer = try engine.producer()
        for number in 0..<60_000 {
            let key = Array(
                "GOT-\(number % 3):SKU-\(Int.random(in: 0..<200, using: &generator))".utf8)
            let value = Array(event(number, &generator).utf8)
            if producer.isFull { try await producer.waitForRoom() }
            try producer.enqueue(topic: Self.topic, key: key.span.bytes, value: value.span.bytes)
        }
        try await producer.flush()
        try await engine.close()
    }

    private func event(_ number: Int, _ generator: inout SeededGenerator) -> String {
        let quantity = Int.random(in: 0..<50, using: &generator)
        let type =
            [
                "STOCK_RECEIVED", "STOCK_SHIPPED", "STOCK_RESERVED", "RESERVATION_CONFIRMED",
                "STOCK_COUNTED", "MANUAL_OVERRIDE", "NO_SUCH_EVENT",
            ].randomElement(using: &generator) ?? ""
        // Every tenth event repeats the id of one not long before.
        let id = number % 10 == 9 ? number - 30 : number
        return """
            {"eventType":"\(type)","quantity":\(quantity),"eventId":"e-\(id)",\
            "recordedAt":"2026-01-01T00:00:00Z","reason":"because","actor":"clerk"}
            """
    }
}
