import Tally

/// The platform's topics.
///
/// Everything about one item has the item's key, `warehouse:item`, and the topics marked "by item"
/// have the same number of partitions. So what is ordered of an item, what happened to it and what
/// was decided about it lie in partitions of the same number, and whoever owns partition 2 of
/// `orders` in a group knows all about its items from partition 2 of the others.
public enum Topics {
    /// What happened to stock, by item: the source of truth, kept for ever.
    public static let events = "inventory-events"
    /// What customers want, by item: ``OrderCommand``.
    public static let orders = "orders"
    /// What became of it, by item: ``OrderDecision``.
    public static let decisions = "order-decisions"
    /// What runs low, by item: ``LowStockAlert``.
    public static let alerts = "replenishment-alerts"
    /// The latest state of each item, by item; compacted: ``CurrentItem``.
    public static let currentState = "inventory-current-state"
    /// Changes of the warehouse system's table, by its own keys: ``ChangeEnvelope``.
    public static let changes = "inventory-changes"
    /// Changes that could not be understood, as they came, with the reason in a header.
    public static let deadLetters = "inventory-changes-dead-letters"

    /// The topics by item.
    static let byItem = [events, orders, decisions, alerts, currentState]

    /// Creates what is missing.
    ///
    /// - Parameter partitions: for each topic. It stays for ever: with another number an item's
    ///   key would belong to another partition, and its history would be in two.
    /// - Throws: ``PlatformError/partitionCounts(_:)`` where topics by item, of an earlier run,
    ///   differ; `EngineError`.
    public static func ensure(in engine: Engine, partitions: Int) async throws {
        // Logs that are folded into a state must keep their first record.
        let kept = try TopicConfiguration(["retention.ms": "-1", "retention.bytes": "-1"])
        let compacted = try TopicConfiguration(["cleanup.policy": "compact"])
        var counts: [String: Int] = [:]
        for topic in byItem + [changes, deadLetters] {
            let description = try await engine.ensureTopic(
                topic, partitions: partitions,
                configuration: topic == currentState ? compacted : kept)
            counts[topic] = description.partitions.count
        }
        let found = counts.filter { byItem.contains($0.key) }
        guard Set(found.values).count == 1 else { throw PlatformError.partitionCounts(found) }
    }
}

/// What the platform refuses, and why.
public enum PlatformError: Error, Hashable, Sendable {
    /// Topics whose partitions must correspond have different numbers of them.
    case partitionCounts([String: Int])
    /// A state is to be made of a log whose first records are gone.
    case historyMissing(partition: String, logStart: Int64)
    /// An item's key is not `warehouse:item`.
    case invalidKey(String)
}

extension PlatformError: CustomStringConvertible {
    /// What is wrong and what to do about it.
    public var description: String {
        switch self {
        case .partitionCounts(let counts):
            "These topics need the same number of partitions, or an item would be decided about "
                + "by two: "
                + counts.sorted { $0.key < $1.key }.map { "\($0.key) has \($0.value)" }
                .joined(separator: ", ")
                + ". Move them with `tally topics migrate`."
        case .historyMissing(let partition, let logStart):
            """
            \(partition) begins at offset \(logStart): what happened before is gone, and sums of \
            the rest would be wrong. Set retention.ms=-1 and retention.bytes=-1, and restore \
            the topic from a copy.
            """
        case .invalidKey(let key):
            "\"\(key)\" is no item: write warehouse:item."
        }
    }
}
