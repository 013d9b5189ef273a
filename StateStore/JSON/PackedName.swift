/// A name of up to 24 bytes in three machine words, so that names compare in a few instructions.
struct PackedName: Hashable {
    private var first: UInt64
    private var second: UInt64
    private var third: UInt64
    private var count: Int

    static let countMax = 24

    /// Packs the bytes of `range` (of which there are at most `countMax`).
    @inline(__always)
    init?(_ bytes: RawSpan, start: Int, end: Int) {
        count = end &- start
        guard count <= Self.countMax else { return nil }
        first = bytes.partialWord(at: start, count: count)
        second = count > 8 ? bytes.partialWord(at: start &+ 8, count: count &- 8) : 0
        third = count > 16 ? bytes.partialWord(at: start &+ 16, count: count &- 16) : 0
    }

    /// Packs a name of this program.
    init(_ name: String) {
        var words: [UInt64] = [0, 0, 0]
        count = name.utf8.count
        precondition(count <= Self.countMax, "a name has at most 24 bytes")
        for (index, byte) in name.utf8.enumerated() {
            words[index / 8] |= UInt64(byte) << UInt64(index % 8 * 8)
        }
        (first, second, third) = (words[0], words[1], words[2])
    }
}
