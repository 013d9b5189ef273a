import TallyRecords

/// The choice of a partition of one topic for each record.
///
/// Thread rule: immutable but for where key-less records stick to; any thread.
struct PartitionChoice: Sendable {
    private let count: Int32
    private let sticky: StickyPartition
    private let partitioner: Partitioner?

    init(count: Int32, _ configuration: ProducerConfiguration) {
        self.count = count
        partitioner = configuration.partitioner
        sticky = StickyPartition(count: count, batchBytes: configuration.batchBytes)
    }

    /// The partition a record goes to: the one that is asked for, else the partitioner's, else the
    /// key's as every Kafka client chooses it, else one that key-less records stick to until a
    /// batch is full.
    ///
    /// Throws ``EngineError/unknownPartition(topic:partition:count:)``.
    func choose(
        of topic: String, explicit: Int32?, key: RawSpan?, value: RawSpan?
    ) throws(EngineError) -> Int32 {
        let asked =
            explicit
            ?? partitioner?.choose(
                Partitioner.Record(topic: topic, partitionCount: count, key: key, value: value))
        if let asked {
            guard asked >= 0, asked < count else {
                throw .unknownPartition(topic: topic, partition: asked, count: Int(count))
            }
            return asked
        }
        if let key { return Murmur2.partition(forKey: key, count: count) }
        return sticky.next(byteCount: value?.byteCount ?? 0)
    }
}
