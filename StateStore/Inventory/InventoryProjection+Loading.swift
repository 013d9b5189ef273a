import GRDB
import Tally

extension InventoryProjection: StateSource {
    /// Takes positions and revision from the database; nothing is pending after it.
    func reload() throws(StateStoreError) {
        state = ProjectionState()
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
                    state.deduplicationWindow = current.deduplicationWindow
                    try loadPositions(connection)
                    state.cacheIsComplete = try !connection.hasRows(
                        in: "inventory\(suffix)", projection: current.id)
                    return .commit
                }
            }
        }
        mustReload = false
    }

    private func loadPositions(_ connection: Database) throws {
        let cursor = try Row.fetchCursor(
            connection,
            sql: "SELECT * FROM projection_position\(identity.set.suffix) WHERE projection = ?",
            arguments: [identity.id])
        while let row = try cursor.next() {
            var progress = PartitionProgress(partition: try row.value("partition"))
            progress.next = try row.value("nextOffset")
            progress.committedNext = progress.next
            progress.leaderEpoch = try row.value("leaderEpoch")
            progress.stockEvents = try row.value("stockEvents")
            progress.availabilityEvents = try row.value("availabilityEvents")
            progress.auditEvents = try row.value("auditEvents")
            progress.duplicates = try row.value("duplicates")
            progress.deadLetters = try row.value("deadLetters")
            progress.lastRecordedAt = try row.value("lastRecordedAt")
            state.add(progress)
        }
    }

    /// Reads the row of a key that is not in the cache; a new one where there is none.
    func loadRow(_ key: InventoryKey) throws(StateStoreError) -> InventoryRow {
        let pool = try database.writer()
        return try translatingErrors(path: database.path) {
            try pool.writeWithoutTransaction { connection in
                let statement = try connection.cachedStatement(
                    sql: """
                        SELECT \(Self.rowColumns) FROM inventory\(identity.set.suffix)
                        WHERE projection = ? AND warehouse = ? AND item = ?
                        """)
                guard
                    let row = try Row.fetchOne(
                        statement, arguments: [identity.id, key.warehouse, key.item])
                else { return InventoryRow() }
                return try InventoryRow(row)
            }
        }
    }

    /// Reads the whole table, when its rows fit into the cache.
    func loadAllRows(
        _ body: (_ key: [UInt8], _ row: InventoryRow) -> Void
    ) throws(StateStoreError) -> Bool {
        let pool = try database.writer()
        let table = "inventory\(identity.set.suffix)"
        return try translatingErrors(path: database.path) {
            try pool.writeWithoutTransaction { connection in
                let count = try Int.fetchOne(
                    connection, sql: "SELECT COUNT(*) FROM \(table) WHERE projection = ?",
                    arguments: [identity.id])
                guard let count, count <= options.cachedRowsMax else { return false }
                let cursor = try Row.fetchCursor(
                    connection,
                    sql: """
                        SELECT \(Self.rowColumns), warehouse || ':' || item
                        FROM \(table) WHERE projection = ?
                        """,
                    arguments: [identity.id])
                while let row = try cursor.next() {
                    let key: String = try row.value(at: Self.rowColumnCount)
                    body(Array(key.utf8), try InventoryRow(row))
                }
                return true
            }
        }
    }

    func loadEventIdFilter() throws(StateStoreError) -> EventIdFilter {
        let pool = try database.writer()
        let table = "processed_event\(identity.set.suffix)"
        return try translatingErrors(path: database.path) {
            try pool.writeWithoutTransaction { connection in
                let count = try Int.fetchOne(
                    connection, sql: "SELECT COUNT(*) FROM \(table) WHERE projection = ?",
                    arguments: [identity.id])
                let capacity = max((count ?? 0) * 2, Self.eventIdFilterCapacityMin)
                var filter = EventIdFilter(capacity: capacity)
                let cursor = try Row.fetchCursor(
                    connection,
                    sql: "SELECT partition, eventId FROM \(table) WHERE projection = ?",
                    arguments: [identity.id])
                while let row = try cursor.next() {
                    let id: String = try row.value(at: 1)
                    filter.insert(partition: try row.value(at: 0), id: Array(id.utf8).rawSpan)
                }
                return filter
            }
        }
    }

    /// The offset at which an event id was last applied, as far as the database knows.
    func storedOffset(of event: EventIdentity) throws(StateStoreError) -> Int64? {
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

extension InventoryProjection {
    /// The columns that make an `InventoryRow`, in its order.
    fileprivate static let rowColumns = """
        id, onHand, reserved, lastEventTime, lastOffset, events, lastCountVariance, countedAt, \
        partition
        """
    fileprivate static let rowColumnCount = 9
    /// A filter takes two bytes for each id that it has room for.
    fileprivate static let eventIdFilterCapacityMin = 262_144
}

extension InventoryRow {
    fileprivate init(_ row: Row) throws {
        try self.init(
            id: row.value(at: 0), onHand: row.value(at: 1), reserved: row.value(at: 2),
            lastEventTime: row.value(at: 3), lastOffset: row.value(at: 4),
            events: row.value(at: 5), lastCountVariance: row.value(at: 6),
            countedAt: row.value(at: 7), partition: row.value(at: 8))
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
