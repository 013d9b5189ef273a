import TallyRecords

/// 128 bits that stand for a key while a log is cleaned.
struct KeyHash: Hashable, Sendable {
    var low: UInt64
    var high: UInt64
}

/// SipHash with a result of 128 bits (Aumasson and Bernstein): a keyed hash, so that nobody who
/// chooses keys can make two of them look the same.
///
/// With a new seed for each cleaning, two different keys among ten million are taken for one with
/// a probability below 10^-24. A value; any thread.
struct KeyHasher: Sendable {
    private let seedLow: UInt64
    private let seedHigh: UInt64
    /// Rounds for each word, and for each half of the result.
    private let wordRounds: Int
    private let finalRounds: Int

    /// - Parameters:
    ///   - wordRounds, finalRounds: 1 and 3, which Swift's own `Hasher` uses.
    init(seed: (UInt64, UInt64), wordRounds: Int = 1, finalRounds: Int = 3) {
        (seedLow, seedHigh) = seed
        self.wordRounds = wordRounds
        self.finalRounds = finalRounds
    }

    /// One with a seed of its own.
    static func random() -> KeyHasher {
        KeyHasher(seed: (.random(in: 0 ... .max), .random(in: 0 ... .max)))
    }

    /// The hash of a key; an empty key has one too.
    func hash(_ key: RawSpan) -> KeyHash {
        var state = SipState(seedLow, seedHigh)
        let byteCount = key.byteCount
        var position = 0
        while position + 8 <= byteCount {
            state.absorb(key.littleEndianWord(at: position), rounds: wordRounds)
            position += 8
        }
        var last = UInt64(truncatingIfNeeded: byteCount) << 56
        var shift: UInt64 = 0
        while position < byteCount {
            last |= UInt64(key.bigEndian(at: position, as: UInt8.self)) << shift
            position += 1
            shift += 8
        }
        state.absorb(last, rounds: wordRounds)
        return state.finish(rounds: finalRounds)
    }
}

private struct SipState {
    var v0: UInt64
    var v1: UInt64
    var v2: UInt64
    var v3: UInt64

    init(_ low: UInt64, _ high: UInt64) {
        v0 = low ^ 0x736f_6d65_7073_6575
        v1 = high ^ 0x646f_7261_6e64_6f6d ^ 0xee
        v2 = low ^ 0x6c79_6765_6e65_7261
        v3 = high ^ 0x7465_6462_7974_6573
    }

    @inline(__always)
    mutating func absorb(_ word: UInt64, rounds: Int) {
        v3 ^= word
        for _ in 0..<rounds { round() }
        v0 ^= word
    }

    @inline(__always)
    mutating func finish(rounds: Int) -> KeyHash {
        v2 ^= 0xee
        for _ in 0..<rounds { round() }
        let low = v0 ^ v1 ^ v2 ^ v3
        v1 ^= 0xdd
        for _ in 0..<rounds { round() }
        return KeyHash(low: low, high: v0 ^ v1 ^ v2 ^ v3)
    }

    @inline(__always)
    private mutating func round() {
        v0 &+= v1
        v1 = v1 << 13 | v1 >> 51
        v1 ^= v0
        v0 = v0 << 32 | v0 >> 32
        v2 &+= v3
        v3 = v3 << 16 | v3 >> 48
        v3 ^= v2
        v0 &+= v3
        v3 = v3 << 21 | v3 >> 43
        v3 ^= v0
        v2 &+= v1
        v1 = v1 << 17 | v1 >> 47
        v1 ^= v2
        v2 = v2 << 32 | v2 >> 32
    }
}

extension RawSpan {
    @inline(__always)
    fileprivate func littleEndianWord(at position: Int) -> UInt64 {
        bigEndian(at: position, as: UInt64.self).byteSwapped
    }
}
