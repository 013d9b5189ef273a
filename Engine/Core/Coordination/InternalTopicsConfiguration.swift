import TallyRecords

/// How an engine records what its coordinators decide in Kafka's internal topics first. A value.
///
/// Without it (`EngineConfiguration.internalTopics` nil, the default) groups and transactions are
/// kept in ``EngineConfiguration/state`` alone. With it the topics are what counts, and the state
/// is a form of them that one can query: it is written behind them, and made anew from them.
package struct InternalTopicsConfiguration: Hashable, Sendable {
    /// `offsets.topic.num.partitions`: counts where the topic is not there yet.
    package var offsetsPartitionCount = InternalTopic.defaultPartitionCount
    /// `transaction.state.log.num.partitions`: counts where the topic is not there yet.
    package var transactionsPartitionCount = InternalTopic.defaultPartitionCount
    /// `offsets.commit.timeout.ms`: how long a request waits for what it decided to be committed
    /// (below the high watermark of its partition), in milliseconds.
    package var commitTimeoutMilliseconds: Int64 = 5000
    /// Whether this engine leads all partitions, as one does that is alone, and reads them when it
    /// is opened. Otherwise it leads those that ``Engine/becomeCoordinator(of:epoch:)`` names.
    package var leadsAll = true

    /// The presets, which are Kafka's.
    package init() {}
}
