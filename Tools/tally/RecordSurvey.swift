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

    /// Visits a partition's records that lie at or behind `logStart`; those of aborted transactions
    /// too, since they were written all the same, and no markers.
    ///
    /// Throws a ``CommandFailure`` that names file and position where records cannot be read, and
    /// what `visit` throws.
    mutating func forEachRecord(
        of path: String, from logStart: Offset, _ visit: Visit
    ) throws {
        let snapshot = try PartitionSnapshot(
            opening: path, environment: environment, logStart: logStart)
        for segment in snapshot.segments {
            var walk = BatchWalk(segment)
            walking: while true {
                switch try walk.next() {
                case .end: break walking
                case .damage(let damage): throw damage.failure(in: segment)
                case .batch(let batch):
                    guard !batch.header.attributes.isControl,
                        batch.header.lastOffset >= snapshot.logStart
                    else { continue }
                    do {
                        let bytes = try RecordBatch(batch.bytes)
                        try bytes.verifyChecksum()
                        try decoder.forEachRecord(in: bytes) { record in
                            guard record.offset >= snapshot.logStart else { return }
                            try visit(record, batch.header)
                        }
                    } catch let error as RecordError {
                        throw error.failure(in: segment.path, at: batch.position)
                    }
                }
            }
        }
    }
}
