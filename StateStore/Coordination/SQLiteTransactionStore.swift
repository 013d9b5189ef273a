import GRDB
import Tally
import TallyTransactions

/// Transactional ids in `state.db`. FORMAT.md describes the tables.
///
/// Thread rule: safe to share; calls block.
final class SQLiteTransactionStore: TransactionStore {
    private let database: StateDatabase

    init(_ database: StateDatabase) { self.database = database }

    func loadTransactions() throws(TransactionStoreError) -> [TransactionRecord] {
        try translatingErrors { () throws(StateStoreError) in
            try database.read { try Self.load($0) }
        }
    }

    func beginCoordinatorTerm() throws(TransactionStoreError) -> Int32 {
        try translatingErrors { () throws(StateStoreError) in
            try database.write { connection in
                let epoch: Int32 = try Self.counter("nextEpoch", connection)
                guard epoch < .max else {
                    throw DatabaseError(
                        resultCode: .SQLITE_CORRUPT, message: "coordinator epochs are used up")
                }
                try connection.execute(
                    sql: "UPDATE transaction_coordinator SET nextEpoch = nextEpoch + 1")
                return epoch
            }
        }
    }

    func save(_ record: TransactionRecord) throws(TransactionStoreError) {
        try apply([.save(record)])
    }

    func removeTransaction(_ transactionalID: String) throws(TransactionStoreError) {
        try apply([.remove(transactionalID: transactionalID)])
    }

    func apply(_ changes: [TransactionChange]) throws(TransactionStoreError) {
        try translatingErrors { () throws(StateStoreError) in
            try database.write { connection in
                let writer = TransactionWriter(connection)
                for change in changes {
                    switch change {
                    case .save(let record): try writer.save(record)
                    case .remove(let transactionalID): try writer.remove(transactionalID)
                    }
                }
            }
        }
    }

    func reserveProducerIDs(
        count: Int64, notBelow least: Int64
    ) throws(TransactionStoreError) -> Range<Int64> {
        let range = try translatingErrors { () throws(StateStoreError) -> Range<Int64>? in
            try database.write { connection in
                let next: Int64 = try Self.counter("nextProducerId", connection)
                let first = max(next, least)
                let (end, overflow) = first.addingReportingOverflow(max(count, 1))
                if overflow { return nil }
                try connection.execute(
                    sql: "UPDATE transaction_coordinator SET nextProducerId = ?",
                    arguments: [end])
                return first..<end
            }
        }
        guard let range else { throw .producerIDsExhausted }
        return range
    }

    private static func counter<Value: DatabaseValueConvertible>(
        _ column: String, _ connection: Database
    ) throws -> Value {
        let row = try Row.fetchOne(connection, sql: "SELECT * FROM transaction_coordinator")
        guard let row else {
            throw DatabaseError(
                resultCode: .SQLITE_CORRUPT, message: "transaction_coordinator has no row")
        }
        return try row.value(column)
    }

    private func translatingErrors<Value>(
        _ body: () throws(StateStoreError) -> Value
    ) throws(TransactionStoreError) -> Value {
        do {
            return try body()
        } catch {
            throw error.isCorruption
                ? .corrupt(reason: error.description) : .unavailable(reason: error.description)
        }
    }

    // MARK: Reading

    /// All records by transactional id, as they are stored: whoever loads them verifies them.
    static func load(_ connection: Database) throws -> [TransactionRecord] {
        var records: [TransactionRecord] = []
        var indexes: [Int64: Int] = [:]
        let rows = try Row.fetchAll(
            connection, sql: "SELECT * FROM transactional_id ORDER BY name")
        for row in rows {
            indexes[try row.value("id")] = records.count
            records.append(try record(row))
        }
        for row in try Row.fetchAll(connection, sql: "SELECT * FROM transaction_partition") {
            let owner: Int64 = try row.value("transactionalId")
            guard let index = indexes[owner] else { continue }
            records[index].partitions.insert(
                TopicPartition(
                    topic: try row.value("topic"), partition: try row.value("partition")))
        }
        for row in try Row.fetchAll(connection, sql: "SELECT * FROM transaction_group") {
            let owner: Int64 = try row.value("transactionalId")
            guard let index = indexes[owner] else { continue }
            records[index].groups.insert(try row.value("name"))
        }
        return records
    }

