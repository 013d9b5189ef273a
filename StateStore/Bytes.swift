/// Reading plain numbers out of bytes. Every load is checked against the span's bounds; what makes
/// it "unsafe" to the compiler is only that it could be asked for any type.
extension RawSpan {
    /// The byte at `offset`, which must lie inside the span.
    @inline(__always)
    func byte(at offset: Int) -> UInt8 {
        unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    /// The eight bytes from `offset`, first byte lowest; all must lie inside the span.
    @inline(__always)
    func word(at offset: Int) -> UInt64 {
        UInt64(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    /// Up to eight bytes from `offset`, first byte lowest, missing ones zero.
    /// `count` (0 through 8) says how many; all of them must lie inside the span.
    @inline(__always)
    func partialWord(at offset: Int, count: Int) -> UInt64 {
        if count >= 8 { return word(at: offset) }
        if offset &+ 8 <= byteCount {
            return word(at: offset) & ((1 &<< UInt64(count &* 8)) &- 1)
        }
        var word: UInt64 = 0
        for index in 0..<max(count, 0) {
            word |= UInt64(byte(at: offset &+ index)) &<< UInt64(index &* 8)
        }
        return word
    }

    /// Whether both spans hold the same bytes.
    @inline(__always)
    func hasSameBytes(as other: RawSpan) -> Bool {
        let count = byteCount
        guard count == other.byteCount else { return false }
        var offset = 0
        while offset &+ 8 <= count {
            guard word(at: offset) == other.word(at: offset) else { return false }
            offset &+= 8
        }
        let rest = count &- offset
        return partialWord(at: offset, count: rest) == other.partialWord(at: offset, count: rest)
    }

    /// A copy of the bytes.
    func copy() -> [UInt8] {
        unsafe withUnsafeBytes { unsafe Array($0) }
    }

    /// The bytes as text, or nil when they are not UTF-8.
    func text() -> String? {
        String(validating: copy(), as: UTF8.self)
    }
}
