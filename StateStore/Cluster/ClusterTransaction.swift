import GRDB
import TallyReplication

/// One writing transaction on `cluster.db`: what ``CoordinationLedger`` does, in tables.
///
/// Valid inside the access to the database that made it.
struct ClusterTransaction {
    private let connection: Database
    private let clock: ClusterClock
    /// What time it is. Read with the write lock held: never before that of an earlier transaction.
    let now: CoordinationInstant
    /// The store's revision when the transaction began.
    let initialRevision: CoordinationRevision
    /// The store's revision, with what the transaction has changed.
    private(set) var revision: CoordinationRevision
    private let compactedRevision: CoordinationRevision
    private var lastLease: LeaseID
    private var isForeignClock: Bool
    private var isLeaseGranted = false

    /// Watchers may be so many revisions behind, and up to twice as many.
    static let historyRevisionsMax: Int64 = 4096

    init(_ connection: Database, clock: ClusterClock) throws {
        self.connection = connection
        self.clock = clock
        now = clock.now()
        guard let row = try Row.fetchOne(connection, sql: "SELECT * FROM store") else {
            throw CoordinationError.corrupt(reason: "the table store has no row")
        }
        initialRevision = CoordinationRevision(try row.value("revision"))
        revision = initialRevision
        compactedRevision = CoordinationRevision(try row.value("compactedRevision"))
        lastLease = LeaseID(try row.value("lastLease"))
        isForeignClock = try row.value("clock") != clock.name
    }

    // MARK: Leases

    /// Ends the leases whose deadline has come, oldest deadline first, each in its own revision.
    ///
    /// Deadlines by another clock say nothing: the machine was started anew, or the processes are
    /// in different time namespaces. Then every lease begins anew, which is never too short for its
    /// owner. The same goes for a deadline further away than the lease is long.
    mutating func endLeases() throws {
        if isForeignClock {
            try connection.execute(
                sql: "UPDATE lease SET deadline = ? + seconds * 1000",
                arguments: [now.milliseconds])
            try connection.execute(sql: "UPDATE store SET clock = ?", arguments: [clock.name])
            isForeignClock = false
            return
        }
        let rows = try Row.fetchAll(
            connection.cachedStatement(
                sql: """
                    SELECT id, deadline FROM lease
                    WHERE deadline <= ?1 OR deadline > ?1 + seconds * 1000
                    ORDER BY deadline, id
                    """), arguments: [now.milliseconds])
        for row in rows {
            let lease = LeaseID(try row.value("id"))
            let deadline: Int64 = try row.value("deadline")
            if deadline <= now.milliseconds {
                try end(lease)
            } else {
                try connection.execute(
                    sql: "UPDATE lease SET deadline = ? + seconds * 1000 WHERE id = ?",
                    arguments: [now.milliseconds, lease.rawValue])
            }
        }
    }

    /// Grants a lease of so many seconds.
    mutating func grant(seconds: Int64) throws -> CoordinationLease {
        lastLease = LeaseID(lastLease.rawValue + 1)
        isLeaseGranted = true
        try connection.execute(
            sql: "INSERT INTO lease VALUES (?, ?, ?)",
            arguments: [
                lastLease.rawValue, seconds, now.advanced(bySeconds: seconds).milliseconds,
            ])
        return CoordinationLease(id: lastLease, seconds: seconds)
    }

    /// Lets a lease begin anew; those whose time is over are gone already.
    func keepAlive(_ lease: LeaseID) throws -> Result<CoordinationLease, CoordinationError> {
        let seconds = try Int64.fetchOne(
            connection.cachedStatement(
                sql: "UPDATE lease SET deadline = ? + seconds * 1000 WHERE id = ? RETURNING seconds"
            ), arguments: [now.milliseconds, lease.rawValue])
        guard let seconds else { return .failure(.leaseNotFound(lease)) }
        return .success(CoordinationLease(id: lease, seconds: seconds))
    }

    /// Ends a lease at once.
    mutating func revoke(_ lease: LeaseID) throws -> Result<Void, CoordinationError> {
        guard try isThere(lease) else { return .failure(.leaseNotFound(lease)) }
        try end(lease)
        return .success(())
    }

