import ServiceLifecycle
import Tally

/// An item that runs low: a record of `replenishment-alerts`.
public struct LowStockAlert: Codable, Hashable, Sendable {
    /// The item.
    public var key: String
    /// What is available, in pieces: less than the threshold.
    public var available: Int64
    /// The threshold, in pieces.
    public var threshold: Int64
    /// When, in milliseconds since 1970: the time of the event that did it.
    public var at: Int64
    /// The offset of that event in the partition of `inventory-events`.
    public var eventOffset: Int64
}

/// Sends an alert each time that an item's availability falls below the threshold.
///
/// **Why once per crossing.** Whether an item is low before an event is the fold of all events
/// before it. The group's position says which events were looked at, and moves in the same
/// transaction that sends the alerts. An instance that gets a partition folds its events up to
/// that position, without alerts, and goes on from there: each crossing is seen from the same
/// state by whoever comes to it, and one of them commits.
public struct ReplenishmentService: Service {
    /// The group whose members share out the partitions of `inventory-events`.
    public static let group = "replenishment"
    let engine: Engine
    let threshold: Int64
    var worker: ExactlyOnceWorker

    /// One instance; any number may run at once, each with a number of its own.
    ///
    /// - Parameter threshold: an item with less available is low.
    public init(engine: Engine, threshold: Int64, instance: Int = 1) {
        self.engine = engine
        self.threshold = threshold
        worker = ExactlyOnceWorker(
            engine, group: Self.group, topic: Topics.events, instance: instance)
    }

    /// Watches until the service group shuts down.
    public func run() async throws {
        try await worker.run { Watch(engine: engine, threshold: threshold) }
    }
}

private struct Watch: ExactlyOnceSession {
    let engine: Engine
    let threshold: Int64
    private var partitions: [Int32: PartitionFold<LowItems>] = [:]

    init(engine: Engine, threshold: Int64) {
        self.engine = engine
        self.threshold = threshold
    }

    mutating func prepare(for records: ConsumedRecords) async throws {
        let partition = records.partition
        let known = partitions[partition]
        guard known?.nextOffset != records.startOffset else { return }
        // The log up to where the group stands; what this instance knew from earlier is no base.
        var items = PartitionFold(
            engine, topic: Topics.events, partition: partition, LowItems(threshold: threshold)
        ) { $0.apply($1) }
        try await items.advance(to: records.startOffset)
        items.state.crossings = []
        partitions[partition] = items
    }

    mutating func process(_ records: ConsumedRecords, _ producer: Producer) async throws {
        let partition = records.partition
        try partitions[partition]?.take(records)
        let crossings = partitions[partition]?.state.crossings ?? []
        partitions[partition]?.state.crossings = []
        for alert in crossings {
            try await producer.add(
                Topics.alerts, partition: partition, key: alert.key,
                value: try JSON.bytes(alert))
        }
    }
}

/// Which items of a partition are low, and the crossings of the last records. A value.
struct LowItems {
    let threshold: Int64
    private var ledger = StockLedger()
    private var low: Set<String> = []
    /// Crossings in the order of their events, until somebody takes them.
    var crossings: [LowStockAlert] = []

    init(threshold: Int64) { self.threshold = threshold }

    mutating func apply(_ record: borrowing RecordView) {
        guard let key = record.keyText, let event = StockEvent(record) else { return }
        ledger.apply(event, to: key)
        let available = ledger[key].available
        guard available < threshold else {
            low.remove(key)
            return
        }
        guard low.insert(key).inserted else { return }
        crossings.append(
            LowStockAlert(
                key: key, available: available, threshold: threshold, at: event.recordedAt,
                eventOffset: record.offset.rawValue))
    }
}
