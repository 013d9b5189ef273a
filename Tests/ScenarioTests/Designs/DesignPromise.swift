import Foundation
import Tally
import TallyContracts
import TallyTestSupport
import Testing

/// What the gallery promises of a topic, as its drivers keep to it: how records are acknowledged,
/// and how often each of them counts for a reader that may die at any moment. A value.
struct DesignPromise: Hashable, Sendable, CustomTestStringConvertible {
    /// How often a record counts, in the words of the page.
    enum Delivery: String, CaseIterable, Sendable {
        /// The position is committed before the work.
        case atMostOnce = "at most once"
        /// The position is committed after the work.
        case atLeastOnce = "at least once"
        /// The position is written with the work.
        case exactlyOnce = "exactly once"
    }

    /// The file in `fixtures/designs`, without its ending.
    let contract: String
    let topic: String
    let acknowledgements: Acknowledgements
    let delivery: Delivery

    var testDescription: String { "\(contract)/\(topic)" }

    init(
        _ contract: String, _ topic: String, _ acknowledgements: Acknowledgements,
        _ delivery: Delivery
    ) {
        self.contract = contract
        self.topic = topic
        self.acknowledgements = acknowledgements
        self.delivery = delivery
    }

    static let all = [
        DesignPromise("payments", "payments", .all, .exactlyOnce),
        DesignPromise("payments", "payments-by-country", .all, .exactlyOnce),
        DesignPromise("ride-sharing", "driver-positions", .leader, .atMostOnce),
        DesignPromise("ride-sharing", "ride-requests", .all, .atLeastOnce),
        DesignPromise("ride-sharing", "ride-requests-premium", .all, .atLeastOnce),
        DesignPromise("retail-inventory", "inventory-events", .all, .exactlyOnce),
        DesignPromise("retail-inventory", "inventory-state", .all, .atLeastOnce),
        DesignPromise("social-feed", "posts", .all, .atLeastOnce),
        DesignPromise("social-feed", "timeline-entries", .leader, .atLeastOnce),
        DesignPromise("video-streaming", "playback-events", .leader, .atLeastOnce),
        DesignPromise("microblog", "tweets", .all, .atLeastOnce),
        DesignPromise("microblog", "timelines", .leader, .atLeastOnce),
        DesignPromise("microblog", "hashtag-uses", .all, .atLeastOnce),
        DesignPromise("microblog", "hashtag-mentions", .leader, .exactlyOnce),
        DesignPromise("microblog", "hashtag-counts", .all, .atLeastOnce),
        DesignPromise("food-delivery", "order-events", .all, .atLeastOnce),
        DesignPromise("food-delivery", "restaurant-orders", .all, .atLeastOnce),
        DesignPromise("shop", "orders", .all, .atLeastOnce),
        DesignPromise("shop", "payments", .all, .exactlyOnce),
        DesignPromise("shop", "inventory", .all, .exactlyOnce),
    ]

    /// What is promised of a contract's topic.
    static func of(_ topic: String, in contract: String) throws -> DesignPromise {
        try #require(
            all.first { $0.contract == contract && $0.topic == topic },
            "nothing is promised of \(contract)/\(topic)")
    }
}

/// A row of the page's table of promises, as text.
struct DesignPromiseRow: Hashable {
    var topic: String
    var contract: String
    var acks: String
    var delivery: String
    var kept: String
    var away: String

    /// The rows of the table with these columns.
    static func rows(of page: String) throws -> [DesignPromiseRow] {
        let lines = page.components(separatedBy: "\n")
        let head = "| topic | contract | acks | delivered | kept | consumers may be away |"
        let start = try #require(lines.firstIndex(of: head), "the page has no table of promises")
        return lines[(start + 2)...].prefix { $0.hasPrefix("|") }.map { line in
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            return DesignPromiseRow(
                topic: cells[0], contract: cells[1], acks: cells[2], delivery: cells[3],
                kept: cells[4], away: cells[5])
        }
    }

    /// The row that a promise and the contract's topic make.
    init(_ promise: DesignPromise, _ topic: TopicContract) throws {
        self.topic = promise.topic
        contract = promise.contract
        acks = promise.acknowledgements == .all ? "all" : "1"
        delivery = promise.delivery.rawValue
        away = Self.span(try #require(topic.recoveryWindowMilliseconds).value)
        switch topic.cleanupPolicies {
        case ["delete"]: kept = Self.span(try #require(topic.number("retention.ms")))
        case ["compact"]:
            let span = Self.span(try #require(topic.number("delete.retention.ms")))
            kept = "the newest of each key; tombstones \(span)"
        default: kept = "\(topic.cleanupPolicies)"
        }
    }

    private init(
        topic: String, contract: String, acks: String, delivery: String, kept: String, away: String
    ) {
        (self.topic, self.contract, self.acks) = (topic, contract, acks)
        (self.delivery, self.kept, self.away) = (delivery, kept, away)
    }

    /// A span of time in whole days or hours.
    private static func span(_ milliseconds: Int) -> String {
        let hours = milliseconds / 3_600_000
        let (count, unit) = hours % 24 == 0 ? (hours / 24, "day") : (hours, "hour")
        return "\(count) \(unit)\(count == 1 ? "" : "s")"
    }

    /// The span for which the topic is kept, as prose has it.
    var keptInWords: String {
        let span = kept.replacingOccurrences(
            of: "the newest of each key; tombstones ", with: "")
        let words = ["1": "one", "3": "three", "6": "six", "7": "seven"]
        let parts = span.components(separatedBy: " ")
        return [words[parts[0]] ?? parts[0], parts[1]].joined(separator: " ")
    }
}
