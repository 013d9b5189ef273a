import GRDB
import ServiceLifecycle
import Tally
import TallyStateStore

/// Keeps what each sales channel may promise of each item, in a database of the application's own.
///
/// **Why once.** The rows and the position behind the events that made them are written in one
/// SQLite transaction, by `PositionTable`. A member of the group that was left for dead and comes
/// back changes nothing: the partition has been taken for a later generation. A power loss may undo
/// the last commits of a `DatabasePool` (NORMAL), rows and positions alike: the events are applied
/// again then.
public struct ChannelAvailabilityService: Service {
    /// The group whose members share out the partitions of `inventory-events`.
    public static let group = "channel-availability"
    let engine: Engine
    let database: DatabasePool
    let policy: ChannelPolicy
    private let positions: PositionTable

    /// A view in a database of the application's; creates its tables where they are missing.
    public init(engine: Engine, database: DatabasePool, policy: ChannelPolicy) throws {
        self.engine = engine
        self.database = database
        self.policy = policy
        positions = try PositionTable(in: database, consumer: Self.group)
        try database.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE IF NOT EXISTS item (
                        key TEXT PRIMARY KEY,
                        onHand INTEGER NOT NULL,
                        reserved INTEGER NOT NULL
                    ) STRICT;
                    CREATE TABLE IF NOT EXISTS channel (
                        key TEXT NOT NULL,
                        name TEXT NOT NULL,
                        isHidden INTEGER NOT NULL,
                        available INTEGER NOT NULL,
                        PRIMARY KEY (key, name)
                    ) STRICT;
                    """)
        }
    }

    /// Follows the events until the service group shuts down.
    public func run() async throws {
        var worker = GroupWorker(engine, group: Self.group, topic: Topics.events)
        worker.configuration.onRebalance = { [positions] consumer, event in
            guard case .assigned(let partitions) = event else { return }
            try await positions.take(partitions, for: consumer)
        }
        while true {
            do {
                return try await worker.run { [positions, policy] records, consumer in
                    try await positions.apply(records, for: consumer) { db in
                        try Self.write(records, policy, db)
                    }
                }
            } catch PositionError.fenced, PositionError.moved {
                // Another member has the partition by now; this one begins anew, in a generation
                // of its own.
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// What each channel may promise of an item, by the channel's name.
    public func available(_ key: String) throws -> [String: Int64] {
        try database.read { db in
            let rows = try Row.fetchAll(
                db, sql: "SELECT name, available FROM channel WHERE key = ?", arguments: [key])
            return Dictionary(uniqueKeysWithValues: rows.map { ($0[0], $0[1]) })
        }
    }

    /// The next event that is not in the view; nil where none of the partition is.
    func position(partition: Int32) throws -> Offset? {
        try positions.position(of: TopicPartition(topic: Topics.events, partition: partition))?
            .nextOffset
    }

    private static func write(
        _ records: ConsumedRecords, _ policy: ChannelPolicy, _ db: Database
    ) throws {
        var items: [String: StockItem] = [:]
        try records.forEachRecord { record in
            guard let key = record.keyText, let event = StockEvent(record) else { return }
            var item = try items[key] ?? read(key, db)
            item.apply(event)
            items[key] = item
        }
        for (key, item) in items {
            try db.execute(
                sql: "INSERT OR REPLACE INTO item VALUES (?, ?, ?)",
                arguments: [key, item.onHand, item.reserved])
            for name in policy.channels {
                try db.execute(
                    sql: "INSERT OR REPLACE INTO channel VALUES (?, ?, ?, ?)",
                    arguments: [
                        key, name, item.hiddenChannels.contains(name),
                        policy.available(item, in: name),
                    ])
            }
        }
    }

    private static func read(_ key: String, _ db: Database) throws -> StockItem {
        var item = StockItem()
        let row = try Row.fetchOne(
            db, sql: "SELECT onHand, reserved FROM item WHERE key = ?", arguments: [key])
        if let row {
            item.onHand = row[0]
            item.reserved = row[1]
        }
        item.hiddenChannels = try String.fetchSet(
            db, sql: "SELECT name FROM channel WHERE key = ? AND isHidden", arguments: [key])
        return item
    }
}
