import TallyGroups
import TallyLog
public import TallyRecords

/// Reads partitions of a topic as an asynchronous sequence of fetched records.
///
/// Partitions take turns; within one, records come in order. Reading happens on the engine's own
/// threads. Thread rule: any task may seek and ask for positions; one task at a time iterates.
public final class Consumer: AsyncSequence, RecordSource, Sendable {
    /// One fetch from one partition.
    public typealias Element = ConsumedRecords

    /// The topic.
    public let topic: String
    package let engine: Engine
    let configuration: ConsumerConfiguration
    /// Whether it reads all partitions, also those that the topic gets meanwhile.
    private let isOfWholeTopic: Bool
    let readers: PartitionReaders
    private var arrival: Arrival { readers.arrival }

    init(
        engine: Engine, topic: String, partitions: [(Partition, PartitionLog)],
        isOfWholeTopic: Bool, configuration: ConsumerConfiguration
    ) {
        self.engine = engine
        self.topic = topic
        self.configuration = configuration
        self.isOfWholeTopic = isOfWholeTopic
        readers = PartitionReaders(
            partitions.map { partition, log in
                PartitionReader(partition, log: log, configuration: configuration)
            })
    }

    // MARK: Positions

    /// The offset each partition is read from next; nil where reading has not begun and nothing
    /// was sought.
    public var positions: [Int32: Offset?] {
        var positions: [Int32: Offset?] = [:]
        for reader in readers.all { positions[reader.partition.index] = reader.position }
        return positions
    }

    /// Records between the position and the high watermark, per partition: an upper bound, since
    /// markers and compacted records count.
    public var lag: [Int32: Int64] {
        var lag: [Int32: Int64] = [:]
        for reader in readers.all { lag[reader.partition.index] = reader.lag }
        return lag
    }

    /// Goes on somewhere else in one partition. The next element that is asked for is from there.
    ///
    /// Throws ``EngineError/unknownPartition(topic:partition:count:)`` for a partition that this
    /// consumer does not read, and ``LogError`` where a time cannot be looked up. An offset
    /// outside the log is thrown by the iteration, with the bounds.
    public func seek(partition: Int32, to target: StartingPosition) async throws {
        try await engine.workers.run { [self] in
            try seekBlocking(partition: partition, to: target)
        }
    }

    /// Seeks on the calling thread, which may have to wait for the disk.
    package func seekBlocking(partition: Int32, to target: StartingPosition) throws {
        try reader(of: partition).seek(to: target)
        arrival.signal()
    }

    private func reader(of partition: Int32) throws(EngineError) -> PartitionReader {
        let id = TopicPartition(topic: topic, partition: partition)
        guard let found = readers.first(id) else {
            throw .unknownPartition(
                topic: topic, partition: partition, count: readers.all.count)
        }
        return found
    }

    /// Passes partitions over until they are resumed; what was fetched before stays as it is.
    ///
    /// Throws ``EngineError/unknownPartition(topic:partition:count:)`` for a partition that this
    /// consumer does not read; the others are paused then.
    public func pause(_ partitions: [Int32]) throws(EngineError) {
        for partition in partitions { try reader(of: partition).isPaused = true }
    }

    /// Reads partitions again that were paused; see ``pause(_:)``.
    public func resume(_ partitions: [Int32]) throws(EngineError) {
        for partition in partitions { try reader(of: partition).isPaused = false }
        arrival.signal()
    }

    // MARK: The sequence

    /// Iterates from the current positions on.
    public func makeAsyncIterator() -> Iterator { Iterator(consumer: self) }

    /// Asks for one fetch after the other.
    public struct Iterator: AsyncIteratorProtocol {
        let consumer: Consumer

        /// The next records of some partition; nil at the end, where there is one.
        ///
        /// Throws ``LogError/offsetOutOfRange(_:)`` with the log's bounds where a position lies
        /// outside, ``LogError/corruption(_:)``, ``LogError/file(_:)``, ``EngineError/closed``,
        /// and `CancellationError`.
        public mutating func next() async throws -> ConsumedRecords? {
            try await consumer.fetchNext()
        }
    }

    func noteReturn() {}

    func attend() throws -> Bool {
        try Task.checkCancellation()
        return true
    }

    func fetchNext() async throws -> ConsumedRecords? {
        while true {
            try Task.checkCancellation()
            let seen = arrival.count
            switch try await engine.workers.run({ [self] in try fetchAny() }) {
            case .records(let records): return records
            case .ended: return nil
            case .nothing:
                readers.watch()
                try await arrival.wait(after: seen)
            }
        }
    }

    /// Records of the next partition that has some. Blocks; on a worker.
    func fetchAny() throws -> Fetched {
        try checkTopic()
        return try readers.fetchAny()
    }

    /// Throws where the topic is not the one that this consumer was made for: its files are gone,
    /// and the positions mean nothing in a topic that was created anew.
    private func checkTopic() throws(EngineError) {
        let current = try engine.partitions(of: topic)
        guard let first = readers.all.first else { return }
        let index = Int(first.partition.index)
        guard index < current.count, current[index] === first.partition else {
            throw .topicReplaced(name: topic)
        }
        if isOfWholeTopic { try join(current) }
    }

    /// Takes on the partitions that the topic got since. They are read from their beginning,
    /// wherever this consumer began: all they hold was written since it did.
    private func join(_ current: [Partition]) throws(EngineError) {
        for partition in current.dropFirst(readers.all.count) {
            let log = try partition.log
            readers.add(
                PartitionReader(
                    partition, log: log, configuration: configuration, start: log.logStart))
        }
    }
}

extension Engine {
    /// A consumer of a topic's partitions, without a group: positions are the caller's to keep.
    ///
    /// - Parameter partitions: which ones; nil for all, also those that the topic gets while the
    ///   consumer lives (``Engine/createPartitions(ofTopic:count:)``).
    /// Throws ``EngineError`` for unknown topics and partitions, and for partitions offline.
    public func consumer(
        of topic: String, partitions: [Int32]? = nil,
        _ configuration: ConsumerConfiguration = ConsumerConfiguration()
    ) throws(EngineError) -> Consumer {
        guard configuration.fetchBytesMax > 0 else {
            throw .invalidSetting(
                name: "max.partition.fetch.bytes", reason: "give a positive number")
        }
        let all = try self.partitions(of: topic)
        let chosen = try partitions?.map { index throws(EngineError) in
            try partition(index, of: topic)
        }
        let logs = try (chosen ?? all).map { partition throws(EngineError) in
            (partition, try partition.log)
        }
        guard !logs.isEmpty else {
            throw .invalidSetting(name: "partitions", reason: "name at least one")
        }
        return Consumer(
            engine: self, topic: topic, partitions: logs, isOfWholeTopic: partitions == nil,
            configuration: configuration)
    }
}
