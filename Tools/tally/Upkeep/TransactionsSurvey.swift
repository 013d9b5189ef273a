import TallyFiles
import TallyLog
import TallyRecords

/// Finds the transactions that are open in a partition, by all of its batches: without a lock, and
/// whoever wrote the directory.
struct TransactionsSurvey {
    /// A transaction that nobody has ended.
    struct Open {
        var partition: PartitionDirectory
        var producerID: Int64
        /// The newest epoch of the producer in it.
        var producerEpoch: Int16
        var firstOffset: Offset
        var lastOffset: Offset
        /// The first batch's timestamp; nil where it has none.
        var startedAt: Timestamp?
    }

    private let fileSystem: any FileSystem
    private let environment: LogEnvironment

    init(on fileSystem: any FileSystem) {
        self.fileSystem = fileSystem
        environment = .readOnly(on: fileSystem)
    }

    /// The open transactions, by first offset; none where the partition was deleted meanwhile.
    ///
    /// Throws a ``LogError`` that names file and position where the batches cannot be read.
    func openTransactions(in partition: PartitionDirectory) throws -> [Open] {
        do {
            return try walk(partition)
        } catch let error as LogError where error.isOfChangingFiles {
            guard try fileSystem.information(partition.path) != nil else { return [] }
            // Replaced or removed while they were read: looked at again, the files are whole.
            return try walk(partition)
        }
    }

    private func walk(_ partition: PartitionDirectory) throws -> [Open] {
        // Before the log start too: what begins there may be open behind it.
        let snapshot = try PartitionSnapshot(opening: partition.path, environment: environment)
        var transactions = AbortedTransactions()
        var decoder = RecordDecoder()
        var found: [Int64: Open] = [:]
        for segment in snapshot.segments {
            var walk = BatchWalk(segment)
            walking: while true {
                switch try walk.next() {
                case .end: break walking
                case .damage(let damage):
                    throw Self.failure(damage.error, in: segment, at: damage.position)
                case .batch(let batch):
                    do throws(RecordError) {
                        try Self.note(batch, &transactions, &decoder)
                    } catch {
                        throw Self.failure(error, in: segment, at: batch.position)
                    }
                    Self.follow(batch.header, of: partition, transactions, &found)
                }
            }
        }
        return found.values.sorted { $0.firstOffset < $1.firstOffset }
    }

    private static func note(
        _ found: BatchHandle, _ transactions: inout AbortedTransactions,
        _ decoder: inout RecordDecoder
    ) throws(RecordError) {
        let batch = try RecordBatch(found.bytes)
        // Or one wrong bit could open a transaction, or end one.
        try batch.verifyChecksum()
        let control =
            batch.header.attributes.isTransactional ? try decoder.controlRecord(of: batch) : nil
        transactions.note(batch.header, control: control)
    }

    /// Keeps what is told of the open transactions in step with which are.
    private static func follow(
        _ header: RecordBatchHeader, of partition: PartitionDirectory,
        _ transactions: AbortedTransactions, _ found: inout [Int64: Open]
    ) {
        guard header.attributes.isTransactional else { return }
        let producerID = header.producerID
        guard let first = transactions.open[producerID] else {
            found[producerID] = nil
            return
        }
        guard !header.attributes.isControl else { return }
        var open =
            found[producerID]
            ?? Open(
                partition: partition, producerID: producerID, producerEpoch: header.producerEpoch,
                firstOffset: first, lastOffset: first, startedAt: header.firstTimestamp)
        open.producerEpoch = header.producerEpoch
        open.lastOffset = header.lastOffset
        found[producerID] = open
    }

    private static func failure(
        _ error: RecordError, in segment: Segment, at position: FilePosition
    ) -> LogError {
        .corruption(Corruption(file: segment.path, position: position, reason: "\(error)"))
    }
}
