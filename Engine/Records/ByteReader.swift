/// Reads forward through bytes that nobody vouches for.
///
/// Whatever the bytes are, each call gives a value or throws, and moves on only when it gives a
/// value. Invariant, which the unchecked loads rely on: `0 <= position <= limit <= byteCount`.
@frozen
@usableFromInline
struct ByteReader: ~Escapable, BitwiseCopyable {
    /// All the bytes that positions count in.
    @usableFromInline let bytes: RawSpan
    /// The next byte to be read.
    @usableFromInline var position: Int
    /// Where reading has to end.
    @usableFromInline var limit: Int
    /// Whether the bytes came out of a decompressor; for the errors.
    @usableFromInline let isDecompressed: Bool

    /// A reader of `bytes` from `position`, which must not lie beyond them, to their end.
    @inlinable
    @_lifetime(copy bytes)
    init(_ bytes: RawSpan, from position: Int, isDecompressed: Bool) {
        precondition(position >= 0 && position <= bytes.byteCount)
        self.bytes = bytes
        self.position = position
        self.limit = bytes.byteCount
        self.isDecompressed = isDecompressed
    }

    @inlinable @inline(__always)
    var remaining: Int { limit &- position }

    /// Only for positions below the limit.
    @inlinable @inline(__always)
    func byte(at position: Int) -> UInt8 {
        unsafe bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
    }

    /// One byte.
    @inlinable @inline(__always)
    @_lifetime(self: copy self)
    mutating func readByte() throws(RecordError) -> UInt8 {
        guard position < limit else { throw endOfBytes() }
        let value = byte(at: position)
        position &+= 1
        return value
    }

    /// A zig-zag integer of at most 5 bytes. One and two bytes, which nearly all are, are read
    /// in place.
    @inlinable @inline(__always)
    @_lifetime(self: copy self)
    mutating func readVarint() throws(RecordError) -> Int32 {
        guard position < limit else { throw endOfBytes() }
        let first = UInt32(byte(at: position))
        if first < 0x80 {
            position &+= 1
            return Varint.unzigzag(first)
        }
        if remaining >= 2 {
            let second = UInt32(byte(at: position &+ 1))
            if second < 0x80 {
                position &+= 2
                return Varint.unzigzag(first & 0x7f | second << 7)
            }
        }
        return Int32(truncatingIfNeeded: try readLongVarint(bits: 32))
    }

    /// A zig-zag integer of at most 10 bytes.
    @inlinable @inline(__always)
    @_lifetime(self: copy self)
    mutating func readVarlong() throws(RecordError) -> Int64 {
        guard position < limit else { throw endOfBytes() }
        let first = UInt64(byte(at: position))
        if first < 0x80 {
            position &+= 1
            return Varint.unzigzag(first)
        }
        if remaining >= 2 {
            let second = UInt64(byte(at: position &+ 1))
            if second < 0x80 {
                position &+= 2
                return Varint.unzigzag(first & 0x7f | second << 7)
            }
        }
        return try readLongVarint(bits: 64)
    }

    /// A zig-zag integer of any length; what does not fit into `bits`, 32 or 64, is malformed.
    @inlinable @inline(__always)
    @_lifetime(self: copy self)
    mutating func readLongVarint(bits: Int) throws(RecordError) -> Int64 {
        let parsed = Self.parseVarint(in: bytes, from: position, to: limit, bits: bits)
        guard parsed.end >= 0 else { throw error(.malformedVarint) }
        position = parsed.end
        return parsed.value
    }

    /// A zig-zag integer and the position behind it, or -1 where it is malformed. Takes and gives
    /// plain values: passing the reader itself would keep it in memory instead of registers, which
    /// doubles the time that a record takes.
    @usableFromInline @inline(never)
    static func parseVarint(
        in bytes: RawSpan, from position: Int, to limit: Int, bits: Int
    ) -> (value: Int64, end: Int) {
        var value: UInt64 = 0
        var shift = 0
        var at = position
        while at < limit {
            let next = UInt64(unsafe bytes.unsafeLoad(fromUncheckedByteOffset: at, as: UInt8.self))
            let payload = next & 0x7f
            guard shift < bits, shift + 7 <= bits || payload >> (bits - shift) == 0 else { break }
            value |= payload << shift
            at += 1
            if next < 0x80 { return (Varint.unzigzag(value), at) }
            shift += 7
        }
        return (0, -1)
    }

    /// A length and as many bytes, or length -1, Kafka's mark for null: where the bytes are.
    @inlinable @inline(__always)
    @_lifetime(self: copy self)
    mutating func readPlace() throws(RecordError) -> BytePlace {
        let start = position
        let length = Int(try readVarint())
        guard length >= 0 else {
            guard length == -1 else { throw error(.badLength(length), at: start) }
            return BytePlace(start: position, count: -1)
        }
        guard length <= remaining else { throw outOfBounds(length, at: start) }
        let place = BytePlace(start: position, count: length)
        position &+= length
        return place
    }

    /// As `readPlace`, but gives the bytes themselves, or nil for null.
    @inlinable @inline(__always)
    @_lifetime(copy self)
    @_lifetime(self: copy self)
    mutating func readNullableBytes() throws(RecordError) -> RawSpan? {
        try readPlace().bytes(in: bytes)
    }

    /// Throws where bytes are left.
    @inlinable @inline(__always)
    func requireEnd() throws(RecordError) {
        guard position == limit else { throw error(.trailingBytes(remaining)) }
    }

    @usableFromInline @inline(never)
    func endOfBytes() -> RecordError {
        error(.truncated(needed: 1, available: 0))
    }

    @usableFromInline @inline(never)
    func outOfBounds(_ length: Int, at start: Int) -> RecordError {
        error(.recordOutOfBounds(length: length, available: remaining), at: start)
    }

    @usableFromInline @inline(never)
    func error(_ kind: RecordError.Kind, at start: Int? = nil) -> RecordError {
        RecordError(
            kind, position: start ?? position, isInDecompressedRecords: isDecompressed)
    }
}

/// Where a key or value lies in its batch; in one word, for the sake of `RecordView`.
///
/// A batch, and what it unpacks to, is smaller than 2 GiB, so start and count need 31 bits each.
@frozen
@usableFromInline
struct BytePlace: BitwiseCopyable {
    /// Bits 63...32 the start, 31...0 the count, in two's complement.
    @usableFromInline let word: UInt64

    /// `count` is -1 for null.
    @inlinable @inline(__always)
    init(start: Int, count: Int) {
        word =
            UInt64(truncatingIfNeeded: start) << 32
            | UInt64(UInt32(truncatingIfNeeded: count))
    }

    /// A place that was made before.
    @inlinable @inline(__always)
    init(word: UInt64) { self.word = word }

    @inlinable @inline(__always)
    var start: Int { Int(word >> 32) }

    @inlinable @inline(__always)
    var count: Int { Int(Int32(truncatingIfNeeded: word)) }

    /// The position behind the bytes.
    @inlinable @inline(__always)
    var end: Int { start &+ max(count, 0) }

    /// The bytes, or nil for null. Only for the bytes that the place was found in.
    @inlinable @inline(__always)
    @_lifetime(copy bytes)
    func bytes(in bytes: RawSpan) -> RawSpan? {
        guard count >= 0 else { return nil }
        return unsafe bytes.extracting(unchecked: start..<start &+ count)
    }
}
