package import TallyRecords

/// What a cleaner asks of a segment beside its batches, and what it says of them.
extension Segment {
    /// Where the first batch begins that reaches an offset; nil where none does.
    ///
    /// Throws ``LogError/corruption(_:)`` and ``LogError/file(_:)``.
    package func position(reaching offset: Offset) throws(LogError) -> FilePosition? {
        try batch(reaching: offset, end: FilePosition(byteCount))?.position
    }

    /// A batch whose records cannot be read: damage, or a codec that is not supported.
    package func notReadable(at position: FilePosition, _ error: RecordError) -> LogError {
        if error.isCorruption { return corrupted(at: position, "\(error)") }
        return .notCleanable(
            partition: partitionName, reason: "the batch at byte \(position) of \(path): \(error)")
    }

    /// Damage of its log file.
    package func corrupted(at position: FilePosition, _ reason: String) -> LogError {
        corruption(at: position.rawValue, reason)
    }

    /// A transaction that its marker says was aborted, and the transaction index does not.
    package func unknownAbort(_ marker: RecordBatchHeader) -> LogError {
        .notCleanable(
            partition: partitionName,
            reason: """
                the transaction of producer \(marker.producerID) was aborted at offset \
                \(marker.baseOffset), and the transaction index of \(path) does not say so; \
                cleaning would take its records for committed. `tally repair` rebuilds the index
                """)
    }

    /// The timestamp of its first batch, as far as the header tells.
    func firstTimestamp() throws(LogError) -> Timestamp? {
        guard byteCount >= RecordBatchHeader.byteCount else { return nil }
        let head = try load(0..<RecordBatchHeader.byteCount)
        return try? RecordBatchHeader(decoding: head.all).firstTimestamp
    }
}
