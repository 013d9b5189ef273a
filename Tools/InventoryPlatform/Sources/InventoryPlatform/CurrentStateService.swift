import ServiceLifecycle
import Tally

/// Keeps `inventory-current-state` from the events.
///
/// **Why a crash gives the same state.** The new states and the group's position in the events are
/// committed in one transaction. An instance that gets a partition reads the states back from the
/// topic, up to its end, before it goes on. Each state also says up to which event it goes, and
/// events that are in it already are passed over.
public struct CurrentStateService: Service {
    /// The group whose members share out the partitions of `inventory-events`.
    public static let group = "current-state"
    let engine: Engine
    var worker: ExactlyOnceWorker

    /// One instance; any number may run at once, each with a number of its own.
    public init(engine: Engine, instance: Int = 1) {
        self.engine = engine
        worker = ExactlyOnceWorker(
            engine, group: Self.group, topic: Topics.events, instance: instance)
    }

    /// Follows the events until the service group shuts down.
    public func run() async throws {
        try await worker.run { Keeper(engine: engine) }
    }
}

private struct Keeper: ExactlyOnceSession {
    let engine: Engine
    private var partitions: [Int32: PartitionFold<[String: CurrentItem]>] = [:]

    init(engine: Engine) { self.engine = engine }

    mutating func prepare(for records: ConsumedRecords) async throws {
        let partition = records.partition
        var items =
            partitions[partition] ?? CurrentState.fold(engine, partition: partition)
        try await items.catchUp()
        partitions[partition] = items
    }

    func process(_ records: ConsumedRecords, _ producer: Producer) async throws {
        let known = partitions[records.partition]?.state ?? [:]
        var changed: [String: CurrentItem] = [:]
        try records.forEachRecord { record in
            guard let key = record.keyText, let event = StockEvent(record) else { return }
            let before = changed[key] ?? known[key]
            guard record.offset.rawValue > before?.eventOffset ?? -1 else { return }
            changed[key] = CurrentItem(event, at: record.offset, after: before)
        }
        // One record for each item, however many events it had.
        for (key, item) in changed.sorted(by: { $0.key < $1.key }) {
            try await producer.add(
                Topics.currentState, partition: records.partition, key: key,
                value: try JSON.bytes(item))
        }
    }
}