    private static func record(_ row: Row) throws -> TransactionRecord {
        let producer = ProducerIdentity(
            id: try row.value("producerId"), epoch: try row.value("producerEpoch"))
        var record = TransactionRecord(
            transactionalID: try row.value("name"), producer: producer,
            timeoutMilliseconds: try row.value("timeoutMilliseconds"),
            updatedAt: try row.value("updatedAt"))
        record.previous = try identity(row, "previousProducer")
        record.next = try identity(row, "nextProducer")
        record.state = try row.value("state")
        record.startedAt = try row.value("startedAt")
        return record
    }

    private static func identity(_ row: Row, _ prefix: String) throws -> ProducerIdentity? {
        let id: Int64? = try row.value(prefix + "Id")
        let epoch: Int16? = try row.value(prefix + "Epoch")
        guard let id, let epoch else { return nil }
        return ProducerIdentity(id: id, epoch: epoch)
    }
}

/// Makes changes of transactional ids. Used inside one transaction.
struct TransactionWriter {
    private let connection: Database

    init(_ connection: Database) { self.connection = connection }

    func save(_ record: TransactionRecord) throws {
        try execute(
            """
            INSERT INTO transactional_id (name, producerId, producerEpoch, previousProducerId,
                previousProducerEpoch, nextProducerId, nextProducerEpoch, timeoutMilliseconds,
                state, startedAt, updatedAt)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET
                producerId = excluded.producerId, producerEpoch = excluded.producerEpoch,
                previousProducerId = excluded.previousProducerId,
                previousProducerEpoch = excluded.previousProducerEpoch,
                nextProducerId = excluded.nextProducerId,
                nextProducerEpoch = excluded.nextProducerEpoch,
                timeoutMilliseconds = excluded.timeoutMilliseconds, state = excluded.state,
                startedAt = excluded.startedAt, updatedAt = excluded.updatedAt
            """,
            [
                record.transactionalID, record.producer.id, record.producer.epoch,
                record.previous?.id, record.previous?.epoch, record.next?.id, record.next?.epoch,
                record.timeoutMilliseconds, record.state.rawValue, record.startedAt?.rawValue,
                record.updatedAt.rawValue,
            ])
        guard let owner = try knownID(record.transactionalID) else { return }
        try replacePartitions(of: owner, by: record.partitions)
        try replaceGroups(of: owner, by: record.groups)
    }

    /// Writes only what differs: a transaction may take in a thousand partitions one by one.
    private func replacePartitions(of owner: Int64, by wanted: Set<TopicPartition>) throws {
        let rows = try Row.fetchAll(
            connection.cachedStatement(
                sql: "SELECT * FROM transaction_partition WHERE transactionalId = ?"),
            arguments: [owner])
        let stored = Set(
            try rows.map {
                TopicPartition(
                    topic: try $0.value("topic"), partition: try $0.value("partition"))
            })
        for partition in stored.subtracting(wanted) {
            try execute(
                """
                DELETE FROM transaction_partition
                    WHERE transactionalId = ? AND topic = ? AND partition = ?
                """, [owner, partition.topic, partition.partition])
        }
        for partition in wanted.subtracting(stored) {
            try execute(
                """
                INSERT INTO transaction_partition (transactionalId, topic, partition)
                    VALUES (?, ?, ?)
                """, [owner, partition.topic, partition.partition])
        }
    }

    private func replaceGroups(of owner: Int64, by wanted: Set<String>) throws {
        let stored = Set(
            try String.fetchAll(
                connection.cachedStatement(
                    sql: "SELECT name FROM transaction_group WHERE transactionalId = ?"),
                arguments: [owner]))
        for group in stored.subtracting(wanted) {
            try execute(
                "DELETE FROM transaction_group WHERE transactionalId = ? AND name = ?",
                [owner, group])
        }
        for group in wanted.subtracting(stored) {
            try execute(
                "INSERT INTO transaction_group (transactionalId, name) VALUES (?, ?)",
                [owner, group])
        }
    }

    func remove(_ transactionalID: String) throws {
        guard let owner = try knownID(transactionalID) else { return }
        for table in ["transaction_partition", "transaction_group"] {
            try execute("DELETE FROM \(table) WHERE transactionalId = ?", [owner])
        }
        try execute("DELETE FROM transactional_id WHERE id = ?", [owner])
    }

    private func knownID(_ transactionalID: String) throws -> Int64? {
        try connection.cachedStatement(sql: "SELECT id FROM transactional_id WHERE name = ?")
            .fetchOne(Int64.self, [transactionalID])
    }

    private func execute(_ sql: String, _ arguments: StatementArguments) throws {
        try connection.cachedStatement(sql: sql).execute(arguments: arguments)
    }
}
