public import Tally

/// How much of an item there is in a warehouse.
///
/// Encodes as `warehouse`, `item`, `onHand`, `reserved`, `available`, `updatedAt` (RFC 3339, UTC),
/// `partition`, `offset` and `events`.
public struct StockLevel: Hashable, Sendable {
    /// The topic whose events made this row.
    public var topic: String
    /// The part of the key before its last colon.
    public var warehouse: String
    /// The part of the key after its last colon.
    public var item: String
    /// What is there; negative numbers are facts.
    public var onHand: Int64
    /// What of it is promised.
    public var reserved: Int64
    /// `onHand - reserved`.
    public var available: Int64
    /// The `recordedAt` of the last event applied.
    public var updatedAt: Timestamp
    /// The partition of the last event applied.
    public var partition: Int32
    /// The offset of the last event applied.
    public var offset: Offset
    /// How many events changed this row.
    public var events: Int64
    /// What the last count found more than was known; nil when there was none.
    public var lastCountVariance: Int64?
    /// The `recordedAt` of the last count; nil when there was none.
    public var countedAt: Timestamp?
}

extension StockLevel: Encodable {
    private enum CodingKeys: String, CodingKey {
        case warehouse, item, onHand, reserved, available, updatedAt, partition, offset, events
    }

    /// Encodes the nine fields that `tally stock --json` prints.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(warehouse, forKey: .warehouse)
        try container.encode(item, forKey: .item)
        try container.encode(onHand, forKey: .onHand)
        try container.encode(reserved, forKey: .reserved)
        try container.encode(available, forKey: .available)
        try container.encode(EventTime.text(updatedAt), forKey: .updatedAt)
        try container.encode(partition, forKey: .partition)
        try container.encode(offset.rawValue, forKey: .offset)
        try container.encode(events, forKey: .events)
    }
}

/// Which stock levels to ask for, and in which order.
public struct StockQuery: Hashable, Sendable {
    /// What rows are sorted by. Rows that are equal in it come in the order of their names.
    public enum Order: String, CaseIterable, Sendable {
        /// Warehouse, then item.
        case name
        case onHand
        case reserved
        case available
        case events
        /// The time of the last event.
        case updated
    }

    /// Only this topic's projection; nil for all.
    public var topic: String?
    /// Only this warehouse; nil for all.
    public var warehouse: String?
    /// Only this item; nil for all.
    public var item: String?
    /// Only rows with less than this available; nil for all.
    public var below: Int64?
    /// What rows are sorted by.
    public var order = Order.name
    /// Whether the greatest comes first.
    public var descending = false
    /// At most so many rows; nil for all.
    public var limit: Int?

    /// All rows by name.
    public init() {}
}

/// Sums over all rows of an inventory.
public struct StockTotals: Hashable, Sendable {
    /// How many pairs of warehouse and item there are.
    public var rows: Int64
    /// How many different warehouses there are.
    public var warehouses: Int64
    /// How many events made the rows.
    public var events: Int64
    /// The rows with less than nothing on hand.
    public var negativeRows: Int64
}
