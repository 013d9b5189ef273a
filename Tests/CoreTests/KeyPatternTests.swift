import Testing

@testable import Tally

@Suite struct KeyPatternTests {
    @Test("shards spread a key, the same record always to the same one, and all can be listed")
    func shards() {
        let keys = (0..<1000).map { KeyPattern.sharded("uk", by: "order-\($0)", shards: 8) }
        let all = KeyPattern.shards(of: "uk", shards: 8)
        #expect(all.count == 8 && Set(keys) == Set(all))
        for shard in all { #expect((60...190).contains(keys.count { $0 == shard })) }
        #expect(keys[7] == KeyPattern.sharded("uk", by: "order-7", shards: 8))
        #expect(KeyPattern.sharded("a", by: "x", shards: 1) == "a#0")
        #expect(KeyPattern.sharded("a", by: "x", shards: 0) == "a#0")
        #expect(KeyPattern.shards(of: "a", shards: -1) == ["a#0"])
    }

    @Test("a bucket begins with its first millisecond, also before 1970")
    func buckets() {
        func bucket(_ milliseconds: Int64) -> String {
            KeyPattern.timeBucket(
                "k", at: Timestamp(milliseconds: milliseconds), everyMilliseconds: 1000)
        }
        #expect(bucket(0) == "k@0" && bucket(999) == "k@0" && bucket(1000) == "k@1")
        #expect(bucket(-1) == "k@-1" && bucket(-1000) == "k@-1" && bucket(-1001) == "k@-2")
        let least = KeyPattern.timeBucket(
            "k", at: Timestamp(milliseconds: .min), everyMilliseconds: -5)
        #expect(least == "k@\(Int64.min)")
    }

    @Test("parts come back as they were, and no two lists give one key")
    func composites() {
        let lists = [
            ["a", "b"], ["a|b"], ["a", "", "b"], ["a#0"], ["a%7C", "b"], ["a%", "7Cb"], [""],
            ["å", "@|#%"], ["%2523"],
        ]
        for list in lists { #expect(KeyPattern.parts(of: KeyPattern.composite(list)) == list) }
        #expect(Set(lists.map { KeyPattern.composite($0) }).count == lists.count)
        #expect(KeyPattern.composite("Toys", "SKU-1") == "Toys|SKU-1")
        // A key that looks like another one's shard is none.
        #expect(
            KeyPattern.sharded("a#1", by: "x", shards: 1)
                != KeyPattern.sharded("a", by: "x", shards: 2) + "#0")
        #expect(KeyPattern.sharded("a#1", by: "x", shards: 1) == "a%231#0")
    }
}
