/// Encodes records into a batch, straight into the place where they stay.
///
/// ```swift
/// var builder = try RecordBatchBuilder(codec: .lz4)
/// try builder.append(key: key, value: value, timestamp: now)
/// try send(builder.finish())
/// builder.reset()
/// ```
///
/// Made to be reused: after the first batches `reset()` and what follows allocate nothing. Used
/// by one thread at a time; may move between threads.
public struct RecordBatchBuilder: ~Copyable, Sendable {
    /// The largest batch unless the creator says otherwise, before compression and in bytes.
    public static let defaultByteCountMax = 1 << 30

    /// How the records are compressed when the batch is finished.
    public let codec: Codec
    /// How large the batch may become before compression, header included.
    public let byteCountMax: Int

    /// The header's place, and the records behind it.
    @usableFromInline var buffer = ByteBuffer()
    /// What finishing makes of `buffer` where the batch is compressed.
    var compressedBuffer = ByteBuffer()
    var compressor = RecordCompressor()

    /// The end of the last record in `buffer`.
    @usableFromInline var end = RecordBatchHeader.byteCount
    /// How far keys, values and headers may reach before something has to be done: grow, refuse,
    /// or look closer. Negative where no record fits.
    @usableFromInline var endMax = 0
    @usableFromInline var baseTimestamp: Int64 = -1
    @usableFromInline var maxTimestamp: Int64 = -1

    @usableFromInline var appendedCount = 0

    /// An empty builder.
    ///
    /// - Parameters:
    ///   - codec: one that this build has; see ``Codec/isSupported``.
    ///   - capacity: the bytes to reserve for records; the buffer grows beyond it as needed.
    ///   - byteCountMax: how large a batch may become before compression; at most `Int32.max`.
    /// - Throws: `codecNotSupported`.
    public init(
        codec: Codec = .none, capacity: Int = 16 << 10,
        byteCountMax: Int = RecordBatchBuilder.defaultByteCountMax
    ) throws(RecordError) {
        guard codec.isSupported else {
            throw RecordError(.codecNotSupported(codec), position: 0)
        }
        self.codec = codec
        self.byteCountMax = max(RecordBatchHeader.byteCount, min(byteCountMax, Int(Int32.max)))
        let wanted = RecordBatchHeader.byteCount + max(0, min(capacity, self.byteCountMax))
        buffer.grow(to: wanted + Self.overheadMax + Self.slack, keeping: 0)
        updateEndMax()
    }

    /// The number of records so far.
    @inlinable
    public var recordCount: Int { appendedCount }

    /// Whether there is no record yet.
    @inlinable
    public var isEmpty: Bool { appendedCount == 0 }

    /// The size of the batch as it would be without compression, header included.
    @inlinable
    public var estimatedByteCount: Int { end }

    /// Forgets the records and keeps the memory.
    @inlinable
    public mutating func reset() {
        end = RecordBatchHeader.byteCount
        appendedCount = 0
        baseTimestamp = -1
        maxTimestamp = -1
    }

    /// Adds a record; copies key, value and headers.
    ///
    /// - Parameters:
    ///   - key: nil for a record without a key, which is not the same as an empty key.
    ///   - value: nil for a tombstone, which is not the same as an empty value.
    ///   - timestamp: when the record was made; -1 at the least.
    /// - Throws: `batchTooLarge` where the batch would exceed `byteCountMax`, `badTimestamp`. The
    ///   batch is then as it was.
    @inlinable @inline(__always)
    public mutating func append(
        key: RawSpan?, value: RawSpan?, timestamp: Timestamp,
        headers: borrowing [RecordHeader] = []
    ) throws(RecordError) {
        if headers.isEmpty {
            end = try encode(
                key: key, value: value, timestamp: timestamp.rawValue, headerCount: 0,
                headerByteCount: 0)
            commit(timestamp: timestamp.rawValue)
        } else {
            try append(key: key, value: value, timestamp: timestamp, writing: headers)
        }
    }

    @usableFromInline @inline(never)
    mutating func append(
        key: RawSpan?, value: RawSpan?, timestamp: Timestamp,
        writing headers: borrowing [RecordHeader]
    ) throws(RecordError) {
        var position = try encode(
            key: key, value: value, timestamp: timestamp.rawValue, headerCount: headers.count,
            headerByteCount: RecordHeader.encodedByteCount(of: headers))
        let base = unsafe buffer.bytes.baseAddress!
        for index in headers.indices {
            position = unsafe headers[index].write(to: base, at: position)
        }
        end = position
        commit(timestamp: timestamp.rawValue)
    }

    /// Adds a copy of a record that was read elsewhere: its key, value, timestamp and headers.
    ///
    /// - Throws: as `append(key:value:timestamp:headers:)`.
    package mutating func append(copying record: borrowing RecordView) throws(RecordError) {
        let headers = record.encodedHeaders
        let position = try encode(
            key: record.key, value: record.value, timestamp: record.timestamp.rawValue,
            headerCount: record.headerCount, headerByteCount: headers.byteCount)
        end = unsafe Self.copyBytes(headers, to: buffer.bytes.baseAddress!, at: position)
        commit(timestamp: record.timestamp.rawValue)
    }
}
