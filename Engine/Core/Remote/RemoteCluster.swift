package import TallyLog
package import TallyRecords
package import TallyTransactions

/// A cluster on which producers and consumers work as they do on an engine: what they need of it.
/// The product `TallyKafka` has the one that speaks Kafka's protocol.
///
/// What it tries again by itself it gives up after a time. Thread rule: any task.
package protocol RemoteCluster: AnyObject, Sendable {
    /// What a topic is now.
    ///
    /// Throws ``EngineError/unknownTopic(name:known:)``, and what the cluster has for errors.
    func describeTopic(_ name: String) async throws -> RemoteTopic

    /// A producer that nobody has seen, for batches with sequence numbers.
    func newProducer() async throws -> ProducerIdentity

    /// Tries once to append a batch.
    func append(_ batch: RemoteBatch) async -> RemoteAppend

    /// Offsets of partitions: where they begin or end, or the first record of a time.
    ///
    /// - Parameter isolation: for readers of committed records the end is before the first open
    ///   transaction.
    /// Throws ``EngineError`` for topics and partitions that are not there, and what the cluster
    /// has for errors. Partitions without a record of that time or a later one are missing.
    func offsets(
        of partitions: Set<TopicPartition>, at place: StartingPosition, isolation: IsolationLevel
    ) async throws -> [TopicPartition: OffsetAndTimestamp]

    /// The transactions of a transactional id, for one producer.
    func transactions(of transactionalID: String) -> any RemoteTransactions

    /// The groups of the cluster, for one member.
    func groups() -> any RemoteGroups

    /// Reads partitions; none at first.
    func fetcher(_ configuration: ConsumerConfiguration) -> any RemoteFetcher

    /// Aborts transactions that are open, and ends all connections.
    func close() async
}

/// A topic of a cluster.
package struct RemoteTopic: Hashable, Sendable {
    /// Its identity; nil where the cluster has none.
    package var id: TopicID?
    /// How many partitions it has.
    package var partitionCount: Int

    /// A topic from what is known of it.
    package init(id: TopicID?, partitionCount: Int) {
        self.id = id
        self.partitionCount = partitionCount
    }
}

/// A batch on its way to a cluster.
package struct RemoteBatch: Sendable {
    /// Where it goes.
    package var partition: TopicPartition
    /// The batch, with its sequence numbers.
    package var bytes: [UInt8]
    /// How many records it has.
    package var recordCount: Int
    /// What must have happened before it counts as appended.
    package var acknowledgements: Acknowledgements
    /// How long the attempt may take.
    package var timeoutMilliseconds: Int64
    /// Whose transaction it is part of; nil where it is part of none.
    package var transactionalID: String?
}

/// What became of an attempt to append a batch.
package enum RemoteAppend: Sendable {
    /// It is there. Without acknowledgements the offset is -1.
    case appended(baseOffset: Offset, logAppendTime: Timestamp?)
    /// It may go better later; and whether the batch may be there nevertheless.
    case retry(any Error, mayBeStored: Bool)
    /// The partition does not know the producer, or misses batches before this one: it is not
    /// there.
    case unknownProducer(any Error)
    /// It cannot be appended, and is not there.
    case refused(any Error)
}

/// Reads partitions of a cluster, from offsets that it is told and on from there.
///
/// Thread rule: one task at a time but for ``nudge()``.
package protocol RemoteFetcher: AnyObject, Sendable {
    /// Reads a partition from an offset on.
    func read(_ partition: TopicPartition, from offset: Offset) async
    /// Does not read a partition any more.
    func stop(_ partition: TopicPartition) async
    /// What has come since; waits for a moment where there is nothing. After an error it can be
    /// asked again.
    func next() async throws -> [RemoteFetch]
    /// Has ``next()`` return soon. Any thread.
    func nudge()
    /// Ends what is under way.
    func close() async
}

/// What a fetch brought of one partition.
package enum RemoteFetch: Sendable {
    /// Batches, or that there are none.
    case fetched(RemoteBatches)
    /// The partition does not hold the offset; it is not read on.
    case outOfRange(TopicPartition, requested: Offset)
    /// Another topic has the name now; it is not read on.
    case replaced(TopicPartition)
}

/// Batches of one partition, as the cluster has them.
package struct RemoteBatches: Sendable {
    /// Which partition.
    package var partition: TopicPartition
    /// Whole batches, one behind the other.
    package var bytes: [UInt8]
    /// Where reading goes on.
    package var nextOffset: Offset
    /// What lies before it can be read.
    package var highWatermark: Offset
    /// Transactions that were aborted: whose, and from which offset on.
    package var aborted: [(producerID: Int64, firstOffset: Offset)]

    /// Batches from their parts.
    package init(
        partition: TopicPartition, bytes: [UInt8], nextOffset: Offset, highWatermark: Offset,
        aborted: [(producerID: Int64, firstOffset: Offset)]
    ) {
        self.partition = partition
        self.bytes = bytes
        self.nextOffset = nextOffset
        self.highWatermark = highWatermark
        self.aborted = aborted
    }
}
