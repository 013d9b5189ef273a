import Foundation
import GRDB

/// What a user would have instead of topics and groups: tables of SQLite that serve as a queue.
/// As durable as the engine's default: WAL, synced with each commit.
///
/// Thread rule: safe to share.
struct QueueTable {
    let database: DatabasePool
    private let path: String

    init(in directory: String) throws {
        path = directory + "/queue.db"
        database = try DatabasePool(path: path)
        // The pool says NORMAL behind every hook of its configuration, and a commit would not wait
        // for the disk.
        try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
        try database.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE event (
                        number INTEGER PRIMARY KEY, at INTEGER NOT NULL, key BLOB, value BLOB);
                    CREATE TABLE position (reader INTEGER PRIMARY KEY, number INTEGER NOT NULL);
                    CREATE TABLE owner (part INTEGER PRIMARY KEY, member INTEGER NOT NULL);
                    CREATE TABLE result (
                        number INTEGER PRIMARY KEY, at INTEGER NOT NULL, key BLOB, value BLOB);
                    CREATE TABLE stock (key BLOB PRIMARY KEY, quantity INTEGER NOT NULL)
                        WITHOUT ROWID;
                    """)
        }
    }

    func remove() throws {
        try database.close()
        for ending in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: path + ending)
        }
    }

    /// Appends events in one transaction; to another table where it is named.
    static func append(
        _ count: Int, key: Data, value: Data, to table: String = "event", _ db: Database
    ) throws {
        let statement = try db.cachedStatement(
            sql: "INSERT INTO \(table) (at, key, value) VALUES (?, ?, ?)")
        for _ in 0..<count {
            try statement.execute(arguments: [1_700_000_000_000, key, value])
        }
    }

    /// Reads the events behind a reader's position, and moves it: `body` gets each one's key and
    /// value. Returns how many there were.
    static func take(
        _ countMax: Int, as reader: Int, _ db: Database,
        _ body: (_ key: Data, _ value: Data) throws -> Void
    ) throws -> Int {
        let known = try db.cachedStatement(
            sql: "SELECT number FROM position WHERE reader = ?")
        let start = try Int.fetchOne(known, arguments: [reader]) ?? 0
        let statement = try db.cachedStatement(
            sql: "SELECT number, key, value FROM event WHERE number > ? ORDER BY number LIMIT ?")
        let rows = try Row.fetchCursor(statement, arguments: [start, countMax])
        var (count, last) = (0, start)
        while let row = try rows.next() {
            last = row[0]
            try row.withUnsafeData(atIndex: 1) { key in
                try row.withUnsafeData(atIndex: 2) { value in
                    try body(key ?? Data(), value ?? Data())
                }
            }
            count += 1
        }
        if count > 0 { try move(reader, to: last, db) }
        return count
    }

    /// Commits a reader's position.
    static func move(_ reader: Int, to number: Int, _ db: Database) throws {
        try db.cachedStatement(sql: "INSERT OR REPLACE INTO position VALUES (?, ?)")
            .execute(arguments: [reader, number])
    }

    /// Counts an event of a key.
    static func count(_ key: Data, _ db: Database) throws {
        try db.cachedStatement(
            sql: """
                INSERT INTO stock VALUES (?, 1)
                ON CONFLICT (key) DO UPDATE SET quantity = quantity + 1
                """
        ).execute(arguments: [key])
    }
}
