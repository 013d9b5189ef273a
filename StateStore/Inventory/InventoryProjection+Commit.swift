import GRDB
import Tally

extension InventoryProjection {
    /// Writes everything pending in one transaction: rows, dead letters, audits, event ids and
    /// positions, all of it or nothing. Returns when it is on stable storage.
    ///
    /// Errors: `anotherWriter`, and those of every database access. Nothing was written then, and
    /// nothing is pending any more; resume from `position(partition:)`.
    public func commit() throws(StateStoreError) {
        if mustReload { try reload() }
        guard state.pendingRecords > 0 else { return }
        let time = now()
        do {
            try database.write { connection in
                try identity.raiseRevision(connection, topic: topic)
                try writePositions(connection, time: time)
                try writeRows(connection)
                try writeDeadLetters(connection)
                try writeAudits(connection)
                try writeAvailabilities(connection)
                try writeEventIds(connection)
            }
        } catch {
            discard()
            throw error
        }
        identity.revision += 1
        state.didCommit(cachedRowsMax: options.cachedRowsMax)
    }

    /// Moves the positions, each from where this writer knows it to be.
    private func writePositions(_ connection: Database, time: Timestamp) throws {
        let table = "projection_position\(identity.set.suffix)"
        var insert = try BoundStatement(
            connection,
            sql: """
                INSERT INTO \(table) (nextOffset, leaderEpoch, stockEvents, availabilityEvents,
                    auditEvents, duplicates, deadLetters, lastRecordedAt, committedAt,
                    projection, partition)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
                """)
        var update = try BoundStatement(
            connection,
            sql: """
                UPDATE \(table) SET nextOffset = ?, leaderEpoch = ?, stockEvents = ?,
                    availabilityEvents = ?, auditEvents = ?, duplicates = ?, deadLetters = ?,
                    lastRecordedAt = ?, committedAt = ?
                WHERE projection = ? AND partition = ? AND nextOffset = ?
                """)
        for progress in state.partitions where progress.isTouched {
            if let committed = progress.committedNext {
                update.bind(progress, time: time, projection: identity.id)
                update.bind(committed)
                try update.execute()
            } else {
                insert.bind(progress, time: time, projection: identity.id)
                try insert.execute()
            }
            guard connection.changesCount == 1 else {
                throw StateStoreError.anotherWriter(topic: topic)
            }
        }
    }

    private func writeRows(_ connection: Database) throws {
        let table = "inventory\(identity.set.suffix)"
        var insert = try BoundStatement(
            connection,
            sql: """
                INSERT INTO \(table) (onHand, reserved, lastEventTime, lastOffset, events,
                    lastCountVariance, countedAt, partition, projection, warehouse, item)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        var update = try BoundStatement(
            connection,
            sql: """
                UPDATE \(table) SET onHand = ?, reserved = ?, lastEventTime = ?, lastOffset = ?,
                    events = ?, lastCountVariance = ?, countedAt = ?, partition = ?
                WHERE id = ?
                """)
        for number in state.touchedRows {
            let row = state.rows[number]
            if row.id != 0 {
                update.bind(row)
                update.bind(row.id)
                try update.execute()
            } else {
                let names = try state.keys.names(of: number)
                insert.bind(row)
                insert.bind(identity.id)
                insert.bind(names.warehouse)
                insert.bind(names.item)
                try insert.execute()
                state.rows[number].id = connection.lastInsertedRowID
            }
        }
    }
}

extension BoundStatement {
    /// Begins, and binds what an insertion and an update of an inventory row have in common.
    fileprivate mutating func bind(_ row: InventoryRow) {
        begin()
        bind(row.onHand)
        bind(row.reserved)
        bind(row.lastEventTime)
        bind(row.lastOffset)
        bind(row.events)
        bind(row.lastCountVariance)
        bind(row.countedAt)
        bind(row.partition)
    }

    /// Begins, and binds what an insertion and an update of a position have in common.
    fileprivate mutating func bind(
        _ progress: PartitionProgress, time: Timestamp, projection: Int64
    ) {
        begin()
        bind(progress.next)
        bind(progress.leaderEpoch)
        bind(progress.stockEvents)
        bind(progress.availabilityEvents)
        bind(progress.auditEvents)
        bind(progress.duplicates)
        bind(progress.deadLetters)
        bind(progress.lastRecordedAt)
        bind(time.rawValue)
        bind(projection)
        bind(progress.partition)
    }
}
