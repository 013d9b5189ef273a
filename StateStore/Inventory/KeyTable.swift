import Tally

/// Numbers byte strings in the order in which they come, so that a key that was seen before is
/// found by its bytes without making a `String` of it.
///
/// Open addressing with linear probing, at most half full. A slot holds the upper half of a key's
/// hash and its number; the hash is seeded anew for every table, so that nobody can choose keys
/// that collide.
struct KeyTable {
    /// `hash & ~numberMask | number + 1`; 0 is a free slot.
    private var slots: [UInt64]
    /// The bytes of all keys, one after the other, and where each ends.
    private var bytes: [UInt8] = []
    private var ends: [Int] = []
    private let seed: UInt64

    private static let numberMask: UInt64 = 0xffff_ffff
    private static let slotCountMin = 1024

    init(seed: UInt64 = .random(in: .min ... .max)) {
        self.seed = seed
        slots = Array(repeating: 0, count: Self.slotCountMin)
    }

    /// How many keys there are.
    var count: Int { ends.count }

    /// The hash of `key` in this table, to be passed to `number(of:hash:)` and `insert`.
    @inline(__always)
    func hash(_ key: RawSpan) -> UInt64 {
        ByteHash.hash(key, seed: seed)
    }

    /// The number of `key`, or nil when it is new.
    @inline(__always)
    func number(of key: RawSpan, hash: UInt64) -> Int? {
        var slot = Int(truncatingIfNeeded: hash) & (slots.count &- 1)
        while slots[slot] != 0 {
            if (slots[slot] ^ hash) & ~Self.numberMask == 0 {
                let number = Int(truncatingIfNeeded: slots[slot] & Self.numberMask) &- 1
                if isKey(number, equalTo: key) { return number }
            }
            slot = (slot &+ 1) & (slots.count &- 1)
        }
        return nil
    }

    /// Adds a key that is not in the table and gives its number.
    mutating func insert(_ key: RawSpan, hash: UInt64) -> Int {
        if (ends.count + 1) * 2 > slots.count { grow() }
        let number = ends.count
        for offset in 0..<key.byteCount { bytes.append(key.byte(at: offset)) }
        ends.append(bytes.count)
        place(number, hash: hash)
        return number
    }

    private func range(of number: Int) -> Range<Int> {
        (number == 0 ? 0 : ends[number &- 1])..<ends[number]
    }

    @inline(__always)
    private func isKey(_ number: Int, equalTo key: RawSpan) -> Bool {
        bytes.rawSpan.extracting(range(of: number)).hasSameBytes(as: key)
    }

    /// The names in the key with this number; it was checked when it was added.
    func names(of number: Int) throws(InventoryKeyFault) -> InventoryKey {
        try InventoryKey(decoding: bytes.rawSpan.extracting(range(of: number)))
    }

    private mutating func place(_ number: Int, hash: UInt64) {
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = hash & ~Self.numberMask | UInt64(number + 1)
    }

    private mutating func grow() {
        slots = Array(repeating: 0, count: slots.count * 2)
        for number in 0..<ends.count {
            place(number, hash: hash(bytes.rawSpan.extracting(range(of: number))))
        }
    }
}
