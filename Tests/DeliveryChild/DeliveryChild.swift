import Foundation
import GRDB
import Tally
import TallyStateStore

/// The process that the scenario of delivery guarantees starts and kills: works through a topic in
/// the way it is told, as far as it comes, and says when it is done.
///
/// Its work is a row for each record in a database of its own, or records in other topics.
@main
enum DeliveryChild {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let recordCount = Int(arguments[3]) else {
            fatalError(
                "usage: DIRECTORY at-most-once|at-least-once[-to-topic]|exactly-once[-to-topic] "
                    + "RECORDS")
        }
        var settings = EngineConfiguration()
        settings.state = .sqlite
        let engine = try await Engine.open(at: arguments[1] + "/data", configuration: settings)
        let database = try DatabasePool(path: arguments[1] + "/shop.db")
        let rows = Work(engine: engine, database: database)
        let topics = TopicWork(engine: engine)
        say("open")
        switch arguments[2] {
        case "at-most-once": try await rows.commitThenWork(through: recordCount)
        case "at-least-once": try await rows.workThenCommit(through: recordCount)
        case "exactly-once": try await rows.workAndPosition(through: recordCount)
        case "at-least-once-to-topic":
            try await topics.run(through: recordCount, isTransaction: false)
        case "exactly-once-to-topic":
            try await topics.run(through: recordCount, isTransaction: true)
        default: fatalError("unknown work: \(arguments[2])")
        }
        say("done")
        try await engine.close()
    }

    private static func say(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }
}

/// Three orders of the same two steps.
private struct Work {
    let engine: Engine
    let database: DatabasePool

    private static let partition = TopicPartition(topic: "orders", partition: 0)

    private func consumer() throws -> GroupConsumer {
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        configuration.reading.fetchBytesMax = 1
        return try engine.consumer(group: "billing", topics: ["orders"], configuration)
    }

    private static func write(_ records: ConsumedRecords, _ db: Database) throws {
        try records.forEachRecord { record in
            try db.execute(
                sql: "INSERT INTO bill VALUES (?)", arguments: [record.valueText ?? ""])
        }
    }

    /// What the group has committed; the topic has this one partition.
    private func isThrough(_ count: Int) async throws -> Bool {
        let offsets = try await engine.committedOffsets(ofGroup: "billing")
        return offsets[Self.partition]?.offset == Offset(Int64(count))
    }

    func commitThenWork(through count: Int) async throws {
        if try await isThrough(count) { return }
        let consumer = try consumer()
        for try await records in consumer {
            try await consumer.commit(records)
            try await database.write { try Self.write(records, $0) }
            if records.nextOffset == Offset(Int64(count)) { break }
        }
        try await consumer.close()
    }

    func workThenCommit(through count: Int) async throws {
        if try await isThrough(count) { return }
        let consumer = try consumer()
        for try await records in consumer {
            try await database.write { try Self.write(records, $0) }
            try await consumer.commit(records)
            if records.nextOffset == Offset(Int64(count)) { break }
        }
        try await consumer.close()
    }

    func workAndPosition(through count: Int) async throws {
        let positions = try PositionTable(in: database, consumer: "billing")
        let partition = TopicPartition(topic: "orders", partition: 0)
        if try positions.position(of: partition)?.nextOffset == Offset(Int64(count)) { return }
        var configuration = ConsumerConfiguration()
        configuration.fetchBytesMax = 1
        let consumer = try engine.consumer(of: "orders", configuration)
        try await positions.take(for: consumer)
        for try await records in consumer {
            try await positions.apply(records) { try Self.write(records, $0) }
            if records.nextOffset == Offset(Int64(count)) { break }
        }
    }
}
