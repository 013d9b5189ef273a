import Foundation
import Tally
import Testing

@testable import TallyStateStore

@Suite("The state database")
struct StateDatabaseTests {
    let directory: ScratchDirectory

    init() throws { directory = try ScratchDirectory() }

    @Test("it writes ahead, and every commit is synced")
    func pragmas() throws {
        let database = try StateDatabase(directory: directory.path)
        let values = try database.writer().writeWithoutTransaction { connection in
            (
                try String.fetchOne(connection, sql: "PRAGMA journal_mode"),
                try Int.fetchOne(connection, sql: "PRAGMA synchronous"),
                try Int.fetchOne(connection, sql: "PRAGMA foreign_keys")
            )
        }
        #expect(values.0 == "wal")
        #expect(values.1 == 2)
        #expect(values.2 == 1)
    }

    @Test("opening again changes nothing")
    func reopening() throws {
        for _ in 0..<3 {
            let database = try StateDatabase(directory: directory.path)
            try database.expectSound()
            #expect(try InventoryQueries(database).topics() == [])
            try database.close()
        }
    }

    @Test("a reader finds no projection where there is none, and creates nothing")
    func missing() throws {
        let expected = StateStoreError.noProjectionYet(path: directory.file)
        #expect(throws: expected) {
            _ = try StateDatabase(readingDirectory: directory.path)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
        // An empty file is what a crash right after its creation leaves.
        try Data().write(to: URL(fileURLWithPath: directory.file))
        #expect(throws: expected) { _ = try StateDatabase(readingDirectory: directory.path) }
    }

