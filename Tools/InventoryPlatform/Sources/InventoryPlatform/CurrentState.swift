import Tally

/// The latest state of an item: a record of `inventory-current-state`.
public struct CurrentItem: Codable, Hashable, Sendable {
    /// What is there.
    public var onHand: Int64
    /// What of it is promised.
    public var reserved: Int64
    /// What can be promised.
    public var available: Int64
    /// Channels that it is hidden in, by name.
    public var hiddenChannels: [String]
    /// Time of the last event, in milliseconds since 1970.
    public var updatedAt: Int64
    /// Offset of the last event in the partition of `inventory-events`: all events of the item up
    /// to it are in here.
    public var eventOffset: Int64
    /// How many events made it.
    public var events: Int64

    /// The state after an event; `before` is nil for the item's first one.
    init(_ event: StockEvent, at offset: Offset, after before: CurrentItem?) {
        var item = StockItem()
        if let before {
            item.onHand = before.onHand
            item.reserved = before.reserved
            item.hiddenChannels = Set(before.hiddenChannels)
        }
        item.apply(event)
        onHand = item.onHand
        reserved = item.reserved
        available = item.available
        hiddenChannels = item.hiddenChannels.sorted()
        updatedAt = event.recordedAt
        eventOffset = offset.rawValue
        events = (before?.events ?? 0) + 1
    }
}

/// The state of all items in memory, made from the compacted topic alone: how a fresh node begins,
/// without the events of all years. A value; one task at a time.
public struct CurrentState {
    private var partitions: [PartitionFold<[String: CurrentItem]>]

    /// Reads `inventory-current-state` from its beginning to its end.
    ///
    /// What the cleaner has taken is older than what it left: of each item the newest record is
    /// there, so a node that begins before and one that begins after a cleaning come to the same.
    public static func bootstrap(_ engine: Engine) async throws -> CurrentState {
        let topic = try engine.describeTopic(Topics.currentState)
        var state = CurrentState(
            partitions: topic.partitions.map { Self.fold(engine, partition: $0.index) })
        try await state.catchUp()
        return state
    }

    /// Takes in what has changed since.
    public mutating func catchUp() async throws {
        for index in partitions.indices { try await partitions[index].catchUp() }
    }

    /// All items, by key.
    public var items: [String: CurrentItem] {
        partitions.reduce(into: [:]) { items, partition in
            items.merge(partition.state) { _, new in new }
        }
    }

    /// The items of one partition.
    static func fold(
        _ engine: Engine, partition: Int32
    ) -> PartitionFold<[String: CurrentItem]> {
        PartitionFold(engine, topic: Topics.currentState, partition: partition, [:]) {
            items, record in
            guard let key = record.keyText else { return }
            // A tombstone takes the item out.
            items[key] = try record.valueBytes.map { try JSON.decode(CurrentItem.self, $0) }
        }
    }
}
