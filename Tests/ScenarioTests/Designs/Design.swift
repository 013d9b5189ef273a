import Tally
import TallyCommand
import Testing

/// One topic of the gallery, with the key that suggests itself and the remedy. A value.
struct Design: Sendable, CustomTestStringConvertible {
    /// The file in `fixtures/designs`, without its ending.
    let contract: String
    /// The topic in it.
    let topic: String
    let load: DesignLoad
    /// The key that suggests itself, and makes a partition hot.
    let hotKey: @Sendable (DesignEvent) -> String
    /// What kind of remedy it is, in the words of `tally topics skew`.
    let kind: SkewRemedy.Kind
    /// The key that helps; `heavy` are the keys that the hot run was found to have too much of.
    let remedy: @Sendable (_ event: DesignEvent, _ heavy: Set<String>) -> String?
    /// Chooses partitions where the remedy takes more than a key.
    var partitioner: Partitioner?
    /// What keeps its order under the remedy: records that this gives the same text. Nil: nothing.
    var ordered: (@Sendable (DesignEvent) -> String)?
    /// `batch.size`.
    var batchBytes = 2_048

    var testDescription: String { "\(contract)/\(topic)" }
}

extension Design {
    /// The topics that are driven alike.
    static let gallery = [
        payments, paymentsByCountry, driverPositions, rideRequests, inventoryEvents,
        playbackEvents, tweets, hashtagUses, hashtagMentions, orderEvents, restaurantOrders,
        shopOrders, shopPayments,
        shopInventory,
    ]

    // MARK: Payments

    static let payments = Design(
        contract: "payments", topic: "payments",
        load: DesignLoad(groupCount: 40, popularity: .zipf(1.2), eventCount: 18_000),
        hotKey: { $0.group }, kind: .finerKey, remedy: { event, _ in event.item },
        ordered: { $0.item })

    /// By hash alone 48 shards of a busy country would fall on 12 partitions as chance has it; the
    /// partitioner deals them out.
    static let paymentsByCountry = Design(
        contract: "payments", topic: "payments-by-country",
        load: DesignLoad(groupCount: 40, popularity: .zipf(1.2)),
        hotKey: { $0.group }, kind: .shardSuffix,
        remedy: { event, _ in KeyPattern.sharded(event.group, by: event.item, shards: 48) },
        partitioner: Partitioner { record in
            // Each partition gets the same number of every country's shards.
            guard let key = record.key, let shard = shardNumber(of: key) else { return nil }
            return shard % record.partitionCount
        },
        ordered: { $0.item })

    /// The number behind the last `#`; nil where there is none.
    private static func shardNumber(of key: RawSpan) -> Int32? {
        let text = key.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        return text.lastIndex(of: "#").flatMap { Int32(text[text.index(after: $0)...]) }
    }

    // MARK: Ride sharing

    static let driverPositions = Design(
        contract: "ride-sharing", topic: "driver-positions",
        load: DesignLoad(groupCount: 30, popularity: .zipf(1.2)),
        hotKey: { $0.group }, kind: .finerKey, remedy: { event, _ in event.item },
        ordered: { $0.item })

    /// A city has a thousand cells or so; a ride stays in that of its pick-up.
    static func cell(of event: DesignEvent) -> String {
        KeyPattern.composite(event.group, "cell-\(event.itemNumber % 997)")
    }

    static let rideRequests = Design(
        contract: "ride-sharing", topic: "ride-requests",
        load: DesignLoad(groupCount: 30, popularity: .zipf(1.2)),
        hotKey: { $0.group }, kind: .finerKey, remedy: { event, _ in cell(of: event) },
        ordered: { cell(of: $0) })

    // MARK: Retail, video

    static let inventoryEvents = Design(
        contract: "retail-inventory", topic: "inventory-events",
        load: DesignLoad(groupCount: 15, popularity: .zipf(1)),
        hotKey: { $0.group }, kind: .finerKey, remedy: { event, _ in event.item },
        ordered: { $0.item })

    static let playbackEvents = Design(
        contract: "video-streaming", topic: "playback-events",
        load: DesignLoad(groupCount: 500, popularity: .zipf(1.1)),
        hotKey: { $0.group }, kind: .finerKey, remedy: { event, _ in event.item },
        ordered: { $0.item })

    // MARK: Microblog

    /// By the author, some of whom write all day.
    static let tweets = Design(
        contract: "microblog", topic: "tweets",
        load: DesignLoad(groupCount: 1_000, popularity: .zipf(1.2)),
        hotKey: { $0.group }, kind: .finerKey, remedy: { event, _ in event.item },
        ordered: { $0.item })

    static let bucketMilliseconds: Int64 = 300_000

    static let hashtagUses = Design(
        contract: "microblog", topic: "hashtag-uses",
        load: DesignLoad(groupCount: 200, popularity: .zipf(1.2)),
        hotKey: { $0.group }, kind: .timeBucket,
        remedy: { event, _ in bucket(of: event) }, ordered: { bucket(of: $0) })

    static func bucket(of event: DesignEvent) -> String {
        KeyPattern.timeBucket(
            event.group, at: event.time, everyMilliseconds: bucketMilliseconds)
    }

    /// Small batches, so that a small load visits the partitions as often as a large one does.
    static let hashtagMentions = Design(
        contract: "microblog", topic: "hashtag-mentions",
        load: DesignLoad(groupCount: 200, popularity: .zipf(1.2)),
        hotKey: { $0.group }, kind: .nullKey, remedy: { _, _ in KeyPattern.none },
        batchBytes: 128)

    // MARK: Food delivery

    /// Only the restaurants that were found too busy are sharded.
    static let restaurantOrders = Design(
        contract: "food-delivery", topic: "restaurant-orders",
        load: DesignLoad(groupCount: 3_000, popularity: .hot(share: 0.3)),
        hotKey: { $0.group }, kind: .shardSuffix,
        remedy: { event, heavy in
            heavy.contains(event.group)
                ? KeyPattern.sharded(event.group, by: event.item, shards: 256) : event.group
        },
        ordered: { $0.group == hotRestaurant ? $0.item : $0.group })

    private static let hotRestaurant = "group-0"

    static let orderEvents = Design(
        contract: "food-delivery", topic: "order-events",
        load: DesignLoad(groupCount: 3_000, popularity: .hot(share: 0.3)),
        hotKey: { $0.group }, kind: .finerKey, remedy: { event, _ in event.item },
        ordered: { $0.item })

    // MARK: Shop

    /// One customer resells and has nearly half of all orders.
    static let shopOrders = Design(
        contract: "shop", topic: "orders",
        load: DesignLoad(groupCount: 2_000, popularity: .hot(share: 0.45)),
        hotKey: { $0.group }, kind: .finerKey, remedy: { event, _ in event.item },
        ordered: { $0.item })

    /// By method of payment, of which there are five.
    static let shopPayments = Design(
        contract: "shop", topic: "payments",
        load: DesignLoad(groupCount: 5, popularity: .zipf(1)),
        hotKey: { $0.group }, kind: .finerKey, remedy: { event, _ in event.item },
        ordered: { $0.item })

    /// By warehouse, of which there are three.
    static let shopInventory = Design(
        contract: "shop", topic: "inventory",
        load: DesignLoad(groupCount: 3, popularity: .zipf(1), eventsPerItem: 2),
        hotKey: { $0.group }, kind: .finerKey, remedy: { event, _ in event.item },
        ordered: { $0.item })
}
