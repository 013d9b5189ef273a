package import TallyRecords

/// What a fetch brought of one partition.
package struct FetchedPartition: Hashable, Sendable {
    /// A transaction that was aborted, with records among those that were fetched.
    package struct AbortedTransaction: Hashable, Sendable {
        /// Whose it was.
        package var producerID: Int64
        /// Its first offset.
        package var firstOffset: Offset
    }

    /// Which partition.
    package var partition: TopicPartition
    /// Whole record batches, byte for byte as the broker has them; empty where there was nothing.
    /// The first may begin before the offset that was asked for.
    package var batches: ArraySlice<UInt8>
    /// Where reading goes on: behind the last of the batches.
    package var nextOffset: Offset
    /// What lies before it is committed.
    package var highWatermark: Offset
    /// Below it every transaction is decided; none where the broker does not tell.
    package var lastStableOffset: Offset?
    /// The first offset that can be read; none where the broker does not tell.
    package var logStart: Offset?
    /// For readers of committed records: what is to be left out.
    package var abortedTransactions: [AbortedTransaction]
}

/// What a ``LogReader`` tells.
package enum LogReaderEvent: Hashable, Sendable {
    /// Batches, or that there are none, and where the ends of the partition are.
    case fetched(FetchedPartition)
    /// The partition does not hold the offset where reading should go on: it is not read any
    /// further until ``LogReader/read(_:from:)`` says from where.
    case outOfRange(TopicPartition, requested: Offset)
    /// Another topic has the name now, by its id: it is not read.
    case replaced(TopicPartition)
}

/// How a ``LogReader`` reads. Names and defaults are those of Kafka's consumer.
package struct LogReaderConfiguration: Hashable, Sendable {
    /// `isolation.level=read_committed`: reading ends before the first open transaction, and what
    /// was aborted is told of.
    package var isCommitted = false
    /// `fetch.max.wait.ms`: how long a broker waits where there is nothing.
    package var waitMilliseconds: Int32 = 500
    /// `fetch.min.bytes`: how many bytes are worth an answer.
    package var bytesMin: Int32 = 1
    /// `fetch.max.bytes`: the most that one answer has, but for a first batch that is larger.
    package var bytesMax: Int32 = 50 << 20
    /// `max.partition.fetch.bytes`: the most of one partition, likewise.
    package var partitionBytesMax: Int32 = 1 << 20

    /// The defaults.
    package init() {}
}
