import GRDB

/// The tables of `state.db`, as a list of named migrations. FORMAT.md describes every column.
///
/// A migration that has been released is never edited: a change is a new migration at the end.
enum StateSchema {
    /// All migrations this version knows, oldest first.
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("001-inventory") { database in
            try database.execute(sql: projectionTable)
            for set in TableSet.allCases {
                try database.execute(sql: stockTables(set.suffix))
                try database.execute(sql: recordTables(set.suffix))
            }
        }
        migrator.registerMigration("002-coordination") { database in
            try database.execute(sql: groupTables)
            try database.execute(sql: transactionTables)
        }
        return migrator
    }

    /// Migrations that the database has and `migrator` does not know: a newer version wrote it.
    static func unknownMigrations(
        _ database: Database, of migrator: DatabaseMigrator
    ) throws -> [String] {
        let known = Set(migrator.migrations)
        return try migrator.appliedIdentifiers(database).subtracting(known).sorted()
    }

    private static let projectionTable = """
        CREATE TABLE projection (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL,
            topic TEXT NOT NULL,
            generation INTEGER NOT NULL,
            revision INTEGER NOT NULL,
            lastGeneration INTEGER NOT NULL,
            deduplicationWindow INTEGER NOT NULL,
            createdAt INTEGER NOT NULL,
            generationCreatedAt INTEGER NOT NULL,
            nextGeneration INTEGER,
            nextRevision INTEGER,
            nextDeduplicationWindow INTEGER,
            nextStartedAt INTEGER,
            topicId TEXT,
            nextTopicId TEXT,
            UNIQUE (name, topic)
        ) STRICT;
        """

    /// Positions and stock, once as the live set and once as the next one, which rebuilds fill.
    private static func stockTables(_ suffix: String) -> String {
        """
        CREATE TABLE projection_position\(suffix) (
            projection INTEGER NOT NULL REFERENCES projection (id),
            partition INTEGER NOT NULL,
            nextOffset INTEGER NOT NULL,
            leaderEpoch INTEGER NOT NULL,
            stockEvents INTEGER NOT NULL,
            availabilityEvents INTEGER NOT NULL,
            auditEvents INTEGER NOT NULL,
            duplicates INTEGER NOT NULL,
            deadLetters INTEGER NOT NULL,
            lastRecordedAt INTEGER,
            committedAt INTEGER NOT NULL,
            PRIMARY KEY (projection, partition)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE inventory\(suffix) (
            id INTEGER PRIMARY KEY,
            projection INTEGER NOT NULL REFERENCES projection (id),
            warehouse TEXT NOT NULL,
            item TEXT NOT NULL,
            onHand INTEGER NOT NULL,
            reserved INTEGER NOT NULL,
            available INTEGER NOT NULL GENERATED ALWAYS AS (onHand - reserved) VIRTUAL,
            lastEventTime INTEGER NOT NULL,
            partition INTEGER NOT NULL,
            lastOffset INTEGER NOT NULL,
            events INTEGER NOT NULL,
            lastCountVariance INTEGER,
            countedAt INTEGER,
            UNIQUE (projection, warehouse, item)
        ) STRICT;
        CREATE TABLE availability\(suffix) (
            projection INTEGER NOT NULL REFERENCES projection (id),
            warehouse TEXT NOT NULL,
            item TEXT NOT NULL,
            channel TEXT NOT NULL,
            decision TEXT NOT NULL,
            reason TEXT,
            updatedAt INTEGER NOT NULL,
            partition INTEGER NOT NULL,
            offset INTEGER NOT NULL,
            PRIMARY KEY (projection, warehouse, item, channel)
        ) STRICT, WITHOUT ROWID;
        """
    }

    /// What is kept of single records, in the same two sets.
    private static func recordTables(_ suffix: String) -> String {
        """
        CREATE TABLE audit\(suffix) (
            projection INTEGER NOT NULL REFERENCES projection (id),
            partition INTEGER NOT NULL,
            offset INTEGER NOT NULL,
            eventType TEXT NOT NULL,
            who TEXT,
            why TEXT,
            key TEXT,
            recordedAt INTEGER NOT NULL,
            PRIMARY KEY (projection, partition, offset)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE dead_letter\(suffix) (
            projection INTEGER NOT NULL REFERENCES projection (id),
            partition INTEGER NOT NULL,
            offset INTEGER NOT NULL,
            reason TEXT NOT NULL,
            timestamp INTEGER NOT NULL,
            keySize INTEGER,
            key BLOB,
            valueSize INTEGER,
            value BLOB,
            PRIMARY KEY (projection, partition, offset)
        ) STRICT;
        CREATE TABLE processed_event\(suffix) (
            projection INTEGER NOT NULL REFERENCES projection (id),
            partition INTEGER NOT NULL,
            eventId TEXT NOT NULL,
            offset INTEGER NOT NULL,
            PRIMARY KEY (projection, partition, eventId)
        ) STRICT, WITHOUT ROWID;
        """
    }
}

/// Which of the two sets of state tables: the one queries read, or the one a rebuild fills.
enum TableSet: CaseIterable, Sendable {
    case live
    case next

    /// What follows a table's name in this set.
    var suffix: String { self == .live ? "" : "_next" }

    /// The tables of a set, without suffix, and the columns that a swap carries over.
    static let columns: [(table: String, columns: String)] = [
        (
            "projection_position",
            """
            projection, partition, nextOffset, leaderEpoch, stockEvents, availabilityEvents, \
            auditEvents, duplicates, deadLetters, lastRecordedAt, committedAt
            """
        ),
        (
            "inventory",
            """
            projection, warehouse, item, onHand, reserved, lastEventTime, partition, lastOffset, \
            events, lastCountVariance, countedAt
            """
        ),
        (
            "availability",
            """
            projection, warehouse, item, channel, decision, reason, updatedAt, partition, offset
            """
        ),
        ("audit", "projection, partition, offset, eventType, who, why, key, recordedAt"),
        (
            "dead_letter",
            "projection, partition, offset, reason, timestamp, keySize, key, valueSize, value"
        ),
        ("processed_event", "projection, partition, eventId, offset"),
    ]
}
