import TallyRecords

/// Which offsets of the part that is being looked at hold a record that stays: one bit each.
///
/// Saves asking the map again for each record: what nobody's bit is set for is dropped batch by
/// batch, without unpacking it. Of bounded size. A value, used by one thread.
struct LatestOffsets: ~Copyable {
    private var words: [UInt64] = []
    private let wordsMax: Int
    /// The first offset that was noted.
    private var base: Offset?

    /// - Parameter byteCountMax: memory it may take, at the least for 64 offsets.
    init(byteCountMax: Int) { wordsMax = max(byteCountMax / 8, 1) }

    /// Notes an offset; the first is the least. False where it lies too far behind that.
    mutating func insert(_ offset: Offset) -> Bool {
        let base = self.base ?? offset
        self.base = base
        let bit = offset.rawValue - base.rawValue
        let word = Int(bit >> 6)
        guard word < wordsMax else { return false }
        // Memory that grows by doubling must not exceed the bound either.
        if word >= words.capacity { words.reserveCapacity(min(max(word + 1, word * 2), wordsMax)) }
        while words.count <= word { words.append(0) }
        words[word] |= 1 << UInt64(bit & 63)
        return true
    }

    /// Takes an offset back that was noted.
    mutating func remove(_ offset: Offset) {
        guard let base else { return }
        let bit = offset.rawValue - base.rawValue
        words[Int(bit >> 6)] &= ~(1 << UInt64(bit & 63))
    }

    /// Whether an offset was noted.
    func contains(_ offset: Offset) -> Bool {
        guard let base, offset >= base else { return false }
        let bit = offset.rawValue - base.rawValue
        let word = Int(bit >> 6)
        return word < words.count && words[word] & (1 << UInt64(bit & 63)) != 0
    }

    /// Whether any offset of a range was noted.
    func containsAny(of range: ClosedRange<Offset>) -> Bool {
        guard let base, range.upperBound >= base else { return false }
        let first = max(range.lowerBound.rawValue - base.rawValue, 0)
        let last = min(range.upperBound.rawValue - base.rawValue, Int64(words.count) * 64 - 1)
        guard first <= last else { return false }
        let (firstWord, lastWord) = (Int(first >> 6), Int(last >> 6))
        for word in firstWord...lastWord {
            var bits = words[word]
            if word == firstWord { bits &= .max << UInt64(first & 63) }
            if word == lastWord { bits &= .max >> UInt64(63 - last & 63) }
            if bits != 0 { return true }
        }
        return false
    }
}
