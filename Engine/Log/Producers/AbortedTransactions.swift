package import TallyRecords

/// A transaction that was aborted, as far as one partition saw it; an entry of a `.txnindex` file
/// says the same.
package struct AbortedTransaction: Hashable, Sendable {
    /// Whose transaction it was.
    package var producerID: Int64
    /// The first record of the transaction.
    package var firstOffset: Offset
    /// The abort marker.
    package var lastOffset: Offset
    /// The last stable offset once the marker was written: the first offset of the earliest
    /// transaction still open then, or the offset behind the marker.
    package var lastStableOffset: Offset

    /// A transaction from its values; they are not checked.
    package init(
        producerID: Int64, firstOffset: Offset, lastOffset: Offset, lastStableOffset: Offset
    ) {
        self.producerID = producerID
        self.firstOffset = firstOffset
        self.lastOffset = lastOffset
        self.lastStableOffset = lastStableOffset
    }
}

/// How far a reader may see, and what it is shown (`isolation.level`).
public enum IsolationLevel: String, CaseIterable, Sendable {
    /// Everything, whether its transaction ended or not.
    case readUncommitted = "read_uncommitted"
    /// Up to the last stable offset, without the records of aborted transactions.
    case readCommitted = "read_committed"
}

/// Which transactions of a log were aborted, and which are still open, gathered by walking its
/// batches from the front.
///
/// Kafka's rule: a producer's transaction begins with its first transactional batch after its last
/// marker and ends with the next marker of that producer id. Memory grows with the number of
/// aborted transactions and of producers, not with the log. A value, used by one thread at a time.
package struct AbortedTransactions: Sendable {
    /// Those that ended with an abort, in the order of their markers.
    package private(set) var aborted: [AbortedTransaction] = []
    /// The first offsets of open transactions, by producer id.
    package private(set) var open: [Int64: Offset] = [:]
    /// The offset behind the last batch that was noted.
    package private(set) var nextOffset = Offset.zero
    /// Aborted ranges of each producer, rising, none touching another.
    private var ranges: [Int64: [ClosedRange<Offset>]] = [:]

    /// Nothing noted yet.
    package init() {}

    /// Notes the next batch of the log.
    ///
    /// - Parameter control: what the record of a control batch says; nil for other batches and for
    ///   those that compaction emptied.
    package mutating func note(_ header: RecordBatchHeader, control: ControlRecord?) {
        nextOffset = max(nextOffset, header.nextOffset)
        guard header.attributes.isTransactional else { return }
        guard header.attributes.isControl else {
            if open[header.producerID] == nil { open[header.producerID] = header.baseOffset }
            return
        }
        guard control?.kind == .abort || control?.kind == .commit,
            let first = open.removeValue(forKey: header.producerID)
        else { return }
        // Offsets that fall are damage, which is not this type's to report; here they must only
        // not make a range that ends before it begins.
        guard control?.kind == .abort, first <= header.lastOffset else { return }
        aborted.append(
            AbortedTransaction(
                producerID: header.producerID, firstOffset: first, lastOffset: header.lastOffset,
                lastStableOffset: lastStableOffset(behind: header)))
        if let last = ranges[header.producerID]?.last, last.upperBound >= first { return }
        ranges[header.producerID, default: []].append(first...header.lastOffset)
    }

    /// What `read_committed` may see ends before it: the first offset of the earliest open
    /// transaction, or the end of what was noted.
    package var lastStableOffset: Offset { open.values.min() ?? nextOffset }

    private func lastStableOffset(behind marker: RecordBatchHeader) -> Offset {
        open.values.min() ?? marker.nextOffset
    }

    /// Whether a batch belongs to an aborted transaction.
    package func isAborted(_ header: RecordBatchHeader) -> Bool {
        guard header.attributes.isTransactional, !header.attributes.isControl,
            let ranges = ranges[header.producerID]
        else { return false }
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < header.baseOffset {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low < ranges.count && ranges[low].lowerBound <= header.baseOffset
    }

    /// Whether a reader of this isolation level is shown the records of a batch that was noted.
    /// Control batches are shown to nobody.
    package func shows(_ header: RecordBatchHeader, to isolation: IsolationLevel) -> Bool {
        guard !header.attributes.isControl else { return false }
        guard isolation == .readCommitted else { return true }
        return header.baseOffset < lastStableOffset && !isAborted(header)
    }
}

extension RecordDecoder {
    /// What the record of a control batch says; nil for other batches and for empty ones.
    ///
    /// Throws what decoding the records throws, and `badControlRecord`.
    package mutating func controlRecord(
        of batch: borrowing RecordBatch
    ) throws(RecordError) -> ControlRecord? {
        guard batch.header.attributes.isControl else { return nil }
        var cursor = try records(of: batch)
        guard let record = try cursor.next() else { return nil }
        return try ControlRecord(decoding: record)
    }
}
