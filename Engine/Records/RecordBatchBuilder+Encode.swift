// The byte-level half of appending: one check for room, then unchecked stores into it.

extension RecordBatchBuilder {
    /// The most bytes of a record beside its key, value and headers: length, attributes, timestamp
    /// delta, offset delta, two lengths and the number of headers.
    @usableFromInline static let overheadMax = 5 + 1 + 10 + 5 + 5 + 5 + 5
    /// The fewest bytes of a record behind its length, beside key, value and headers.
    @usableFromInline static let bodyOverheadMin = 6
    /// Varints store more than they keep, so this much room is left behind the records.
    @usableFromInline static let slack = Varint.bytesMax

    /// Encodes a record up to its headers behind the last one, with room for `headerByteCount`
    /// bytes more, and returns the position where those belong. Counts nothing yet: that is
    /// `commit`, once the headers are there too.
    @inlinable @inline(__always)
    mutating func encode(
        key: RawSpan?, value: RawSpan?, timestamp: Int64, headerCount: Int, headerByteCount: Int
    ) throws(RecordError) -> Int {
        guard timestamp >= -1 else {
            throw RecordError(.badTimestamp(timestamp), position: 0)
        }
        // Both are at least -1, so the difference cannot overflow.
        let timestampDelta = isEmpty ? 0 : timestamp &- baseTimestamp
        let payload = (key?.byteCount ?? 0) + (value?.byteCount ?? 0) + headerByteCount
        if payload > endMax &- end {
            try makeRoom(
                for: RecordHead(
                    timestampDelta: timestampDelta, offsetDelta: Int64(appendedCount),
                    keyLength: key?.byteCount ?? -1, valueLength: value?.byteCount ?? -1,
                    headerCount: headerCount, headerByteCount: headerByteCount))
        }

        // The length comes first and is known last. How many bytes it takes is nearly always
        // what the payload alone says, so the rest is written behind that many.
        let bytes = unsafe buffer.bytes.baseAddress.unsafelyUnwrapped
        let lengthBytes = Varint.byteCount(of: Int64(payload &+ Self.bodyOverheadMin))
        let body = end &+ lengthBytes
        unsafe bytes.storeBytes(of: 0, toByteOffset: body, as: UInt8.self)
        var position = unsafe Varint.write(timestampDelta, to: bytes, at: body &+ 1)
        position = unsafe Varint.write(Int64(appendedCount), to: bytes, at: position)
        position = unsafe Self.copy(key, to: bytes, at: position)
        position = unsafe Self.copy(value, to: bytes, at: position)
        position = unsafe Varint.write(Int64(headerCount), to: bytes, at: position)

        let length = position &- body &+ headerByteCount
        if Varint.byteCount(of: Int64(length)) != lengthBytes {
            position = unsafe Self.move(body..<position, by: 1, in: bytes)
        }
        // A length of one byte stores a zero behind itself: the attributes, which are zero.
        _ = unsafe Varint.write(Int64(length), to: bytes, at: end)
        return position
    }

    /// Counts the record that was just encoded.
    @inlinable @inline(__always)
    mutating func commit(timestamp: Int64) {
        if isEmpty { baseTimestamp = timestamp }
        maxTimestamp = max(maxTimestamp, timestamp)
        appendedCount &+= 1
    }

    /// Writes the length of a key or value, or -1 for nil, and the bytes; returns the position
    /// behind them.
    @unsafe @inlinable @inline(__always)
    static func copy(
        _ source: RawSpan?, to bytes: UnsafeMutableRawPointer, at position: Int
    ) -> Int {
        guard let source else { return unsafe Varint.write(-1, to: bytes, at: position) }
        let start = unsafe Varint.write(Int64(source.byteCount), to: bytes, at: position)
        return unsafe copyBytes(source, to: bytes, at: start)
    }

    /// Copies all of `source` to `position` and returns the position behind it.
    @unsafe @inlinable @inline(__always)
    static func copyBytes(
        _ source: RawSpan, to bytes: UnsafeMutableRawPointer, at position: Int
    ) -> Int {
        unsafe source.withUnsafeBytes { source in
            if let base = source.baseAddress {
                unsafe (bytes + position).copyMemory(from: base, byteCount: source.count)
            }
        }
        return position &+ source.byteCount
    }

    /// Moves the bytes at `range` back by `distance` and returns the position behind them.
    @unsafe @usableFromInline @inline(never)
    static func move(
        _ range: Range<Int>, by distance: Int, in bytes: UnsafeMutableRawPointer
    ) -> Int {
        unsafe (bytes + range.lowerBound + distance).copyMemory(
            from: bytes + range.lowerBound, byteCount: range.count)
        return range.upperBound + distance
    }

    /// Grows the buffer for a record that may not fit, or throws where it exceeds the limit.
    @usableFromInline @inline(never)
    mutating func makeRoom(for record: RecordHead) throws(RecordError) {
        let recordEnd = end + record.encodedByteCount
        guard recordEnd <= byteCountMax else {
            throw RecordError(
                .batchTooLarge(bytes: recordEnd, limit: byteCountMax), position: 0)
        }
        let needed = recordEnd + Self.overheadMax + Self.slack
        if needed > buffer.capacity {
            buffer.grow(to: max(needed, buffer.capacity * 2), keeping: end)
        }
        updateEndMax()
    }

    /// Where a record with its overhead surely fits, into memory and under the limit.
    mutating func updateEndMax() {
        endMax = min(buffer.capacity - Self.slack, byteCountMax) - Self.overheadMax
    }
}

/// All that the size of a record depends on.
@usableFromInline
struct RecordHead {
    @usableFromInline let timestampDelta: Int64
    @usableFromInline let offsetDelta: Int64
    /// -1 for null.
    @usableFromInline let keyLength: Int
    @usableFromInline let valueLength: Int
    @usableFromInline let headerCount: Int
    /// The size of the headers without their count.
    @usableFromInline let headerByteCount: Int

    @inlinable
    init(
        timestampDelta: Int64, offsetDelta: Int64, keyLength: Int, valueLength: Int,
        headerCount: Int, headerByteCount: Int
    ) {
        self.timestampDelta = timestampDelta
        self.offsetDelta = offsetDelta
        self.keyLength = keyLength
        self.valueLength = valueLength
        self.headerCount = headerCount
        self.headerByteCount = headerByteCount
    }

    /// The record's size in bytes, its length field included.
    var encodedByteCount: Int {
        let length =
            1 + Varint.byteCount(of: timestampDelta) + Varint.byteCount(of: offsetDelta)
            + Varint.byteCount(of: Int64(keyLength)) + max(keyLength, 0)
            + Varint.byteCount(of: Int64(valueLength)) + max(valueLength, 0)
            + Varint.byteCount(of: Int64(headerCount)) + headerByteCount
        return Varint.byteCount(of: Int64(length)) + length
    }
}

extension RecordView {
    /// The bytes of the headers behind their count.
    var encodedHeaders: RawSpan {
        @_lifetime(copy self)
        get {
            let reader = headers.reader
            return reader.bytes.part(at: reader.position, count: reader.remaining)
        }
    }
}
