import Tally

/// What happened, by the `eventType` of an event's JSON.
enum InventoryEventType: String, CaseIterable, Sendable {
    case stockReceived = "STOCK_RECEIVED"
    case stockReturned = "STOCK_RETURNED"
    case stockTransferredIn = "STOCK_TRANSFERRED_IN"
    case stockShipped = "STOCK_SHIPPED"
    case stockDamaged = "STOCK_DAMAGED"
    case stockTransferredOut = "STOCK_TRANSFERRED_OUT"
    case stockAdjusted = "STOCK_ADJUSTED"
    case stockReserved = "STOCK_RESERVED"
    case reservationReleased = "RESERVATION_RELEASED"
    case reservationExpired = "RESERVATION_EXPIRED"
    case reservationConfirmed = "RESERVATION_CONFIRMED"
    case availabilityDecided = "AVAILABILITY_DECIDED"
    case stockCounted = "STOCK_COUNTED"
    case manualOverride = "MANUAL_OVERRIDE"
    case policyChanged = "POLICY_CHANGED"
    case holdReleased = "HOLD_RELEASED"

    /// The five kinds of the inventory model.
    enum Kind: Sendable {
        case movement
        case reservation
        case availability
        case reconciliation
        case audit
    }

    var kind: Kind {
        switch self {
        case .stockReceived, .stockReturned, .stockTransferredIn, .stockShipped, .stockDamaged,
            .stockTransferredOut, .stockAdjusted:
            .movement
        case .stockReserved, .reservationReleased, .reservationExpired, .reservationConfirmed:
            .reservation
        case .availabilityDecided: .availability
        case .stockCounted: .reconciliation
        case .manualOverride, .policyChanged, .holdReleased: .audit
        }
    }

    /// The type that a packed name names, or nil. The commonest come first.
    static func named(_ name: PackedName) -> InventoryEventType? {
        for entry in packedNames where entry.name == name { return entry.type }
        return nil
    }

    private static let packedNames = allCases.map { (name: PackedName($0.rawValue), type: $0) }
}

/// What AVAILABILITY_DECIDED may decide.
enum AvailabilityDecision: String, CaseIterable, Sendable {
    case sellable = "SELLABLE"
    case hidden = "HIDDEN"
    case backorderable = "BACKORDERABLE"
    case storePickup = "STORE_PICKUP"
}

/// The fields of an event that are read; any others are checked to be JSON and skipped.
enum EventField: UInt32, CaseIterable, CustomStringConvertible, Sendable {
    case eventType
    case quantity
    case quantityDelta
    case recordedAt
    case eventId
    case reason
    case channel
    case decision
    case actor
    case `operator`

    /// The longest event id, channel or decision, in bytes: they become parts of keys.
    static let byteCountMax = 256

    /// The field's name in JSON.
    var description: String {
        switch self {
        case .eventType: "eventType"
        case .quantity: "quantity"
        case .quantityDelta: "quantityDelta"
        case .recordedAt: "recordedAt"
        case .eventId: "eventId"
        case .reason: "reason"
        case .channel: "channel"
        case .decision: "decision"
        case .actor: "actor"
        case .operator: "operator"
        }
    }

    /// The field that a packed name names, or nil.
    static func named(_ name: PackedName) -> EventField? {
        for entry in packedNames where entry.name == name { return entry.field }
        return nil
    }

    private static let packedNames = allCases.map { (name: PackedName($0.description), field: $0) }
}

/// One inventory event. Texts stay where they are in the record's value and are named by range.
struct InventoryEvent {
    var type: InventoryEventType
    /// `quantityDelta` of STOCK_ADJUSTED, `quantity` of the other kinds that have one, else 0.
    var quantity: Int64
    var recordedAt: Timestamp
    var eventId: TextRange?
    var reason: TextRange?
    /// `actor`, or else `operator`.
    var who: TextRange?
    /// Only of AVAILABILITY_DECIDED.
    var channel: TextRange?
    /// Only of AVAILABILITY_DECIDED.
    var decision: AvailabilityDecision?
}
