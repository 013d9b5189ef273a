package import TallyLog
package import TallyRecords
package import TallyTransactions

// The internal topics themselves: what they are made with, and who may touch them.

extension Engine {
    /// Whether a topic is one in which this engine records what its coordinators decide: clients
    /// read it, and do nothing else with it. Any thread.
    package func isInternal(_ topic: String) -> Bool {
        coordination != nil && InternalTopic(rawValue: topic) != nil
    }

    /// Throws ``EngineError/internalTopic(name:)`` for an internal topic.
    package func requireNotInternal(_ topic: String) throws(EngineError) {
        if isInternal(topic) { throw .internalTopic(name: topic) }
    }

    /// What an internal topic is made with: Kafka's settings of it.
    package static var internalTopicConfiguration: TopicConfiguration {
        var configuration = TopicConfiguration()
        for (name, value) in [("cleanup.policy", "compact"), ("segment.bytes", "104857600")] {
            try? configuration.set(name, to: value)
        }
        return configuration
    }

    /// How many partitions an internal topic has, or is to be made with; nil where the engine has
    /// none.
    package func partitionCount(of topic: InternalTopic) -> Int32? {
        coordination?.partitionCount(of: topic)
    }

    /// The partition of `__consumer_offsets` that keeps a group; nil where groups are not recorded.
    package func offsetsPartition(ofGroup group: String) -> TopicPartition? {
        groups.partition(of: group).map {
            TopicPartition(topic: InternalTopic.consumerOffsets.rawValue, partition: $0)
        }
    }

    /// The partition of `__transaction_state` that keeps a transactional id; nil where those are
    /// not recorded.
    package func transactionsPartition(of transactionalID: String) -> TopicPartition? {
        transactions.partition(of: transactionalID).map {
            TopicPartition(topic: InternalTopic.transactionState.rawValue, partition: $0)
        }
    }

    /// The log of a partition of an internal topic, which is made where it is not there yet and
    /// this engine leads all.
    func log(_ partition: Int32, of topic: InternalTopic) throws -> PartitionLog {
        do throws(EngineError) {
            return try self.partition(partition, of: topic.rawValue).log
        } catch {
            guard case .unknownTopic = error, let coordination,
                coordination.configuration.leadsAll
            else { throw error }
            do {
                try makeTopic(
                    topic.rawValue, partitions: Int(coordination.partitionCount(of: topic)),
                    Self.internalTopicConfiguration)
            } catch EngineError.topicExists {
                // Somebody else was first.
            }
            return try self.partition(partition, of: topic.rawValue).log
        }
    }

    /// Where a producer's transaction stands in a partition of an internal topic.
    package func transactionStanding(
        of producer: ProducerIdentity, in partition: TopicPartition
    ) throws -> TransactionStanding {
        guard let topic = InternalTopic(rawValue: partition.topic) else {
            return try self.partition(partition.partition, of: partition.topic).log
                .transactionStanding(of: producer.id, epoch: producer.epoch)
        }
        return try log(partition.partition, of: topic)
            .transactionStanding(of: producer.id, epoch: producer.epoch)
    }
}
