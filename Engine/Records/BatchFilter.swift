/// Makes of a batch one that has some of its records: what compaction leaves of it.
///
/// Offsets, timestamps, producer, sequence and leader epoch stay; records that are kept are
/// copied as they are, byte for byte, unless a delete horizon takes the place of the base
/// timestamp. Made to be reused; one thread at a time. After Kafka's `MemoryRecords.filterTo`.
package struct BatchFilter: ~Copyable, Sendable {
    @usableFromInline var decoder = RecordDecoder()
    /// The header's place, and the records that were kept behind it.
    @usableFromInline var kept = ByteBuffer()
    /// What is made of `kept` where deltas change, or where it is compressed.
    var rebased = ByteBuffer()
    var compressed = ByteBuffer()
    var compressor = RecordCompressor()

    /// A filter; takes memory when it meets the first batch.
    package init() {}

    /// What was chosen of a batch.
    package struct Selection: Sendable {
        /// Records that were kept, and those that were not.
        package var keptCount: Int32 = 0
        package var removedCount: Int32 = 0
        /// Tombstones among those that were kept.
        package var tombstoneCount: Int32 = 0
        /// The largest timestamp of those that were kept.
        package var maxTimestamp = Timestamp.none
        /// The end of the kept records in the filter's memory; 0 where they were not copied, since
        /// all of them stay.
        @usableFromInline var end = 0

        @usableFromInline init() {}
    }

    /// Chooses records of a batch.
    ///
    /// - Throws: what decoding the records throws.
    @inlinable
    package mutating func select(
        from batch: borrowing RecordBatch, where isKept: (borrowing RecordView) -> Bool
    ) throws(RecordError) -> Selection {
        try Self.select(from: batch, &decoder, into: &kept, where: isKept)
    }

    @inlinable
    static func select(
        from batch: borrowing RecordBatch, _ decoder: inout RecordDecoder,
        into kept: inout ByteBuffer, where isKept: (borrowing RecordView) -> Bool
    ) throws(RecordError) -> Selection {
        var selection = Selection()
        var cursor = try decoder.records(of: batch)
        var end = RecordBatchHeader.byteCount
        // What is kept and not copied yet begins here.
        var runStart = cursor.position
        var start = runStart
        while let record = try cursor.next() {
            if isKept(record) {
                selection.keptCount &+= 1
                if record.isTombstone { selection.tombstoneCount &+= 1 }
                selection.maxTimestamp = max(selection.maxTimestamp, record.timestamp)
            } else {
                let run = cursor.bytes.part(at: runStart, count: start &- runStart)
                end = kept.copy(run, to: end)
                runStart = cursor.position
                selection.removedCount &+= 1
            }
            start = cursor.position
        }
        if selection.removedCount > 0 {
            let run = cursor.bytes.part(at: runStart, count: start &- runStart)
            selection.end = kept.copy(run, to: end)
        }
        return selection
    }

    /// The batch that has the chosen records, which are at least one; the filter's memory.
    ///
    /// - Parameters:
    ///   - batch: what was chosen from, just now.
    ///   - horizon: when tombstones and markers may go; nil where the batch keeps what it has.
    /// - Throws: `batchTooLarge` where incompressible records outgrow the format's 2 GiB.
    @_lifetime(&self)
    package mutating func finish(
        _ selection: Selection, of batch: borrowing RecordBatch, deleteHorizon horizon: Timestamp?
    ) throws(RecordError) -> RawSpan {
        var header = batch.header
        header.recordCount = selection.keptCount
        var end = selection.end
        if end == 0 { end = try Self.copyAll(of: batch, &decoder, into: &kept) }
        if header.attributes.timestampType == .createTime {
            header.maxTimestamp = selection.maxTimestamp
        }
        var source = Place.kept
        if let horizon {
            if header.attributes.timestampType == .createTime {
                end = try Self.rebase(kept, end, header, to: horizon, into: &rebased)
                source = .rebased
            }
            header.baseTimestamp = horizon
            header.attributes = header.attributes.withDeleteHorizon
        }
        if header.codec != .none {
            end = compress(from: source, end, with: header.codec)
            source = .compressed
        }
        guard end <= Int(Int32.max) else {
            throw RecordError(.batchTooLarge(bytes: end, limit: Int(Int32.max)), position: 0)
        }
        header.sizeInBytes = end
        let bytes = unsafe RawSpan(_unsafeBytes: finished(in: source, header))
        return unsafe _overrideLifetime(bytes, mutating: &self)
    }

    /// Where the batch is being made.
    private enum Place { case kept, rebased, compressed }

    /// Puts all records of a batch into `kept`; returns their end.
    private static func copyAll(
        of batch: borrowing RecordBatch, _ decoder: inout RecordDecoder,
        into kept: inout ByteBuffer
    ) throws(RecordError) -> Int {
        let cursor = try decoder.records(of: batch)
        let start = cursor.position
        let run = cursor.bytes.part(at: start, count: cursor.bytes.byteCount - start)
        return kept.copy(run, to: RecordBatchHeader.byteCount)
    }

    /// Copies records, their timestamps counted from a horizon; returns their end.
    private static func rebase(
        _ kept: borrowing ByteBuffer, _ end: Int, _ header: RecordBatchHeader,
        to horizon: Timestamp, into rebased: inout ByteBuffer
    ) throws(RecordError) -> Int {
        let shift = header.baseTimestamp.rawValue &- horizon.rawValue
        let start = RecordBatchHeader.byteCount
        var position = start
        var reader = ByteReader(kept.prefix(end), from: start, isDecompressed: true)
        while reader.remaining > 0 {
            position = try rebased.copyRecord(
                from: &reader, shiftingTimestampBy: shift, to: position)
        }
        return position
    }

    private mutating func compress(
        from source: Place, _ end: Int, with codec: Codec
    ) -> Int {
        let start = RecordBatchHeader.byteCount
        let bytes = source == .kept ? unsafe kept.bytes : unsafe rebased.bytes
        let size = unsafe compressor.compress(
            UnsafeRawBufferPointer(rebasing: bytes[start..<end]), with: codec,
            into: &compressed, at: start)
        return start + size
    }

    @unsafe
    private func finished(
        in place: Place, _ header: RecordBatchHeader
    ) -> UnsafeRawBufferPointer {
        let all =
            switch place {
            case .kept: unsafe kept.bytes
            case .rebased: unsafe rebased.bytes
            case .compressed: unsafe compressed.bytes
            }
        let batch = unsafe UnsafeMutableRawBufferPointer(rebasing: all[..<header.sizeInBytes])
        var bytes = unsafe MutableRawSpan(_unsafeBytes: batch)
        header.encodeWithChecksum(into: &bytes)
        return UnsafeRawBufferPointer(batch)
    }
}

