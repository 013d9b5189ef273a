import Foundation
import GRDB
import Tally
import TallyStateStore
import TallyTestSupport
import Testing

/// Rows and positions of an application's own database.
@Suite(.timeLimit(.minutes(10))) struct PositionTableTests {
    private let directory: TemporaryDirectory
    private let database: DatabasePool

    init() throws {
        directory = try TemporaryDirectory()
        database = try DatabasePool(path: directory.path("application.db"))
        try database.write { try $0.execute(sql: "CREATE TABLE seen (value TEXT NOT NULL)") }
    }

    private func engine(values: Int) async throws -> Engine {
        let engine = try await Engine.open(at: directory.path("data"))
        try await engine.createTopic("a", partitions: 1)
        let producer = try engine.producer()
        for number in 0..<values {
            _ = try await producer.send(key: nil, value: "\(number)", to: "a")
        }
        return engine
    }

    private var seen: [String] {
        get throws { try database.read { try String.fetchAll($0, sql: "SELECT value FROM seen") } }
    }

    /// One element from a position, of one batch.
    private func records(
        _ engine: Engine, from offset: Int64
    ) async throws -> ConsumedRecords {
        var configuration = ConsumerConfiguration(start: .offset(Offset(offset)))
        configuration.fetchBytesMax = 1
        var iterator = try engine.consumer(of: "a", configuration).makeAsyncIterator()
        return try #require(try await iterator.next())
    }

    private func insert(_ records: ConsumedRecords) -> @Sendable (Database) throws -> Void {
        { db in
            try records.forEachRecord { record in
                try db.execute(
                    sql: "INSERT INTO seen VALUES (?)", arguments: [record.valueText ?? "null"])
            }
        }
    }

    @Test("rows and position are written together, or neither is")
    func together() async throws {
        let engine = try await engine(values: 3)
        let positions = try PositionTable(in: database, consumer: "c")
        let first = try await records(engine, from: 0)
        try await positions.apply(first, insert(first))
        #expect(try positions.position(topic: "a", partition: 0)?.nextOffset == Offset(1))
        let second = try await records(engine, from: 1)
        await #expect(throws: CancellationError.self) {
            try await positions.apply(second) { db in
                try db.execute(sql: "INSERT INTO seen VALUES ('half')")
                throw CancellationError()
            }
        }
        #expect(try seen == ["0"])
        #expect(try positions.position(topic: "a", partition: 0)?.nextOffset == Offset(1))
        // Read again after an error whose outcome nobody knew: nothing counts twice.
        await #expect(throws: PositionError.self) {
            try await positions.apply(first, insert(first))
        }
        // And nothing is left out.
        let third = try await records(engine, from: 2)
        do {
            try await positions.apply(third, insert(third))
            Issue.record("record 1 was left out")
        } catch PositionError.moved(let conflict) {
            #expect(conflict.found.nextOffset == Offset(1) && conflict.expected == Offset(2))
        }
        try await positions.apply(second, insert(second))
        try await positions.apply(third, insert(third))
        #expect(try seen == ["0", "1", "2"])
        try await engine.close()
    }

    @Test("a member of an earlier generation changes nothing once the partition is another's")
    func zombie() async throws {
        let engine = try await engine(values: 2)
        let positions = try PositionTable(in: database, consumer: "c")
        try positions.claim(topic: "a", partition: 0, generation: 3, startingAt: .zero)
        let first = try await records(engine, from: 0)
        // The zombie has fetched, and is overtaken before it writes.
        let taken = try positions.claim(
            topic: "a", partition: 0, generation: 4, startingAt: Offset(9))
        #expect(taken.nextOffset == .zero, "a position that is there is not begun anew")
        do {
            try await positions.apply(first, generation: 3, insert(first))
            Issue.record("the zombie wrote")
        } catch PositionError.fenced(let conflict) {
            #expect(conflict.found.generation == 4 && conflict.generation == 3)
        }
        #expect(throws: PositionError.self) {
            try positions.claim(topic: "a", partition: 0, generation: 3, startingAt: .zero)
        }
        try await positions.apply(first, generation: 4, insert(first))
        #expect(try seen == ["0"])
        try await engine.close()
    }

    @Test("consumers, topics and partitions have positions of their own")
    func separate() throws {
        let one = try PositionTable(in: database, consumer: "one")
        let other = try PositionTable(in: database, consumer: "other")
        try one.claim(topic: "a", partition: 0, generation: 1, startingAt: Offset(5))
        #expect(try other.position(topic: "a", partition: 0) == nil)
        #expect(try one.position(topic: "a", partition: 1) == nil)
        #expect(try one.position(topic: "b", partition: 0) == nil)
        #expect(try one.position(topic: "a", partition: 0)?.nextOffset == Offset(5))
    }
}
