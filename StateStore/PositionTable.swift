public import GRDB
public import Tally

/// Keeps a consumer's positions in the application's own database, so that each record's effect
/// and the position behind it are written in one transaction: whatever happens, every record
/// counts exactly once.
///
/// ```swift
/// let positions = try PositionTable(in: database, consumer: "billing")
/// for try await records in consumer {
///     try await positions.apply(records, generation: generation) { db in
///         try records.forEachRecord { record in try db.execute(sql: "...") }
///     }
/// }
/// ```
///
/// A position moves only from where the reader thought it was, and only for the generation that
/// has claimed the partition: a member that was left for dead and comes back changes nothing.
/// The table is `tally_position`; StateStore/FORMAT.md describes it.
///
/// Thread rule: safe to share. ``apply(_:generation:_:)`` runs on the database's own threads.
public struct PositionTable: Sendable {
    /// Whose positions these are: one name for all members of a group.
    public let consumer: String
    private let database: any DatabaseWriter

    /// A row: where the next record is, and who may move it.
    public struct Position: Hashable, Sendable {
        /// The next offset to apply.
        public var nextOffset: Offset
        /// The epoch of the last record applied.
        public var leaderEpoch: LeaderEpoch
        /// The generation that claimed the partition last.
        public var generation: Int32
    }

