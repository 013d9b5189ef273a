package import TallyRecords

/// Something that is wrong, or worth knowing, about a file of a partition.
package struct LogProblem: Hashable, Sendable {
    /// How bad it is.
    package enum Severity: String, Hashable, Comparable, Sendable {
        /// Nothing is wrong: what a writer at work leaves, or files that have no business there.
        case note
        /// A file that is made from the log is missing or wrong, or the end of the last segment is
        /// not written whole. No record is in doubt; opening the log mends it.
        case mendable
        /// Bytes of the log itself, or what nothing else can tell, are not what they must be.
        case damage

        package static func < (left: Severity, right: Severity) -> Bool {
            left.rank < right.rank
        }

        private var rank: Int {
            switch self {
            case .note: 0
            case .mendable: 1
            case .damage: 2
            }
        }
    }

    /// How bad it is.
    package var severity: Severity
    /// The path of the file.
    package var file: String
    /// Where in the file; 0 where no place can be named.
    package var position: FilePosition
    /// What is wrong there.
    package var reason: String
}

extension LogProblem: CustomStringConvertible {
    package var description: String { "\(severity.rawValue): \(file): byte \(position): \(reason)" }
}

/// What was found in one segment.
package struct SegmentReport: Sendable {
    /// The path of the `.log` file.
    package var file: String
    /// The offset in the segment's name.
    package var baseOffset: Offset
    /// The offset behind the last batch; the base offset where there is none.
    package var nextOffset: Offset
    /// Bytes of the `.log` file.
    package var byteCount = 0
    /// Sound batches and the records in them, as their headers say.
    package var batchCount = 0
    package var recordCount = 0
    /// Batches that hold a transaction's end.
    package var controlBatchCount = 0
    /// The earliest first and the latest timestamp of a batch; nil where there are none.
    package var firstTimestamp: Timestamp?
    package var maxTimestamp: Timestamp?
    /// Batches by codec.
    package var batchCountByCodec: [Codec: Int] = [:]
    /// Bytes of the batches whose records could be read, and what the same batches would take
    /// without compression.
    package var readByteCount = 0
    package var unpackedByteCount = 0
    /// Entries of the index files; nil where there is no such file.
    package var offsetIndexEntryCount: Int?
    package var timeIndexEntryCount: Int?
    package var transactionIndexEntryCount: Int?

    init(file: String, baseOffset: Offset) {
        self.file = file
        self.baseOffset = baseOffset
        nextOffset = baseOffset
    }
}

/// What a walk over all of a partition found.
package struct LogReport: Sendable {
    /// Topic and partition as the directory is named.
    package var partition: String
    /// The segments, rising.
    package var segments: [SegmentReport] = []
    /// In the order in which they were met; at most ``problemsMax`` of each file.
    package var problems: [LogProblem] = []
    /// Transactions, as the batches and markers tell.
    package var transactions = AbortedTransactions()
    /// Leader epochs of the partition's checkpoint.
    package var leaderEpochs: [LeaderEpochs.Entry] = []

    /// More problems than this of one file are counted and not listed.
    package static let problemsMax = 100

    /// Whether anything is wrong; notes do not count.
    package var isSound: Bool { !problems.contains { $0.severity > .note } }
}
