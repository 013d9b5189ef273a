import ServiceLifecycle
import Tally

/// Decides about orders: reserves, confirms, releases, expires.
///
/// Reads `orders`; writes what happens to stock to `inventory-events` and what was decided to
/// `order-decisions`, with its position in `orders`, in one transaction.
///
/// **Why no item is oversold.** Each reservation is covered by what is available at that moment,
/// and no two reservations are covered by the same pieces:
///
/// 1. All orders of an item are in one partition of `orders`, and all its events and decisions in
///    the partitions of the same number (``Topics``). So all reservations of an item are made by
///    whoever has that partition in the group.
/// 2. Before an instance decides anything, it reads events and decisions up to the log's end, and
///    waits for transactions that are open below it. Its own earlier decisions are among them, and
///    so are those of whoever had the partition before.
/// 3. Two instances at the same partition cannot both commit. The group gives it to the second
///    one in a new generation; the first one's `sendOffsets` is refused from then on, and its
///    transaction aborted. Had it sent its offsets before, then they are pending, and the second
///    one is not told where to begin until that transaction has ended: it sees all or nothing
///    of it.
/// 4. A crash leaves a transaction open, which the coordinator aborts (``ExactlyOnceWorker``):
///    orders it read are read again, and its reservations never were.
///
/// What is known to be gone is never promised. That an item is counted or found broken after it
/// was promised is a fact that no log can prevent: availability goes below zero then, and the
/// safety stock of ``ChannelPolicy`` is there for it.
///
/// **Why once.** A command changes something only where the order's last decision allows it, and
/// decisions are read in step 2: an order that is handed in again was decided already.
public struct FulfillmentService: Service {
    /// The group whose members share out the partitions of `orders`.
    public static let group = "fulfillment"
    let engine: Engine
    let policy: ChannelPolicy
    var worker: ExactlyOnceWorker

    /// One instance; any number may run at once.
    ///
    /// - Parameter instance: its number: two that run at once need different ones, and one that is
    ///   started again has the same.
    public init(engine: Engine, policy: ChannelPolicy, instance: Int) {
        self.engine = engine
        self.policy = policy
        worker = ExactlyOnceWorker(
            engine, group: Self.group, topic: Topics.orders, instance: instance)
    }

    /// Decides until the service group shuts down.
    public func run() async throws {
        try await worker.run { Desk(engine: engine, policy: policy) }
    }
}

/// What one instance knows of the partitions that it has had.
private struct Desk: ExactlyOnceSession {
    let engine: Engine
    let policy: ChannelPolicy
    private var stock: [Int32: PartitionFold<StockLedger>] = [:]
    private var books: [Int32: PartitionFold<OrderBook>] = [:]

    init(engine: Engine, policy: ChannelPolicy) {
        self.engine = engine
        self.policy = policy
    }

    mutating func prepare(for records: ConsumedRecords) async throws {
        let partition = records.partition
        var ledger =
            stock[partition]
            ?? PartitionFold(engine, topic: Topics.events, partition: partition, StockLedger()) {
                $0.apply($1)
            }
        try await ledger.catchUp()
        stock[partition] = ledger
        var book =
            books[partition]
            ?? PartitionFold(engine, topic: Topics.decisions, partition: partition, OrderBook()) {
                $0.apply($1)
            }
        try await book.catchUp()
        books[partition] = book
    }

    func process(_ records: ConsumedRecords, _ producer: Producer) async throws {
        // Copies: what this transaction decides counts for its next decisions, and is read back
        // from the log once it is committed.
        guard var ledger = stock[records.partition]?.state,
            var book = books[records.partition]?.state
        else { return }
        var results: [(key: String, ruling: FulfillmentRules.Ruling)] = []
        try records.forEachRecord { record in
            // What is no command asks for nothing.
            guard let key = record.keyText, let bytes = record.valueBytes,
                let command = try? JSON.decode(OrderCommand.self, bytes),
                let ruling = FulfillmentRules.decide(
                    command, item: ledger[key], last: book[key, command.orderID], policy)
            else { return }
            if let event = ruling.event { ledger.apply(event, to: key) }
            book.apply(ruling.decision, to: key)
            results.append((key, ruling))
        }
        for (key, ruling) in results {
            if let event = ruling.event {
                try await producer.add(
                    Topics.events, partition: records.partition, key: key,
                    value: try JSON.bytes(event))
            }
            try await producer.add(
                Topics.decisions, partition: records.partition, key: key,
                value: try JSON.bytes(ruling.decision))
        }
    }
}

/// What is decided about a command. Pure.
enum FulfillmentRules {
    /// A decision, and what it does to the stock.
    struct Ruling: Hashable {
        var decision: OrderDecision
        var event: StockEvent?
    }

    /// - Parameters:
    ///   - item: the item's stock, with everything that was decided before.
    ///   - last: the last decision about the order.
    /// - Returns: nil where the command changes nothing: it was obeyed before, or comes too late.
    static func decide(
        _ command: OrderCommand, item: StockItem, last: OrderDecision?, _ policy: ChannelPolicy
    ) -> Ruling? {
        guard command.type != .placed else {
            return last == nil ? place(command, item, policy) : nil
        }
        // Everything else ends a reservation, and a reservation ends once.
        guard var decision = last, decision.status == .reserved else { return nil }
        let kind: StockEvent.Kind
        switch command.type {
        case .placed: return nil
        case .paid: (decision.status, kind) = (.confirmed, .confirmed)
        case .cancelled: (decision.status, kind) = (.released, .released)
        case .expire:
            guard decision.expiresAt <= command.at else { return nil }
            (decision.status, kind) = (.expired, .expired)
        }
        decision.at = command.at
        return Ruling(decision: decision, event: event(kind, decision))
    }

    private static func place(
        _ command: OrderCommand, _ item: StockItem, _ policy: ChannelPolicy
    ) -> Ruling {
        let quantity = command.quantity ?? 0
        let channel = command.channel ?? ""
        var decision = OrderDecision(
            orderID: command.orderID, status: .rejected, quantity: quantity, channel: channel,
            at: command.at, expiresAt: command.expiresAt ?? .max)
        guard quantity > 0 else {
            decision.reason = "an order needs a quantity above 0"
            return Ruling(decision: decision)
        }
        guard let available = policy.available(item, in: channel) else {
            decision.reason = "there is no channel \"\(channel)\""
            return Ruling(decision: decision)
        }
        guard quantity <= available else {
            decision.reason = "\(channel) has \(available)"
            return Ruling(decision: decision)
        }
        decision.status = .reserved
        return Ruling(decision: decision, event: event(.reserved, decision))
    }

    private static func event(
        _ kind: StockEvent.Kind, _ decision: OrderDecision
    ) -> StockEvent {
        StockEvent(
            kind, quantity: decision.quantity, at: Timestamp(milliseconds: decision.at),
            orderID: decision.orderID, channel: decision.channel)
    }
}
