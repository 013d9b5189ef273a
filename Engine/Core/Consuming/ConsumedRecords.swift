public import TallyLog
public import TallyRecords

/// Records of one partition that came with one fetch: views into the log, checked and ready.
///
/// A copyable handle; the memory stays valid and unchanged for as long as a copy lives. Safe to
/// share between threads.
public struct ConsumedRecords: Sendable {
    /// The topic.
    public let topic: String
    /// Which topic of the name it is.
    public let topicID: TopicID
    /// The partition.
    public let partition: Int32
    /// The first offset that was asked for: earlier records of the first batch are skipped.
    public let startOffset: Offset
    /// Where to go on: store this, with ``leaderEpoch``, as the position.
    public let nextOffset: Offset
    /// The epoch of the last batch.
    public let leaderEpoch: LeaderEpoch
    /// The high watermark when they were fetched; `highWatermark - nextOffset` is the lag.
    public let highWatermark: Offset
    let batches: FetchedBatches
    /// Transactions whose records are not to be seen.
    let aborted: [AbortedTransaction]
    /// The reader's, when it fetched: another one says that somebody sought since.
    let generation: Int

    /// Bytes of the batches, as stored.
    public var byteCount: Int { batches.byteCount }

    /// Walks over the batches, as they lie in the log; for readers of committed records, without
    /// those of aborted transactions.
    ///
    /// Their checksums were checked. Throws what `body` throws.
    public func forEachBatch(_ body: (borrowing RecordBatch) throws -> Void) throws {
        try batches.withBytes { bytes in
            var position = 0
            while position < bytes.byteCount {
                let batch = try RecordBatch(bytes, at: position)
                if aborted.isEmpty || !isAborted(batch.header) { try body(batch) }
                position += batch.header.sizeInBytes
            }
        }
    }

    func isAborted(_ header: RecordBatchHeader) -> Bool {
        guard header.attributes.isTransactional, !header.attributes.isControl else { return false }
        return aborted.contains { transaction in
            transaction.producerID == header.producerID
                && (transaction.firstOffset...transaction.lastOffset).contains(header.baseOffset)
        }
    }

    /// Walks over the records from ``startOffset`` on, in order. Markers of transactions are no
    /// records and are skipped. The views are valid during the call of `body` only; walking
    /// allocates nothing per record.
    ///
    /// Throws ``RecordError`` where a codec is not supported, and what `body` throws.
    public func forEachRecord(_ body: (borrowing RecordView) throws -> Void) throws {
        var decoder = RecordDecoder()
        let start = startOffset
        try forEachBatch { batch in
            guard !batch.header.attributes.isControl else { return }
            try decoder.forEachRecord(in: batch) { record in
                if record.offset >= start { try body(record) }
            }
        }
    }
}

/// The bytes of whole batches, one behind the other: where the log has them, or as a cluster has
/// sent them. A copyable handle; they stay as long as a copy lives.
enum FetchedBatches: Sendable {
    case log(LogSlice)
    case copied([UInt8])

    var byteCount: Int {
        switch self {
        case .log(let slice): slice.byteCount
        case .copied(let bytes): bytes.count
        }
    }

    func withBytes<Value>(_ body: (RawSpan) throws -> Value) rethrows -> Value {
        switch self {
        case .log(let slice): try body(slice.content.all)
        case .copied(let bytes): try body(bytes.rawSpan)
        }
    }
}
