public import TallyRecords

/// What became of one batch of records that were sent without waiting for each.
public struct DeliveryReport: Sendable {
    /// A record of the batch that its sender wants to know again.
    public struct Record: Hashable, Sendable {
        /// What the sender gave with the record.
        public var token: UInt64
        /// Where it is; nil where it was not stored.
        public var offset: Offset?
    }

    /// The topic.
    public var topic: String
    /// The partition.
    public var partition: Int32
    /// The first record's offset; the others follow. Nil where the batch was not stored.
    public var baseOffset: Offset?
    /// Records of the batch, with and without tokens.
    public var recordCount: Int
    /// Those that came with a token, in order.
    public var records: [Record]
    /// Why the batch is not known to be stored; nil where it is.
    public var error: (any Error)?
}

/// The reports of what a producer delivers from now on, in batches: each element is what has
/// gathered since the one before. It does not end by itself; cancel the task that iterates.
///
/// Reports that nobody takes count towards `buffer.memory`, so that a reader that falls behind
/// slows the sender down; they are forgotten with the last copy of the sequence. Thread rule: any
/// task; two that iterate share the reports between them.
public struct DeliveryReports: AsyncSequence, Sendable {
    private let reader: Reader

    /// Counted for as long as a copy lives.
    fileprivate final class Reader: Sendable {
        let queue: DeliveryReportQueue
        init(_ queue: DeliveryReportQueue) {
            self.queue = queue
            queue.addReader()
        }
        deinit { queue.removeReader() }
    }

    init(_ queue: DeliveryReportQueue) { reader = Reader(queue) }

    /// Iterates over what is delivered.
    public func makeAsyncIterator() -> Iterator { Iterator(reader: reader) }

    /// Takes the reports that have gathered.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let reader: Reader

        /// The reports since the last call, at least one. Throws `CancellationError`.
        public mutating func next() async throws -> [DeliveryReport]? {
            try await reader.queue.next()
        }
    }
}
