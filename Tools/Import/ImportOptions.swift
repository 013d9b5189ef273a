/// How the rows of a table become inventory events; all texts are as on the command line.
package struct ImportOptions: Sendable {
    /// The key of the record, such as `{Country}:{StockCode}`.
    package var key: String
    /// The number of the event: `{Column}` or `-{Column}`.
    package var delta: String
    /// When it happened, such as `{InvoiceDate}`; it is also the record's timestamp.
    package var time: String
    /// How the time is written; nil: as ISO 8601 has it. See `TimeParser`.
    package var timeFormat: String?
    /// The kind of all events.
    package var eventType: String
    /// What tells an event from every other, such as `{InvoiceNo}-{Line}`; nil: nothing does.
    package var eventID: String?
    /// Why the events happened, the same for all.
    package var reason: String?
    /// The sales channel of all events.
    package var channel: String?

    package init(
        key: String, delta: String, time: String, timeFormat: String? = nil,
        eventType: String = InventoryEventType.stockAdjusted.rawValue, eventID: String? = nil,
        reason: String? = nil, channel: String? = nil
    ) {
        self.key = key
        self.delta = delta
        self.time = time
        self.timeFormat = timeFormat
        self.eventType = eventType
        self.eventID = eventID
        self.reason = reason
        self.channel = channel
    }
}

/// What to do about a row that cannot become an event.
package enum BadRowPolicy: Sendable {
    /// Throw its `RowError`; nothing of the row has been handed out.
    case stop
    /// Count it, tell it, and go on with the next row.
    case skip(report: @Sendable (RowError) -> Void)
}