    /// The positions of a consumer; creates the table where it is missing.
    ///
    /// - Parameter database: the application's; its durability is the application's choice
    ///   (with WAL, `PRAGMA synchronous = FULL` keeps commits through a power loss; a
    ///   `DatabasePool` sets NORMAL while it opens, so say it on the writer afterwards).
    /// - Throws: GRDB's `DatabaseError`.
    public init(in database: any DatabaseWriter, consumer: String) throws {
        self.database = database
        self.consumer = consumer
        try database.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS tally_position (
                        consumer TEXT NOT NULL,
                        topic TEXT NOT NULL,
                        partition INTEGER NOT NULL,
                        nextOffset INTEGER NOT NULL CHECK (nextOffset >= 0),
                        leaderEpoch INTEGER NOT NULL,
                        generation INTEGER NOT NULL,
                        PRIMARY KEY (consumer, topic, partition)
                    ) STRICT, WITHOUT ROWID
                    """)
        }
    }

    /// The position of a partition; nil where nothing of it was applied or claimed.
    public func position(topic: String, partition: Int32) throws -> Position? {
        try database.read { try Self.row($0, consumer, topic, partition) }
    }

    /// Takes a partition over for a generation, and returns where it stands. From then on nobody of
    /// an earlier generation moves the position.
    ///
    /// - Parameter start: where to begin where nothing of the partition was applied yet.
    /// - Throws: ``PositionError/fenced(_:)`` where a later generation has it; `DatabaseError`.
    @discardableResult
    public func claim(
        topic: String, partition: Int32, generation: Int32, startingAt start: Offset
    ) throws -> Position {
        try database.write { db in
            guard var known = try Self.row(db, consumer, topic, partition) else {
                let position = Position(
                    nextOffset: start, leaderEpoch: .none, generation: generation)
                try db.execute(
                    sql: "INSERT INTO tally_position VALUES (?, ?, ?, ?, ?, ?)",
                    arguments: [
                        consumer, topic, partition, start.rawValue, LeaderEpoch.none.rawValue,
                        generation,
                    ])
                return position
            }
            guard known.generation <= generation else {
                throw PositionError.fenced(
                    conflict(topic, partition, known, expected: nil, generation))
            }
            known.generation = generation
            try db.execute(
                sql: """
                    UPDATE tally_position SET generation = ?
                    WHERE consumer = ? AND topic = ? AND partition = ?
                    """, arguments: [generation, consumer, topic, partition])
            return known
        }
    }

    /// Applies fetched records: `body` writes rows, and the position behind the records is written
    /// in the same transaction. Both happen, or neither.
    ///
    /// - Parameters:
    ///   - generation: the one that claimed the partition; 0 for a consumer without a group.
    ///   - body: writes what the records mean. Must not commit. It may be called for records whose
    ///     effect is not kept: when it returns, the position decides.
    /// - Throws: ``PositionError/moved(_:)`` where the position is not the one that the records
    ///   begin at (seek to it), ``PositionError/fenced(_:)`` where the partition is another's by
    ///   now, `DatabaseError`, and what `body` throws. Nothing was written then.
    public func apply(
        _ records: ConsumedRecords, generation: Int32 = 0,
        _ body: @escaping @Sendable (Database) throws -> Void
    ) async throws {
        try await database.write { db in
            try advance(db, records, generation)
            try body(db)
        }
    }

    /// Moves the position, first of all: the transaction is its caller's to roll back.
    private func advance(
        _ db: Database, _ records: ConsumedRecords, _ generation: Int32
    ) throws {
        let (topic, partition) = (records.topic, records.partition)
        let known = try Self.row(db, consumer, topic, partition)
        if let known {
            guard known.generation <= generation else {
                throw PositionError.fenced(
                    conflict(topic, partition, known, expected: nil, generation))
            }
            guard known.nextOffset == records.startOffset else {
                throw PositionError.moved(
                    conflict(topic, partition, known, expected: records.startOffset, generation))
            }
        }
        try db.execute(
            sql: "INSERT OR REPLACE INTO tally_position VALUES (?, ?, ?, ?, ?, ?)",
            arguments: [
                consumer, topic, partition, records.nextOffset.rawValue,
                records.leaderEpoch.rawValue, generation,
            ])
    }

    private func conflict(
        _ topic: String, _ partition: Int32, _ found: Position, expected: Offset?,
        _ generation: Int32
    ) -> PositionConflict {
        PositionConflict(
            consumer: consumer, topic: topic, partition: partition, found: found,
            expected: expected, generation: generation)
    }

    private static func row(
        _ db: Database, _ consumer: String, _ topic: String, _ partition: Int32
    ) throws -> Position? {
        let row = try Row.fetchOne(
            db,
            sql: """
                SELECT nextOffset, leaderEpoch, generation FROM tally_position
                WHERE consumer = ? AND topic = ? AND partition = ?
                """, arguments: [consumer, topic, partition])
        return row.map { row in
            Position(
                nextOffset: Offset(row[0]), leaderEpoch: LeaderEpoch(rawValue: row[1]),
                generation: row[2])
        }
    }
}

/// Two readers of one partition, as its position shows them.
public struct PositionConflict: Hashable, Sendable {
    /// Whose positions these are.
    public var consumer: String
    /// The topic.
    public var topic: String
    /// The partition.
    public var partition: Int32
    /// What the table says.
    public var found: PositionTable.Position
    /// Where the reader thought the position was; nil where it did not come to that.
    public var expected: Offset?
    /// The reader's generation.
    public var generation: Int32
}

/// Why a position was not moved, and no row written.
public enum PositionError: Error, Hashable, Sendable {
    /// The position is somewhere else: records were applied already, or are missing.
    case moved(PositionConflict)
    /// The partition is another generation's.
    case fenced(PositionConflict)
}

extension PositionError: CustomStringConvertible {
    /// What happened, where, and what to do about it.
    public var description: String {
        switch self {
        case .moved(let conflict):
            """
            \(conflict.consumer) stands at offset \(conflict.found.nextOffset) of \
            \(conflict.topic)-\(conflict.partition), and these records begin at \
            \(conflict.expected.map(String.init(describing:)) ?? "none"). Nothing was written; \
            seek to the stored position.
            """
        case .fenced(let conflict):
            """
            \(conflict.topic)-\(conflict.partition) of \(conflict.consumer) belongs to \
            generation \(conflict.found.generation) of the group, and this member is of \
            \(conflict.generation). Nothing was written; another member reads the partition.
            """
        }
    }
}
