import Synchronization
public import TallyGroups
import TallyLog
public import TallyRecords

/// Reads partitions of any topics as an asynchronous sequence of fetched records, without a group
/// (Kafka's `assign`): which ones, and from where, is the application's to say.
///
/// ```swift
/// let consumer = try engine.consumer(assigning: [
///     TopicPartition(topic: "orders", partition: 0),
///     TopicPartition(topic: "returns", partition: 0),
/// ])
/// for try await records in consumer {
///     try records.forEachRecord { record in
///         print(records.topic, record.offset, record.valueText ?? "")
///     }
///     try await engine.commitOffsets(consumer.offsetsToCommit, ofGroup: "audit")
/// }
/// ```
///
/// Partitions take turns, whichever topic they are of; within one, records come in order. Reading
/// happens on the engine's own threads. Thread rule: any task may assign, seek and ask for
/// positions; one task at a time iterates.
public final class Consumer: AsyncSequence, RecordSource, Sendable {
    /// One fetch from one partition.
    public typealias Element = ConsumedRecords

    /// The engine that it reads; it must not be asked for where a cluster is read.
    package var engine: Engine { local! }
    private let local: Engine?
    let configuration: ConsumerConfiguration
    let readers: PartitionReaders
    /// What reads a cluster; nil where it reads an engine.
    let remote: RemoteReaders?
    private var arrival: Arrival { readers.arrival }
    private let state: Mutex<State>

    private struct State {
        /// One partition of each topic that is read: it tells whether it is still that topic.
        var witnesses: [Partition]
        /// Whether it reads all partitions of its one topic, also those that it gets meanwhile.
        var isOfWholeTopic: Bool
    }

    init(
        engine: Engine, readers: [PartitionReader], isOfWholeTopic: Bool,
        configuration: ConsumerConfiguration
    ) {
        local = engine
        remote = nil
        self.configuration = configuration
        self.readers = PartitionReaders(readers)
        state = Mutex(
            State(witnesses: Self.witnesses(among: readers), isOfWholeTopic: isOfWholeTopic))
    }

    init(remote: RemoteReaders, configuration: ConsumerConfiguration) {
        local = nil
        self.remote = remote
        self.configuration = configuration
        readers = PartitionReaders()
        state = Mutex(State(witnesses: [], isOfWholeTopic: false))
    }

    private static func witnesses(among readers: [PartitionReader]) -> [Partition] {
        var topics: Set<String> = []
        return readers.map(\.partition).filter { topics.insert($0.topic).inserted }
    }

    // MARK: Assignment

    /// What is read now.
    public var assignment: Set<TopicPartition> {
        remote?.assignment ?? Set(readers.all.map(\.id))
    }

    /// Reads these partitions from now on, instead of those of before. Those that stay go on where
    /// they are, and paused where they are; the others begin as the configuration says. One whose
    /// topic was deleted and created again begins anew.
    ///
    /// Throws ``EngineError`` for unknown topics and partitions, for partitions offline, and where
    /// there are none; nothing has changed then.
    public func assign(_ partitions: Set<TopicPartition>) throws(EngineError) {
        if let remote { return try remote.assign(partitions) }
        try state.withLock { state throws(EngineError) in
            var kept: Set<TopicPartition> = []
            for reader in readers.all where partitions.contains(reader.id) {
                let id = reader.id
                let now = try engine.partition(id.partition, of: id.topic)
                if now === reader.partition { kept.insert(id) }
            }
            let new = partitions.subtracting(kept)
            let added =
                kept.isEmpty || !new.isEmpty ? try engine.readers(of: new, configuration) : []
            readers.remove(assignment.subtracting(kept))
            for reader in added { readers.add(reader) }
            state.witnesses = Self.witnesses(among: readers.all)
            state.isOfWholeTopic = false
        }
        arrival.signal()
    }

    // MARK: Positions

    /// The offset each partition is read from next; those are missing where reading has not begun
    /// and nothing was sought.
    public var positions: [TopicPartition: Offset] {
        if let remote { return remote.positions }
        var positions: [TopicPartition: Offset] = [:]
        for reader in readers.all { positions[reader.id] = reader.position }
        return positions
    }

    /// The positions as ``Engine/commitOffsets(_:ofGroup:)`` takes them: everything that was handed
    /// out until now. For the task that iterates; another one would also commit what that is at.
    public var offsetsToCommit: [TopicPartition: OffsetToCommit] {
        remote?.offsetsToCommit ?? readers.offsetsToCommit
    }

    /// Records between the position and the high watermark, per partition: an upper bound, since
    /// markers and compacted records count.
    public var lag: [TopicPartition: Int64] {
        if let remote { return remote.lag }
        var lag: [TopicPartition: Int64] = [:]
        for reader in readers.all { lag[reader.id] = reader.lag }
        return lag
    }