    @Test("a reader sees every commit of a writer that is at work, and cannot write")
    func reading() throws {
        let database = try StateDatabase(directory: directory.path)
        let projection = try InventoryProjection.opened(database)
        let reader = try StateDatabase(readingDirectory: directory.path)
        for offset in 0..<3 {
            try projection.apply(.event("STOCK_RECEIVED", 1), offset: Int64(offset))
            try projection.commit()
            #expect(try reader.onlyStock().onHand == Int64(offset + 1))
        }
        #expect(throws: StateStoreError.readOnly(path: directory.file)) {
            _ = try InventoryProjection(database: reader, topic: "events")
        }
        // The writer has a transaction open: the reader neither waits nor sees any of it.
        try database.write { connection in
            try connection.execute(sql: "UPDATE inventory SET onHand = 99")
            #expect(try reader.onlyStock().onHand == 3)
        }
    }

    @Test("a reader works after the writer has closed")
    func readingAfterClose() throws {
        let database = try StateDatabase(directory: directory.path)
        try database.remember(topic: "t")
        try database.close()
        let reader = try StateDatabase(readingDirectory: directory.path)
        #expect(try InventoryQueries(reader).topics() == ["t"])
    }

    @Test("a database of a newer version is refused, for writing and for reading")
    func newerSchema() throws {
        let database = try StateDatabase(directory: directory.path)
        try database.execute("INSERT INTO grdb_migrations VALUES ('999-of-the-future')")
        try database.close()
        let expected = StateStoreError.newerSchema(
            path: directory.file, migrations: ["999-of-the-future"])
        #expect(throws: expected) { _ = try StateDatabase(directory: directory.path) }
        #expect(throws: expected) { _ = try StateDatabase(readingDirectory: directory.path) }
        #expect(expected.description.contains("newer version"))
    }

    @Test("a database of an older version is brought up to date by a writer, keeping its rows")
    func olderSchema() throws {
        let database = try StateDatabase(directory: directory.path)
        let projection = try InventoryProjection.opened(database)
        try projection.apply(.event("STOCK_RECEIVED", 1), offset: 0)
        try projection.commit()
        try database.close()
        var migrator = StateSchema.migrator
        migrator.registerMigration("002-test") { connection in
            try connection.execute(sql: "ALTER TABLE inventory ADD COLUMN note TEXT")
        }
        let newer = try StateDatabase(directory: directory.path, migrator: migrator)
        #expect(try newer.onlyStock().onHand == 1)
        let columns = try newer.read { try $0.columns(in: "inventory").map(\.name) }
        #expect(columns.contains("note"))
    }

    @Test("a reader refuses a database that lacks a migration, and leaves it alone")
    func olderSchemaForReader() throws {
        try StateDatabase(directory: directory.path).close()
        var migrator = StateSchema.migrator
        migrator.registerMigration("002-test") { _ in }
        let expected = StateStoreError.olderSchema(path: directory.file, missing: ["002-test"])
        for _ in 0..<2 {
            #expect(throws: expected) {
                _ = try StateDatabase(readingDirectory: directory.path, migrator: migrator)
            }
        }
    }

    @Test("a file that is no database is corrupt, for writing and for reading")
    func garbage() throws {
        try Data(repeating: 0x5a, count: 10_000).write(to: URL(fileURLWithPath: directory.file))
        for open in [
            { _ = try StateDatabase(directory: directory.path) },
            { _ = try StateDatabase(readingDirectory: directory.path) },
        ] {
            do {
                try open()
                Issue.record("garbage was opened")
            } catch let error as StateStoreError {
                guard case .corrupt(let path, _) = error else {
                    Issue.record("\(error)")
                    return
                }
                #expect(path == directory.file)
            }
        }
    }

    @Test("damaged pages are found by verifying")
    func damage() throws {
        let database = try StateDatabase(directory: directory.path)
        let projection = try InventoryProjection.opened(database)
        for offset in 0..<2000 {
            try projection.apply(
                .event("STOCK_RECEIVED", 1, key: "W:\(offset)"), offset: Int64(offset))
        }
        try projection.commit()
        try database.close()
        var bytes = try Data(contentsOf: URL(fileURLWithPath: directory.file))
        let half = bytes.count / 2
        bytes.replaceSubrange(half..<half + 8192, with: Data(repeating: 0x5a, count: 8192))
        try bytes.write(to: URL(fileURLWithPath: directory.file))
        var isFound = false
        do {
            isFound = try !StateDatabase(directory: directory.path).verify().isEmpty
        } catch StateStoreError.corrupt {
            isFound = true
        }
        #expect(isFound)
    }

    @Test("verifying finds rows that disagree with their positions")
    func verify() throws {
        let database = try StateDatabase(directory: directory.path)
        let projection = try InventoryProjection.opened(database)
        try projection.applyAll([
            .event("STOCK_RECEIVED", 1), TestRecord(nil, nil), .event("MANUAL_OVERRIDE"),
        ])
        try projection.commit()
        try database.expectSound()
        for sql in [
            "UPDATE inventory SET events = 2", "DELETE FROM dead_letter", "DELETE FROM audit",
            "INSERT INTO audit_next SELECT 1, 0, 0, 'x', NULL, NULL, NULL, 0",
        ] {
            let copy = try ScratchDirectory()
            try database.execute("VACUUM INTO '\(copy.file)'", inTransaction: false)
            let meddled = try StateDatabase(directory: copy.path)
            try meddled.expectSound()
            try meddled.execute(sql)
            #expect(try !meddled.verify().isEmpty, "\(sql)")
        }
    }

    @Test("a directory that is not there is an error of the operating system")
    func noDirectory() throws {
        do {
            _ = try StateDatabase(directory: directory.path + "/none")
            Issue.record("a missing directory was opened")
        } catch StateStoreError.inputOutput(let path, _) {
            #expect(path == directory.path + "/none/state.db")
        }
    }

    @Test("every error says what is wrong and what to do")
    func descriptions() {
        let errors: [StateStoreError] = [
            .noProjectionYet(path: "p"), .corrupt(path: "p", message: "m"), .locked(path: "p"),
            .noSpace(path: "p"), .anotherWriter(topic: "t"),
            .baselineMissing(topic: "t", partition: 1, logStart: Offset(5)),
            .behindLogStart(topic: "t", partition: 1, position: Offset(3), logStart: Offset(5)),
            .positionNotInLog(
                topic: "t", partition: 1, position: Offset(3), leaderEpoch: LeaderEpoch(2)),
            .notARebuild(topic: "t"), .readOnly(path: "p"),
            .olderSchema(path: "p", missing: ["m"]),
        ]
        for error in errors {
            #expect(error.description.count > 20)
            #expect(!error.description.contains("unexpected"))
        }
    }
}

extension StateDatabase {
    /// Runs SQL that must stand outside of a transaction.
    fileprivate func execute(_ sql: String, inTransaction: Bool) throws {
        try writer().writeWithoutTransaction { try $0.execute(sql: sql) }
    }
}
