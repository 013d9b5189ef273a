import Tally
import TallyTestSupport
import Testing

/// Designs in which a post is copied to all who follow its author, of whom one is famous.
@Suite("Designs that fan out", .timeLimit(.minutes(10)))
struct FanOutDesignsTests {
    @Test(
        "a celebrity's partition lags; fanned out by consumers none does, and feeds keep order",
        arguments: FanOut.gallery)
    func fanOut(_ design: FanOut) async throws {
        var generator = SeededGenerator.fromEnvironment(design.testDescription)
        let posts = design.load.events(using: &generator)
        let expected = posts.flatMap { post in
            design.entries(of: post) { _ in FanOut.author(of: post) }
        }

        // Fanned out by the sender, under the author's key: one partition has the celebrity.
        let one = try await DesignEngine(contract: design.contract)
        try await one.send(expected, batchBytes: 8_192)
        let hot = try await DesignOutcome.of(design.entries, in: one)
        try await one.close()
        try hot.expectHot()
        #expect(hot.heavyKeys == [FanOut.celebrity])
        check(hot, expected, posts, design)

        // One record a post; the consumers of posts, one for each partition and all at once, write
        // the entries under the follower's key.
        let two = try await DesignEngine(contract: design.contract)
        try await two.send(
            posts.map { ProducerRecord($0, to: design.posts, key: design.postKey($0)) })
        let read = try await two.records(of: design.posts)
        #expect(read.count == posts.count && read.disorder(of: posts, by: design.postKey) == nil)
        try await withThrowingTaskGroup { group in
            for share in Dictionary(grouping: read, by: \.partition).values {
                group.addTask {
                    try await two.send(
                        share.flatMap { design.entries(of: posts[$0.number]) { $0 } },
                        batchBytes: 8_192)
                }
            }
            try await group.waitForAll()
        }
        let remedied = try await DesignOutcome.of(design.entries, in: two)
        try await two.close()
        remedied.expectEven()
        #expect(remedied.heavyKeys.isEmpty)
        check(remedied, expected, posts, design)
        let isEachInOnePlace = FanOut.feeds(remedied.records).allSatisfy { follower, feed in
            feed.allSatisfy { $0.key == follower } && Set(feed.map(\.partition)).count == 1
        }
        #expect(isEachInOnePlace)

        // What it gives up: a celebrity's entries are in one place no more.
        func isFamous(_ number: Int) -> Bool {
            FanOut.author(of: posts[number]) == FanOut.celebrity
        }
        #expect(hot.partitionCount(of: isFamous) == 1)
        #expect(remedied.partitionCount(of: isFamous) == hot.skew.parts.count)
        print(
            "\(design.testDescription): \(expected.count) entries; of \(hot.skew.parts.count) "
                + "partitions the busiest had \(hot.summary); with the remedy "
                + "\(remedied.summary)")
    }

    /// Each entry is there once, and each feed has what its posts' keys keep in order in order.
    private func check(
        _ outcome: DesignOutcome, _ expected: [ProducerRecord], _ posts: [DesignEvent],
        _ design: FanOut
    ) {
        let values = expected.map { String(decoding: $0.value ?? [], as: UTF8.self) }
        #expect(outcome.records.map(\.value).sorted() == values.sorted())
        let disorder = FanOut.feeds(outcome.records).lazy.compactMap { follower, feed in
            feed.disorder(of: posts, by: design.postKey).map { "\(follower), \($0)" }
        }.first
        #expect(disorder == nil)
    }
}
