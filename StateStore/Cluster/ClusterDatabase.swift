import Foundation
import GRDB
import TallyReplication

/// The connections to `cluster.db`: one that writes, and one that reads, so that a reader does not
/// wait while a commit is synced. Several processes have the file open at a time.
///
/// Thread rule: each of the connections by one thread at a time, which may block up to
/// `busyTimeoutSeconds`.
final class ClusterDatabase: Sendable {
    let path: String
    let clock: ClusterClock
    private let writer: DatabaseQueue
    private let reader: DatabaseQueue

    /// How long a call waits for a lock that another process holds.
    static let busyTimeoutSeconds = 5.0

    /// Opens the file, or creates it. Errors: `newerVersion`, `corrupt`, `unavailable`.
    init(
        path: String, clock: ClusterClock, migrator: DatabaseMigrator = ClusterSchema.migrator
    ) throws(CoordinationError) {
        self.path = path
        self.clock = clock
        (writer, reader) = try Self.translating(path: path, isWrite: false) {
            let writer = try Self.openWriter(path)
            try Self.prepare(writer, path: path, migrator: migrator)
            let reader = try DatabaseQueue(
                path: path, configuration: Self.configuration(isReadOnly: true))
            return (writer, reader)
        }
    }

    /// Turning on WAL mode needs the file alone, and SQLite does not wait for that: of several
    /// processes that open a new file at the same moment some are told that it is busy.
    private static func openWriter(_ path: String) throws -> DatabaseQueue {
        let deadline = ContinuousClock.now + .seconds(busyTimeoutSeconds)
        while true {
            do {
                let writer = try DatabaseQueue(path: path, configuration: configuration())
                try writer.writeWithoutTransaction { connection in
                    try connection.execute(sql: "PRAGMA synchronous = FULL")
                }
                return writer
            } catch let error as DatabaseError
                where [.SQLITE_BUSY, .SQLITE_LOCKED].contains(error.resultCode)
                && ContinuousClock.now < deadline
            {
                Thread.sleep(forTimeInterval: 0.01)
            }
        }
    }

    /// Refuses what is not ours, and makes the tables where there are none.
    private static func prepare(
        _ writer: DatabaseQueue, path: String, migrator: DatabaseMigrator
    ) throws {
        let unknown = try writer.read { connection -> [String] in
            let id = try Int64.fetchOne(connection, sql: "PRAGMA application_id") ?? 0
            // Tables and number come in one transaction; the list of migrations before it.
            let tables = try Int64.fetchOne(
                connection,
                sql: "SELECT count(*) FROM sqlite_master WHERE tbl_name <> 'grdb_migrations'")
            guard id == ClusterSchema.applicationID || id == 0 && tables == 0 else {
                throw CoordinationError.corrupt(
                    reason: "\(path) is another program's database, with application_id \(id)")
            }
            return try migrator.appliedIdentifiers(connection)
                .subtracting(migrator.migrations).sorted()
        }
        guard unknown.isEmpty else {
            throw CoordinationError.newerVersion(
                reason: "\(path) has had the migrations \(unknown.joined(separator: ", "))")
        }
        try migrate(writer, by: migrator)
    }

    /// Makes what tables are missing. Several processes may do so at the same moment, and each
    /// migration looks before it begins its transaction: who comes second fails, and looks again.
    private static func migrate(_ writer: DatabaseQueue, by migrator: DatabaseMigrator) throws {
        for attempt in 0... {
            do {
                return try migrator.migrate(writer)
            } catch let error as DatabaseError
                where attempt < migrator.migrations.count
                && [.SQLITE_ERROR, .SQLITE_CONSTRAINT].contains(error.resultCode)
            {
                continue
            }
        }
    }

    /// Closes the connections; later calls fail.
    func close() {
        try? reader.close()
        try? writer.close()
    }

    /// Reads in one snapshot. Errors: `unavailable`, `corrupt`, and those of `body`.
    func read<Value>(
        _ body: (Database) throws -> Value
    ) throws(CoordinationError) -> Value {
        try Self.translating(path: path, isWrite: false) { try reader.read(body) }
    }

    /// A number that changes whenever another connection has committed something.
    func dataVersion() throws(CoordinationError) -> Int64 {
        try Self.translating(path: path, isWrite: false) {
            try reader.read { connection in
                try Int64.fetchOne(connection, sql: "PRAGMA data_version") ?? 0
            }
        }
    }

    /// Writes in one transaction, which begins with ending the leases that are due. An error that
    /// `body` *returns* was found before it wrote anything, and keeps what ended; one that it
    /// throws undoes all. Gives what `body` gave, and whether anything was changed.
    ///
    /// Errors: `unavailable`, `outcomeUnknown`, `corrupt`, and those of `body`.
    func write<Value>(
        _ body: (inout ClusterTransaction) throws -> Result<Value, CoordinationError>
    ) throws(CoordinationError) -> (value: Value, isChanged: Bool) {
        let (result, isChanged) = try Self.translating(path: path, isWrite: true) {
            try writer.write { connection in
                var transaction = try ClusterTransaction(connection, clock: clock)
                let before = transaction.initialRevision
                try transaction.endLeases()
                let result = try body(&transaction)
                try transaction.finish()
                return (result, transaction.revision != before)
            }
        }
        return (try result.get(), isChanged)
    }

    private static func configuration(isReadOnly: Bool = false) -> Configuration {
        var configuration = Configuration()
        configuration.label = "tally.cluster"
        configuration.busyMode = .timeout(busyTimeoutSeconds)
        configuration.foreignKeysEnabled = true
        configuration.journalMode = .wal
        configuration.readonly = isReadOnly
        return configuration
    }

    /// SQLite's errors in the words of a coordination store.
    private static func translating<Value>(
        path: String, isWrite: Bool, _ body: () throws -> Value
    ) throws(CoordinationError) -> Value {
        do {
            return try body()
        } catch let error as CoordinationError {
            throw error
        } catch let error as DatabaseError {
            let message = "\(path): \(error.message ?? "no message")"
            switch error.resultCode {
            case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_FORMAT:
                throw .corrupt(reason: message)
            case .SQLITE_IOERR where isWrite:
                // The sync of a commit may be what failed.
                throw .outcomeUnknown(reason: message)
            case .SQLITE_BUSY, .SQLITE_LOCKED:
                throw .unavailable(reason: "another process holds the lock of \(path)")
            default:
                throw .unavailable(reason: message)
            }
        } catch let error as RowDecodingError {
            throw .corrupt(reason: "\(path): \(error.description)")
        } catch {
            throw .unavailable(reason: "\(path): \(error)")
        }
    }
}
