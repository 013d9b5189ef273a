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

    private let partition = TopicPartition(topic: "a", partition: 0)

    private func taken(
        _ positions: PositionTable, by engine: Engine, from start: StartingPosition = .earliest
    ) async throws -> TopicConsumer {
        var configuration = ConsumerConfiguration(end: .currentEnd)
        configuration.fetchBytesMax = 1
        let consumer = try engine.consumer(of: "a", configuration)
        try await positions.take(for: consumer, startingAt: start)
        return consumer
    }

    /// Why something was refused; nil where it was not.
    private func refusal(_ body: () async throws -> Void) async throws -> PositionError? {
        do {
            try await body()
            return nil
        } catch let error as PositionError {
            return error
        }
    }

    @Test("rows and position are written together, or neither is")
    func together() async throws {
        let engine = try await engine(values: 3)
        let positions = try PositionTable(in: database, consumer: "c")
        let first = try await records(engine, from: 0)
        let early = try await refusal { try await positions.apply(first, insert(first)) }
        #expect(early == .notTaken(consumer: "c", partition: partition))
        _ = try await taken(positions, by: engine)
        try await positions.apply(first, insert(first))
        #expect(try positions.position(of: partition)?.nextOffset == Offset(1))
        let second = try await records(engine, from: 1)
        await #expect(throws: CancellationError.self) {
            try await positions.apply(second) { db in
                try db.execute(sql: "INSERT INTO seen VALUES ('half')")
                throw CancellationError()
            }
        }
        #expect(try seen == ["0"])
        #expect(try positions.position(of: partition)?.nextOffset == Offset(1))
        // Read again after an error whose outcome nobody knew: nothing counts twice.
        await #expect(throws: PositionError.self) {
            try await positions.apply(first, insert(first))
        }
        // And nothing is left out.
        let third = try await records(engine, from: 2)
        let moved = try await refusal { try await positions.apply(third, insert(third)) }
        guard case .moved(let conflict) = moved else {
            Issue.record("record 1 was left out")
            return
        }
        #expect(conflict.found.nextOffset == Offset(1) && conflict.expected == Offset(2))
        // Taken again, it goes on where the table stands.
        for try await records in try await taken(positions, by: engine) {
            try await positions.apply(records, insert(records))
        }
        #expect(try seen == ["0", "1", "2"])
        try await engine.close()
    }

    @Test("a row that cannot be is an error, and no position")
    func damaged() async throws {
        let engine = try await engine(values: 1)
        let positions = try PositionTable(in: database, consumer: "c")
        _ = try await taken(positions, by: engine)
        for damage in ["topicId = '?'", "leaderEpoch = 4294967296", "generation = -4294967296"] {
            try await positions.reset(partition, to: .zero)
            try await database.write {
                try $0.execute(sql: "UPDATE tally_position SET \(damage)")
            }
            #expect(throws: (any Error).self) { try positions.position(of: partition) }
            let records = try await records(engine, from: 0)
            await #expect(throws: (any Error).self) {
                try await positions.apply(records, insert(records))
            }
            #expect(try seen.isEmpty)
        }
        try await engine.close()
    }

    @Test("a member of an earlier generation changes nothing once the partition is another's")
    func zombie() async throws {
        let engine = try await engine(values: 2)
        let positions = try PositionTable(in: database, consumer: "c")
        var configuration = GroupConsumerConfiguration()
        configuration.reading.fetchBytesMax = 1
        configuration.onRebalance = { consumer, change in
            guard case .assigned(let partitions) = change else { return }
            try await positions.take(partitions, for: consumer)
        }
        let zombie = try engine.consumer(group: "g", topics: ["a"], configuration)
        var iterator = zombie.makeAsyncIterator()
        let first = try #require(try await iterator.next())
        #expect(first.startOffset == .zero)
        let generation = zombie.generation
        // It has fetched, and is overtaken before it writes: a new generation takes the partition.
        try await database.write { db in
            try db.execute(sql: "UPDATE tally_position SET generation = generation + 1")
        }
        let late = try await refusal {
            try await positions.apply(first, for: zombie, insert(first))
        }
        guard case .fenced(let conflict) = late else {
            Issue.record("the zombie wrote")
            return
        }
        #expect(conflict.found.generation == generation + 1 && conflict.generation == generation)
        let again = try await refusal { try await positions.take([partition], for: zombie) }
        #expect(again == late)
        #expect(try seen.isEmpty)
        // The generations were begun anew: released, it goes on where it stands.
        try await positions.release(partition)
        try await positions.take([partition], for: zombie)
        let next = try #require(try await iterator.next())
        try await positions.apply(next, for: zombie, insert(next))
        #expect(try seen == ["0"])
        try await zombie.close()
        try await engine.close()
    }

    @Test("a topic that was deleted and created again is another one")
    func replacedTopic() async throws {
        let engine = try await engine(values: 2)
        let positions = try PositionTable(in: database, consumer: "c")
        let old = try await records(engine, from: 0)
        for try await records in try await taken(positions, by: engine) {
            try await positions.apply(records, insert(records))
        }
        try await engine.deleteTopic("a")
        try await engine.createTopic("a", partitions: 1)
        let producer = try engine.producer()
        for value in ["new", "newer", "newest"] {
            _ = try await producer.send(key: nil, value: value, to: "a")
        }
        let refused = try await refusal { _ = try await taken(positions, by: engine) }
        guard case .ofAnotherTopic = refused else {
            Issue.record("went on in another topic: \(String(describing: refused))")
            return
        }
        let third = try await records(engine, from: 2)
        let applied = try await refusal { try await positions.apply(third, insert(third)) }
        #expect(applied == refused)
        try await positions.reset(partition, to: .zero)
        let consumer = try await taken(positions, by: engine)
        // A reader that still holds records of the deleted one.
        let late = try await refusal { try await positions.apply(old, insert(old)) }
        #expect(late != nil)
        for try await records in consumer {
            try await positions.apply(records, insert(records))
        }
        #expect(try seen == ["0", "1", "new", "newer", "newest"])
        try await engine.close()
    }

    @Test("a position that the log does not go on from is refused, with the log's bounds")
    func notInLog() async throws {
        let engine = try await engine(values: 3)
        let positions = try PositionTable(in: database, consumer: "c")
        let first = try await records(engine, from: 0)
        _ = try await taken(positions, by: engine)
        try await positions.apply(first, insert(first))
        try await engine.deleteRecords(ofTopic: "a", partition: 0, before: Offset(2))
        let retired = try await refusal { _ = try await taken(positions, by: engine) }
        guard case .notInLog(let conflict, let start, let end) = retired else {
            Issue.record("went on: \(String(describing: retired))")
            return
        }
        #expect(conflict.found.nextOffset == Offset(1) && start == Offset(2) && end == Offset(3))
        // Behind the end, as after a power loss; behind a record of an epoch that this log, an
        // older copy, never had.
        let cases: [(Int64, Int32, Bool)] = [
            (9, 0, false), (3, -1, true), (3, 0, true), (2, 7, false),
        ]
        for (offset, epoch, isHeld) in cases {
            try await database.write { db in
                try db.execute(
                    sql: "UPDATE tally_position SET nextOffset = ?, leaderEpoch = ?",
                    arguments: [offset, epoch])
            }
            let refused = try await refusal { _ = try await taken(positions, by: engine) }
            #expect((refused == nil) == isHeld, "\(offset), epoch \(epoch)")
        }
        try await positions.reset(partition, to: Offset(2))
        for try await records in try await taken(positions, by: engine) {
            try await positions.apply(records, insert(records))
        }
        #expect(try seen == ["0", "2"])
        try await engine.close()
    }

    @Test("consumers, topics and partitions have positions of their own")
    func separate() async throws {
        let engine = try await engine(values: 9)
        let one = try PositionTable(in: database, consumer: "one")
        let other = try PositionTable(in: database, consumer: "other")
        _ = try await taken(one, by: engine, from: .offset(Offset(5)))
        #expect(try other.position(of: partition) == nil)
        #expect(try one.position(of: TopicPartition(topic: "a", partition: 1)) == nil)
        #expect(try one.position(of: TopicPartition(topic: "b", partition: 0)) == nil)
        #expect(try one.position(of: partition)?.nextOffset == Offset(5))
        try await engine.close()
    }
}
