import Synchronization
import TallyRecords

/// A producer's accumulators for one topic, and the choice of a partition among them.
///
/// Thread rule: immutable; any thread.
final class TopicAccumulators: Sendable {
    /// The partitions these were made for: another identity means another topic.
    let partitions: [Partition]
    /// The version of the topic's configuration that these were made for.
    private let version: Int
    let accumulators: [PartitionAccumulator]
    /// What each record is held against.
    let rules: RecordRules
    private let choice: PartitionChoice

    init(
        _ partitions: [Partition], _ accumulators: [PartitionAccumulator], version: Int,
        rules: RecordRules, configuration: ProducerConfiguration
    ) {
        self.partitions = partitions
        self.version = version
        self.rules = rules
        self.accumulators = accumulators
        choice = PartitionChoice(count: Int32(accumulators.count), configuration)
    }

    /// Whether they are of the topic that has these partitions now.
    func isOfTopic(with partitions: [Partition]) -> Bool {
        self.partitions.first === partitions.first
    }

    /// Whether the topic has neither more partitions nor another configuration by now.
    func isCurrent(for partitions: [Partition]) -> Bool {
        isOfTopic(with: partitions) && self.partitions.count == partitions.count
            && partitions.first?.configurationVersion.load(ordering: .acquiring) == version
    }

    /// Sends everything on its way.
    func deliver() {
        for accumulator in accumulators { accumulator.deliver() }
    }

    /// The partition a record goes to; see ``PartitionChoice``.
    ///
    /// Throws ``EngineError/unknownPartition(topic:partition:count:)``.
    func choosePartition(
        of topic: String, explicit: Int32?, key: RawSpan?, value: RawSpan?
    ) throws(EngineError) -> Int32 {
        try choice.choose(of: topic, explicit: explicit, key: key, value: value)
    }
}
