import TallyFiles
import TallyLog
import TallyRecords

/// Looks at all records of partitions, without a lock and whoever has them open.
struct RecordSurvey: ~Copyable {
    /// What is told of each record, with its batch's header.
    typealias Visit = (_ record: borrowing RecordView, _ batch: RecordBatchHeader) throws -> Void

    private let environment = LogEnvironment.readOnly(on: PosixFileSystem())
    private var decoder = RecordDecoder()

    /// Ends a walk early.
    struct Enough: Error {}

    /// Visits a partition's records that lie at or behind `logStart`, and no markers.
    ///
    /// - Parameter isolation: with uncommitted records those of aborted transactions too, since
    ///   they were written all the same; with committed ones those that are decided on, up to the
    ///   first that are not.
    ///
    /// Throws a ``CommandFailure`` that names file and position where records cannot be read, and
    /// what `visit` throws.
    mutating func forEachRecord(
        of path: String, from logStart: Offset, isolation: IsolationLevel = .readUncommitted,
        _ visit: Visit
    ) throws {
        let snapshot = try PartitionSnapshot(
            opening: path, environment: environment, logStart: logStart)
        var transactions = AbortedTransactions()
        if isolation == .readCommitted {
            try Self.forEachBatch(in: snapshot) { batch in
                transactions.note(batch.header, control: try decoder.controlRecord(of: batch))
            }
        }
        try Self.forEachBatch(in: snapshot) { batch in
            let header = batch.header
            guard header.lastOffset >= snapshot.logStart,
                transactions.shows(header, to: isolation)
            else { return }
            try decoder.forEachRecord(in: batch) { record in
                guard record.offset >= snapshot.logStart else { return }
                try visit(record, header)
            }
        }
    }

    private static func forEachBatch(
        in snapshot: PartitionSnapshot, _ visit: (borrowing RecordBatch) throws -> Void
    ) throws {
        for segment in snapshot.segments {
            var walk = BatchWalk(segment)
            walking: while true {
                switch try walk.next() {
                case .end: break walking
                case .damage(let damage): throw damage.failure(in: segment)
                case .batch(let batch):
                    do {
                        let bytes = try RecordBatch(batch.bytes)
                        try bytes.verifyChecksum()
                        try visit(bytes)
                    } catch let error as RecordError {
                        throw error.failure(in: segment.path, at: batch.position)
                    }
                }
            }
        }
    }
}
