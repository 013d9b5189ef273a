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
                queue = RecordQueue(records, in: source.keeper(of: records))
            }
        }
    }
}

/// What records one at a time need of a consumer.
protocol RecordSource: AnyObject, Sendable {
    /// What keeps the position in the partition of a fetch; nil where it is not read any more.
    func keeper(of records: ConsumedRecords) -> PositionKeeper?

    /// The application has come back: it is through with what it was given.
    func noteReturn() async throws
    /// Does what comes between two elements; false where the sequence has ended.
    func attend() async throws -> Bool
    /// Waits for the next fetch that has something; nil where the sequence has ended.
    func fetchNext() async throws -> ConsumedRecords?
}

/// Who keeps a consumer's position in a partition.
enum PositionKeeper: Sendable {
    case log(PartitionReader)
    case cluster(RemoteReaders)

    func beginRecords(of records: ConsumedRecords) -> Bool {
        switch self {
        case .log(let reader): reader.beginRecords(of: records)
        case .cluster(let readers): readers.beginRecords(of: records)
        }
    }

    func handOut(_ record: ConsumerRecord, of records: ConsumedRecords) -> Bool {
        switch self {
        case .log(let reader): reader.handOut(record, of: records)
        case .cluster(let readers): readers.handOut(record, of: records)
        }
    }

    func endRecords(of records: ConsumedRecords) {
        switch self {
        case .log(let reader): reader.endRecords(of: records)
        case .cluster(let readers): readers.endRecords(of: records)
        }
    }
}

/// The records of one fetch, copied out batch by batch, and the reader that keeps the position.
struct RecordQueue {
    private let keeper: PositionKeeper
    private let records: ConsumedRecords
    private var position = 0
    private var batch: ArraySlice<ConsumerRecord> = []

    /// Nil where the partition was taken away, or somebody sought, since the fetch.
    init?(_ records: ConsumedRecords, in keeper: PositionKeeper?) {
        guard let keeper, keeper.beginRecords(of: records) else { return nil }
        self.keeper = keeper
        self.records = records
    }

    /// The next record; nil where there is none left, and where the partition is paused, was taken
    /// away or sought: it is read anew then, from where it stands.
    mutating func take() throws -> ConsumerRecord? {
        while batch.isEmpty {
            guard position < records.byteCount else {
                keeper.endRecords(of: records)
                return nil
            }
            let (copied, next) = try records.copyRecords(ofBatchAt: position)
            (batch, position) = (copied[...], next)
        }
        guard let record = batch.first, keeper.handOut(record, of: records) else { return nil }
        batch.removeFirst()
        return record
    }
}

extension ConsumedRecords {
    var topicPartition: TopicPartition { TopicPartition(topic: topic, partition: partition) }
}
