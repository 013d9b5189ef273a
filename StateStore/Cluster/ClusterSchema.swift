import GRDB

/// The tables of `cluster.db`. FORMAT.md describes every column.
enum ClusterSchema {
    /// SQLite's `application_id` of the file: "TlyC". Another one is another program's database.
    static let applicationID: Int64 = 0x546C_7943

    /// All migrations this version knows, oldest first. A released one is never edited.
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("001-coordination-store") { database in
            try database.execute(sql: tables)
            try database.execute(sql: "PRAGMA application_id = \(applicationID)")
        }
        return migrator
    }

    private static let tables = """
        CREATE TABLE store (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            revision INTEGER NOT NULL,
            compactedRevision INTEGER NOT NULL,
            lastLease INTEGER NOT NULL,
            clock TEXT NOT NULL
        ) STRICT;
        INSERT INTO store VALUES (1, 1, 1, 0, '');
        CREATE TABLE lease (
            id INTEGER PRIMARY KEY,
            seconds INTEGER NOT NULL,
            deadline INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE entry (
            key TEXT PRIMARY KEY NOT NULL,
            value BLOB NOT NULL,
            modificationRevision INTEGER NOT NULL,
            lease INTEGER REFERENCES lease (id)
        ) STRICT;
        CREATE INDEX entry_lease ON entry (lease) WHERE lease IS NOT NULL;
        CREATE TABLE change (
            revision INTEGER NOT NULL,
            ordinal INTEGER NOT NULL,
            key TEXT NOT NULL,
            value BLOB,
            lease INTEGER,
            PRIMARY KEY (revision, ordinal)
        ) STRICT;
        """
}
