import Foundation
import GRDB

/// Writing what a commit inserts besides rows and positions.
extension InventoryProjection {
    func writeDeadLetters(_ connection: Database) throws {
        guard !state.pending.deadLetters.isEmpty else { return }
        let statement = try connection.cachedStatement(
            sql: """
                INSERT INTO dead_letter\(identity.set.suffix) (projection, partition, offset,
                    reason, timestamp, keySize, key, valueSize, value)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        for letter in state.pending.deadLetters {
            try statement.execute(arguments: [
                identity.id, letter.partition, letter.offset, letter.reason, letter.timestamp,
                letter.keySize, letter.key.map { Data($0) }, letter.valueSize,
                letter.value.map { Data($0) },
            ])
        }
    }

    func writeAudits(_ connection: Database) throws {
        guard !state.pending.audits.isEmpty else { return }
        let statement = try connection.cachedStatement(
            sql: """
                INSERT INTO audit\(identity.set.suffix) (projection, partition, offset, eventType,
                    who, why, key, recordedAt)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                """)
        for audit in state.pending.audits {
            try statement.execute(arguments: [
                identity.id, audit.partition, audit.offset, audit.type.rawValue, audit.who,
                audit.why, audit.key, audit.recordedAt,
            ])
        }
    }

    /// Writes decisions in the order of the log, so that the last one for a channel stays.
    func writeAvailabilities(_ connection: Database) throws {
        guard !state.pending.availabilities.isEmpty else { return }
        let statement = try connection.cachedStatement(
            sql: """
                INSERT INTO availability\(identity.set.suffix) (projection, warehouse, item,
                    channel, decision, reason, updatedAt, partition, offset)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (projection, warehouse, item, channel) DO UPDATE SET
                    decision = excluded.decision, reason = excluded.reason,
                    updatedAt = excluded.updatedAt, partition = excluded.partition,
                    offset = excluded.offset
                """)
        for row in state.pending.availabilities {
            try statement.execute(arguments: [
                identity.id, row.key.warehouse, row.key.item, row.channel, row.decision.rawValue,
                row.reason, row.recordedAt, row.partition, row.offset,
            ])
        }
    }

    /// Writes the ids applied, and drops those that no later offset can be a duplicate of.
    func writeEventIds(_ connection: Database) throws {
        let table = "processed_event\(identity.set.suffix)"
        if !state.pending.eventIdList.isEmpty {
            var insert = try BoundStatement(
                connection,
                sql: """
                    INSERT INTO \(table) (projection, partition, eventId, offset)
                    VALUES (?, ?, ?, ?)
                    ON CONFLICT (projection, partition, eventId)
                        DO UPDATE SET offset = excluded.offset
                    """)
            for event in state.pending.eventIdList {
                insert.begin()
                insert.bind(identity.id)
                insert.bind(event.partition)
                insert.bind(String(decoding: event.id, as: UTF8.self))
                insert.bind(state.pending.eventIds[event])
                try insert.execute()
            }
        }
        let prune = try connection.cachedStatement(
            sql: "DELETE FROM \(table) WHERE projection = ? AND partition = ? AND offset < ?")
        let window = state.deduplicationWindow
        for progress in state.partitions where progress.mustPrune(window) {
            try prune.execute(arguments: [
                identity.id, progress.partition, progress.horizon(window),
            ])
        }
    }
}
