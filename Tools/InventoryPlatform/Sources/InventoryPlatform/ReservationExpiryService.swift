import ServiceLifecycle
import Synchronization
import Tally

/// Watches reservations and asks for the end of those whose time is over.
///
/// It writes no event itself: it sends an EXPIRE command to `orders`, and ``FulfillmentService``
/// decides. So a payment and an expiry that come at the same time are in one order, the log's, and
/// whichever is first counts.
///
/// **Why an event each, exactly once.** A command may be sent twice, by two instances or by one
/// that was started again, and that is harmless: the second one finds the reservation ended. None
/// is forgotten: whoever gets a partition of `order-decisions` reads it from the beginning, so it
/// knows every reservation that is open, and a command counts as sent when it is on stable storage.
public struct ReservationExpiryService: Service {
    /// The group whose members share out the partitions of `order-decisions`.
    public static let group = "reservation-expiry"
    let engine: Engine
    let clock: PlatformClock
    let interval: Duration

    /// One instance; any number may run at once.
    ///
    /// - Parameter interval: how often it looks at the clock.
    public init(engine: Engine, clock: PlatformClock, interval: Duration = .milliseconds(50)) {
        self.engine = engine
        self.clock = clock
        self.interval = interval
    }

    /// Watches until the service group shuts down.
    public func run() async throws {
        let open = OpenReservations()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await read(into: open) }
            tasks.addTask { try await watch(open) }
            // The first one to end, at a shutdown or with an error, ends the other.
            try await tasks.next()
            tasks.cancelAll()
        }
    }

    private func read(into open: OpenReservations) async throws {
        var worker = GroupWorker(engine, group: Self.group, topic: Topics.decisions)
        worker.configuration.onRebalance = { _, event in
            switch event {
            case .assigned: break
            case .revoked(let partitions), .lost(let partitions): open.forget(partitions)
            }
        }
        // Nothing is ever committed, so that a partition is always read from its beginning.
        try await worker.run { records, _ in try open.take(records) }
    }

    private func watch(_ open: OpenReservations) async throws {
        let producer = try engine.producer()
        while !Task.isShuttingDownGracefully {
            let now = clock.now
            for due in open.due(at: now) {
                let command = OrderCommand(.expire, orderID: due.orderID, at: now)
                _ = try await producer.send(try command.record(key: due.key))
                open.noteAsked(due)
            }
            do {
                try await Task.sleep(for: interval)
            } catch {
                return
            }
        }
    }
}

/// Reservations that wait for a payment, by partition. Any thread.
private final class OpenReservations: Sendable {
    private struct Partition {
        var expiry: [OrderBook.OrderName: Int64] = [:]
        var asked: Set<OrderBook.OrderName> = []
        var nextOffset: Offset
    }

    private let partitions = Mutex<[Int32: Partition]>([:])

    func take(_ records: ConsumedRecords) throws {
        var changes: [(name: OrderBook.OrderName, expiresAt: Int64?)] = []
        try records.forEachRecord { record in
            guard let key = record.keyText, let bytes = record.valueBytes,
                let decision = try? JSON.decode(OrderDecision.self, bytes)
            else { return }
            let name = OrderBook.OrderName(key: key, orderID: decision.orderID)
            changes.append((name, decision.status == .reserved ? decision.expiresAt : nil))
        }
        partitions.withLock { partitions in
            var partition =
                partitions[records.partition] ?? Partition(nextOffset: records.startOffset)
            // Read from the beginning again: the partition was somebody else's meanwhile.
            if partition.nextOffset != records.startOffset {
                partition = Partition(nextOffset: records.startOffset)
            }
            for (name, expiresAt) in changes {
                partition.expiry[name] = expiresAt
                if expiresAt == nil { partition.asked.remove(name) }
            }
            partition.nextOffset = records.nextOffset
            partitions[records.partition] = partition
        }
    }

    func forget(_ gone: Set<TopicPartition>) {
        partitions.withLock { partitions in
            for partition in gone { partitions[partition.partition] = nil }
        }
    }

    /// Those whose time is over, and whose end was not asked for yet.
    func due(at now: Timestamp) -> [OrderBook.OrderName] {
        partitions.withLock { partitions in
            partitions.values.flatMap { partition in
                partition.expiry.filter { name, expiresAt in
                    expiresAt <= now.rawValue && !partition.asked.contains(name)
                }.keys
            }
        }
    }

    func noteAsked(_ name: OrderBook.OrderName) {
        partitions.withLock { partitions in
            for (index, partition) in partitions where partition.expiry[name] != nil {
                partitions[index]?.asked.insert(name)
            }
        }
    }
}
