/// The hash by which Kafka's clients choose a partition for a key: MurmurHash2, 32 bits, with
/// Kafka's seed.
///
/// A key must land in the partition where every other Kafka client would put it, or the events of
/// one item would be spread over two partitions after a migration and lose their order. The test
/// compares with hashes that Kafka's own client computed. Pure: any thread may call it.
package enum Murmur2 {
    private static let seed: UInt32 = 0x9747_b28c
    private static let multiplier: UInt32 = 0x5bd1_e995

    /// Four bytes without an alignment, so that a key may be viewed as words wherever it lies.
    private struct Word: BitwiseCopyable {
        let first, second, third, fourth: UInt8

        var littleEndianValue: UInt32 {
            UInt32(first) | UInt32(second) << 8 | UInt32(third) << 16 | UInt32(fourth) << 24
        }
    }

    /// The hash of `key`; the empty key has one too.
    package static func hash(_ key: RawSpan) -> Int32 {
        let tail = key.byteCount % 4
        let words = Span<Word>(_bytes: key.extracting(droppingLast: tail))
        // Kafka's lengths are 32 bits wide.
        var hash = seed ^ UInt32(truncatingIfNeeded: key.byteCount)
        for index in words.indices {
            var word = words[index].littleEndianValue
            word &*= multiplier
            word ^= word >> 24
            word &*= multiplier
            hash = (hash &* multiplier) ^ word
        }
        if tail > 0 {
            let bytes = Span<UInt8>(_bytes: key.extracting(last: tail))
            for index in bytes.indices {
                hash ^= UInt32(bytes[index]) << UInt32(8 * index)
            }
            hash &*= multiplier
        }
        hash ^= hash >> 13
        hash &*= multiplier
        hash ^= hash >> 15
        return Int32(bitPattern: hash)
    }

    /// The partition, in `0..<count`, to which a record with this key belongs.
    ///
    /// - Precondition: `count` is positive.
    package static func partition(forKey key: RawSpan, count: Int32) -> Int32 {
        precondition(count > 0, "a topic has at least one partition")
        // The sign bit is cleared, not negated: that is what Kafka does, and -x could overflow.
        return (hash(key) & 0x7fff_ffff) % count
    }
}
