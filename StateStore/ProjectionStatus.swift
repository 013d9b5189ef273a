import GRDB
public import Tally

/// Where a topic's projection stands.
public struct ProjectionStatus: Hashable, Sendable {
    public var topic: String
    /// Counts the rebuilds that went live, from 1 on (numbers of abandoned ones are left out).
    public var generation: Int64
    public var createdAt: Timestamp
    /// When this generation began, or was swapped in.
    public var generationCreatedAt: Timestamp
    /// When the rebuild that is under way began; nil when there is none.
    public var rebuildStartedAt: Timestamp?
    public var deduplicationWindow: Int64
    /// By partition.
    public var partitions: [PartitionStatus]
}

/// Where a projection stands in one partition, at its last commit there.
public struct PartitionStatus: Hashable, Sendable {
    public var partition: Int32
    /// Everything below this offset is in the rows; the log's end less this is the lag in records.
    public var nextOffset: Offset
    public var leaderEpoch: LeaderEpoch
    /// Events that changed quantities.
    public var stockEvents: Int64
    public var availabilityEvents: Int64
    public var auditEvents: Int64
    /// Events left out because their id had been applied before.
    public var duplicates: Int64
    public var deadLetters: Int64
    /// The `recordedAt` of the last event applied; nil before the first one.
    public var lastRecordedAt: Timestamp?
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
                    sql: "SELECT * FROM projection_position WHERE projection = ? ORDER BY partition",
                    arguments: [row["id"] as Int64])
                return ProjectionStatus(
                    topic: row["topic"], generation: row["generation"],
                    createdAt: Timestamp(milliseconds: row["createdAt"]),
                    generationCreatedAt: Timestamp(milliseconds: row["generationCreatedAt"]),
                    rebuildStartedAt: (row["nextStartedAt"] as Int64?)
                        .map { Timestamp(milliseconds: $0) },
                    deduplicationWindow: row["deduplicationWindow"],
                    partitions: positions.map { PartitionStatus($0) })
            }
        }
    }
}

extension PartitionStatus {
    fileprivate init(_ row: Row) {
        self.init(
            partition: row["partition"], nextOffset: Offset(row["nextOffset"] as Int64),
            leaderEpoch: LeaderEpoch(row["leaderEpoch"] as Int32),
            stockEvents: row["stockEvents"], availabilityEvents: row["availabilityEvents"],
            auditEvents: row["auditEvents"], duplicates: row["duplicates"],
            deadLetters: row["deadLetters"],
            lastRecordedAt: (row["lastRecordedAt"] as Int64?).map { Timestamp(milliseconds: $0) },
            committedAt: Timestamp(milliseconds: row["committedAt"]))
    }
}
