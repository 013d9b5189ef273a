import Tally

/// One thing that happened to an item's stock: a record of `inventory-events`.
///
/// The fields are those of Tally's inventory projection (StateStore/FORMAT.md), so that
/// `tally stock` and `tally explain` read the same events; the projection skips those it does not
/// know.
public struct StockEvent: Codable, Hashable, Sendable {
    /// What happened.
    public enum Kind: String, Codable, CaseIterable, Sendable {
        case received = "STOCK_RECEIVED"
        case returned = "STOCK_RETURNED"
        case transferredIn = "STOCK_TRANSFERRED_IN"
        case shipped = "STOCK_SHIPPED"
        case damaged = "STOCK_DAMAGED"
        case transferredOut = "STOCK_TRANSFERRED_OUT"
        case counted = "STOCK_COUNTED"
        case reserved = "STOCK_RESERVED"
        case released = "RESERVATION_RELEASED"
        case expired = "RESERVATION_EXPIRED"
        case confirmed = "RESERVATION_CONFIRMED"
        case channelDecided = "AVAILABILITY_DECIDED"
    }

    /// What happened.
    public var eventType: Kind
    /// How many pieces, 0 or more; nil where the kind has none.
    public var quantity: Int64?
    /// When, in milliseconds since 1970.
    public var recordedAt: Int64
    /// Names an adjustment for ever; nil for events that a transaction keeps from coming twice.
    public var eventId: String?
    /// The order that it belongs to, where there is one.
    public var orderID: String?
    /// Why, in words.
    public var reason: String?
    /// The sales channel, where it concerns one.
    public var channel: String?
    /// SELLABLE or HIDDEN, of AVAILABILITY_DECIDED.
    public var decision: String?

    /// An event from its parts.
    public init(
        _ kind: Kind, quantity: Int64?, at recordedAt: Timestamp, id: String? = nil,
        orderID: String? = nil, reason: String? = nil, channel: String? = nil,
        decision: String? = nil
    ) {
        eventType = kind
        self.quantity = quantity
        self.recordedAt = recordedAt.rawValue
        eventId = id
        self.orderID = orderID
        self.reason = reason
        self.channel = channel
        self.decision = decision
    }

    /// Reads a record's value; nil where it is none of these. Total.
    init?(_ record: borrowing RecordView) {
        guard let bytes = record.valueBytes,
            let event = try? JSON.decode(StockEvent.self, bytes)
        else { return nil }
        self = event
    }
}

/// How much of an item there is, and what becomes of that with each event. A value.
public struct StockItem: Hashable, Sendable {
    /// What is there; below zero where more left than ever came in, which is a fact too.
    public var onHand: Int64 = 0
    /// What of it is promised to orders.
    public var reserved: Int64 = 0
    /// Channels that the item is hidden in.
    public var hiddenChannels: Set<String> = []

    /// What can be promised: `onHand - reserved`.
    public var available: Int64 {
        // The rules below see to it that it fits; a state that came from elsewhere must not trap.
        let (available, overflow) = onHand.subtractingReportingOverflow(reserved)
        return overflow ? (onHand < 0 ? .min : .max) : available
    }

    /// An item that nothing is known of.
    public init() {}

    /// Applies one event. Numbers that do not fit change nothing, as in the projection.
    public mutating func apply(_ event: StockEvent) {
        let quantity = event.quantity ?? 0
        guard quantity >= 0 else { return }
        switch event.eventType {
        case .received, .returned, .transferredIn: move(onHand: quantity)
        case .shipped, .damaged, .transferredOut: move(onHand: -quantity)
        case .reserved: move(reserved: quantity)
        case .released, .expired: move(reserved: -quantity)
        case .confirmed: move(onHand: -quantity, reserved: -quantity)
        case .counted:
            // What was found more than was known has to fit, too.
            guard !quantity.subtractingReportingOverflow(reserved).overflow,
                !quantity.subtractingReportingOverflow(onHand).overflow
            else { return }
            onHand = quantity
        case .channelDecided:
            guard let channel = event.channel else { return }
            if event.decision == "HIDDEN" {
                hiddenChannels.insert(channel)
            } else {
                hiddenChannels.remove(channel)
            }
        }
    }

    private mutating func move(onHand: Int64 = 0, reserved: Int64 = 0) {
        let newOnHand = self.onHand.addingReportingOverflow(onHand)
        let newReserved = self.reserved.addingReportingOverflow(reserved)
        let available = newOnHand.partialValue.subtractingReportingOverflow(
            newReserved.partialValue)
        guard !newOnHand.overflow, !newReserved.overflow, !available.overflow else { return }
        self.onHand = newOnHand.partialValue
        self.reserved = newReserved.partialValue
    }
}

/// The stock of all items of a partition: the fold of its events. A value.
public struct StockLedger: Hashable, Sendable {
    /// By key.
    public private(set) var items: [String: StockItem] = [:]

    /// No items.
    public init() {}

    /// The item; one without stock where nothing is known.
    public subscript(key: String) -> StockItem { items[key] ?? StockItem() }

    /// Applies an event of an item.
    public mutating func apply(_ event: StockEvent, to key: String) {
        items[key, default: StockItem()].apply(event)
    }

    /// Applies a record; one that is no event, or has no key, changes nothing.
    mutating func apply(_ record: borrowing RecordView) {
        guard let key = record.keyText, let event = StockEvent(record) else { return }
        apply(event, to: key)
    }
}
