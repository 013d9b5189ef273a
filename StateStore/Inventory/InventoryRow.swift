import Tally

/// What is known about one item in one warehouse; a row of the inventory table.
struct InventoryRow: Hashable {
    /// The row's id in the table, 0 while it is not there yet.
    var id: Int64 = 0
    var onHand: Int64 = 0
    var reserved: Int64 = 0
    var lastEventTime: Int64 = 0
    var lastOffset: Int64 = 0
    var events: Int64 = 0
    /// What the last count found more than was known, nil before the first count.
    var lastCountVariance: Int64?
    var countedAt: Int64?
    var partition: Int32 = 0
    /// Whether the row has changed since the last commit.
    var isTouched = false

    /// Applies the quantities of a movement, reservation or reconciliation. Negative results are
    /// facts. False, and nothing is changed, when a result does not fit in 64 bits.
    @inline(__always)
    mutating func apply(_ event: InventoryEvent) -> Bool {
        var newOnHand = (partialValue: onHand, overflow: false)
        var newReserved = (partialValue: reserved, overflow: false)
        switch event.type {
        case .stockReceived, .stockReturned, .stockTransferredIn, .stockAdjusted:
            newOnHand = onHand.addingReportingOverflow(event.quantity)
        case .stockShipped, .stockDamaged, .stockTransferredOut:
            newOnHand = onHand.subtractingReportingOverflow(event.quantity)
        case .stockReserved:
            newReserved = reserved.addingReportingOverflow(event.quantity)
        case .reservationReleased, .reservationExpired:
            newReserved = reserved.subtractingReportingOverflow(event.quantity)
        case .reservationConfirmed:
            newReserved = reserved.subtractingReportingOverflow(event.quantity)
            newOnHand = onHand.subtractingReportingOverflow(event.quantity)
        case .stockCounted:
            return count(event)
        case .availabilityDecided, .manualOverride, .policyChanged, .holdReleased:
            return false
        }
        // What is available is computed wherever it is asked for, and must fit as well.
        let available = newOnHand.partialValue.subtractingReportingOverflow(
            newReserved.partialValue)
        if newOnHand.overflow || newReserved.overflow || available.overflow { return false }
        onHand = newOnHand.partialValue
        reserved = newReserved.partialValue
        return true
    }

    /// STOCK_COUNTED: the count is right, whatever was known before.
    private mutating func count(_ event: InventoryEvent) -> Bool {
        let variance = event.quantity.subtractingReportingOverflow(onHand)
        let available = event.quantity.subtractingReportingOverflow(reserved)
        if variance.overflow || available.overflow { return false }
        onHand = event.quantity
        lastCountVariance = variance.partialValue
        countedAt = event.recordedAt.rawValue
        return true
    }

    /// Notes which event was the last one.
    @inline(__always)
    mutating func note(recordedAt: Timestamp, partition: Int32, offset: Offset) {
        lastEventTime = recordedAt.rawValue
        lastOffset = offset.rawValue
        self.partition = partition
        events &+= 1
    }
}
