import Tally
import TallyCommand
import TallyTestSupport
import Testing

/// Designs whose remedy is a second topic: what has to be kept apart or summed up. Those that
/// fan out are in `DesignsTests+FanOut.swift`.
@Suite("Designs of two topics", .timeLimit(.minutes(10)))
struct TwoTopicsDesignsTests {
    // MARK: Ride sharing

    @Test("in a topic of its own the premium tier no longer waits behind the hot city")
    func tiers() async throws {
        var generator = SeededGenerator.fromEnvironment()
        let load = DesignLoad(groupCount: 30, popularity: .zipf(1.2))
        let events = load.events(using: &generator)
        // One ride in twenty.
        func isPremium(_ event: DesignEvent) -> Bool { event.itemNumber % 20 == 0 }
        let premium = Set(events.filter(isPremium).map(\.number))

        let standardTopic = "ride-requests"
        let premiumTopic = "ride-requests-premium"
        func waiting(
            _ place: DesignEngine, _ topic: String, pace: Int
        ) async throws -> (premium: Int, disorder: String?) {
            let lag = try await place.lag(of: topic, atRecordsPerPartition: pace)
            let records = try await place.records(of: topic)
            var waiting = 0
            for (partition, behind) in lag {
                let there = records.filter { $0.partition == partition }
                waiting += there.suffix(Int(behind)).count { premium.contains($0.number) }
            }
            return (waiting, records.disorder(of: events) { $0.group })
        }
        func send(_ place: DesignEngine, topic: (DesignEvent) -> String) async throws {
            try await place.send(events.map { ProducerRecord($0, to: topic($0), key: $0.group) })
        }

        // All in one topic by city: premium rides of the busy city wait with the others.
        let one = try await DesignEngine(contract: "ride-sharing")
        try await send(one) { _ in standardTopic }
        let count = try one.partitions(of: standardTopic).count
        let pace = DesignOutcome.pace(events.count, partitionCount: count)
        let together = try await waiting(one, standardTopic, pace: pace)
        #expect(together.premium > premium.count / 10)
        try await one.close()

        // Apart: readers that are no faster are never behind, and a city's rides of one tier
        // stay in order. Among tiers there is none.
        let two = try await DesignEngine(contract: "ride-sharing")
        try await send(two) { isPremium($0) ? premiumTopic : standardTopic }
        let apart = try await waiting(two, premiumTopic, pace: pace)
        #expect(apart.premium == 0 && apart.disorder == nil)
        let rest = try await two.records(of: standardTopic)
        #expect(rest.count == events.count - premium.count)
        #expect(rest.disorder(of: events) { $0.group } == nil)
        try await two.close()
        print("premium rides that wait: \(together.premium), then \(apart.premium)")
    }

    // MARK: Microblog

    @Test("hashtags are counted without keys: each consumer's sums add up to the truth")
    func counts() async throws {
        var generator = SeededGenerator.fromEnvironment()
        let load = DesignLoad(groupCount: 200, popularity: .zipf(1.2), eventCount: 6_000)
        let events = load.events(using: &generator)
        let place = try await DesignEngine(contract: "microblog")
        try await place.send(
            events.map { ProducerRecord($0, to: "hashtag-mentions", key: KeyPattern.none) },
            batchBytes: 128)

        // A consumer for each partition, which writes its sums now and then: of a compacted topic
        // the newest counts.
        var sums: [String: Int] = [:]
        var written: [ProducerRecord] = []
        for (place, mention) in try await place.records(of: "hashtag-mentions").enumerated() {
            let hashtag = events[mention.number].group
            let key = KeyPattern.composite(hashtag, "\(mention.partition)")
            sums[key, default: 0] += 1
            guard place % 10 == 9 else { continue }
            written.append(
                ProducerRecord(topic: "hashtag-counts", key: key, value: "\(sums[key] ?? 0)"))
        }
        for (key, sum) in sums.sorted(by: { $0.key < $1.key }) {
            written.append(ProducerRecord(topic: "hashtag-counts", key: key, value: "\(sum)"))
        }
        try await place.send(written)
        try await place.engine.compact(topic: "hashtag-counts", rolling: true)

        let counts = try await place.records(of: "hashtag-counts")
        #expect(counts.count == sums.count)
        var totals: [String: Int] = [:]
        for record in counts {
            let hashtag = try #require(record.key.flatMap { KeyPattern.parts(of: $0).first })
            totals[hashtag, default: 0] += try #require(Int(record.value))
        }
        #expect(totals == Dictionary(grouping: events, by: \.group).mapValues(\.count))
        try await place.close()
    }

    // MARK: Retail inventory

    @Test("inventory-state, compacted, is one record an article, and the sum of its events")
    func state() async throws {
        var generator = SeededGenerator.fromEnvironment()
        let load = DesignLoad(
            groupCount: 15, popularity: .zipf(1), eventCount: 6_000, eventsPerItem: 8)
        let events = load.events(using: &generator)
        func change(_ event: DesignEvent) -> Int { event.number % 7 - 2 }
        let place = try await DesignEngine(contract: "retail-inventory")
        try await place.send(
            events.map { ProducerRecord($0, to: "inventory-events", key: $0.item) })

        // The service that feeds the state: the order of an article's events is what makes the
        // last sum the right one.
        var stock: [String: Int] = [:]
        var states: [ProducerRecord] = []
        for read in try await place.records(of: "inventory-events") {
            let event = events[read.number]
            stock[event.item, default: 0] += change(event)
            states.append(
                ProducerRecord(
                    topic: "inventory-state", key: event.item, value: "\(stock[event.item] ?? 0)"))
        }
        try await place.send(states)
        try await place.engine.compact(topic: "inventory-state", rolling: true)

        let left = try await place.records(of: "inventory-state")
        var state: [String: Int] = [:]
        for record in left { state[try #require(record.key)] = Int(record.value) }
        #expect(left.count == state.count)
        let truth = Dictionary(grouping: events, by: \.item).mapValues { events in
            events.reduce(0) { $0 + change($1) }
        }
        #expect(state == truth)
        // Both topics have as many partitions, so that a service reads and writes the same ones.
        let partitions = try place.partitions(of: "inventory-state").count
        #expect(try place.partitions(of: "inventory-events").count == partitions)
        try await place.close()
    }
}
