public import GRDB
public import Tally

/// Keeps a consumer's positions in the application's own database, so that each record's effect
/// and the position behind it are written in one transaction: whatever happens, every record
/// counts exactly once.
///
/// ```swift
/// let positions = try PositionTable(in: database, consumer: "billing")
/// var configuration = GroupConsumerConfiguration()
/// configuration.onRebalance = { consumer, change in
///     if case .assigned(let partitions) = change {
///         try await positions.take(partitions, for: consumer)
///     }
/// }
/// let consumer = try engine.consumer(group: "billing", topics: ["orders"], configuration)
/// for try await records in consumer {
///     try await positions.apply(records, for: consumer) { db in
///         try records.forEachRecord { record in
///             try db.execute(
///                 sql: "INSERT INTO bill (what) VALUES (?)", arguments: [record.valueText])
///         }
///     }
/// }
/// ```
///
/// A position moves only from where the reader thought it was, only for the generation that has
/// taken the partition (a member that was left for dead and comes back changes nothing), and only
/// for the topic that it was stored for. The group's own offsets count for nothing. The table is
/// `tally_position`; StateStore/FORMAT.md describes it.
///
/// Thread rule: safe to share. What is applied runs on the database's own threads.
public struct PositionTable: Sendable {
    /// Whose positions these are: one name for all members of a group.
    public let consumer: String
    private let database: any DatabaseWriter

    /// The positions of a consumer; creates the table where it is missing.
    ///
    /// - Parameter database: the application's; its durability is the application's choice
    ///   (with WAL, `PRAGMA synchronous = FULL` keeps commits through a power loss; a
    ///   `DatabasePool` sets NORMAL while it opens, so say it on the writer afterwards).
    /// - Throws: GRDB's `DatabaseError`.
    public init(in database: any DatabaseWriter, consumer: String) throws {
        self.database = database
        self.consumer = consumer
        try database.write { try PositionRow.createTable($0) }
    }

    /// The position of a partition; nil where nothing of it was applied or taken.
    public func position(of partition: TopicPartition) throws -> Position? {
        try database.read { try PositionRow(consumer, partition).position($0) }
    }

    // MARK: Taking partitions

    /// Takes partitions over that a group has assigned, and has the consumer go on where the table
    /// stands. From then on nobody of an earlier generation moves these positions. For the
    /// listener's ``GroupRebalance/assigned(_:)``.
    ///
    /// - Parameter start: where to begin with a partition that the table knows nothing of.
    /// - Throws: ``PositionError/fenced(_:)`` where a later generation has one of them,
    ///   ``PositionError/notInLog(_:)`` and ``PositionError/ofAnotherTopic(_:)`` where a position
    ///   does not mean the same records any more, `DatabaseError`, and what seeking throws. None
    ///   was taken then, and nothing can be applied.
    public func take(
        _ partitions: Set<TopicPartition>, for consumer: GroupConsumer,
        startingAt start: StartingPosition = .earliest
    ) async throws {
        let generation = consumer.generation
        var starts: [TopicPartition: Offset] = [:]
        for partition in try await unknown(among: partitions) {
            try await consumer.seek(partition, to: start)
            starts[partition] = consumer.positions[partition]
        }
        let taken = try await claim(
            partitions, starts: starts, generation: generation, engine: consumer.engine)
        for (partition, offset) in taken {
            try await consumer.seek(partition, to: .offset(offset))
        }
    }

    /// Has a consumer without a group go on where the table stands, in all of its partitions; see
    /// ``take(_:for:startingAt:)-(_,GroupConsumer,_)``. Of two such consumers that read the same
    /// partition, one is refused by ``PositionError/moved(_:)``.
    public func take(
        for consumer: Consumer, startingAt start: StartingPosition = .earliest
    ) async throws {
        let partitions = consumer.assignment
        var starts: [TopicPartition: Offset] = [:]
        for partition in try await unknown(among: partitions) {
            try await consumer.seek(partition, to: start)
            starts[partition] = consumer.positions[partition]
        }
        let taken = try await claim(
            partitions, starts: starts, generation: 0, engine: consumer.engine)
        for (partition, offset) in taken {
            try await consumer.seek(partition, to: .offset(offset))
        }
    }

    /// The same for a consumer of one topic.
    public func take(
        for consumer: TopicConsumer, startingAt start: StartingPosition = .earliest
    ) async throws {
        try await take(for: consumer.consumer, startingAt: start)
    }

    /// Those that the table has no row of.
    private func unknown(
        among partitions: Set<TopicPartition>
    ) async throws -> [TopicPartition] {
        try await database.read { db in
            try partitions.sorted().filter { try PositionRow(consumer, $0).position(db) == nil }
        }
    }

