public import Tally

/// What one record did to an item, as the projection would have it. A value.
public struct ExplainedEvent: Hashable, Sendable {
    /// What became of a record.
    public enum Outcome: Hashable, Sendable {
        /// It counts.
        case applied
        /// Its event id was applied before, within the window: it changed nothing.
        case duplicate
        /// It could not be applied and changed nothing; why, in one line.
        case deadLetter(reason: String)
    }

    /// How much of the item there is.
    public struct Stock: Hashable, Sendable {
        /// What is there; negative numbers are facts.
        public var onHand: Int64
        /// What of it is promised.
        public var reserved: Int64
        /// `onHand - reserved`; the rules see to it that it fits.
        public var available: Int64 { onHand &- reserved }

        /// So much of an item; nothing unless it is said.
        public init(onHand: Int64 = 0, reserved: Int64 = 0) {
            self.onHand = onHand
            self.reserved = reserved
        }
    }

    /// The partition of the record.
    public var partition: Int32
    /// The offset of the record.
    public var offset: Offset
    /// The record's timestamp in the log.
    public var timestamp: Timestamp
    /// What became of it.
    public var outcome: Outcome
    /// The event's type, as `STOCK_RECEIVED`; nil where the record is no event.
    public var eventType: String?
    /// When it happened, as the event says; nil where the record is no event.
    public var recordedAt: Timestamp?
    /// The event's id, where it has one.
    public var eventID: String?
    /// The event's `actor`, or else its `operator`.
    public var who: String?
    /// The event's `reason`.
    public var why: String?
    /// The sales channel of a decision that was applied.
    public var channel: String?
    /// What was decided about it: SELLABLE, HIDDEN, BACKORDERABLE or STORE_PICKUP.
    public var decision: String?
    /// The stock before it.
    public var before: Stock
    /// The stock after it.
    public var after: Stock
}
