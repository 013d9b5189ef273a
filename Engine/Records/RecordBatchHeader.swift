/// The 61-byte header of a record batch v2, decoded to plain values.
///
/// A header that decodes is consistent in itself. Whether the batch's bytes are those that were
/// written is known only after `RecordBatch.verifyChecksum()`; base offset, size and leader epoch
/// lie outside the checksum even then.
@frozen
public struct RecordBatchHeader: Hashable, Sendable, BitwiseCopyable {
    /// The size of an encoded header.
    public static let byteCount = 61
    /// The bytes that the batch's length field does not count: base offset and the field itself.
    public static let logOverhead = 12
    /// The one format that is read and written.
    public static let currentMagic: UInt8 = 2

    /// Where each field begins.
    @usableFromInline
    enum Position {
        @usableFromInline static let baseOffset = 0
        @usableFromInline static let length = 8
        @usableFromInline static let partitionLeaderEpoch = 12
        @usableFromInline static let magic = 16
        @usableFromInline static let checksum = 17
        @usableFromInline static let attributes = 21
        @usableFromInline static let lastOffsetDelta = 23
        @usableFromInline static let baseTimestamp = 27
        @usableFromInline static let maxTimestamp = 35
        @usableFromInline static let producerID = 43
        @usableFromInline static let producerEpoch = 51
        @usableFromInline static let baseSequence = 53
        @usableFromInline static let recordCount = 57
    }

    /// The offset of the first record that was written into the batch, whether or not compaction
    /// left it there.
    public var baseOffset: Offset
    /// The size of the whole batch with its header, in bytes.
    public var sizeInBytes: Int
    /// The term of the leader that appended the batch.
    public var partitionLeaderEpoch: LeaderEpoch
    /// The format's version: 2.
    public var magic: UInt8
    /// CRC-32C of everything from the attributes on, as stored.
    public var checksum: UInt32
    /// Codec, kind of timestamps, and what sort of batch it is.
    public var attributes: BatchAttributes
    /// The last offset of the batch, relative to the base offset. Compaction keeps it.
    public var lastOffsetDelta: Int32
    /// What the records' timestamp deltas count from; with a delete horizon, that horizon.
    public var baseTimestamp: Timestamp
    /// The largest timestamp of the records, or the append time.
    public var maxTimestamp: Timestamp
    /// The idempotent producer's id, -1 without one.
    public var producerID: Int64
    /// The idempotent producer's epoch, -1 without one.
    public var producerEpoch: Int16
    /// The sequence number of the first record, -1 without one.
    public var baseSequence: Int32
    /// The number of records in the batch; 0 where compaction emptied it.
    public var recordCount: Int32

    /// A header from its values. They are not checked.
    @inlinable
    package init(
        baseOffset: Offset, sizeInBytes: Int, partitionLeaderEpoch: LeaderEpoch,
        magic: UInt8 = RecordBatchHeader.currentMagic, checksum: UInt32 = 0,
        attributes: BatchAttributes, lastOffsetDelta: Int32, baseTimestamp: Timestamp,
        maxTimestamp: Timestamp, producerID: Int64 = -1, producerEpoch: Int16 = -1,
        baseSequence: Int32 = -1, recordCount: Int32
    ) {
        self.baseOffset = baseOffset
        self.sizeInBytes = sizeInBytes
        self.partitionLeaderEpoch = partitionLeaderEpoch
        self.magic = magic
        self.checksum = checksum
        self.attributes = attributes
        self.lastOffsetDelta = lastOffsetDelta
        self.baseTimestamp = baseTimestamp
        self.maxTimestamp = maxTimestamp
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.baseSequence = baseSequence
        self.recordCount = recordCount
    }

    /// How the records are compressed.
    @inlinable
    public var codec: Codec { attributes.codec }

    /// The last offset the batch covers, whether or not compaction left its record there.
    @inlinable
    public var lastOffset: Offset { baseOffset.advanced(by: Int64(lastOffsetDelta)) }

    /// The offset after the batch.
    @inlinable
    public var nextOffset: Offset { lastOffset.advanced(by: 1) }

    /// The sequence number of the last record; sequences go on at 0 after `Int32.max`. -1 without
    /// a base sequence.
    @inlinable
    public var lastSequence: Int32 {
        guard baseSequence >= 0 else { return -1 }
        return (baseSequence &+ lastOffsetDelta) & .max
    }

    /// The time after which compaction may drop the batch's tombstones and markers.
    @inlinable
    public var deleteHorizon: Timestamp? { attributes.hasDeleteHorizon ? baseTimestamp : nil }

    /// The timestamp of the first record, as far as the header tells; nil where it has none. Where
    /// the log set the time of all records, or a delete horizon stands in its place, the latest.
    package var firstTimestamp: Timestamp? {
        let isReplaced = attributes.timestampType == .logAppendTime || attributes.hasDeleteHorizon
        let timestamp = isReplaced ? maxTimestamp : baseTimestamp
        return timestamp > .none ? timestamp : nil
    }
}
