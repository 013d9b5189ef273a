// What the log does to a batch on its way in.

extension RecordBatch {
    /// Writes what the log assigns over the first bytes of a batch. Both fields lie outside the
    /// checksum, which therefore stays as it is.
    ///
    /// Traps where `bytes` is shorter than a header.
    @_lifetime(bytes: copy bytes)
    package static func assign(
        baseOffset: Offset, leaderEpoch: LeaderEpoch, in bytes: inout MutableRawSpan
    ) {
        typealias Position = RecordBatchHeader.Position
        bytes.store(bigEndian: baseOffset.rawValue, at: Position.baseOffset)
        bytes.store(bigEndian: leaderEpoch.rawValue, at: Position.partitionLeaderEpoch)
    }

    /// Gives all records of a batch the time of the append, for topics with
    /// `message.timestamp.type=LogAppendTime`: the attribute, the largest timestamp and the
    /// checksum change, the records do not.
    ///
    /// Traps where `bytes` is shorter than a header. `bytes` must be exactly one batch.
    @_lifetime(bytes: copy bytes)
    package static func stampLogAppendTime(_ time: Timestamp, in bytes: inout MutableRawSpan) {
        typealias Position = RecordBatchHeader.Position
        let attributes = bytes.bytes.bigEndian(at: Position.attributes, as: Int16.self)
        bytes.store(
            bigEndian: attributes | BatchAttributes.logAppendTimeBit, at: Position.attributes)
        bytes.store(bigEndian: time.rawValue, at: Position.maxTimestamp)
        bytes.store(bigEndian: checksum(of: bytes.bytes), at: Position.checksum)
    }

    /// Checks a batch that came from outside before it is appended: size, checksum, and that its
    /// header is one a producer may write. The records are not looked at;
    /// `RecordDecoder.validateRecords(of:)` does that.
    ///
    /// - Parameter bytesMax: the topic's `max.message.bytes`.
    /// - Throws: `batchTooLarge`, `controlBatchNotAllowed`, `badAttributes`, `badCount`,
    ///   `badOffsetRange`, `badProducer` or `checksumMismatch`, positions in the batch.
    package func validate(bytesMax: Int) throws(RecordError) {
        typealias Position = RecordBatchHeader.Position
        guard header.sizeInBytes <= bytesMax else {
            throw RecordError(
                .batchTooLarge(bytes: header.sizeInBytes, limit: bytesMax),
                position: Position.length)
        }
        let attributes = header.attributes
        guard !attributes.isControl else {
            throw RecordError(.controlBatchNotAllowed, position: Position.attributes)
        }
        let allowed = BatchAttributes.knownBits & ~BatchAttributes.deleteHorizonBit
        guard attributes.rawValue & ~allowed == 0 else {
            throw RecordError(.badAttributes(attributes.rawValue), position: Position.attributes)
        }
        guard header.recordCount > 0 else {
            throw RecordError(
                .badCount(Int(header.recordCount)), position: Position.recordCount)
        }
        guard header.lastOffsetDelta == header.recordCount - 1 else {
            throw RecordError(
                .badOffsetRange(
                    lastOffsetDelta: header.lastOffsetDelta, recordCount: header.recordCount),
                position: Position.lastOffsetDelta)
        }
        guard hasConsistentProducer else {
            throw RecordError(
                .badProducer(
                    id: header.producerID, epoch: header.producerEpoch,
                    sequence: header.baseSequence),
                position: Position.producerID)
        }
        try verifyChecksum()
    }

    /// An idempotent producer gives its epoch and a sequence with its id, and only one of those
    /// can write in a transaction. Without an id Kafka does not look at the other two.
    private var hasConsistentProducer: Bool {
        header.producerID >= 0
            ? header.producerEpoch >= 0 && header.baseSequence >= 0
            : header.producerID == -1 && !header.attributes.isTransactional
    }
}
