/// One record, as views into the bytes of its batch or of the decoder that unpacked it.
///
/// Cannot outlive those bytes. As safe to share between threads as they are.
///
/// Six words, which is no accident: the compiler keeps a view that is no larger in registers, and
/// destroys a larger one through its type's witness table, at the cost of a whole record's walk.
@frozen
public struct RecordView: ~Escapable, BitwiseCopyable {
    /// The record's place in its partition.
    public let offset: Offset
    /// When the record was made, or appended, as its batch says.
    public let timestamp: Timestamp
    /// What the places count in, up to the end of the record.
    @usableFromInline let bytes: RawSpan
    /// The key's place; the uppermost bit, which no place needs, tells of decompressed records.
    @usableFromInline let keyWord: UInt64
    @usableFromInline let valuePlace: BytePlace

    @inlinable @inline(__always)
    @_lifetime(copy bytes)
    init(
        bytes: RawSpan, offset: Offset, timestamp: Timestamp, keyPlace: BytePlace,
        valuePlace: BytePlace, isDecompressed: Bool
    ) {
        self.bytes = bytes
        self.offset = offset
        self.timestamp = timestamp
        keyWord = keyPlace.word | (isDecompressed ? Self.decompressedBit : 0)
        self.valuePlace = valuePlace
    }

    @usableFromInline static let decompressedBit: UInt64 = 1 << 63

    /// The key; nil where there is none, which is not the same as an empty one.
    @inlinable
    public var key: RawSpan? {
        @_lifetime(copy self)
        get { BytePlace(word: keyWord & ~Self.decompressedBit).bytes(in: bytes) }
    }

    /// The value; nil for a tombstone, which is not the same as an empty one.
    @inlinable
    public var value: RawSpan? {
        @_lifetime(copy self)
        get { valuePlace.bytes(in: bytes) }
    }

    /// Whether it says that its key is gone: there is a key, and no value.
    @inlinable
    package var isTombstone: Bool {
        valuePlace.count < 0 && BytePlace(word: keyWord & ~Self.decompressedBit).count >= 0
    }

    /// The number of headers.
    @inlinable
    public var headerCount: Int { headers.remaining }

    /// A cursor over the headers, in the order in which they were written.
    @inlinable
    public var headers: HeaderCursor {
        @_lifetime(copy self)
        get {
            var reader = ByteReader(
                bytes, from: valuePlace.end, isDecompressed: keyWord & Self.decompressedBit != 0)
            // Was read once before this view was given out, and cannot fail now.
            let count = (try? reader.readVarint()) ?? 0
            return HeaderCursor(reader: reader, count: Int(count))
        }
    }
}

/// One header of a record, as views into the same bytes as the record.
@frozen
public struct HeaderView: ~Escapable, BitwiseCopyable {
    /// The name in UTF-8, not checked for being that; may be empty, may occur more than once.
    public let key: RawSpan
    /// The value; nil where it is null.
    public let value: RawSpan?

    @inlinable @inline(__always)
    @_lifetime(copy key, copy value)
    init(key: RawSpan, value: RawSpan?) {
        self.key = key
        self.value = value
    }
}

/// Walks the headers of one record; allocates nothing.
///
/// Checks at the end that the headers filled the record exactly. After an error every further
/// call throws it again.
@frozen
public struct HeaderCursor: ~Escapable, BitwiseCopyable {
    @usableFromInline var reader: ByteReader
    @usableFromInline var remaining: Int

    @inlinable
    @_lifetime(copy reader)
    init(reader: ByteReader, count: Int) {
        self.reader = reader
        remaining = count
    }

    /// The next header, or nil after the last.
    ///
    /// - Throws: `truncated`, `malformedVarint`, `recordOutOfBounds`, `badLength` or
    ///   `trailingBytes`.
    @inlinable
    @_lifetime(copy self)
    @_lifetime(self: copy self)
    public mutating func next() throws(RecordError) -> HeaderView? {
        guard remaining > 0 else {
            try reader.requireEnd()
            return nil
        }
        var header = reader
        guard let key = try header.readNullableBytes() else {
            throw reader.error(.badLength(-1))
        }
        let value = try header.readNullableBytes()
        reader.position = header.position
        remaining &-= 1
        return HeaderView(key: key, value: value)
    }
}
