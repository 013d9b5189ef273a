import Foundation
import GRDB
public import Tally

/// A record that could not be applied, and why.
public struct DeadLetter: Hashable, Sendable {
    /// The topic it came from.
    public var topic: String
    /// The partition of the record.
    public var partition: Int32
    /// The offset of the record.
    public var offset: Offset
    /// One line for a person.
    public var reason: String
    /// The record's timestamp in the log.
    public var timestamp: Timestamp
    /// The first 65,536 bytes of its key at most; nil where it had none.
    public var key: [UInt8]?
    /// The first 65,536 bytes of its value at most; nil where it had none.
    public var value: [UInt8]?
    /// The size of the whole value in the log, in bytes.
    public var valueSize: Int?
}

/// Something that somebody did by hand: who, and why.
public struct AuditEntry: Hashable, Sendable {
    /// The topic it came from.
    public var topic: String
    /// The partition of the record.
    public var partition: Int32
    /// The offset of the record.
    public var offset: Offset
    /// MANUAL_OVERRIDE, POLICY_CHANGED or HOLD_RELEASED.
    public var eventType: String
    /// The event's `actor`, or else its `operator`.
    public var who: String?
    /// The event's `reason`.
    public var why: String?
    /// The record's key, usually `warehouse:item`.
    public var key: String?
    /// The event's `recordedAt`.
    public var recordedAt: Timestamp
}

/// What was decided last about an item in a sales channel.
public struct Availability: Hashable, Sendable {
    /// The topic it came from.
    public var topic: String
    /// The part of the key before its last colon.
    public var warehouse: String
    /// The part of the key after its last colon.
    public var item: String
    /// The sales channel that was decided about.
    public var channel: String
    /// SELLABLE, HIDDEN, BACKORDERABLE or STORE_PICKUP.
    public var decision: String
    /// The event's `reason`.
    public var reason: String?
    /// The event's `recordedAt`.
    public var updatedAt: Timestamp
    /// The partition of the record.
    public var partition: Int32
    /// The offset of the record.
    public var offset: Offset
}

extension InventoryQueries {
    /// How many dead letters there are.
    public func deadLetterCount(topic: String? = nil) throws(StateStoreError) -> Int64 {
        try database.read { connection in
            try Int64.fetchOne(
                connection,
                sql: """
                    SELECT COUNT(*) FROM dead_letter d JOIN projection p ON p.id = d.projection
                    WHERE ?1 IS NULL OR p.topic = ?1
                    """,
                arguments: [topic]) ?? 0
        }
    }

    /// The dead letters by topic, partition and offset, at most `limit` of them.
    public func deadLetters(
        topic: String? = nil, limit: Int? = nil
    ) throws(StateStoreError) -> [DeadLetter] {
        try select("dead_letter", by: "partition, t.offset", topic: topic, limit: limit) { row in
            // An empty blob may come back as NULL; the sizes tell the two apart.
            func bytes(_ name: String) throws -> [UInt8]? {
                let size: Int? = try row.value("\(name)Size")
                guard size != nil else { return nil }
                let data: Data? = try row.value(name)
                return [UInt8](data ?? Data())
            }
            return try DeadLetter(
                topic: row.value("topic"), partition: row.value("partition"),
                offset: row.value("offset"), reason: row.value("reason"),
                timestamp: row.value("timestamp"), key: bytes("key"),
                value: bytes("value"), valueSize: row.value("valueSize"))
        }
    }

    /// The audit entries by topic, partition and offset, at most `limit` of them.
    public func audits(
        topic: String? = nil, limit: Int? = nil
    ) throws(StateStoreError) -> [AuditEntry] {
        try select("audit", by: "partition, t.offset", topic: topic, limit: limit) { row in
            try AuditEntry(
                topic: row.value("topic"), partition: row.value("partition"),
                offset: row.value("offset"), eventType: row.value("eventType"),
                who: row.value("who"), why: row.value("why"), key: row.value("key"),
                recordedAt: row.value("recordedAt"))
        }
    }

    /// The decisions in force, by topic, warehouse, item and channel.
    public func availabilities(
        topic: String? = nil, limit: Int? = nil
    ) throws(StateStoreError) -> [Availability] {
        let order = "warehouse, t.item, t.channel"
        return try select("availability", by: order, topic: topic, limit: limit) { row in
            try Availability(
                topic: row.value("topic"), warehouse: row.value("warehouse"),
                item: row.value("item"),
                channel: row.value("channel"), decision: row.value("decision"),
                reason: row.value("reason"),
                updatedAt: row.value("updatedAt"),
                partition: row.value("partition"), offset: row.value("offset"))
        }
    }

    private func select<Element>(
        _ table: String, by order: String, topic: String?, limit: Int?,
        _ element: (Row) throws -> Element
    ) throws(StateStoreError) -> [Element] {
        try database.read { connection in
            let cursor = try Row.fetchCursor(
                connection,
                sql: """
                    SELECT p.topic, t.* FROM \(table) t JOIN projection p ON p.id = t.projection
                    WHERE ?1 IS NULL OR p.topic = ?1 ORDER BY p.topic, t.\(order) LIMIT ?2
                    """,
                arguments: [topic, limit ?? -1])
            var elements: [Element] = []
            while let row = try cursor.next() { elements.append(try element(row)) }
            return elements
        }
    }
}
