import GRDB
import ServiceLifecycle
import Tally
import TallyStateStore

/// How the platform is set up. A value.
public struct PlatformConfiguration: Sendable {
    /// Partitions of each topic, when they are created.
    public var partitions = 4
    /// How much each sales channel may promise.
    public var policy = ChannelPolicy()
    /// An item with less available is low, in pieces.
    public var lowStockThreshold: Int64 = 10
    /// How many instances of the services that can share their work run in this process.
    public var instances = 2

    /// The defaults.
    public init() {}
}

/// The inventory platform on one data directory: the engine, the topics, and the services.
///
/// ```swift
/// let platform = try await Platform.open(at: "platform-data")
/// let group = ServiceGroup(
///     services: platform.services, gracefulShutdownSignals: [.sigterm], logger: logger)
/// try await group.run()
/// ```
public struct Platform: Sendable {
    /// The engine that everything is on.
    public let engine: Engine
    /// What time the platform has.
    public let clock: PlatformClock
    /// How it is set up.
    public let configuration: PlatformConfiguration
    /// Takes adjustments.
    public let inventory: InventoryService
    /// The view of each channel.
    public let channels: ChannelAvailabilityService
    /// The view of `InventoryQueries`; nil where the engine keeps no state.
    public let database: StateDatabase?

    /// Opens the data directory, creating it and its topics where they are missing.
    ///
    /// Throws `EngineError`, `LogError`, GRDB's `DatabaseError`, ``PlatformError``.
    public static func open(
        at directory: String, clock: PlatformClock = PlatformClock(),
        _ configuration: PlatformConfiguration = PlatformConfiguration()
    ) async throws -> Platform {
        var settings = EngineConfiguration()
        // Groups and transactions outlive the process.
        settings.state = .sqlite
        let engine = try await Engine.open(at: directory, configuration: settings)
        do {
            try await Topics.ensure(in: engine, partitions: configuration.partitions)
            let pool = try DatabasePool(path: directory + "/channels.db")
            return Platform(
                engine: engine, clock: clock, configuration: configuration,
                inventory: InventoryService(engine: engine),
                channels: try ChannelAvailabilityService(
                    engine: engine, database: pool, policy: configuration.policy),
                database: engine.stateDatabase)
        } catch {
            try? await engine.close()
            throw error
        }
    }

    /// Everything that runs, the engine first: a service group stops the last one first, so that
    /// the engine is closed when nobody needs it any more.
    public var services: [any Service] {
        var services: [any Service] = [engine]
        if let database {
            services.append(InventoryViewService(engine: engine, database: database))
        }
        services.append(channels)
        for instance in 1...max(configuration.instances, 1) {
            services += [
                CurrentStateService(engine: engine, instance: instance),
                ReplenishmentService(
                    engine: engine, threshold: configuration.lowStockThreshold,
                    instance: instance),
                FulfillmentService(
                    engine: engine, policy: configuration.policy, instance: instance),
                ReservationExpiryService(engine: engine, clock: clock),
                ChangeFeedService(engine: engine, instance: instance),
            ]
        }
        return services
    }

    // MARK: What is to be seen

    /// Groups that keep their positions with the engine, and what they read: in the order in which
    /// work goes through them.
    public static let groups = [
        (group: ChangeFeedService.group, topic: Topics.changes),
        (group: FulfillmentService.group, topic: Topics.orders),
        (group: ReplenishmentService.group, topic: Topics.events),
        (group: CurrentStateService.group, topic: Topics.events),
    ]

    /// How far a group is behind, all partitions together: offsets between its positions and the
    /// ends of the logs.
    public func lag(ofGroup group: String, in topic: String) async throws -> Int64 {
        let committed = try await engine.committedOffsets(ofGroup: group)
        return try lag(in: topic) {
            committed[TopicPartition(topic: topic, partition: $0)]?.offset
        }
    }

    /// How far the channels' view is behind.
    public func lagOfChannels() throws -> Int64 {
        try lag(in: Topics.events) { try channels.position(partition: $0) }
    }

    /// How far the projection is behind.
    public func lagOfProjection() throws -> Int64 {
        guard let database else { return 0 }
        let status = try InventoryQueries(database).status(topic: Topics.events).first
        return try lag(in: Topics.events) { partition in
            status?.partitions.first { $0.partition == partition }?.nextOffset
        }
    }

    private func lag(in topic: String, _ position: (Int32) throws -> Offset?) throws -> Int64 {
        try engine.describeTopic(topic).partitions.reduce(0) { sum, partition in
            let position = try position(partition.index)?.rawValue ?? 0
            return sum + max(partition.highWatermark.rawValue - position, 0)
        }
    }

    /// Where all orders stand now.
    public func orders() async throws -> OrderBook {
        var all = OrderBook()
        for partition in try engine.describeTopic(Topics.decisions).partitions {
            var book = PartitionFold(
                engine, topic: Topics.decisions, partition: partition.index, OrderBook()
            ) { $0.apply($1) }
            try await book.catchUp()
            for (name, decision) in book.state.orders { all.apply(decision, to: name.key) }
        }
        return all
    }

    /// The alerts there were, by partition and offset.
    public func alerts() async throws -> [LowStockAlert] {
        var all: [LowStockAlert] = []
        for partition in try engine.describeTopic(Topics.alerts).partitions {
            var alerts = PartitionFold(
                engine, topic: Topics.alerts, partition: partition.index, [LowStockAlert]()
            ) { alerts, record in
                guard let bytes = record.valueBytes else { return }
                alerts.append(try JSON.decode(LowStockAlert.self, bytes))
            }
            try await alerts.catchUp()
            all += alerts.state
        }
        return all
    }
}
