import GRDB
import Tally

/// Which row of the projection table a writer works for, and the state of it that it knows.
///
/// Every commit raises the revision, comparing it with the one known here. A writer whose
/// generation or revision is not the database's any more has been overtaken and writes nothing.
struct ProjectionIdentity {
    var id: Int64
    var set: TableSet
    var generation: Int64
    var revision: Int64
    var deduplicationWindow: Int64

    /// The live generation of a topic's projection, created when the topic has none.
    static func live(
        _ database: Database, topic: String, window: Int64, now: Timestamp
    ) throws -> ProjectionIdentity {
        try database.execute(
            sql: """
                INSERT INTO projection (name, topic, generation, revision, deduplicationWindow,
                    lastGeneration, createdAt, generationCreatedAt)
                VALUES (?, ?, 1, 0, ?, 1, ?, ?) ON CONFLICT (name, topic) DO NOTHING
                """,
            arguments: [
                InventoryProjection.name, topic, window, now.rawValue, now.rawValue,
            ])
        let row = try Row.fetchOne(
            database, sql: "SELECT * FROM projection WHERE name = ? AND topic = ?",
            arguments: [InventoryProjection.name, topic])
        guard let row else { throw StateStoreError.anotherWriter(topic: topic) }
        return try ProjectionIdentity(
            id: row.value("id"), set: .live, generation: row.value("generation"),
            revision: row.value("revision"),
            deduplicationWindow: row.value("deduplicationWindow"))
    }

    /// A new generation beside the live one. No generation number is given out twice, so that a
    /// rebuild that was swept away cannot take a later one for itself.
    static func beginRebuild(
        _ database: Database, topic: String, window: Int64, now: Timestamp
    ) throws -> ProjectionIdentity {
        let id = try live(database, topic: topic, window: window, now: now).id
        try RebuildSweep.clear(database, projection: id)
        try database.execute(
            sql: """
                UPDATE projection SET lastGeneration = lastGeneration + 1,
                    nextGeneration = lastGeneration + 1, nextRevision = 0,
                    nextDeduplicationWindow = ?, nextStartedAt = ?
                WHERE id = ?
                """,
            arguments: [window, now.rawValue, id])
        let generation = try Int64.fetchOne(
            database, sql: "SELECT nextGeneration FROM projection WHERE id = ?", arguments: [id])
        guard let generation else { throw StateStoreError.anotherWriter(topic: topic) }
        return ProjectionIdentity(
            id: id, set: .next, generation: generation, revision: 0, deduplicationWindow: window)
    }

    /// What the database says now: a live projection follows the live generation, a rebuild that
    /// was overtaken is gone (nil).
    func refreshed(_ database: Database) throws -> ProjectionIdentity? {
        let row = try Row.fetchOne(
            database, sql: "SELECT * FROM projection WHERE id = ?", arguments: [id])
        guard let row else { return nil }
        var current = self
        switch set {
        case .live:
            current.generation = try row.value("generation")
            current.revision = try row.value("revision")
            current.deduplicationWindow = try row.value("deduplicationWindow")
        case .next:
            let next: Int64? = try row.value("nextGeneration")
            guard next == generation else { return nil }
            current.revision = try row.value("nextRevision")
        }
        return current
    }

    /// Raises the revision if generation and revision are still the ones known here.
    func raiseRevision(_ database: Database, topic: String) throws {
        let (generationColumn, revisionColumn) =
            set == .live ? ("generation", "revision") : ("nextGeneration", "nextRevision")
        try database.execute(
            sql: """
                UPDATE projection SET \(revisionColumn) = \(revisionColumn) + 1
                WHERE id = ? AND \(generationColumn) = ? AND \(revisionColumn) = ?
                """,
            arguments: [id, generation, revision])
        guard database.changesCount == 1 else {
            throw StateStoreError.anotherWriter(topic: topic)
        }
    }
}
