import GRDB
import Tally

extension InventoryProjection {
    /// Commits what is pending and makes the rebuilt rows and positions the live ones, in one
    /// transaction: a query sees all of the old or all of the new. After it this projection is the
    /// live one; any other writer of the topic gets `anotherWriter` at its next commit.
    ///
    /// The new positions may lie behind the old ones, when the caller stopped early or the log
    /// lost its tail. The live projection goes on from them; nothing is lost or counted twice.
    ///
    /// Errors: `notARebuild`, `anotherWriter` when a later rebuild took this one's place, and those
    /// of every database access. The live rows are as they were then.
    public func finishRebuild() throws(StateStoreError) {
        guard identity.set == .next else { throw .notARebuild(topic: topic) }
        try commit()
        if mustReload { try reload() }
        let time = now()
        do {
            try database.write { connection in
                try identity.raiseRevision(connection, topic: topic)
                for (table, columns) in TableSet.columns {
                    try connection.execute(
                        sql: "DELETE FROM \(table) WHERE projection = ?", arguments: [identity.id])
                    try connection.execute(
                        sql: """
                            INSERT INTO \(table) (\(columns))
                            SELECT \(columns) FROM \(table)_next WHERE projection = ?
                            """,
                        arguments: [identity.id])
                }
                try connection.execute(
                    sql: """
                        UPDATE projection SET generation = nextGeneration, revision = 0,
                            deduplicationWindow = nextDeduplicationWindow, generationCreatedAt = ?,
                            topicId = nextTopicId
                        WHERE id = ?
                        """,
                    arguments: [time.rawValue, identity.id])
                try RebuildSweep.clear(connection, projection: identity.id)
            }
        } catch {
            discard()
            throw error
        }
        identity.set = .live
        identity.revision = 0
        // The rows have other ids now.
        try reload()
    }

    /// Gives a rebuild up: its rows are deleted, the live ones stay. The projection can no longer
    /// be used.
    ///
    /// Errors: `notARebuild`, and those of every database access.
    public func abandonRebuild() throws(StateStoreError) {
        guard identity.set == .next else { throw .notARebuild(topic: topic) }
        discard()
        try database.write { connection in
            // Only if a later rebuild has not taken its place.
            guard try identity.refreshed(connection) != nil else { return }
            try RebuildSweep.clear(connection, projection: identity.id)
        }
    }
}

/// Throwing away what a rebuild has written beside the live rows.
enum RebuildSweep {
    /// Sweeps away every rebuild: run when the database is opened for writing, for then none can
    /// be at work.
    static func run(_ database: Database) throws {
        let unfinished = try Int64.fetchAll(
            database, sql: "SELECT id FROM projection WHERE nextGeneration IS NOT NULL")
        for projection in unfinished { try clear(database, projection: projection) }
    }

    /// Sweeps away the rebuild of one projection.
    static func clear(_ database: Database, projection: Int64) throws {
        for (table, _) in TableSet.columns {
            try database.execute(
                sql: "DELETE FROM \(table)_next WHERE projection = ?", arguments: [projection])
        }
        try database.execute(
            sql: """
                UPDATE projection SET nextGeneration = NULL, nextRevision = NULL,
                    nextDeduplicationWindow = NULL, nextStartedAt = NULL, nextTopicId = NULL
                WHERE id = ?
                """,
            arguments: [projection])
    }
}
