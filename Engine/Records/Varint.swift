/// Kafka's variable-length integers: zig-zag, then seven bits a byte, lowest first.
@usableFromInline
enum Varint {
    /// The most bytes a 64-bit value takes.
    @usableFromInline static let bytesMax = 10

    /// Small magnitudes to small unsigned numbers: 0, -1, 1, -2 to 0, 1, 2, 3.
    @inlinable @inline(__always)
    static func zigzag(_ value: Int64) -> UInt64 {
        UInt64(bitPattern: (value << 1) ^ (value >> 63))
    }

    @inlinable @inline(__always)
    static func unzigzag(_ value: UInt64) -> Int64 {
        Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    @inlinable @inline(__always)
    static func unzigzag(_ value: UInt32) -> Int32 {
        Int32(bitPattern: value >> 1) ^ -Int32(bitPattern: value & 1)
    }

    /// The number of bytes `value` takes: 1 to 10.
    @inlinable @inline(__always)
    static func byteCount(of value: Int64) -> Int {
        let bits = zigzag(value)
        // Comparing is faster than counting zeros with the instructions that every x86-64 has.
        if bits < 0x4000 { return bits < 0x80 ? 1 : 2 }
        return longByteCount(of: bits)
    }

    @usableFromInline @inline(never)
    static func longByteCount(of bits: UInt64) -> Int {
        (64 - bits.leadingZeroBitCount + 6) / 7
    }

    /// Writes `value` at `position` and returns the position behind it. At least 10 bytes must be
    /// there: the short forms store more than they keep.
    @unsafe @inlinable @inline(__always)
    static func write(
        _ value: Int64, to bytes: UnsafeMutableRawPointer, at position: Int
    ) -> Int {
        let bits = zigzag(value)
        if bits < 0x4000 {
            // One or two bytes without a branch between them.
            let isLong: UInt64 = bits < 0x80 ? 0 : 1
            let both = (bits & 0x7f) | isLong << 7 | (bits >> 7) << 8
            unsafe bytes.storeBytes(
                of: UInt16(truncatingIfNeeded: both).littleEndian, toByteOffset: position,
                as: UInt16.self)
            return position &+ 1 &+ Int(truncatingIfNeeded: isLong)
        }
        return unsafe writeLong(bits, to: bytes, at: position)
    }

    @unsafe @usableFromInline @inline(never)
    static func writeLong(
        _ bits: UInt64, to bytes: UnsafeMutableRawPointer, at position: Int
    ) -> Int {
        var rest = bits
        var at = position
        while rest >= 0x80 {
            unsafe bytes.storeBytes(
                of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: at, as: UInt8.self)
            rest >>= 7
            at += 1
        }
        unsafe bytes.storeBytes(
            of: UInt8(truncatingIfNeeded: rest), toByteOffset: at, as: UInt8.self)
        return at + 1
    }
}
