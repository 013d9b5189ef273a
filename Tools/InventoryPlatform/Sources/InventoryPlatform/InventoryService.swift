import Tally

/// Something that somebody says happened to an item's stock.
public struct Adjustment: Hashable, Sendable {
    /// Names it, for ever: handed in again, also by another process years later, it counts once.
    public var id: String
    /// The item, `warehouse:item`.
    public var key: String
    /// What happened. Reservations are not adjustments: orders make them.
    public var kind: StockEvent.Kind
    /// Pieces, 0 or more; nil for ``StockEvent/Kind/channelDecided``.
    public var quantity: Int64?
    /// When it happened.
    public var at: Timestamp
    /// Why, in words.
    public var reason: String?
    /// The sales channel and SELLABLE or HIDDEN, of ``StockEvent/Kind/channelDecided``.
    public var channel: String?
    /// See ``channel``.
    public var decision: String?

    /// An adjustment from its parts.
    public init(
        id: String, key: String, _ kind: StockEvent.Kind, quantity: Int64? = nil,
        at: Timestamp, reason: String? = nil, channel: String? = nil, decision: String? = nil
    ) {
        self.id = id
        self.key = key
        self.kind = kind
        self.quantity = quantity
        self.at = at
        self.reason = reason
        self.channel = channel
        self.decision = decision
    }

    /// What becomes of it in the log.
    var event: StockEvent {
        StockEvent(
            kind, quantity: quantity, at: at, id: InventoryService.eventIDPrefix + id,
            reason: reason, channel: channel, decision: decision)
    }

    /// Why it cannot be accepted; nil where it can.
    var problem: String? {
        if id.isEmpty || id.utf8.count > 200 { return "an id has 1 to 200 bytes" }
        let colon = key.lastIndex(of: ":")
        guard let colon, colon != key.startIndex, key.index(after: colon) != key.endIndex,
            key.utf8.count <= 1024, !key.utf8.contains(0)
        else { return "\(PlatformError.invalidKey(key))" }
        switch kind {
        case .reserved, .released, .expired, .confirmed:
            return "\(kind.rawValue) is decided by the fulfillment, from orders"
        case .channelDecided:
            guard channel != nil, decision == "SELLABLE" || decision == "HIDDEN" else {
                return "\(kind.rawValue) needs a channel, and SELLABLE or HIDDEN"
            }
        default:
            guard let quantity, quantity >= 0 else {
                return "\(kind.rawValue) needs a quantity of 0 or more"
            }
        }
        return nil
    }
}

/// What became of an adjustment that was handed in.
public enum Acceptance: Hashable, Sendable {
    /// It is in the log, on stable storage.
    case accepted
    /// Its id is in the log already: nothing was changed.
    case known
    /// It cannot be; why.
    case refused(reason: String)
}

/// Accepts adjustments and writes each to `inventory-events` once, however often it is handed in.
///
/// **Why once.** The id of an adjustment becomes the id of its event, and the service knows all
/// ids that are in the log: it reads them when it starts, and adds those it writes. Nobody else
/// writes adjustments meanwhile: the service has one `transactional.id`, so a second one fences
/// this one, and its next commit is refused. What a process that died had not committed is aborted
/// by `initTransactions`, before the ids are read: no event can appear behind that. A caller that
/// got no answer hands its adjustment in again.
///
/// Everything that reads `inventory-events` may therefore count each event it sees.
///
/// Thread rule: any task; calls run one after the other. Memory: the ids, 100 bytes each or so.
public actor InventoryService {
    static let eventIDPrefix = "adjustment:"
    private let engine: Engine
    private var writer: Writer?
    /// The last call, which the next one waits for.
    private var last: Task<[Acceptance], any Error>?
    private let probe: @Sendable (WorkStep) async throws -> Void

    /// The producer that has the `transactional.id`, and the ids in the log.
    private struct Writer {
        let producer: Producer
        var ids: Set<String> = []
    }

    /// A service on an engine with the platform's topics.
    public init(engine: Engine) { self.init(engine: engine) { _ in } }

    init(engine: Engine, probe: @escaping @Sendable (WorkStep) async throws -> Void) {
        self.engine = engine
        self.probe = probe
    }

    /// Accepts adjustments, all of them in one transaction; says of each what became of it, in
    /// their order.
    ///
    /// Throws `EngineError` and `LogError`: then all of them are in the log or none, and handing
    /// them in again tells.
    public func accept(_ adjustments: [Adjustment]) async throws -> [Acceptance] {
        let before = last
        // A task of its own: a caller that is cancelled leaves no half of a transaction behind.
        let call = Task {
            _ = await before?.result
            return try await write(adjustments)
        }
        last = call
        return try await call.value
    }

    private func write(_ adjustments: [Adjustment]) async throws -> [Acceptance] {
        var writer = try await openWriter()
        // Until it is known how this ends, nobody knows which ids are in the log.
        self.writer = nil
        var new: [Adjustment] = []
        let answers = adjustments.map { adjustment -> Acceptance in
            if let reason = adjustment.problem { return .refused(reason: reason) }
            let id = Self.eventIDPrefix + adjustment.id
            guard writer.ids.insert(id).inserted else { return .known }
            new.append(adjustment)
            return .accepted
        }
        try await probe(.fetched)
        if !new.isEmpty {
            try await writer.producer.withTransaction { [new] producer in
                for adjustment in new {
                    try await producer.add(
                        Topics.events, key: adjustment.key,
                        value: try JSON.bytes(adjustment.event))
                }
                try await probe(.processed)
            }
        }
        try await probe(.committed)
        self.writer = writer
        return answers
    }

    private func openWriter() async throws -> Writer {
        if let writer { return writer }
        var configuration = ProducerConfiguration()
        configuration.transactionalID = "inventory-service"
        let producer = try engine.producer(configuration)
        try await producer.initTransactions()
        var writer = Writer(producer: producer)
        for partition in try engine.describeTopic(Topics.events).partitions {
            var ids = PartitionFold(
                engine, topic: Topics.events, partition: partition.index, Set<String>()
            ) { ids, record in
                guard let id = StockEvent(record)?.eventId, id.hasPrefix(Self.eventIDPrefix)
                else { return }
                ids.insert(id)
            }
            try await ids.catchUp()
            writer.ids.formUnion(ids.state)
        }
        return writer
    }
}
