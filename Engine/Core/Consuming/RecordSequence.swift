import TallyRecords

/// The records of a consumer one at a time, as ``Consumer/records`` and ``GroupConsumer/records``
/// give them.
///
/// A record counts as handed out when it is returned, and as done with when the next one is asked
/// for, as elements of the consumer itself do: the consumer's position is behind the last record
/// that was returned, never behind its batch, and so are automatic commits and
/// ``GroupConsumer/commit()``. Ending the loop in the middle of a batch loses nothing: whoever
/// iterates next, by records or by fetches, goes on behind that record. Seeking, pausing and a
/// rebalance that takes the partition count before the next record.
///
/// Thread rule: as the consumer, one task at a time iterates.
public struct RecordSequence: AsyncSequence, Sendable {
    /// A copy of one record.
    public typealias Element = ConsumerRecord

    let source: any RecordSource

    /// Iterates from the current positions on.
    public func makeAsyncIterator() -> Iterator { Iterator(source: source) }

    /// Asks for one record after the other.
    public struct Iterator: AsyncIteratorProtocol {
        let source: any RecordSource
        private var queue: RecordQueue?

        init(source: any RecordSource) { self.source = source }

        /// The next record of some partition; nil where the consumer's own sequence ends.
        ///
        /// Throws what the consumer's iteration throws, and ``RecordError`` where a codec is not
        /// supported: again with each call, until somebody seeks.
        public mutating func next() async throws -> ConsumerRecord? {
            try await source.noteReturn()
            while true {
                if queue != nil {
                    guard try await source.attend() else { return nil }
                    if let record = try queue?.take() { return record }
                    queue = nil
                }
                guard let records = try await source.fetchNext() else { return nil }
                queue = RecordQueue(records, of: source.readers)
            }
        }
    }
}

/// What records one at a time need of a consumer.
protocol RecordSource: AnyObject, Sendable {
    var readers: PartitionReaders { get }

    /// The application has come back: it is through with what it was given.
    func noteReturn() async throws
    /// Does what comes between two elements; false where the sequence has ended.
    func attend() async throws -> Bool
    /// Waits for the next fetch that has something; nil where the sequence has ended.
    func fetchNext() async throws -> ConsumedRecords?
}

/// The records of one fetch, copied out batch by batch, and the reader that keeps the position.
struct RecordQueue {
    private let reader: PartitionReader
    private let records: ConsumedRecords
    private var position = 0
    private var batch: ArraySlice<ConsumerRecord> = []

    /// Nil where the partition was taken away, or somebody sought, since the fetch.
    init?(_ records: ConsumedRecords, of readers: PartitionReaders) {
        guard let reader = readers.first(records.topicPartition), reader.beginRecords(of: records)
        else { return nil }
        self.reader = reader
        self.records = records
    }

    /// The next record; nil where there is none left, and where the partition is paused, was taken
    /// away or sought: it is read anew then, from where it stands.
    mutating func take() throws -> ConsumerRecord? {
        while batch.isEmpty {
            guard position < records.byteCount else {
                reader.endRecords(of: records)
                return nil
            }
            let (copied, next) = try records.copyRecords(ofBatchAt: position)
            (batch, position) = (copied[...], next)
        }
        guard let record = batch.first, reader.handOut(record, of: records) else { return nil }
        batch.removeFirst()
        return record
    }
}

extension ConsumedRecords {
    var topicPartition: TopicPartition { TopicPartition(topic: topic, partition: partition) }
}
