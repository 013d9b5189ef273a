import Tally

/// What a commit inserts besides inventory rows, in the order of the log.
struct PendingRows {
    var deadLetters: [DeadLetterRow] = []
    var audits: [AuditRow] = []
    var availabilities: [AvailabilityRow] = []
    /// The event ids applied, with the offset of each; a list too, so that they are written in the
    /// order of the log, which is often nearly that of the ids.
    private(set) var eventIds: [EventIdentity: Int64] = [:]
    private(set) var eventIdList: [EventIdentity] = []

    mutating func add(_ event: EventIdentity, at offset: Int64) {
        if eventIds.updateValue(offset, forKey: event) == nil { eventIdList.append(event) }
    }
}

/// A record that could not be applied.
struct DeadLetterRow {
    var partition: Int32
    var offset: Int64
    var reason: String
    var timestamp: Int64
    /// At most `bytesMax` bytes of each; the sizes are those of the whole.
    var key: [UInt8]?
    var keySize: Int?
    var value: [UInt8]?
    var valueSize: Int?

    /// How much of a key or value is kept here; the record itself stays in the log.
    static let bytesMax = 65_536
}

/// A row of the audit table.
struct AuditRow {
    var partition: Int32
    var offset: Int64
    var type: InventoryEventType
    var who: String?
    var why: String?
    var key: String?
    var recordedAt: Int64
}

/// A row of the availability table; a later one replaces an earlier one for the same channel.
struct AvailabilityRow {
    var key: InventoryKey
    var channel: String
    var decision: AvailabilityDecision
    var reason: String?
    var recordedAt: Int64
    var partition: Int32
    var offset: Int64
}

/// An event id in its partition, compared by bytes as SQLite does (and `String` does not).
struct EventIdentity: Hashable {
    var partition: Int32
    var id: [UInt8]
}
