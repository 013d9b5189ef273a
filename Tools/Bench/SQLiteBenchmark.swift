import Foundation
import GRDB

/// What a user would do instead: the same events in a plain SQLite table.
struct SQLiteBenchmark {
    let directory: String

    /// Inserts in transactions of 1,000, then a scan that reads every column.
    func measure(_ workload: Workload) throws -> [BenchmarkLine] {
        let path = directory + "/plain.db"
        defer {
            for ending in ["", "-wal", "-shm"] {
                try? FileManager.default.removeItem(atPath: path + ending)
            }
        }
        let pool = try DatabasePool(path: path)
        try pool.write { database in
            try database.execute(
                sql: "CREATE TABLE event (offset INTEGER PRIMARY KEY, at INTEGER, key, value)")
        }
        let keys = workload.keys.map { Data($0) }
        let values = workload.values.map { Data($0) }
        let insert = try seconds { try insertAll(workload.recordCount, keys, values, pool) }
        let scan = try seconds { try scanAll(workload.recordCount, pool) }
        return [("insert", insert), ("scan", scan)].map { name, time in
            BenchmarkLine(
                name: "plain SQLite \(name)", valueBytes: workload.valueBytes,
                perSecond: Double(workload.recordCount) / time, unit: "records")
        }
    }

    private func insertAll(
        _ count: Int, _ keys: [Data], _ values: [Data], _ pool: DatabasePool
    ) throws {
        var number = 0
        while number < count {
            try pool.write { database in
                let statement = try database.cachedStatement(
                    sql: "INSERT INTO event VALUES (?, ?, ?, ?)")
                for index in number..<min(number + 1000, count) {
                    statement.setUncheckedArguments([
                        index, 1_700_000_000_000 + index, keys[index & 1023],
                        values[(index &* 7) & 1023],
                    ])
                    try statement.execute()
                }
            }
            number += 1000
        }
    }

    private func scanAll(_ count: Int, _ pool: DatabasePool) throws {
        let found = try pool.read { database in
            var found = 0
            var sum: UInt32 = 0
            let rows = try Row.fetchCursor(database, sql: "SELECT * FROM event ORDER BY offset")
            while let row = try rows.next() {
                try row.withUnsafeData(atIndex: 2) { sum &+= UInt32($0?.first ?? 0) }
                try row.withUnsafeData(atIndex: 3) { sum &+= UInt32($0?.first ?? 0) }
                found += 1
            }
            keep(sum)
            return found
        }
        guard found == count else {
            throw BenchmarkError(description: "SQLite gave \(found) of \(count) rows")
        }
    }
}
