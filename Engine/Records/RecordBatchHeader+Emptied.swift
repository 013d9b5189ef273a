extension RecordBatchHeader {
    /// The header alone of a batch whose records are all gone: its offsets, its producer and its
    /// sequence, so that these survive. As Kafka's `DefaultRecordBatch.writeEmptyHeader`.
    package var emptied: RecordBatchHeader {
        var header = self
        header.sizeInBytes = Self.byteCount
        header.attributes = BatchAttributes(
            timestampType: attributes.timestampType, isTransactional: attributes.isTransactional,
            isControl: attributes.isControl)
        header.baseTimestamp = .none
        header.recordCount = 0
        return header
    }

    /// As ``emptied``, and of nobody: only the offsets are left.
    package var placeholder: RecordBatchHeader {
        var header = emptied
        header.attributes = BatchAttributes(timestampType: attributes.timestampType)
        header.producerID = -1
        header.producerEpoch = -1
        header.baseSequence = -1
        return header
    }

    /// An empty batch for the offsets that are missing between this one and `end`; nil where none
    /// are, or where they are more than a batch can stand for.
    package func placeholder(upTo end: Offset) -> RecordBatchHeader? {
        let count = end.rawValue - nextOffset.rawValue
        guard count > 0, count <= Int64(Int32.max) else { return nil }
        var header = placeholder
        header.baseOffset = nextOffset
        header.lastOffsetDelta = Int32(count - 1)
        return header
    }

    /// The bytes of a batch that is nothing but this header, with its checksum.
    package func encodedAlone() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.withMutableRawSpan { span in encodeWithChecksum(into: &span) }
        return bytes
    }
}

extension BatchAttributes {
    /// The same, with a delete horizon in the base timestamp's place.
    var withDeleteHorizon: BatchAttributes {
        BatchAttributes(rawValue: rawValue | Self.deleteHorizonBit)
    }
}
