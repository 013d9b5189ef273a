import ServiceLifecycle
import Tally

/// Takes the changes of the warehouse system's table over into `inventory-events`.
///
/// The table says how much there is, so `c`, `u` and `r` become STOCK_COUNTED with the row's
/// quantity, and `d` one of 0: what was reserved stays so. The tombstone behind a deletion is for
/// the cleaner and means nothing here. What cannot be understood goes to
/// `inventory-changes-dead-letters`, as it came, with the reason in the header `error`.
///
/// **Why once.** Events and position are one transaction. A connector sends a change again when it
/// was interrupted; the change has the same place in the database's log then, and places that are
/// not above the row's last one are passed over. The last places are the fold of the partition
/// before the group's position, as in ``ReplenishmentService``.
public struct ChangeFeedService: Service {
    /// The group whose members share out the partitions of `inventory-changes`.
    public static let group = "change-feed"
    let engine: Engine
    var worker: ExactlyOnceWorker

    /// One instance; any number may run at once, each with a number of its own.
    public init(engine: Engine, instance: Int = 1) {
        self.engine = engine
        worker = ExactlyOnceWorker(
            engine, group: Self.group, topic: Topics.changes, instance: instance)
    }

    /// Follows the changes until the service group shuts down.
    public func run() async throws {
        try await worker.run { Translator(engine: engine) }
    }
}

private struct Translator: ExactlyOnceSession {
    let engine: Engine
    private var partitions: [Int32: PartitionFold<[String: Int64]>] = [:]

    init(engine: Engine) { self.engine = engine }

    mutating func prepare(for records: ConsumedRecords) async throws {
        let partition = records.partition
        guard partitions[partition]?.nextOffset != records.startOffset else { return }
        var places = PartitionFold(
            engine, topic: Topics.changes, partition: partition, [String: Int64]()
        ) { places, record in
            let change = try? ChangeEnvelope.decode(key: record.keyBytes, value: record.valueBytes)
            guard let change else { return }
            places[change.key] = max(places[change.key] ?? .min, change.sequence)
        }
        try await places.advance(to: records.startOffset)
        partitions[partition] = places
    }

    mutating func process(_ records: ConsumedRecords, _ producer: Producer) async throws {
        var places = partitions[records.partition]?.state ?? [:]
        var events: [(key: String, event: StockEvent)] = []
        try records.forEachRecord { record in
            do throws(ChangeFault) {
                let change = try ChangeEnvelope.decode(
                    key: record.keyBytes, value: record.valueBytes)
                guard let change, change.sequence > places[change.key] ?? .min else { return }
                places[change.key] = change.sequence
                events.append((change.key, StockEvent(change)))
            } catch {
                let reason = RecordHeader(name: "error", value: Array("\(error)".utf8))
                try producer.enqueue(
                    topic: Topics.deadLetters, key: record.key, value: record.value,
                    headers: [reason])
            }
        }
        for (key, event) in events {
            try await producer.add(Topics.events, key: key, value: try JSON.bytes(event))
        }
        try partitions[records.partition]?.take(records)
    }
}

extension StockEvent {
    /// What a change of the table means for the stock.
    fileprivate init(_ change: ChangeEnvelope) {
        self.init(
            .counted, quantity: change.quantity ?? 0, at: change.timestamp,
            reason: "op \(change.operation.rawValue) at \(change.sequence) in the table")
    }
}