    private func isThere(_ lease: LeaseID) throws -> Bool {
        try Int64.fetchOne(
            connection.cachedStatement(sql: "SELECT 1 FROM lease WHERE id = ?"),
            arguments: [lease.rawValue]) != nil
    }

    private mutating func end(_ lease: LeaseID) throws {
        let keys = try String.fetchAll(
            connection.cachedStatement(sql: "SELECT key FROM entry WHERE lease = ? ORDER BY key"),
            arguments: [lease.rawValue])
        for (ordinal, key) in keys.enumerated() {
            try connection.execute(sql: "DELETE FROM entry WHERE key = ?", arguments: [key])
            try record(key: key, value: nil, lease: nil, ordinal: ordinal)
        }
        try connection.execute(
            sql: "DELETE FROM lease WHERE id = ?", arguments: [lease.rawValue])
        if !keys.isEmpty { revision = revision.next }
    }

    // MARK: Entries

    /// Makes the operations, or nothing.
    mutating func commit(
        _ transaction: CoordinationTransaction
    ) throws -> Result<CoordinationOutcome, CoordinationError> {
        for condition in transaction.conditions where try !holds(condition) {
            return .success(.conflict)
        }
        for case .put(_, _, let lease?) in transaction.operations where try !isThere(lease) {
            return .failure(.leaseNotFound(lease))
        }
        var count = 0
        for operation in transaction.operations {
            switch operation {
            case .put(let key, let value, let lease):
                try put(key, value, lease)
                try record(key: key, value: value, lease: lease, ordinal: count)
            case .delete(let key):
                try connection.cachedStatement(sql: "DELETE FROM entry WHERE key = ?")
                    .execute(arguments: [key])
                guard connection.changesCount > 0 else { continue }
                try record(key: key, value: nil, lease: nil, ordinal: count)
            }
            count += 1
        }
        if count > 0 { revision = revision.next }
        return .success(.success(revision))
    }

    private func holds(_ condition: CoordinationCondition) throws -> Bool {
        let found = try Int64.fetchOne(
            connection.cachedStatement(
                sql: "SELECT modificationRevision FROM entry WHERE key = ?"),
            arguments: [condition.key])
        switch condition {
        case .modified(_, let revision): return (found ?? 0) == revision.rawValue
        case .exists: return found != nil
        }
    }

    private func put(_ key: String, _ value: [UInt8], _ lease: LeaseID?) throws {
        try connection.cachedStatement(
            sql: """
                INSERT INTO entry VALUES (?, ?, ?, ?)
                ON CONFLICT (key) DO UPDATE SET value = excluded.value,
                    modificationRevision = excluded.modificationRevision, lease = excluded.lease
                """
        ).execute(arguments: [key, value.asData, revision.next.rawValue, lease?.rawValue])
    }

    // MARK: History

    private func record(key: String, value: [UInt8]?, lease: LeaseID?, ordinal: Int) throws {
        try connection.cachedStatement(sql: "INSERT INTO change VALUES (?, ?, ?, ?, ?)").execute(
            arguments: [
                revision.next.rawValue, ordinal, key, value?.asData, lease?.rawValue,
            ])
    }

    /// Notes the new revision, and lets go of history that is too old.
    mutating func finish() throws {
        if revision != initialRevision || isLeaseGranted {
            try connection.cachedStatement(sql: "UPDATE store SET revision = ?, lastLease = ?")
                .execute(arguments: [revision.rawValue, lastLease.rawValue])
        }
        let behind = revision.rawValue - compactedRevision.rawValue
        if behind > 2 * Self.historyRevisionsMax {
            try compact(
                through: CoordinationRevision(revision.rawValue - Self.historyRevisionsMax))
        }
    }

    /// Forgets the history up to and with `revision`.
    func compact(through revision: CoordinationRevision) throws {
        try connection.execute(
            sql: "DELETE FROM change WHERE revision <= ?", arguments: [revision.rawValue])
        try connection.execute(
            sql: "UPDATE store SET compactedRevision = max(compactedRevision, ?)",
            arguments: [revision.rawValue])
    }
}
