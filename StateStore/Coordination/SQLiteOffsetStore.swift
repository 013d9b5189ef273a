import Foundation
import GRDB
import Tally
import TallyGroups

/// Consumer groups and their offsets in `state.db`. FORMAT.md describes the tables.
///
/// Thread rule: safe to share; calls block.
final class SQLiteOffsetStore: OffsetStore {
    private let database: StateDatabase
    private let topics: TopicIdentities

    init(_ database: StateDatabase, topics: TopicIdentities) {
        self.database = database
        self.topics = topics
    }

    /// All groups by name. Offsets of a topic that was deleted, where another has its name now, are
    /// left out; their rows go with the next commit for the partition, or with the group.
    func loadGroups() throws(OffsetStoreError) -> [StoredGroup] {
        try translatingErrors { () throws(StateStoreError) in
            try database.read { connection in
                var loader = GroupLoader(connection, topics: topics)
                return try loader.load()
            }
        }
    }

    /// Makes the changes in one transaction, which is on stable storage at the return. Where it
    /// throws, no reader sees any of them; after an I/O error of the commit itself, the next
    /// opening may find them all.
    func apply(_ changes: [OffsetStoreChange]) throws(OffsetStoreError) {
        guard !changes.isEmpty else { return }
        try translatingErrors { () throws(StateStoreError) in
            try database.write { connection in
                var writer = GroupWriter(connection, topics: topics)
                for change in changes { try writer.apply(change) }
            }
        }
    }

    private func translatingErrors<Value>(
        _ body: () throws(StateStoreError) -> Value
    ) throws(OffsetStoreError) -> Value {
        do {
            return try body()
        } catch {
            throw OffsetStoreError(reason: error.description, isCorruption: error.isCorruption)
        }
    }
}

extension StateStoreError {
    /// Whether trying again is of no use, since what is stored cannot be understood.
    var isCorruption: Bool {
        switch self {
        case .corrupt, .newerSchema, .olderSchema: true
        default: false
        }
    }
}

/// Reads all groups. Used inside one database access.
struct GroupLoader {
    private let connection: Database
    private let topics: TopicIdentities
    private var current: [String: String?] = [:]

    init(_ connection: Database, topics: TopicIdentities) {
        self.connection = connection
        self.topics = topics
    }

    mutating func load() throws -> [StoredGroup] {
        var groups: [StoredGroup] = []
        var indexes: [Int64: Int] = [:]
        for row in try rows("SELECT * FROM consumer_group ORDER BY name") {
            let metadata = StoredGroupMetadata(
                generation: try row.value("generation"),
                protocolType: try row.value("protocolType"),
                emptySince: try row.value("emptySince"))
            indexes[try row.value("id")] = groups.count
            groups.append(StoredGroup(group: try row.value("name"), metadata: metadata))
        }
        for row in try rows("SELECT * FROM group_offset") where try isCurrent(row) {
            let group: Int64 = try row.value("consumerGroup")
            guard let index = indexes[group] else { continue }
            groups[index].offsets[try Self.partition(row)] = try Self.offset(row)
        }
        let pending = try self.pending()
        let transactions = try rows(
            "SELECT * FROM pending_transaction ORDER BY consumerGroup, producerId")
        for row in transactions {
            let group: Int64 = try row.value("consumerGroup")
            let id: Int64 = try row.value("id")
            guard let index = indexes[group] else { continue }
            groups[index].pendingOffsets.append(
                PendingOffsets(
                    producerID: try row.value("producerId"),
                    producerEpoch: try row.value("producerEpoch"), offsets: pending[id] ?? [:]))
        }
        return groups
    }

    private mutating func pending() throws -> [Int64: [TopicPartition: CommittedOffset]] {
        var pending: [Int64: [TopicPartition: CommittedOffset]] = [:]
        for row in try rows("SELECT * FROM pending_offset") where try isCurrent(row) {
            let transaction: Int64 = try row.value("pendingTransaction")
            pending[transaction, default: [:]][try Self.partition(row)] = try Self.offset(row)
        }
        return pending
    }

    private func rows(_ sql: String) throws -> [Row] { try Row.fetchAll(connection, sql: sql) }

    /// Whether a row is not known to be of a topic that is gone. A topic of which nobody knows
    /// anything may be one that cannot be read just now: its offsets stay.
    private mutating func isCurrent(_ row: Row) throws -> Bool {
        guard let stored: String = try row.value("topicId") else { return true }
        let topic: String = try row.value("topic")
        let found: String?
        if let known = current[topic] {
            found = known
        } else {
            found = topics.text(of: topic)
            current[topic] = .some(found)
        }
        return found == nil || found == stored
    }

    private static func partition(_ row: Row) throws -> TopicPartition {
        TopicPartition(topic: try row.value("topic"), partition: try row.value("partition"))
    }

    private static func offset(_ row: Row) throws -> CommittedOffset {
        let metadata: Data = try row.value("metadata")
        guard let text = String(validating: metadata, as: UTF8.self) else {
            throw DatabaseError(
                resultCode: .SQLITE_CORRUPT, message: "an offset's metadata is not UTF-8")
        }
        return CommittedOffset(
            offset: try row.value("offset"), leaderEpoch: try row.value("leaderEpoch"),
            metadata: text, commitTimestamp: try row.value("committedAt"),
            sequence: try row.value("sequence"))
    }
}
