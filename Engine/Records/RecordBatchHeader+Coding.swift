extension RecordBatchHeader {
    /// The size of the batch that begins at `position`, from its first 12 bytes alone and without
    /// any check but that the size is possible; nil where fewer bytes are there or it is not.
    @inlinable
    public static func sizeInBytes(peeking bytes: RawSpan, at position: Int = 0) -> Int? {
        guard position >= 0, bytes.byteCount >= logOverhead,
            position <= bytes.byteCount &- logOverhead
        else { return nil }
        let length = Int(bytes.bigEndian(at: position &+ Position.length, as: Int32.self))
        return length >= byteCount &- logOverhead ? length &+ logOverhead : nil
    }

    /// Decodes and checks the header at `position`. The batch's records need not be there.
    ///
    /// - Throws: `truncated`, `wrongMagic`, `badLength`, `badAttributes` (an unknown codec),
    ///   `badCount`, `badOffset` or `badOffsetRange`, with the field's position in `bytes`.
    @inlinable
    public init(decoding bytes: RawSpan, at position: Int = 0) throws(RecordError) {
        let available = bytes.byteCount &- position
        guard position >= 0, position <= bytes.byteCount, available >= Self.byteCount else {
            throw Self.truncatedHeader(bytes, position)
        }
        let header = bytes.part(at: position, count: Self.byteCount)
        baseOffset = Offset(header.bigEndian(at: Position.baseOffset, as: Int64.self))
        let length = Int(header.bigEndian(at: Position.length, as: Int32.self))
        sizeInBytes = length &+ Self.logOverhead
        partitionLeaderEpoch = LeaderEpoch(
            header.bigEndian(at: Position.partitionLeaderEpoch, as: Int32.self))
        magic = header.bigEndian(at: Position.magic, as: UInt8.self)
        checksum = header.bigEndian(at: Position.checksum, as: UInt32.self)
        attributes = BatchAttributes(
            rawValue: header.bigEndian(at: Position.attributes, as: Int16.self))
        lastOffsetDelta = header.bigEndian(at: Position.lastOffsetDelta, as: Int32.self)
        baseTimestamp = Timestamp(
            rawValue: header.bigEndian(at: Position.baseTimestamp, as: Int64.self))
        maxTimestamp = Timestamp(
            rawValue: header.bigEndian(at: Position.maxTimestamp, as: Int64.self))
        producerID = header.bigEndian(at: Position.producerID, as: Int64.self)
        producerEpoch = header.bigEndian(at: Position.producerEpoch, as: Int16.self)
        baseSequence = header.bigEndian(at: Position.baseSequence, as: Int32.self)
        recordCount = header.bigEndian(at: Position.recordCount, as: Int32.self)
        guard isConsistent else { throw inconsistency(at: position) }
    }

    /// Whether all that a header alone can tell is as it must be.
    @inlinable
    var isConsistent: Bool {
        let (_, overflow) = baseOffset.rawValue.addingReportingOverflow(Int64(lastOffsetDelta) &+ 1)
        return magic == Self.currentMagic && sizeInBytes >= Self.byteCount
            && attributes.rawValue & BatchAttributes.codecMask <= 4
            && recordCount >= 0 && lastOffsetDelta >= 0
            && Int64(recordCount) <= Int64(lastOffsetDelta) &+ 1
            && baseOffset.rawValue >= 0 && !overflow
    }

    /// Says why `isConsistent` is false.
    @usableFromInline @inline(never)
    func inconsistency(at position: Int) -> RecordError {
        // Shorter than any message of any version: not a batch of another format, but no batch.
        let smallestOfAnyMagic = 14
        let length = sizeInBytes - Self.logOverhead
        if length < smallestOfAnyMagic {
            return RecordError(.badLength(length), position: position + Position.length)
        }
        if magic != Self.currentMagic {
            return RecordError(.wrongMagic(magic), position: position + Position.magic)
        }
        if sizeInBytes < Self.byteCount {
            return RecordError(.badLength(length), position: position + Position.length)
        }
        if attributes.knownCodec == nil {
            return RecordError(
                .badAttributes(attributes.rawValue), position: position + Position.attributes)
        }
        if recordCount < 0 {
            return RecordError(
                .badCount(Int(recordCount)), position: position + Position.recordCount)
        }
        if lastOffsetDelta < 0 || Int64(recordCount) > Int64(lastOffsetDelta) + 1 {
            return RecordError(
                .badOffsetRange(lastOffsetDelta: lastOffsetDelta, recordCount: recordCount),
                position: position + Position.lastOffsetDelta)
        }
        return RecordError(
            .badOffset(baseOffset.rawValue), position: position + Position.baseOffset)
    }

    @usableFromInline @inline(never)
    static func truncatedHeader(_ bytes: RawSpan, _ position: Int) -> RecordError {
        let isInside = position >= 0 && position <= bytes.byteCount
        let available = isInside ? bytes.byteCount - position : 0
        return RecordError(
            .truncated(needed: byteCount, available: available), position: position)
    }

    /// Encodes the header into the first 61 bytes of `bytes`, checksum included as it stands.
    ///
    /// Traps where fewer bytes are there.
    @_lifetime(bytes: copy bytes)
    package func encode(into bytes: inout MutableRawSpan) {
        bytes.store(bigEndian: baseOffset.rawValue, at: Position.baseOffset)
        bytes.store(bigEndian: Int32(sizeInBytes - Self.logOverhead), at: Position.length)
        bytes.store(
            bigEndian: partitionLeaderEpoch.rawValue, at: Position.partitionLeaderEpoch)
        bytes.store(bigEndian: magic, at: Position.magic)
        bytes.store(bigEndian: checksum, at: Position.checksum)
        bytes.store(bigEndian: attributes.rawValue, at: Position.attributes)
        bytes.store(bigEndian: lastOffsetDelta, at: Position.lastOffsetDelta)
        bytes.store(bigEndian: baseTimestamp.rawValue, at: Position.baseTimestamp)
        bytes.store(bigEndian: maxTimestamp.rawValue, at: Position.maxTimestamp)
        bytes.store(bigEndian: producerID, at: Position.producerID)
        bytes.store(bigEndian: producerEpoch, at: Position.producerEpoch)
        bytes.store(bigEndian: baseSequence, at: Position.baseSequence)
        bytes.store(bigEndian: recordCount, at: Position.recordCount)
    }
}
