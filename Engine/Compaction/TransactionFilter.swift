import TallyLog
import TallyRecords

/// What is aborted, and which markers are still needed, while batches come in the order of the
/// log; after Kafka's `CleanedTransactionMetadata`.
///
/// A marker is needed as long as a batch of its transaction is there. A value, one thread.
struct TransactionFilter {
    /// Rising by first offset; those before ``nextIndex`` have begun.
    private let aborted: [AbortedTransaction]
    private var nextIndex = 0
    /// Aborted transactions that are under way, by producer.
    private var underWay: [Int64: AbortedTransaction] = [:]
    /// Producers that have a batch of their current transaction in the log.
    private var isSeen: Set<Int64> = []
    /// Aborted transactions of which a batch was met: readers that are at work in the old segments
    /// still ask for them, so that their entries stay for one more cleaning.
    private(set) var met: [AbortedTransaction] = []

    /// - Parameter aborted: all with records in what is going to be walked.
    init(_ aborted: [AbortedTransaction]) {
        self.aborted = aborted.sorted { $0.firstOffset < $1.firstOffset }
    }

    /// Whether a batch of records was aborted. Each batch of the log once, in order.
    mutating func isAborted(_ header: RecordBatchHeader) -> Bool {
        guard header.attributes.isTransactional else { return false }
        begin(upTo: header.lastOffset)
        isSeen.insert(header.producerID)
        guard let current = underWay[header.producerID] else { return false }
        return header.lastOffset < current.lastOffset
    }

    /// Whether nothing of a marker's transaction is there any more, so that the marker may go.
    mutating func isUnneeded(marker header: RecordBatchHeader, _ control: ControlRecord?) -> Bool {
        begin(upTo: header.lastOffset)
        // A marker that was emptied before.
        guard let control else { return true }
        guard control.kind == .commit || control.kind == .abort else { return false }
        let wasSeen = isSeen.remove(header.producerID) != nil
        let current = underWay.removeValue(forKey: header.producerID)
        if wasSeen, control.kind == .abort, let current { met.append(current) }
        return !wasSeen
    }

    /// Whether this abort marker ends a transaction with records that nobody knew to be aborted.
    func isUnknown(marker header: RecordBatchHeader, _ control: ControlRecord?) -> Bool {
        control?.kind == .abort && isSeen.contains(header.producerID)
            && underWay[header.producerID]?.lastOffset != header.lastOffset
    }

    private mutating func begin(upTo offset: Offset) {
        while nextIndex < aborted.count, aborted[nextIndex].firstOffset <= offset {
            underWay[aborted[nextIndex].producerID] = aborted[nextIndex]
            nextIndex += 1
        }
    }
}