    /// Goes on somewhere else in one partition. The next element that is asked for is from there.
    ///
    /// Throws ``EngineError/notAssigned(partition:group:)`` for a partition that this consumer does
    /// not read, and ``LogError`` where a time cannot be looked up. An offset outside the log is
    /// thrown by the iteration, with the bounds.
    public func seek(_ partition: TopicPartition, to target: StartingPosition) async throws {
        if let remote {
            return try Self.requireRead(partition, try await remote.seek(partition, to: target))
        }
        try await engine.workers.run { [self] in try seekBlocking(partition, to: target) }
    }

    /// Seeks on the calling thread, which may have to wait for the disk.
    package func seekBlocking(_ partition: TopicPartition, to target: StartingPosition) throws {
        try reader(of: partition).seek(to: target)
        arrival.signal()
    }

    /// Passes partitions over until they are resumed; what was fetched before stays as it is.
    ///
    /// Throws ``EngineError/notAssigned(partition:group:)`` for a partition that this consumer does
    /// not read; some of the others may be paused then.
    public func pause(_ partitions: Set<TopicPartition>) throws(EngineError) {
        try setPaused(true, partitions)
    }

    /// Reads partitions again that were paused. Throws as ``pause(_:)``.
    public func resume(_ partitions: Set<TopicPartition>) throws(EngineError) {
        try setPaused(false, partitions)
        arrival.signal()
    }

    private func setPaused(
        _ isPaused: Bool, _ partitions: Set<TopicPartition>
    ) throws(EngineError) {
        for id in partitions {
            if let remote {
                try Self.requireRead(id, remote.setPaused(isPaused, id))
            } else {
                try reader(of: id).isPaused = isPaused
            }
        }
    }

    private static func requireRead(
        _ id: TopicPartition, _ isRead: Bool
    ) throws(EngineError) {
        guard isRead else { throw .notAssigned(partition: id.description, group: nil) }
    }

    private func reader(of id: TopicPartition) throws(EngineError) -> PartitionReader {
        if let found = readers.first(id) { return found }
        // Where there is no such partition, that is what to say.
        _ = try engine.partition(id.partition, of: id.topic)
        throw .notAssigned(partition: id.description, group: nil)
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
        /// outside, ``LogError/corruption(_:)``, ``LogError/file(_:)``,
        /// ``EngineError/unknownTopic(name:known:)`` and ``EngineError/topicReplaced(name:)`` where
        /// a topic was deleted (again with each call, until ``Consumer/assign(_:)`` lets go of it),
        /// ``EngineError/closed``, and `CancellationError`. A position that is not in the log keeps
        /// none of the other partitions from being read: they have their turns when the next
        /// element is asked for.
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
        if let remote { return try await remote.fetchNext() }
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
        try checkTopics()
        return try readers.fetchAny()
    }

    /// Throws where a topic is not the one that its partitions were taken of: its files are gone,
    /// and the positions mean nothing in a topic that was created anew.
    private func checkTopics() throws(EngineError) {
        try state.withLock { state throws(EngineError) in
            for witness in state.witnesses {
                let current = try engine.partitions(of: witness.topic)
                let index = Int(witness.index)
                guard index < current.count, current[index] === witness else {
                    throw .topicReplaced(name: witness.topic)
                }
                if state.isOfWholeTopic { try join(current) }
            }
        }
    }

    /// Takes on the partitions that the topic got since. They are read from their beginning,
    /// wherever this consumer began: all they hold was written since it did.
    private func join(_ current: [Partition]) throws(EngineError) {
        for partition in current.dropFirst(readers.count) {
            let log = try partition.log
            readers.add(
                PartitionReader(
                    partition, log: log, configuration: configuration, start: log.logStart))
        }
    }
}

extension Engine {
    /// A consumer of these partitions, of any topics, without a group (Kafka's `assign`):
    /// positions are the caller's to keep.
    ///
    /// Throws ``EngineError`` for unknown topics and partitions, for partitions offline, and for
    /// settings that make no sense.
    public func consumer(
        assigning partitions: Set<TopicPartition>,
        _ configuration: ConsumerConfiguration = ConsumerConfiguration()
    ) throws(EngineError) -> Consumer {
        try consumer(assigning: partitions, isOfWholeTopic: false, configuration)
    }

    func consumer(
        assigning partitions: Set<TopicPartition>, isOfWholeTopic: Bool,
        _ configuration: ConsumerConfiguration
    ) throws(EngineError) -> Consumer {
        try configuration.check()
        return Consumer(
            engine: self, readers: try readers(of: partitions, configuration),
            isOfWholeTopic: isOfWholeTopic, configuration: configuration)
    }

    /// What reads these partitions, by topic and number.
    fileprivate func readers(
        of partitions: Set<TopicPartition>, _ configuration: ConsumerConfiguration
    ) throws(EngineError) -> [PartitionReader] {
        guard !partitions.isEmpty else {
            throw .invalidSetting(name: "partitions", reason: "name at least one")
        }
        return try partitions.sorted().map { id throws(EngineError) in
            let partition = try partition(id.partition, of: id.topic)
            return PartitionReader(
                partition, log: try partition.log, configuration: configuration)
        }
    }
}
