/// Opens the records of batches, and owns what that takes: the buffer and the state for
/// decompression, both reused from batch to batch.
///
/// One per reader: a decoder is used by one thread at a time and may move between threads.
public struct RecordDecoder: ~Copyable, Sendable {
    /// How many bytes the records of one batch may unpack to unless the creator says otherwise.
    public static let defaultDecompressedBytesMax = 64 << 20

    /// How many bytes the records of one batch may unpack to. Unpacking stops there, and no more
    /// than about that much memory is ever taken, whatever a batch declares. Below 2 GiB.
    public let decompressedBytesMax: Int

    var decompressor = RecordDecompressor()
    @usableFromInline var buffer = ByteBuffer()

    /// A decoder; takes memory only when it meets a compressed batch.
    public init(decompressedBytesMax: Int = RecordDecoder.defaultDecompressedBytesMax) {
        self.decompressedBytesMax = max(0, min(decompressedBytesMax, Int(Int32.max)))
    }

    /// A cursor over the records of `batch`: over the batch's own bytes where they are not
    /// compressed, else over what they unpack to. The decoder is in use as long as the cursor is.
    ///
    /// The checksum is not looked at: `batch.verifyChecksum()` does that.
    ///
    /// - Throws: `codecNotSupported`, `decompressedTooLarge`, `malformedCompressedData` or
    ///   `trailingBytes`.
    @inlinable
    @_lifetime(&self, copy batch)
    public mutating func records(
        of batch: borrowing RecordBatch
    ) throws(RecordError) -> RecordCursor {
        if batch.header.codec == .none {
            return RecordCursor(reader: batch.recordReader, header: batch.header)
        }
        let byteCount = try unpack(batch)
        let reader = ByteReader(buffer.prefix(byteCount), from: 0, isDecompressed: true)
        // Both lifetimes are declared above; the compiler is told one of them here.
        return unsafe _overrideLifetime(
            RecordCursor(reader: reader, header: batch.header), copying: batch)
    }

    /// Calls `body` for each record of `batch` in order.
    ///
    /// - Throws: what `records(of:)` and `RecordCursor.next()` throw, and whatever `body` throws,
    ///   which ends the walk.
    @inlinable
    public mutating func forEachRecord(
        in batch: borrowing RecordBatch, _ body: (borrowing RecordView) throws -> Void
    ) throws {
        var cursor = try records(of: batch)
        while let record = try cursor.next() { try body(record) }
    }

    /// Walks every record and header of `batch`, so that no reader will fail on what is appended.
    ///
    /// - Throws: what `records(of:)` and the cursors throw.
    public mutating func validateRecords(of batch: borrowing RecordBatch) throws(RecordError) {
        var cursor = try records(of: batch)
        try cursor.validateRest()
    }

    /// Unpacks a compressed batch into the buffer and returns the number of bytes.
    @usableFromInline
    mutating func unpack(_ batch: borrowing RecordBatch) throws(RecordError) -> Int {
        // What compaction emptied holds no frame either.
        if batch.header.recordCount == 0 && batch.recordBytes.isEmpty { return 0 }
        return try decompressor.decompress(
            batch, into: &buffer, bytesMax: decompressedBytesMax)
    }
}

extension RecordCursor {
    /// Walks what is left, headers too.
    @_lifetime(self: copy self)
    mutating func validateRest() throws(RecordError) {
        while let record = try next() {
            guard record.headerCount > 0 else { continue }
            var headers = record.headers
            while try headers.next() != nil {}
        }
    }
}

extension RecordBatch {
    @inlinable
    var recordReader: ByteReader {
        @_lifetime(copy self)
        get { ByteReader(bytes, from: RecordBatchHeader.byteCount, isDecompressed: false) }
    }
}
