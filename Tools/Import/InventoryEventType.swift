/// The kinds of inventory events, by the names that stand in the events.
package enum InventoryEventType: String, CaseIterable, Sendable {
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

    /// - Throws: for a name that no event has; the error lists those that there are.
    package init(named name: String) throws(ImportOptionError) {
        guard let type = Self(rawValue: name) else { throw .unknownEventType(name) }
        self = type
    }

    /// The name of the number that such an event carries; nil where it carries none.
    package var quantityName: String? {
        switch self {
        case .stockAdjusted:
            "quantityDelta"
        case .availabilityDecided, .manualOverride, .policyChanged, .holdReleased:
            nil
        default:
            "quantity"
        }
    }
}
