/// Tells most event ids that were never stored from those that may have been, without a look into
/// the database: a Bloom filter in blocks of one cache line.
///
/// It never says no to an id that was added; it says yes to about one in a hundred others while
/// there are no more than `capacity`.
struct EventIdFilter {
    /// Blocks of eight words; an id sets one bit in each of four words of one block.
    private var words: [UInt64]
    private let seed: UInt64
    /// How many ids were added.
    private(set) var count = 0
    /// How many ids it is made for.
    let capacity: Int

    private static let wordsPerBlock = 8
    private static let bitsPerId = 16
    private static let capacityMin = 4096

    /// An empty filter for `capacity` ids or more.
    init(capacity: Int, seed: UInt64 = .random(in: .min ... .max)) {
        self.capacity = max(capacity, Self.capacityMin)
        self.seed = seed
        let blocks = self.capacity * Self.bitsPerId / (Self.wordsPerBlock * 64) + 1
        words = Array(repeating: 0, count: blocks * Self.wordsPerBlock)
    }

    var isFull: Bool { count >= capacity }

    /// Adds the id of an event in a partition.
    mutating func insert(partition: Int32, id: RawSpan) {
        let (block, bits) = place(partition: partition, id: id)
        for index in 0..<4 { words[block &+ Self.word(index, bits)] |= Self.bit(index, bits) }
        count += 1
    }

    /// False when the id was certainly not added.
    func mayContain(partition: Int32, id: RawSpan) -> Bool {
        let (block, bits) = place(partition: partition, id: id)
        for index in 0..<4 where words[block &+ Self.word(index, bits)] & Self.bit(index, bits) == 0
        {
            return false
        }
        return true
    }

    /// The first word of an id's block, and the number that its bits are taken from.
    private func place(partition: Int32, id: RawSpan) -> (block: Int, bits: UInt64) {
        let hash = ByteHash.hash(id, seed: seed ^ UInt64(UInt32(bitPattern: partition)))
        let blocks = UInt64(words.count / Self.wordsPerBlock)
        let block = Int(hash.multipliedFullWidth(by: blocks).high) &* Self.wordsPerBlock
        return (block, ByteHash.mix(hash))
    }

    /// The pairs of words 0 and 1, 2 and 3, ... take one bit each; eight bits of `bits` say where.
    private static func word(_ index: Int, _ bits: UInt64) -> Int {
        index &* 2 &+ Int(bits &>> UInt64(index &* 8 &+ 6) & 1)
    }

    private static func bit(_ index: Int, _ bits: UInt64) -> UInt64 {
        1 &<< (bits &>> UInt64(index &* 8) & 63)
    }
}

/// A fast hash of bytes from a secret seed.
enum ByteHash {
    @inline(__always)
    static func hash(_ bytes: RawSpan, seed: UInt64) -> UInt64 {
        var hash = seed ^ UInt64(truncatingIfNeeded: bytes.byteCount)
        var offset = 0
        while offset < bytes.byteCount {
            hash = mix(
                hash ^ bytes.partialWord(at: offset, count: bytes.byteCount &- offset))
            offset &+= 8
        }
        return hash
    }

    /// Folds the 128-bit product with an odd constant into 64 bits.
    @inline(__always)
    static func mix(_ word: UInt64) -> UInt64 {
        let product = (word ^ 0x9e37_79b9_7f4a_7c15).multipliedFullWidth(by: 0xd6e8_feb8_6659_fd93)
        return product.high ^ product.low
    }
}
