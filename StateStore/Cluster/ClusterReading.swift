import Foundation
import GRDB
import TallyReplication

/// What is read of `cluster.db`, each within one snapshot.
struct ClusterReading {
    let connection: Database

    /// All entries with the prefix, in the order of their keys.
    func entries(prefix: String) throws -> CoordinationSnapshot {
        let (first, end) = Self.range(of: prefix)
        let entries = try Row.fetchAll(
            connection.cachedStatement(
                sql: """
                    SELECT key, value, lease, modificationRevision FROM entry
                    WHERE key >= ? AND key < ? ORDER BY key
                    """), arguments: [first, end]
        ).map { row in
            CoordinationEntry(
                key: try row.value("key"), value: try row.bytes("value"),
                modificationRevision: .init(try row.value("modificationRevision")),
                lease: try row.lease())
        }
        return CoordinationSnapshot(entries: entries, revision: try revisions().current)
    }

    /// Changes after a revision, whole revisions, about `changesMax` of them at most.
    func changes(
        prefix: String, after: CoordinationRevision, changesMax: Int = 1000
    ) throws -> CoordinationChanges {
        let (current, compacted) = try revisions()
        guard after >= compacted else {
            throw CoordinationError.compacted(revision: after, oldest: compacted)
        }
        let (first, end) = Self.range(of: prefix)
        let selection = "revision > ? AND key >= ? AND key < ?"
        let last = try Int64.fetchOne(
            connection.cachedStatement(
                sql: """
                    SELECT revision FROM change WHERE \(selection)
                    ORDER BY revision, ordinal LIMIT 1 OFFSET \(changesMax)
                    """), arguments: [after.rawValue, first, end])
        let through = max(after, last.map { CoordinationRevision($0) } ?? current)
        let changes = try Row.fetchAll(
            connection.cachedStatement(
                sql: """
                    SELECT revision, key, value, lease FROM change
                    WHERE \(selection) AND revision <= ? ORDER BY revision, ordinal
                    """), arguments: [after.rawValue, first, end, through.rawValue]
        ).map(change)
        return CoordinationChanges(changes: changes, revision: through)
    }

    private func change(_ row: Row) throws -> CoordinationChange {
        let revision = CoordinationRevision(try row.value("revision"))
        let key: String = try row.value("key")
        let value: Data? = try row.value("value")
        guard let value else { return .delete(key: key, revision: revision) }
        return .put(
            CoordinationEntry(
                key: key, value: [UInt8](value), modificationRevision: revision,
                lease: try row.lease()))
    }

    /// When a lease ends next, by the store's clock: nil where there is none; the past where the
    /// deadlines are those of another clock.
    func nextDeadline(clock: ClusterClock) throws -> CoordinationInstant? {
        let row = try Row.fetchOne(
            connection.cachedStatement(
                sql: "SELECT clock, (SELECT min(deadline) FROM lease) AS deadline FROM store"))
        guard let row, let deadline: Int64 = try row.value("deadline") else { return nil }
        let isOurs: Bool = try row.value("clock") == clock.name
        return CoordinationInstant(milliseconds: isOurs ? deadline : .min)
    }

    private func revisions() throws -> (
        current: CoordinationRevision, compacted: CoordinationRevision
    ) {
        let row = try Row.fetchOne(
            connection.cachedStatement(sql: "SELECT revision, compactedRevision FROM store"))
        guard let row else {
            throw CoordinationError.corrupt(reason: "the table store has no row")
        }
        return (
            CoordinationRevision(try row.value("revision")),
            CoordinationRevision(try row.value("compactedRevision"))
        )
    }

    /// The keys from the first up to before the second: no key has a character as high as DEL.
    private static func range(of prefix: String) -> (first: String, end: String) {
        (prefix, prefix + "\u{7F}")
    }
}

extension [UInt8] {
    /// As SQLite takes it.
    var asData: Data { Data(self) }
}

extension Row {
    /// The lease in the column `lease`, if any.
    fileprivate func lease() throws -> LeaseID? {
        let id: Int64? = try value("lease")
        return id.map { LeaseID($0) }
    }

    /// The bytes in a column.
    fileprivate func bytes(_ column: String) throws -> [UInt8] {
        let data: Data = try value(column)
        return [UInt8](data)
    }
}
