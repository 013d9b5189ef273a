import Foundation
import Tally

/// A change of a row in another system's inventory table, as Debezium's connector for PostgreSQL
/// writes it: a key with the row's primary key and a value with `before`, `after`, `op`, `source`
/// and `ts_ms`; after a deletion a record with the same key and no value, the tombstone.
///
/// Both of the JSON converter's shapes are read: the envelope itself, and one within
/// `{"schema": ..., "payload": ...}` (`schemas.enable`). Source: Debezium's documentation of the
/// connector, "Data change events". The table is (`warehouse`, `item`, `quantity`), the first two
/// being its primary key. A value.
public struct ChangeEnvelope: Hashable, Sendable {
    /// What happened to the row.
    public enum Operation: String, CaseIterable, Sendable {
        case created = "c"
        case updated = "u"
        case deleted = "d"
        /// Read by a snapshot of the whole table.
        case read = "r"
    }

    /// What happened.
    public var operation: Operation
    /// The item's key, `warehouse:item`.
    public var key: String
    /// Pieces after the change; nil where the row is gone.
    public var quantity: Int64?
    /// `ts_ms`: when the connector saw it, or `source.ts_ms` where that is missing.
    public var timestamp: Timestamp
    /// `source.lsn`: the place in the database's log; of two changes of a row the later one has
    /// the higher.
    public var sequence: Int64

    /// Reads a record. Total: any bytes give a change or a ``ChangeFault``.
    ///
    /// - Parameter value: the record's value; nil for a tombstone.
    /// - Returns: nil for a tombstone.
    public static func decode(
        key: [UInt8]?, value: [UInt8]?
    ) throws(ChangeFault) -> ChangeEnvelope? {
        guard let key else { throw ChangeFault(field: "key", reason: "the record has none") }
        let row = try Self.payload(of: key, in: "key")
        let item = try InventoryItemName(row, in: "key")
        guard let value else { return nil }
        let payload = try Self.payload(of: value, in: "value")
        return try ChangeEnvelope(payload, of: item)
    }

    private init(_ payload: [String: JSONValue], of item: InventoryItemName) throws(ChangeFault) {
        let op = try Self.text("op", in: payload, path: "")
        guard let operation = Operation(rawValue: op) else {
            throw ChangeFault(
                field: "op", reason: "\"\(op.prefix(20))\" is none of c, u, d and r")
        }
        self.operation = operation
        key = item.key
        guard case .object(let source)? = payload["source"] else {
            throw ChangeFault(field: "source", reason: "an object is needed")
        }
        sequence = try Self.integer("lsn", in: source, path: "source.")
        let time =
            Self.isMissing(payload["ts_ms"])
            ? try Self.integer("ts_ms", in: source, path: "source.")
            : try Self.integer("ts_ms", in: payload, path: "")
        // The years 0 to 9999, as in the projection.
        guard (-62_167_219_200_000...253_402_300_799_999).contains(time) else {
            throw ChangeFault(field: "ts_ms", reason: "\(time) is no time")
        }
        timestamp = Timestamp(milliseconds: time)
        guard operation != .deleted else {
            guard Self.isMissing(payload["after"]) else {
                throw ChangeFault(field: "after", reason: "a deletion has none")
            }
            return
        }
        guard case .object(let after)? = payload["after"] else {
            throw ChangeFault(field: "after", reason: "an object is needed for op \(op)")
        }
        let named = try InventoryItemName(after, in: "after")
        guard named == item else {
            throw ChangeFault(
                field: "after", reason: "it is \(named.key), and the record's key \(item.key)")
        }
        let quantity = try Self.integer("quantity", in: after, path: "after.")
        guard quantity >= 0 else {
            throw ChangeFault(field: "after.quantity", reason: "\(quantity) is below 0")
        }
        self.quantity = quantity
    }

    /// The object in a JSON text, without the schema around it where there is one.
    private static func payload(
        of bytes: [UInt8], in field: String
    ) throws(ChangeFault) -> [String: JSONValue] {
        let decoded: JSONValue
        do {
            decoded = try JSON.decode(JSONValue.self, bytes)
        } catch {
            throw ChangeFault(field: field, reason: "it is no JSON")
        }
        guard case .object(let object) = decoded else {
            throw ChangeFault(field: field, reason: "an object is needed")
        }
        guard object["schema"] != nil, let payload = object["payload"] else { return object }
        guard case .object(let inner) = payload else {
            throw ChangeFault(field: "\(field).payload", reason: "an object is needed")
        }
        return inner
    }

    private static func isMissing(_ value: JSONValue?) -> Bool { value == nil || value == .null }

    fileprivate static func text(
        _ name: String, in object: [String: JSONValue], path: String
    ) throws(ChangeFault) -> String {
        guard case .text(let text)? = object[name] else {
            throw ChangeFault(field: path + name, reason: "a text is needed")
        }
        return text
    }

    private static func integer(
        _ name: String, in object: [String: JSONValue], path: String
    ) throws(ChangeFault) -> Int64 {
        guard case .integer(let number)? = object[name] else {
            throw ChangeFault(
                field: path + name, reason: "a whole number of at most 64 bits is needed")
        }
        return number
    }
}

/// Why a change could not be understood: which field, and what is wrong with it.
public struct ChangeFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// The field, as a path from the record's key or value.
    public var field: String
    /// What is wrong, in words.
    public var reason: String

    /// One line.
    public var description: String { "\(field): \(reason)" }
}

/// The primary key of the table.
private struct InventoryItemName: Hashable {
    let key: String

    init(_ object: [String: JSONValue], in path: String) throws(ChangeFault) {
        var names: [String] = []
        for column in ["warehouse", "item"] {
            let name = try ChangeEnvelope.text(column, in: object, path: path + ".")
            guard !name.isEmpty, name.utf8.count <= 500, !name.utf8.contains(0) else {
                throw ChangeFault(field: "\(path).\(column)", reason: "1 to 500 bytes, no NUL")
            }
            names.append(name)
        }
        // The last colon of a key separates.
        guard !names[1].contains(":") else {
            throw ChangeFault(field: "\(path).item", reason: "it has a colon")
        }
        key = names.joined(separator: ":")
    }
}

/// Any JSON, with whole numbers as such.
enum JSONValue: Decodable, Hashable {
    case null
    case flag(Bool)
    case integer(Int64)
    case number(Double)
    case text(String)
    case array([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .flag(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }
}
