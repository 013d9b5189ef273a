/// Walks the records of one batch in order; allocates nothing.
///
/// A record is given out when it lies within the batch and its offset follows the one before.
/// At the end the cursor checks that the promised number of records filled the bytes exactly.
/// After an error every further call throws it again.
@frozen
public struct RecordCursor: ~Escapable, BitwiseCopyable {
    @usableFromInline var reader: ByteReader
    @usableFromInline var remaining: Int32
    @usableFromInline var previousOffsetDelta: Int32
    @usableFromInline let lastOffsetDelta: Int32
    @usableFromInline let baseOffset: Offset
    /// What timestamp deltas are added to, or the timestamp of all records.
    @usableFromInline let timestamp: Timestamp
    /// All bits set where timestamp deltas count, none where they do not.
    @usableFromInline let timestampDeltaMask: Int64

    @inlinable
    @_lifetime(copy reader)
    init(reader: ByteReader, header: RecordBatchHeader) {
        self.reader = reader
        remaining = header.recordCount
        previousOffsetDelta = -1
        lastOffsetDelta = header.lastOffsetDelta
        baseOffset = header.baseOffset
        let isLogAppendTime = header.attributes.timestampType == .logAppendTime
        timestamp = isLogAppendTime ? header.maxTimestamp : header.baseTimestamp
        timestampDeltaMask = isLogAppendTime ? 0 : -1
    }

    /// Where the next record begins in ``bytes``; behind the last one, their end.
    @inlinable
    package var position: Int { reader.position }

    /// What ``position`` counts in: the batch, or what its records unpacked to.
    @inlinable
    package var bytes: RawSpan {
        @_lifetime(copy self) get { reader.bytes }
    }

    /// The next record, or nil after the last.
    ///
    /// - Throws: `truncated`, `malformedVarint`, `recordOutOfBounds`, `badLength`, `badCount`,
    ///   `offsetDeltaOutOfOrder` or `trailingBytes`.
    @inlinable @inline(__always)
    @_lifetime(copy self)
    @_lifetime(self: copy self)
    public mutating func next() throws(RecordError) -> RecordView? {
        guard remaining > 0 else {
            try reader.requireEnd()
            return nil
        }
        // A copy, so that nothing has moved when something is thrown.
        var record = reader
        let start = record.position
        let length = Int(try record.readVarint())
        guard length >= 0 else { throw record.error(.badLength(length), at: start) }
        guard length <= record.remaining else { throw record.outOfBounds(length, at: start) }
        record.limit = record.position &+ length
        _ = try record.readByte()  // the record's attributes, of which Kafka defines none
        let timestampDelta = try record.readVarlong()
        let deltaPosition = record.position
        let offsetDelta = try record.readVarint()
        guard offsetDelta > previousOffsetDelta, offsetDelta <= lastOffsetDelta else {
            throw outOfOrder(offsetDelta, at: deltaPosition)
        }
        let key = try record.readPlace()
        let value = try record.readPlace()
        let countPosition = record.position
        let headerCount = Int(try record.readVarint())
        if headerCount == 0 {
            try record.requireEnd()
        } else if headerCount < 0 || headerCount > record.remaining / 2 {
            // A header takes two bytes at least: its two lengths.
            throw record.error(.badCount(headerCount), at: countPosition)
        }
        let view = RecordView(
            bytes: unsafe reader.bytes.extracting(unchecked: 0..<record.limit),
            offset: baseOffset.advanced(by: Int64(offsetDelta)),
            timestamp: Timestamp(
                rawValue: timestamp.rawValue &+ (timestampDelta & timestampDeltaMask)),
            keyPlace: key, valuePlace: value, isDecompressed: reader.isDecompressed)
        reader.position = record.limit
        previousOffsetDelta = offsetDelta
        remaining &-= 1
        return view
    }

    @usableFromInline @inline(never)
    func outOfOrder(_ delta: Int32, at position: Int) -> RecordError {
        reader.error(
            .offsetDeltaOutOfOrder(
                delta: delta, previous: previousOffsetDelta, last: lastOffsetDelta),
            at: position)
    }
}
