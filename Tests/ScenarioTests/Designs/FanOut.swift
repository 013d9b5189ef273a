import Tally
import Testing

/// A design in which one record, a post, becomes one for each follower of its author. A value.
struct FanOut: Sendable, CustomTestStringConvertible {
    /// The file in `fixtures/designs`, without its ending.
    let contract: String
    /// The topic of posts.
    let posts: String
    /// The topic with an entry for each post and follower.
    let entries: String
    let load: DesignLoad
    /// The key of a post: what it gives the same text keeps its order in each feed.
    let postKey: @Sendable (DesignEvent) -> String

    var testDescription: String { "\(contract)/\(entries)" }

    /// A post's author is its key: each feed keeps each author's order.
    static let socialFeed = FanOut(
        contract: "social-feed", posts: "posts", entries: "timeline-entries",
        load: DesignLoad(
            groupCount: 300, popularity: .zipf(0.5), eventCount: 400, eventsPerItem: 1),
        postKey: { author(of: $0) })

    /// A tweet is its own key: what is written, edited and deleted comes in this order.
    static let microblog = FanOut(
        contract: "microblog", posts: "tweets", entries: "timelines",
        load: DesignLoad(
            groupCount: 300, popularity: .zipf(0.5), eventCount: 400, eventsPerItem: 3),
        postKey: { $0.item })

    static let gallery = [socialFeed, microblog]

    // MARK: Who follows whom

    static let celebrity = "celebrity"

    /// Every hundredth item is the celebrity's, whom 6,000 follow; everybody else has five.
    static func author(of post: DesignEvent) -> String {
        post.itemNumber % 100 == 0 ? celebrity : post.group
    }

    private static func followers(of author: String) -> [String] {
        if author == celebrity { return (0..<6_000).map { "user-\($0)" } }
        let first = author.utf8.reduce(7) { ($0 * 31 + Int($1)) % 6_000 }
        return (0..<5).map { "user-\((first + $0 * 97) % 6_000)" }
    }

    /// A post's entries; `key` says under which key one of a follower is written.
    func entries(
        of post: DesignEvent, key: (_ follower: String) -> String
    ) -> [ProducerRecord] {
        Self.followers(of: Self.author(of: post)).map { follower in
            ProducerRecord(
                topic: entries, key: key(follower),
                value: "\(DesignEngine.Read.value(of: post)) \(follower)", timestamp: post.time)
        }
    }

    /// The feeds, by follower; the entries of each in the order of reading.
    static func feeds(
        _ entries: [DesignEngine.Read]
    ) -> [String: [DesignEngine.Read]] {
        Dictionary(grouping: entries) { entry in
            entry.value.split(separator: " ").last.map { String($0) } ?? ""
        }
    }
}
