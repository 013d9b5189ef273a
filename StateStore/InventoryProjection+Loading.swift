import GRDB
import Tally

extension InventoryProjection {
    /// Reads positions and revision again if an error made what is in memory worthless.
    @inline(__always)
    func reloadIfNeeded() throws(StateStoreError) {
        if mustReload { try reload() }
    }

    /// Takes positions and revision from the database; nothing is pending after it.
    func reload() throws(StateStoreError) {
        forgetPending()
        forgetRows()
        let identity = self.identity
        let suffix = identity.set.suffix
        let topic = self.topic
        // Through the writing connection: readers may see an older snapshot.
        let pool = try database.writer()
        try translatingErrors(path: database.path) {
            try pool.writeWithoutTransaction { connection in
                try connection.inTransaction(.deferred) {
                    guard let current = try identity.refreshed(connection) else {
                        throw StateStoreError.anotherWriter(topic: topic)
                    }
                    self.identity = current
                    try loadPositions(connection)
                    cacheIsComplete = try !connection.hasRows(
                        in: "inventory\(suffix)", projection: current.id)
                    hasStoredEventIds = try connection.hasRows(
                        in: "processed_event\(suffix)", projection: current.id)
                    return .commit
                }
            }
        }
        mustReload = false
    }

    private func loadPositions(_ connection: Database) throws {
        partitions.removeAll()
        partitionSlots.removeAll()
        let cursor = try Row.fetchCursor(
            connection,
            sql: "SELECT * FROM projection_position\(identity.set.suffix) WHERE projection = ?",
            arguments: [identity.id])
        while let row = try cursor.next() {
            var progress = PartitionProgress(partition: row["partition"])
            progress.next = row["nextOffset"]
            progress.committedNext = progress.next
            progress.leaderEpoch = row["leaderEpoch"]
            progress.stockEvents = row["stockEvents"]
            progress.availabilityEvents = row["availabilityEvents"]
            progress.auditEvents = row["auditEvents"]
            progress.duplicates = row["duplicates"]
            progress.deadLetters = row["deadLetters"]
            progress.lastRecordedAt = row["lastRecordedAt"]
            partitionSlots[progress.partition] = partitions.count
            partitions.append(progress)
        }
    }

    /// Reads the row of a key that is not in the cache; a new one where there is none.
    func loadRow(_ key: InventoryKey) throws(StateStoreError) -> InventoryRow {
        let pool = try database.writer()
        return try translatingErrors(path: database.path) {
            try pool.writeWithoutTransaction { connection in
                let statement = try connection.cachedStatement(
                    sql: """
                        SELECT id, onHand, reserved, lastEventTime, lastOffset, events,
                            lastCountVariance, countedAt, partition
                        FROM inventory\(identity.set.suffix)
                        WHERE projection = ? AND warehouse = ? AND item = ?
                        """)
                guard
                    let row = try Row.fetchOne(
                        statement, arguments: [identity.id, key.warehouse, key.item])
                else { return InventoryRow() }
                return InventoryRow(
                    id: row[0], onHand: row[1], reserved: row[2], lastEventTime: row[3],
                    lastOffset: row[4], events: row[5], lastCountVariance: row[6],
                    countedAt: row[7], partition: row[8])
            }
        }
    }

    /// The offset at which an event id was last applied, as far as the database knows.
    func storedOffset(of event: EventIdentity) throws(StateStoreError) -> Int64? {
        guard hasStoredEventIds else { return nil }
        let pool = try database.writer()
        let id = String(decoding: event.id, as: UTF8.self)
        return try translatingErrors(path: database.path) {
            try pool.writeWithoutTransaction { connection in
                let statement = try connection.cachedStatement(
                    sql: """
                        SELECT offset FROM processed_event\(identity.set.suffix)
                        WHERE projection = ? AND partition = ? AND eventId = ?
                        """)
                return try Int64.fetchOne(
                    statement, arguments: [identity.id, event.partition, id])
            }
        }
    }
}

extension Database {
    /// Whether a table has any row of a projection.
    fileprivate func hasRows(in table: String, projection: Int64) throws -> Bool {
        try Bool.fetchOne(
            self, sql: "SELECT EXISTS (SELECT 1 FROM \(table) WHERE projection = ?)",
            arguments: [projection]) ?? false
    }
}
