import GRDB
public import Tally

extension PositionTable {
    /// A row: where the next record is, and who may move it.
    public struct Position: Hashable, Sendable {
        /// Which topic of the name it was stored for; nil where that is to be said yet.
        public var topicID: TopicID?
        /// The next offset to apply.
        public var nextOffset: Offset
        /// The epoch of the last record applied.
        public var leaderEpoch: LeaderEpoch
        /// The generation that took the partition last; -1 where it is nobody's.
        public var generation: Int32
    }
}

/// One row of `tally_position`, by its key. A value.
struct PositionRow {
    let consumer: String
    let partition: TopicPartition

    init(_ consumer: String, _ partition: TopicPartition) {
        self.consumer = consumer
        self.partition = partition
    }

    static func createTable(_ db: Database) throws {
        try db.execute(
            sql: """
                CREATE TABLE IF NOT EXISTS tally_position (
                    consumer TEXT NOT NULL,
                    topic TEXT NOT NULL,
                    partition INTEGER NOT NULL,
                    topicId TEXT,
                    nextOffset INTEGER NOT NULL CHECK (nextOffset >= 0),
                    leaderEpoch INTEGER NOT NULL,
                    generation INTEGER NOT NULL,
                    PRIMARY KEY (consumer, topic, partition)
                ) STRICT, WITHOUT ROWID
                """)
    }

    func position(_ db: Database) throws -> PositionTable.Position? {
        let row = try Row.fetchOne(
            db.cachedStatement(
                sql: """
                    SELECT topicId, nextOffset, leaderEpoch, generation FROM tally_position
                    WHERE consumer = ? AND topic = ? AND partition = ?
                    """), arguments: [consumer, partition.topic, partition.partition])
        guard let row else { return nil }
        // Anything may stand in a table of the application's; a topic that cannot be read must not
        // count as one that was not said.
        let text: String? = try row.value("topicId")
        let topicID = text.flatMap { TopicID($0) }
        guard (topicID == nil) == (text == nil) else {
            throw DatabaseError(
                resultCode: .SQLITE_CORRUPT,
                message: "tally_position: \(text ?? "") is no topic's id")
        }
        return PositionTable.Position(
            topicID: topicID, nextOffset: try row.value("nextOffset"),
            leaderEpoch: try row.value("leaderEpoch"), generation: try row.value("generation"))
    }

    func write(_ position: PositionTable.Position, _ db: Database) throws {
        try db.cachedStatement(
            sql: "INSERT OR REPLACE INTO tally_position VALUES (?, ?, ?, ?, ?, ?, ?)"
        ).execute(
            arguments: [
                consumer, partition.topic, partition.partition, position.topicID?.description,
                position.nextOffset.rawValue, position.leaderEpoch.rawValue, position.generation,
            ])
    }

    func conflict(_ found: PositionTable.Position, generation: Int32) -> PositionConflict {
        PositionConflict(
            consumer: consumer, partition: partition, found: found, expected: nil,
            generation: generation)
    }
}
