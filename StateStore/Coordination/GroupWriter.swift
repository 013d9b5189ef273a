import Foundation
import GRDB
import Tally
import TallyGroups

/// Makes changes of groups. Used inside one transaction.
struct GroupWriter {
    private let connection: Database
    private let topics: TopicIdentities
    private var topicIDs: [String: String?] = [:]

    init(_ connection: Database, topics: TopicIdentities) {
        self.connection = connection
        self.topics = topics
    }

    mutating func apply(_ change: OffsetStoreChange) throws {
        switch change {
        case .metadata(let name, let metadata):
            try checkText(metadata.protocolType ?? "", "a protocol type")
            try execute(
                """
                UPDATE consumer_group SET generation = ?, protocolType = ?, emptySince = ?
                    WHERE id = ?
                """,
                [
                    metadata.generation, metadata.protocolType, metadata.emptySince?.rawValue,
                    try group(name),
                ])
        case .offsets(let name, let offsets):
            try put(offsets, into: "group_offset (consumerGroup", try group(name))
        case .pendingOffsets(let name, let producerID, let producerEpoch, let offsets):
            try execute(
                """
                INSERT INTO pending_transaction (consumerGroup, producerId, producerEpoch)
                    VALUES (?, ?, ?) ON CONFLICT (consumerGroup, producerId)
                    DO UPDATE SET producerEpoch = excluded.producerEpoch
                """, [try group(name), producerID, producerEpoch])
            guard let transaction = try pendingTransaction(name, producerID) else { return }
            try put(offsets, into: "pending_offset (pendingTransaction", transaction)
        case .removePendingOffsets(let name, let producerID):
            guard let transaction = try pendingTransaction(name, producerID) else { return }
            try execute("DELETE FROM pending_offset WHERE pendingTransaction = ?", [transaction])
            try execute("DELETE FROM pending_transaction WHERE id = ?", [transaction])
        case .deleteOffsets(let name, let partitions):
            guard let group = try knownGroup(name) else { return }
            for partition in partitions {
                try execute(
                    """
                    DELETE FROM group_offset
                        WHERE consumerGroup = ? AND topic = ? AND partition = ?
                    """, [group, partition.topic, partition.partition])
            }
        case .deleteGroup(let name):
            guard let group = try knownGroup(name) else { return }
            try delete(group)
        }
    }

    private func delete(_ group: Int64) throws {
        try execute(
            """
            DELETE FROM pending_offset WHERE pendingTransaction IN
                (SELECT id FROM pending_transaction WHERE consumerGroup = ?)
            """, [group])
        for table in ["pending_transaction", "group_offset"] {
            try execute("DELETE FROM \(table) WHERE consumerGroup = ?", [group])
        }
        try execute("DELETE FROM consumer_group WHERE id = ?", [group])
    }

    /// Replaces rows of offsets. `table` begins the list of columns with that of the owner.
    private mutating func put(
        _ offsets: [TopicPartition: CommittedOffset], into table: String, _ owner: Int64
    ) throws {
        for (partition, offset) in offsets {
            try checkText(partition.topic, "a topic's name")
            try execute(
                """
                INSERT OR REPLACE INTO \(table), topic, partition, topicId, offset, leaderEpoch,
                    metadata, committedAt, sequence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    owner, partition.topic, partition.partition, topicID(partition.topic),
                    offset.offset.rawValue, offset.leaderEpoch.rawValue,
                    Data(offset.metadata.utf8), offset.commitTimestamp.rawValue, offset.sequence,
                ])
        }
    }

    private mutating func topicID(_ topic: String) -> String? {
        if let known = topicIDs[topic] { return known }
        let found = topics.text(of: topic)
        topicIDs[topic] = .some(found)
        return found
    }

    /// The row number of a group, which is made where there is none yet.
    private func group(_ name: String) throws -> Int64 {
        if let known = try knownGroup(name) { return known }
        try checkText(name, "a group's name")
        try execute("INSERT INTO consumer_group (name, generation) VALUES (?, 0)", [name])
        return connection.lastInsertedRowID
    }

    private func knownGroup(_ name: String) throws -> Int64? {
        try connection.cachedStatement(sql: "SELECT id FROM consumer_group WHERE name = ?")
            .fetchOne(Int64.self, [name])
    }

    private func pendingTransaction(_ name: String, _ producerID: Int64) throws -> Int64? {
        guard let group = try knownGroup(name) else { return nil }
        return try connection.cachedStatement(
            sql: "SELECT id FROM pending_transaction WHERE consumerGroup = ? AND producerId = ?"
        ).fetchOne(Int64.self, [group, producerID])
    }

    private func execute(_ sql: String, _ arguments: StatementArguments) throws {
        try connection.cachedStatement(sql: sql).execute(arguments: arguments)
    }

    /// SQLite's functions on text stop at a NUL character, so that two names could become one.
    private func checkText(_ text: String, _ what: String) throws {
        guard !text.utf8.contains(0) else {
            throw DatabaseError(
                resultCode: .SQLITE_MISMATCH,
                message: "\(what) must not have a NUL character in it")
        }
    }
}

extension Statement {
    /// The first column of the first row; nil without rows.
    func fetchOne<Value: DatabaseValueConvertible & StatementColumnConvertible>(
        _ type: Value.Type, _ arguments: StatementArguments
    ) throws -> Value? {
        try Value.fetchOne(self, arguments: arguments)
    }
}