    /// Enters a generation in all rows, or in none. Returns where they stand.
    private func claim(
        _ partitions: Set<TopicPartition>, starts: [TopicPartition: Offset], generation: Int32,
        engine: Engine
    ) async throws -> [TopicPartition: Offset] {
        try await database.write { db in
            var taken: [TopicPartition: Offset] = [:]
            for partition in partitions.sorted() {
                let row = PositionRow(consumer, partition)
                var position =
                    try row.position(db)
                    ?? Position(
                        topicID: nil, nextOffset: starts[partition] ?? .zero, leaderEpoch: .none,
                        generation: generation)
                let conflict = row.conflict(position, generation: generation)
                guard position.generation <= generation else {
                    throw PositionError.fenced(conflict)
                }
                // Asked for first: where the topic is another one by the time of the check, that
                // says so.
                let topicID = try engine.topicID(of: partition.topic)
                position.topicID = position.topicID ?? topicID
                let stored = StoredPosition(
                    topicID: position.topicID, offset: position.nextOffset,
                    leaderEpoch: position.leaderEpoch)
                switch try engine.state(of: stored, in: partition) {
                case .held: break
                case .ofAnotherTopic: throw PositionError.ofAnotherTopic(conflict)
                case .outside(let logStart, let logEnd), .diverged(let logStart, let logEnd):
                    throw PositionError.notInLog(conflict, logStart: logStart, logEnd: logEnd)
                }
                position.generation = generation
                try row.write(position, db)
                taken[partition] = position.nextOffset
            }
            return taken
        }
    }

    // MARK: Applying records

    /// Applies records that a member of a group fetched; see ``apply(_:_:)``.
    ///
    /// - Throws: ``PositionError/fenced(_:)`` where the partition is another generation's by now,
    ///   ``PositionError/notTaken(consumer:partition:)`` where it was never taken with
    ///   ``take(_:for:startingAt:)-(_,GroupConsumer,_)``, and what ``apply(_:_:)`` throws.
    public func apply(
        _ records: ConsumedRecords, for consumer: GroupConsumer,
        _ body: @escaping @Sendable (Database) throws -> Void
    ) async throws {
        try await apply(records, generation: consumer.generation, body)
    }

    /// Applies fetched records: `body` writes rows, and the position behind the records is written
    /// in the same transaction. Both happen, or neither.
    ///
    /// - Parameter body: writes what the records mean. Must not commit.
    /// - Throws: ``PositionError/moved(_:)`` where the position is not the one that the records
    ///   begin at, ``PositionError/notTaken(consumer:partition:)``,
    ///   ``PositionError/ofAnotherTopic(_:)``, `DatabaseError`, and what `body` throws. Nothing was
    ///   written then.
    public func apply(
        _ records: ConsumedRecords, _ body: @escaping @Sendable (Database) throws -> Void
    ) async throws {
        try await apply(records, generation: 0, body)
    }

    /// As ``apply(_:_:)`` for any generation.
    package func apply(
        _ records: ConsumedRecords, generation: Int32,
        _ body: @escaping @Sendable (Database) throws -> Void
    ) async throws {
        try await database.write { db in
            // First of all: `body` runs only for records whose turn it is.
            try advance(db, records, generation)
            try body(db)
        }
    }

    private func advance(
        _ db: Database, _ records: ConsumedRecords, _ generation: Int32
    ) throws {
        let partition = TopicPartition(topic: records.topic, partition: records.partition)
        let row = PositionRow(consumer, partition)
        guard let known = try row.position(db) else {
            throw PositionError.notTaken(consumer: consumer, partition: partition)
        }
        var conflict = row.conflict(known, generation: generation)
        guard known.generation <= generation else { throw PositionError.fenced(conflict) }
        guard known.topicID == nil || known.topicID == records.topicID else {
            throw PositionError.ofAnotherTopic(conflict)
        }
        guard known.nextOffset == records.startOffset else {
            conflict.expected = records.startOffset
            throw PositionError.moved(conflict)
        }
        try row.write(
            Position(
                topicID: records.topicID, nextOffset: records.nextOffset,
                leaderEpoch: records.leaderEpoch, generation: generation), db)
    }

    // MARK: By hand

    /// Puts a position somewhere else, whichever records are applied or left out by that; for when
    /// its records are gone, or the topic is a new one. The rows that were written stay as they
    /// are.
    ///
    /// Belongs to nobody afterwards: stop the members first, and start them again.
    /// - Throws: `DatabaseError`.
    public func reset(_ partition: TopicPartition, to offset: Offset) async throws {
        try await database.write { db in
            try PositionRow(consumer, partition).write(
                Position(
                    topicID: nil, nextOffset: max(offset, .zero), leaderEpoch: .none,
                    generation: -1), db)
        }
    }

    /// Lets any generation take a partition, which goes on where it stands; for when the group
    /// counts its generations anew, because the engine's `state.db` was lost.
    ///
    /// Stop the members first. Does nothing where the table knows nothing of the partition.
    /// - Throws: `DatabaseError`.
    public func release(_ partition: TopicPartition) async throws {
        try await database.write { db in
            let row = PositionRow(consumer, partition)
            guard var position = try row.position(db) else { return }
            position.generation = -1
            try row.write(position, db)
        }
    }
}
