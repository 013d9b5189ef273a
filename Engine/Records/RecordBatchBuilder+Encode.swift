// The byte-level half of appending: one size check, then unchecked stores into the room it found.

extension RecordBatchBuilder {
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
        let offsetDelta = Int64(recordCount)
        let keyCount = key?.byteCount ?? 0
        let valueCount = value?.byteCount ?? 0
        let keyLength = Int64(key == nil ? -1 : keyCount)
        let valueLength = Int64(value == nil ? -1 : valueCount)

        let fixed =
            1 &+ Varint.byteCount(of: timestampDelta) &+ Varint.byteCount(of: offsetDelta)
            &+ Varint.byteCount(of: keyLength) &+ Varint.byteCount(of: valueLength)
            &+ Varint.byteCount(of: Int64(headerCount))
        let length = fixed + keyCount + valueCount + headerByteCount
        let recordEnd = end + Varint.byteCount(of: Int64(length)) + length
        if recordEnd > endMax { try makeRoom(to: recordEnd) }

        let bytes = unsafe buffer.bytes.baseAddress.unsafelyUnwrapped
        var position = unsafe Varint.write(Int64(length), to: bytes, at: end)
        unsafe bytes.storeBytes(of: 0, toByteOffset: position, as: UInt8.self)
        position = unsafe Varint.write(timestampDelta, to: bytes, at: position &+ 1)
        position = unsafe Varint.write(offsetDelta, to: bytes, at: position)
        position = unsafe Varint.write(keyLength, to: bytes, at: position)
        if let key { position = unsafe Self.copy(key, to: bytes, at: position) }
        position = unsafe Varint.write(valueLength, to: bytes, at: position)
        if let value { position = unsafe Self.copy(value, to: bytes, at: position) }
        return unsafe Varint.write(Int64(headerCount), to: bytes, at: position)
    }

    /// Counts the record that was just encoded.
    @inlinable @inline(__always)
    mutating func commit(timestamp: Int64) {
        if isEmpty { baseTimestamp = timestamp }
        maxTimestamp = max(maxTimestamp, timestamp)
        appendedCount &+= 1
    }

    /// Copies all of `source` to `position` and returns the position behind it.
    @unsafe @inlinable @inline(__always)
    static func copy(
        _ source: RawSpan, to bytes: UnsafeMutableRawPointer, at position: Int
    ) -> Int {
        unsafe source.withUnsafeBytes { source in
            if let base = source.baseAddress {
                unsafe (bytes + position).copyMemory(from: base, byteCount: source.count)
            }
        }
        return position &+ source.byteCount
    }

    /// Grows the buffer so that records may reach to `recordEnd`.
    @usableFromInline @inline(never)
    mutating func makeRoom(to recordEnd: Int) throws(RecordError) {
        guard recordEnd <= byteCountMax else {
            throw RecordError(
                .batchTooLarge(bytes: recordEnd, limit: byteCountMax), position: 0)
        }
        let capacity = max(buffer.capacity * 2, recordEnd + Self.slack)
        buffer.grow(to: min(capacity, byteCountMax + Self.slack), keeping: end)
        endMax = min(buffer.capacity - Self.slack, byteCountMax)
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
