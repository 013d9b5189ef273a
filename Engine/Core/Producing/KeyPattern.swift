public import TallyRecords

/// Keys that spread a hot key's load over partitions, or that keep less in order than the whole.
///
/// All records of a key go to one partition, which is what keeps them in order, and what makes a
/// key that is too busy a partition that is too busy. Each of these patterns buys room with a
/// part of the order: its comment says which. A key is made the same way everywhere, so choose a
/// pattern for a topic once and note it in the topic's contract.
///
/// Pure; any thread. Text keys; `#`, `@`, `|` and `%` within parts are written as `%` and two
/// digits, so that two different inputs never give the same key.
public enum KeyPattern {
    // MARK: Shards

    /// `key#0` to `key#(shards - 1)`: one hot key's records over that many keys, by something
    /// within the record that spreads well and that what has to stay in order shares (an order's
    /// id under a busy restaurant).
    ///
    /// **Gives up** the order of the whole key: only records with the same `spread` stay in order.
    /// Whoever wants all of the key reads all shards (``shards(of:shards:)``) and merges them, and
    /// a sum per key is a sum over the shards. Another number of shards moves most of them.
    ///
    /// - Parameters:
    ///   - key: the hot key.
    ///   - spread: what decides on the shard, by the hash that also chooses partitions.
    ///   - shards: 1 or more; less counts as 1.
    public static func sharded(_ key: String, by spread: String, shards: Int) -> String {
        let bytes = Array(spread.utf8)
        let count = Int32(clamping: max(shards, 1))
        return "\(escaped(key))#\(Murmur2.partition(forKey: bytes.rawSpan, count: count))"
    }

    /// All the keys that ``sharded(_:by:shards:)`` makes of one key, for reading it back.
    public static func shards(of key: String, shards: Int) -> [String] {
        (0..<max(shards, 1)).map { "\(escaped(key))#\($0)" }
    }

    // MARK: Time

    /// `key@bucket`, the bucket being the number of whole spans since 1970: a hot key moves to
    /// another partition with each span of time.
    ///
    /// **Gives up** the order across the border of two buckets, and keeps it within one. At any
    /// one moment all of the key's load is still one partition's: this evens out days and not
    /// seconds (for these, see ``sharded(_:by:shards:)``). Compaction keeps one record of each
    /// bucket, not of each key.
    ///
    /// - Parameters:
    ///   - timestamp: when it happened: the record's own time, so that a repetition gives the same.
    ///   - milliseconds: how long a bucket is, 1 or more; less counts as 1.
    public static func timeBucket(
        _ key: String, at timestamp: Timestamp, everyMilliseconds milliseconds: Int64
    ) -> String {
        let span = max(milliseconds, 1)
        // Rounded down before 1970 too.
        let (quotient, remainder) = timestamp.rawValue.quotientAndRemainder(dividingBy: span)
        return "\(escaped(key))@\(remainder < 0 ? quotient - 1 : quotient)"
    }

    // MARK: Finer keys

    /// `category|item`: a finer key of several parts, the coarsest first.
    ///
    /// **Gives up** the order among different items of a category, which mostly nobody needs; the
    /// order of each item stays. There must be many more items than partitions, or the load stays
    /// uneven.
    public static func composite(_ parts: String...) -> String { composite(parts) }

    /// The same of a list.
    public static func composite(_ parts: [String]) -> String {
        parts.map { escaped($0) }.joined(separator: "|")
    }

    /// The parts of a key that ``composite(_:)-(String...)`` made.
    public static func parts(of key: String) -> [String] {
        key.split(separator: "|", omittingEmptySubsequences: false).map { unescaped($0) }
    }

    // MARK: No key

    /// No key at all: records go to whichever partition's batch is open, evenly.
    ///
    /// **Gives up** all order, and compaction, which needs keys. For what is counted or summed:
    /// each consumer adds up its partitions' records by what stands in the value, and writes its
    /// sums under the real key to a second topic, which is small and whose consumer adds the sums.
    public static let none: String? = nil

    // MARK: Escapes

    private static let reserved: [Character: String] = [
        "#": "%23", "%": "%25", "@": "%40", "|": "%7C",
    ]

    private static func escaped(_ part: String) -> String {
        guard part.contains(where: { reserved[$0] != nil }) else { return part }
        return part.map { reserved[$0] ?? String($0) }.joined()
    }

    private static func unescaped(_ part: Substring) -> String {
        // The percent sign last, or one that was written would begin another escape.
        String(part).replacing("%23", with: "#").replacing("%40", with: "@")
            .replacing("%7C", with: "|").replacing("%25", with: "%")
    }
}
