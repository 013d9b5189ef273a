public import Tally

/// Tells what each record of one item did to it, by applying the records of a topic with the
/// projection's own rules to a state in memory. No database is needed.
///
/// Hand in every record of the topic, each partition from its first offset on: a duplicate is told
/// by ids that other items' events may have. Records of other items that have no id are passed
/// over. Quantities count from nothing, so that they are right where the log begins at its first
/// offset, and on hand from the first STOCK_COUNTED on in any case.
///
/// Memory: the event ids within the window, and a row for each item that has events with ids.
///
/// Thread rule: one owner at a time; not `Sendable`.
public struct InventoryExplainer {
    private let key: [UInt8]
    private let source = ForgetfulSource()
    private var state = ProjectionState()

    /// After so many records, ids that nothing can be a duplicate of are let go.
    var recordsPerSettling = 50_000

    /// - Parameters:
    ///   - key: the item, `warehouse:item`.
    ///   - deduplicationWindow: how far back an event id counts, in offsets: the projection's, as
    ///     ``ProjectionStatus/deduplicationWindow`` tells it.
    public init(
        key: String,
        deduplicationWindow: Int64 = InventoryProjection.Options().deduplicationWindow
    ) {
        self.key = Array(key.utf8)
        state.deduplicationWindow = deduplicationWindow
        state.cacheIsComplete = true
    }

    /// The stock after all records that were handed in.
    public var stock: ExplainedEvent.Stock {
        let number = state.keys.number(of: key.rawSpan, hash: state.keys.hash(key.rawSpan))
        let row = number.map { state.rows[$0] } ?? InventoryRow()
        return ExplainedEvent.Stock(onHand: row.onHand, reserved: row.reserved)
    }

    /// Applies one record; parameters as those of
    /// ``InventoryProjection/apply(partition:offset:leaderEpoch:timestamp:key:value:)``.
    ///
    /// - Returns: what it did, where it is the item's; nil for those of others, and for records
    ///   that were handed in before.
    public mutating func apply(
        partition: Int32, offset: Offset, leaderEpoch: LeaderEpoch, timestamp: Timestamp,
        key: RawSpan?, value: RawSpan?
    ) throws(StateStoreError) -> ExplainedEvent? {
        var event: InventoryEvent?
        if let value { event = try? InventoryEvent(decoding: value) }
        var isWanted = false
        if let key { isWanted = key.hasSameBytes(as: self.key.rawSpan) }
        guard isWanted || event?.eventId != nil else { return nil }
        let before = isWanted ? stock : ExplainedEvent.Stock()
        let outcome = try state.apply(
            partition: partition, offset: offset, leaderEpoch: leaderEpoch, timestamp: timestamp,
            key: key, value: value, source: source)
        defer { settle(outcome) }
        guard isWanted, outcome != .ignored else { return nil }
        var explained = ExplainedEvent(
            partition: partition, offset: offset, timestamp: timestamp, outcome: .applied,
            before: before, after: stock)
        if let event, let value { explained.note(event, value) }
        switch outcome {
        case .applied, .ignored: break
        case .duplicate: explained.outcome = .duplicate
        case .deadLetter:
            explained.outcome = .deadLetter(reason: state.pending.deadLetters.last?.reason ?? "")
        }
        return explained
    }

    /// Keeps what the state has gathered for a commit, which never comes, from growing.
    private mutating func settle(_ outcome: ApplyOutcome) {
        switch outcome {
        case .applied, .ignored, .duplicate: break
        case .deadLetter: state.pending.deadLetters.removeAll()
        }
        guard state.pendingRecords >= recordsPerSettling else { return }
        for event in state.pending.eventIdList {
            source.offsets[event] = state.pending.eventIds[event]
        }
        for progress in state.partitions where progress.mustPrune(state.deduplicationWindow) {
            let horizon = progress.horizon(state.deduplicationWindow)
            source.offsets = source.offsets.filter {
                $0.key.partition != progress.partition || $0.value >= horizon
            }
        }
        state.didCommit(cachedRowsMax: .max)
    }
}

extension ExplainedEvent {
    /// Takes over what the event says.
    fileprivate mutating func note(_ event: InventoryEvent, _ value: RawSpan) {
        func text(_ range: TextRange?) -> String? {
            range.map {
                String(decoding: JSONScanner.characters(of: $0, in: value), as: UTF8.self)
            }
        }
        eventType = event.type.rawValue
        recordedAt = event.recordedAt
        eventID = text(event.eventId)
        who = text(event.who)
        why = text(event.reason)
        channel = text(event.channel)
        decision = event.decision?.rawValue
    }
}

/// What a state asks where nothing is stored: rows begin at nothing, ids are those of before.
private final class ForgetfulSource: StateSource {
    /// Where each event id was applied last.
    var offsets: [EventIdentity: Int64] = [:]

    func loadRow(_ key: InventoryKey) -> InventoryRow { InventoryRow() }

    func loadAllRows(_ body: (_ key: [UInt8], _ row: InventoryRow) -> Void) -> Bool { true }

    func loadEventIdFilter() -> EventIdFilter {
        var filter = EventIdFilter(capacity: offsets.count * 2)
        for event in offsets.keys {
            filter.insert(partition: event.partition, id: event.id.rawSpan)
        }
        return filter
    }

    func storedOffset(of event: EventIdentity) -> Int64? { offsets[event] }
}