extension ByteBuffer {
    /// Copies bytes to a position, growing where needed; returns the position behind them.
    @usableFromInline
    mutating func copy(_ source: RawSpan, to position: Int) -> Int {
        let end = position + source.byteCount
        if end > capacity { grow(to: max(end, 2 * capacity), keeping: min(position, capacity)) }
        return unsafe RecordBatchBuilder.copyBytes(source, to: bytes.baseAddress!, at: position)
    }

    /// Copies one record, its timestamp delta changed; returns the position behind it.
    mutating func copyRecord(
        from reader: inout ByteReader, shiftingTimestampBy shift: Int64, to position: Int
    ) throws(RecordError) -> Int {
        let length = Int(try reader.readVarint())
        let recordEnd = reader.position + length
        let attributes = try reader.readByte()
        let delta = try reader.readVarlong() &+ shift
        guard recordEnd >= reader.position, recordEnd <= reader.limit else {
            throw reader.error(.badLength(length))
        }
        let rest = reader.bytes.part(
            at: reader.position, count: recordEnd - reader.position)
        let newLength = 1 + Varint.byteCount(of: delta) + rest.byteCount
        let needed = position + newLength + 2 * Varint.bytesMax
        if needed > capacity {
            grow(to: max(needed, 2 * capacity), keeping: min(position, capacity))
        }
        let base = unsafe bytes.baseAddress!
        var at = unsafe Varint.write(Int64(newLength), to: base, at: position)
        unsafe base.storeBytes(of: attributes, toByteOffset: at, as: UInt8.self)
        at = unsafe Varint.write(delta, to: base, at: at + 1)
        at = unsafe RecordBatchBuilder.copyBytes(rest, to: base, at: at)
        reader.position = recordEnd
        return at
    }
}
