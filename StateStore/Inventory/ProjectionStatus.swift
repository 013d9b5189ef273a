import GRDB
public import Tally

/// Where a topic's projection stands.
public struct ProjectionStatus: Hashable, Sendable {
    /// The topic whose events are projected.
    public var topic: String
    /// Counts the rebuilds that went live, from 1 on (numbers of abandoned ones are left out).
    public var generation: Int64
    /// When the projection began.
    public var createdAt: Timestamp
    /// When this generation began, or was swapped in.
    public var generationCreatedAt: Timestamp
    /// When the rebuild that is under way began; nil when there is none.
    public var rebuildStartedAt: Timestamp?
    /// How many offsets an event id is remembered.
    public var deduplicationWindow: Int64
    /// By partition.
    public var partitions: [PartitionStatus]
}

/// Where a projection stands in one partition, at its last commit there.
public struct PartitionStatus: Hashable, Sendable {
    /// The partition, counted from 0.
    public var partition: Int32
    /// Everything below this offset is in the rows; the log's end less this is the lag in records.
    public var nextOffset: Offset
    /// The leader epoch of the last record applied, -1 where none is known.
    public var leaderEpoch: LeaderEpoch
    /// Events that changed quantities.
    public var stockEvents: Int64
    /// Decisions about channels.
    public var availabilityEvents: Int64
    /// Events that left an audit entry.
    public var auditEvents: Int64
    /// Events left out because their id had been applied before.
    public var duplicates: Int64
    /// Records that could not be applied.
    public var deadLetters: Int64
    /// The `recordedAt` of the last event applied; nil before the first one.
    public var lastRecordedAt: Timestamp?
    /// When this position was committed.
    public var committedAt: Timestamp

    /// The events applied, of all kinds.
    public var events: Int64 { stockEvents + availabilityEvents + auditEvents }

    /// How old the last event was when it was committed, in milliseconds; nil before the first.
    public var lagMilliseconds: Int64? {
        lastRecordedAt.map { committedAt.rawValue - $0.rawValue }
    }
}

extension InventoryQueries {
    /// The topics that have a projection, by name.
    public func topics() throws(StateStoreError) -> [String] {
        try database.read { connection in
            try String.fetchAll(
                connection, sql: "SELECT topic FROM projection WHERE name = ? ORDER BY topic",
                arguments: [InventoryProjection.name])
        }
    }

    /// The state of every projection, or of one topic's, in one snapshot.
    public func status(topic: String? = nil) throws(StateStoreError) -> [ProjectionStatus] {
        try database.read { connection in
            let projections = try Row.fetchAll(
                connection,
                sql: """
                    SELECT * FROM projection
                    WHERE name = ?1 AND (?2 IS NULL OR topic = ?2) ORDER BY topic
                    """,
                arguments: [InventoryProjection.name, topic])
            return try projections.map { row in
                let positions = try Row.fetchAll(
                    connection,
                    sql:
                        "SELECT * FROM projection_position WHERE projection = ? ORDER BY partition",
                    arguments: [try row.value("id") as Int64])
                return try ProjectionStatus(
                    topic: row.value("topic"), generation: row.value("generation"),
                    createdAt: row.value("createdAt"),
                    generationCreatedAt: row.value("generationCreatedAt"),
                    rebuildStartedAt: row.value("nextStartedAt"),
                    deduplicationWindow: row.value("deduplicationWindow"),
                    partitions: positions.map { try PartitionStatus($0) })
            }
        }
    }
}

extension PartitionStatus {
    fileprivate init(_ row: Row) throws {
        try self.init(
            partition: row.value("partition"), nextOffset: row.value("nextOffset"),
            leaderEpoch: row.value("leaderEpoch"), stockEvents: row.value("stockEvents"),
            availabilityEvents: row.value("availabilityEvents"),
            auditEvents: row.value("auditEvents"), duplicates: row.value("duplicates"),
            deadLetters: row.value("deadLetters"), lastRecordedAt: row.value("lastRecordedAt"),
            committedAt: row.value("committedAt"))
    }
}
