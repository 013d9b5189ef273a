/// What a batch says of its producer beside its records.
@frozen
public struct BatchProducer: Hashable, Sendable {
    /// The id that the log gave the producer, or -1.
    public var id: Int64
    /// How often the producer was fenced, or -1.
    public var epoch: Int16
    /// The sequence number of the batch's first record, or -1.
    public var baseSequence: Int32

    /// An idempotent producer.
    @inlinable
    public init(id: Int64, epoch: Int16, baseSequence: Int32) {
        self.id = id
        self.epoch = epoch
        self.baseSequence = baseSequence
    }

    /// A producer that the log does not know.
    @inlinable
    public static var none: BatchProducer { BatchProducer(id: -1, epoch: -1, baseSequence: -1) }
}

extension RecordBatchBuilder {
    /// Writes the header, compresses where that was asked for, computes the checksum, and returns
    /// the whole batch. The bytes belong to the builder, which is in use as long as they are.
    ///
    /// The records stay: more may be appended and the batch finished again, until `reset()`.
    ///
    /// - Parameters:
    ///   - baseOffset: what the log overwrites when it appends the batch.
    ///   - leaderEpoch: what the log overwrites as well.
    /// - Throws: `badCount` for a batch without records, `batchTooLarge` where incompressible
    ///   records outgrow the format's 2 GiB.
    @_lifetime(&self)
    public mutating func finish(
        baseOffset: Offset = .zero, leaderEpoch: LeaderEpoch = .none,
        producer: BatchProducer = .none, isTransactional: Bool = false, isControl: Bool = false
    ) throws(RecordError) -> RawSpan {
        let batch = unsafe try complete(
            baseOffset: baseOffset, leaderEpoch: leaderEpoch, producer: producer,
            isTransactional: isTransactional, isControl: isControl)
        let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(batch))
        return unsafe _overrideLifetime(bytes, mutating: &self)
    }

    /// As `finish`, for the log, which writes base offset and leader epoch into the batch itself.
    @_lifetime(&self)
    package mutating func finishMutable(
        producer: BatchProducer = .none, isTransactional: Bool = false, isControl: Bool = false
    ) throws(RecordError) -> MutableRawSpan {
        let batch = unsafe try complete(
            baseOffset: .zero, leaderEpoch: .none, producer: producer,
            isTransactional: isTransactional, isControl: isControl)
        let bytes = unsafe MutableRawSpan(_unsafeBytes: batch)
        return unsafe _overrideLifetime(bytes, mutating: &self)
    }

    /// Makes a batch of the records, in `buffer` or `compressedBuffer`, and returns its bytes.
    @unsafe
    private mutating func complete(
        baseOffset: Offset, leaderEpoch: LeaderEpoch, producer: BatchProducer,
        isTransactional: Bool, isControl: Bool
    ) throws(RecordError) -> UnsafeMutableRawBufferPointer {
        guard !isEmpty else { throw RecordError(.badCount(0), position: 0) }
        let batch = unsafe try compressRecords()
        let header = RecordBatchHeader(
            baseOffset: baseOffset, sizeInBytes: batch.count, partitionLeaderEpoch: leaderEpoch,
            attributes: BatchAttributes(
                codec: codec, isTransactional: isTransactional, isControl: isControl),
            lastOffsetDelta: Int32(recordCount - 1),
            baseTimestamp: Timestamp(rawValue: baseTimestamp),
            maxTimestamp: Timestamp(rawValue: maxTimestamp),
            producerID: producer.id, producerEpoch: producer.epoch,
            baseSequence: producer.baseSequence, recordCount: Int32(recordCount))
        var bytes = unsafe MutableRawSpan(_unsafeBytes: batch)
        header.encodeWithChecksum(into: &bytes)
        return unsafe batch
    }

    /// Compresses the records where that was asked for; returns the bytes of the batch, of which
    /// the header is still to be written.
    @unsafe
    private mutating func compressRecords() throws(RecordError) -> UnsafeMutableRawBufferPointer {
        guard codec != .none else {
            return unsafe UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<end])
        }
        let start = RecordBatchHeader.byteCount
        let frame = unsafe compressor.compress(
            UnsafeRawBufferPointer(rebasing: buffer.bytes[start..<end]), with: codec,
            into: &compressedBuffer, at: start)
        guard start + frame <= Int(Int32.max) else {
            throw RecordError(
                .batchTooLarge(bytes: start + frame, limit: Int(Int32.max)), position: 0)
        }
        return unsafe UnsafeMutableRawBufferPointer(
            rebasing: compressedBuffer.bytes[..<(start + frame)])
    }
}

extension RecordBatchHeader {
    /// Encodes the header in front of the rest of its batch, and the checksum of both into it.
    @_lifetime(bytes: copy bytes)
    package func encodeWithChecksum(into bytes: inout MutableRawSpan) {
        encode(into: &bytes)
        bytes.store(
            bigEndian: RecordBatch.checksum(of: bytes.bytes), at: Position.checksum)
    }
}
