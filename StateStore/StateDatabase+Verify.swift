import GRDB

extension StateDatabase {
    /// Checks SQLite's own structures and the rules that hold between the tables: each projection's
    /// counters equal the rows they count, nothing of a rebuild is left where none is under way,
    /// and groups and transactions are such as can be. Reads the whole database. Gives one line for
    /// each thing found wrong.
    ///
    /// Errors: those of reading the database.
    public func verify() throws(StateStoreError) -> [String] {
        try read { connection in
            var problems = try String.fetchAll(connection, sql: "PRAGMA integrity_check")
            problems.removeAll { $0 == "ok" }
            problems += try Row.fetchAll(connection, sql: "PRAGMA foreign_key_check")
                .map { row in
                    let table: String = try row.value(at: 0)
                    let parent: String = try row.value(at: 2)
                    return "a row of \(table) belongs to no row of \(parent)"
                }
            problems += try CoordinationCheck(connection).problems()
            for set in TableSet.allCases {
                for (table, count, column) in Self.countedTables {
                    problems += try Row.fetchAll(
                        connection,
                        sql: """
                            SELECT p.topic,
                                (SELECT COALESCE(\(count), 0) FROM \(table)\(set.suffix)
                                    WHERE projection = p.id) AS found,
                                (SELECT COALESCE(SUM(\(column)), 0)
                                    FROM projection_position\(set.suffix)
                                    WHERE projection = p.id) AS expected
                            FROM projection p WHERE found <> expected
                            """
                    ).map { row in
                        let topic: String = try row.value("topic")
                        let found: Int64 = try row.value("found")
                        let expected: Int64 = try row.value("expected")
                        return "\(topic): \(table)\(set.suffix) has \(found) where \(column) "
                            + "says \(expected)"
                    }
                }
            }
            for (table, _) in TableSet.columns {
                let leftOver = try Int64.fetchOne(
                    connection,
                    sql: """
                        SELECT COUNT(*) FROM \(table)_next n JOIN projection p
                            ON p.id = n.projection WHERE p.nextGeneration IS NULL
                        """)
                if let leftOver, leftOver > 0 {
                    problems.append("\(table)_next has \(leftOver) rows of no rebuild")
                }
            }
            return problems
        }
    }

    /// A table, what to count in it, and the counter of the positions that must agree.
    private static let countedTables = [
        ("inventory", "SUM(events)", "stockEvents"),
        ("audit", "COUNT(*)", "auditEvents"),
        ("dead_letter", "COUNT(*)", "deadLetters"),
    ]
}

extension StateDatabase {
    /// Notes that `topic` carries inventory events, so that it is found again before anything was
    /// projected from it. Does nothing when that is known.
    ///
    /// Errors: `readOnly`, and those of every database access.
    public func remember(topic: String) throws(StateStoreError) {
        _ = try InventoryProjection(database: self, topic: topic)
    }

    /// Forgets what was projected from a topic that is no more, all rows in one transaction. Does
    /// nothing where there are none.
    ///
    /// Errors: `readOnly`, and those of every database access.
    public func forget(topic: String) throws(StateStoreError) {
        try write { connection in
            let projections = try Int64.fetchAll(
                connection, sql: "SELECT id FROM projection WHERE topic = ?", arguments: [topic])
            for projection in projections {
                try RebuildSweep.clear(connection, projection: projection)
                for (table, _) in TableSet.columns {
                    try connection.execute(
                        sql: "DELETE FROM \(table) WHERE projection = ?",
                        arguments: [projection])
                }
                try connection.execute(
                    sql: "DELETE FROM projection WHERE id = ?", arguments: [projection])
            }
        }
    }
}
