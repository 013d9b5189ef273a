import Tally

/// What somebody wants done about an order of one item: a record of `orders`.
///
/// May be sent as often as one likes: what was decided about an order stays decided.
public struct OrderCommand: Codable, Hashable, Sendable {
    /// What is wanted.
    public enum Kind: String, Codable, Sendable {
        /// Reserve these pieces.
        case placed = "PLACED"
        /// It is paid: they are sold.
        case paid = "PAID"
        /// The customer does not want them any more.
        case cancelled = "CANCELLED"
        /// Its time is over; sent by ``ReservationExpiryService``.
        case expire = "EXPIRE"
    }

    /// What is wanted.
    public var type: Kind
    /// Names the order among those of the item.
    public var orderID: String
    /// Pieces; of PLACED only.
    public var quantity: Int64?
    /// The sales channel; of PLACED only.
    public var channel: String?
    /// When, in milliseconds since 1970.
    public var at: Int64
    /// Until when the pieces are kept without a payment; of PLACED only.
    public var expiresAt: Int64?

    /// A command from its parts.
    public init(
        _ type: Kind, orderID: String, at time: Timestamp, quantity: Int64? = nil,
        channel: String? = nil, expiresAt: Timestamp? = nil
    ) {
        self.type = type
        self.orderID = orderID
        self.quantity = quantity
        self.channel = channel
        at = time.rawValue
        self.expiresAt = expiresAt?.rawValue
    }

    /// The record that asks for it.
    public func record(key: String) throws -> ProducerRecord {
        ProducerRecord(
            topic: Topics.orders, key: Array(key.utf8), value: try JSON.bytes(self))
    }
}

/// What was decided about an order: a record of `order-decisions`, one for each change.
public struct OrderDecision: Codable, Hashable, Sendable {
    /// Where an order stands.
    public enum Status: String, Codable, CaseIterable, Sendable {
        case reserved = "RESERVED"
        case rejected = "REJECTED"
        case confirmed = "CONFIRMED"
        case released = "RELEASED"
        case expired = "EXPIRED"
    }

    /// The order.
    public var orderID: String
    /// Where it stands now.
    public var status: Status
    /// Pieces.
    public var quantity: Int64
    /// The sales channel.
    public var channel: String
    /// When it was decided, as the command says.
    public var at: Int64
    /// Until when the pieces are kept.
    public var expiresAt: Int64
    /// Why, where it was rejected.
    public var reason: String?
}

/// Where the orders of a partition stand: the fold of its decisions. A value.
///
/// It keeps every order there ever was, by which a command that comes again is known; what a shop
/// with more than some million orders does is in the README.
public struct OrderBook: Hashable, Sendable {
    /// An order of an item: ids are the item's own.
    public struct OrderName: Hashable, Sendable {
        /// The item.
        public var key: String
        /// The order.
        public var orderID: String
    }

    /// The last decision about each order.
    public private(set) var orders: [OrderName: OrderDecision] = [:]

    /// No orders.
    public init() {}

    /// The last decision about an order; nil where there was none.
    public subscript(key: String, orderID: String) -> OrderDecision? {
        orders[OrderName(key: key, orderID: orderID)]
    }

    /// Takes a decision in.
    public mutating func apply(_ decision: OrderDecision, to key: String) {
        orders[OrderName(key: key, orderID: decision.orderID)] = decision
    }

    /// Takes a record in; one that is no decision changes nothing.
    mutating func apply(_ record: borrowing RecordView) {
        guard let key = record.keyText, let bytes = record.valueBytes,
            let decision = try? JSON.decode(OrderDecision.self, bytes)
        else { return }
        apply(decision, to: key)
    }
}
