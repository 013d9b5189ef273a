import Foundation
import GRDB

/// The SQLite database `state.db` of a data directory: projections, their rows and positions, and
/// what ``SQLiteState`` keeps of consumer groups and transactions.
///
/// Losing it loses no event: of projections the log is the truth, and every row can be rebuilt.
/// Groups begin anew without it. It is in WAL mode with `synchronous=FULL`, so that a commit that
/// returned survives a power failure, and so that readers (of this and of other processes) never
/// wait for the writer. A data directory has one writing process, the one that holds the engine's
/// lock; open for writing only with that lock held, for opening sweeps away rebuilds that were cut
/// off.
///
/// Thread rule: safe to share; reads run concurrently, writes one at a time. All calls block.
public final class StateDatabase: Sendable {
    /// The path of the file itself.
    public let path: String

    /// Reads: one consistent snapshot per access.
    let reader: any DatabaseReader
    /// The one writing connection, or nil when open for reading only.
    private let pool: DatabasePool?

    /// The file's name inside a data directory.
    public static let fileName = "state.db"

    /// Whether a data directory has a database.
    public static func exists(in directory: String) -> Bool {
        FileManager.default.fileExists(atPath: path(inDirectory: directory))
    }

    /// How long a connection waits for a lock that another process holds.
    static let busyTimeoutSeconds = 5.0
    /// How much of the file the writing connection keeps in memory at most.
    static let cacheKibibytes = 65_536

    /// Opens the database of the data directory `directory`, creates it or brings its schema up to
    /// date where needed, and sweeps away rebuilds that did not finish.
    ///
    /// Errors: `newerSchema`, `corrupt`, `locked`, `noSpace`, `inputOutput`.
    public convenience init(directory: String) throws(StateStoreError) {
        try self.init(directory: directory, migrator: StateSchema.migrator)
    }

    /// Opens for writing with a given list of migrations, for tests of the migrations themselves.
    init(directory: String, migrator: DatabaseMigrator) throws(StateStoreError) {
        let path = Self.path(inDirectory: directory)
        let pool = try translatingErrors(path: path) {
            let pool = try DatabasePool(path: path, configuration: Self.configuration())
            // A pool turns WAL mode on and sets NORMAL, which may lose the last commits when the
            // power fails; it does so after any hook of the configuration, hence here.
            // The cache holds the tables of a large projection, which come in no order.
            try pool.writeWithoutTransaction { connection in
                try connection.execute(sql: "PRAGMA synchronous = FULL")
                try connection.execute(sql: "PRAGMA cache_size = -\(Self.cacheKibibytes)")
            }
            let unknown = try pool.read { try StateSchema.unknownMigrations($0, of: migrator) }
            guard unknown.isEmpty else {
                throw StateStoreError.newerSchema(path: path, migrations: unknown)
            }
            try migrator.migrate(pool)
            try pool.write { try RebuildSweep.run($0) }
            return pool
        }
        self.path = path
        self.pool = pool
        self.reader = pool
    }

    /// Opens the database of `directory` for reading, beside a process that may be writing to it.
    /// Takes no write lock and changes nothing.
    ///
    /// Errors: `noProjectionYet` when there is no database; `newerSchema`, `olderSchema`,
    /// `corrupt`, `locked`, `inputOutput`.
    public convenience init(readingDirectory directory: String) throws(StateStoreError) {
        try self.init(readingDirectory: directory, migrator: StateSchema.migrator)
    }

    /// Opens for reading with a given list of migrations, for tests of the migrations themselves.
    init(readingDirectory directory: String, migrator: DatabaseMigrator) throws(StateStoreError) {
        let path = Self.path(inDirectory: directory)
        guard Self.exists(in: directory) else {
            throw .noProjectionYet(path: path)
        }
        let reader = try translatingErrors(path: path) {
            var configuration = Self.configuration()
            configuration.readonly = true
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.read { database in
                let unknown = try StateSchema.unknownMigrations(database, of: migrator)
                guard unknown.isEmpty else {
                    throw StateStoreError.newerSchema(path: path, migrations: unknown)
                }
                let applied = try migrator.appliedIdentifiers(database)
                // A file without any migration was created and not filled yet.
                guard !applied.isEmpty else { throw StateStoreError.noProjectionYet(path: path) }
                let missing = migrator.migrations.filter { !applied.contains($0) }
                guard missing.isEmpty else {
                    throw StateStoreError.olderSchema(path: path, missing: missing)
                }
            }
            return queue
        }
        self.path = path
        self.pool = nil
        self.reader = reader
    }

    /// Brings everything into the one file and closes the connections; later calls fail. Without
    /// it they close when the object goes away, and what was committed may stay in the `-wal` file
    /// beside it, where it is as safe.
    public func close() throws(StateStoreError) {
        try translatingErrors(path: path) {
            // A reader that is at work may keep the log from being emptied, which is no error.
            _ = try? pool?.writeWithoutTransaction { try $0.checkpoint(.truncate) }
            try reader.close()
        }
    }

    /// The writing connection. Error: `readOnly`.
    func writer() throws(StateStoreError) -> DatabasePool {
        guard let pool else { throw .readOnly(path: path) }
        return pool
    }

    /// Reads in one snapshot, with this package's errors.
    func read<Value>(_ body: (Database) throws -> Value) throws(StateStoreError) -> Value {
        try translatingErrors(path: path) { try reader.read(body) }
    }

    /// Writes in one transaction, with this package's errors: all of `body`, or nothing of it.
    func write<Value>(_ body: (Database) throws -> Value) throws(StateStoreError) -> Value {
        let pool = try writer()
        return try translatingErrors(path: path) { try pool.write(body) }
    }

    private static func path(inDirectory directory: String) -> String {
        directory.hasSuffix("/") ? directory + fileName : directory + "/" + fileName
    }

    private static func configuration() -> Configuration {
        var configuration = Configuration()
        configuration.label = "tally.state"
        configuration.busyMode = .timeout(busyTimeoutSeconds)
        configuration.foreignKeysEnabled = true
        return configuration
    }
}
