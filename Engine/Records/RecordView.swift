/// One record, as views into the bytes of its batch or of the decoder that unpacked it.
///
/// Cannot outlive those bytes. As safe to share between threads as they are.
@frozen
public struct RecordView: ~Escapable {
    /// The record's place in its partition.
    public let offset: Offset
    /// When the record was made, or appended, as its batch says.
    public let timestamp: Timestamp
    /// The key; nil where there is none, which is not the same as an empty one.
    public let key: RawSpan?
    /// The value; nil for a tombstone, which is not the same as an empty one.
    public let value: RawSpan?
    /// The number of headers.
    public let headerCount: Int
    @usableFromInline let headerReader: ByteReader

    @inlinable @inline(__always)
    @_lifetime(copy key, copy value, copy headerReader)
    init(
        offset: Offset, timestamp: Timestamp, key: RawSpan?, value: RawSpan?, headerCount: Int,
        headerReader: consuming ByteReader
    ) {
        self.offset = offset
        self.timestamp = timestamp
        self.key = key
        self.value = value
        self.headerCount = headerCount
        self.headerReader = headerReader
    }

    /// A cursor over the headers, in the order in which they were written.
    @inlinable
    public var headers: HeaderCursor {
        @_lifetime(copy self)
        get { HeaderCursor(reader: headerReader, count: headerCount) }
    }
}

/// One header of a record, as views into the same bytes as the record.
@frozen
public struct HeaderView: ~Escapable {
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
public struct HeaderCursor: ~Escapable {
    @usableFromInline var reader: ByteReader
    @usableFromInline var remaining: Int

    @inlinable
    @_lifetime(copy reader)
    init(reader: consuming ByteReader, count: Int) {
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
