import Synchronization
import TallyLog
public import TallyRecords

/// Reads partitions of a topic as an asynchronous sequence of fetched records.
///
/// Partitions take turns; within one, records come in order. Reading happens on the engine's own
/// threads. Thread rule: any task may seek and ask for positions; one task at a time iterates.
public final class Consumer: AsyncSequence, Sendable {
    /// One fetch from one partition.
    public typealias Element = ConsumedRecords

    /// The topic.
    public let topic: String
    private let engine: Engine
    private let configuration: ConsumerConfiguration
    /// Whether it reads all partitions, also those that the topic gets meanwhile.
    private let isOfWholeTopic: Bool
    private let assignment: Mutex<[Assigned]>
    private let turn = Atomic<Int>(0)
    private let arrival = Arrival()

    init(
        engine: Engine, topic: String, partitions: [(Partition, PartitionLog)],
        isOfWholeTopic: Bool, configuration: ConsumerConfiguration
    ) {
        self.engine = engine
        self.topic = topic
        self.configuration = configuration
        self.isOfWholeTopic = isOfWholeTopic
        assignment = Mutex(partitions.map { Assigned(partition: $0, log: $1) })
    }

    private var assigned: [Assigned] { assignment.withLock { $0 } }

    deinit {
        for assigned in assigned { assigned.partition.arrivals.remove(arrival) }
    }

    /// A partition that is read, and where.
    private final class Assigned: Sendable {
        let partition: Partition
        let log: PartitionLog
        let position = Mutex<Position>(Position())

        init(partition: Partition, log: PartitionLog) {
            self.partition = partition
            self.log = log
        }
    }

    private struct Position {
        var offset: Offset?
        var end: Offset?
        var near: ReadPosition?
        /// Rises with each seek, so that a fetch under way does not undo it.
        var generation = 0
    }

    // MARK: Positions

    /// The offset each partition is read from next; nil where reading has not begun and nothing
    /// was sought.
    public var positions: [Int32: Offset?] {
        var positions: [Int32: Offset?] = [:]
        for assigned in assigned {
            positions[assigned.partition.index] = assigned.position.withLock { $0.offset }
        }
        return positions
    }

    /// Records between the position and the high watermark, per partition: an upper bound, since
    /// markers and compacted records count.
    public var lag: [Int32: Int64] {
        var lag: [Int32: Int64] = [:]
        for assigned in assigned {
            // Anything may have been sought: before the log's start there are no records.
            let logStart = assigned.log.logStart
            let start = Swift.max(assigned.position.withLock { $0.offset } ?? logStart, logStart)
            lag[assigned.partition.index] =
                Swift.max(assigned.log.highWatermark.rawValue - start.rawValue, 0)
        }
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
        guard let assigned = assigned.first(where: { $0.partition.index == partition }) else {
            throw EngineError.unknownPartition(
                topic: topic, partition: partition, count: assigned.count)
        }
        let offset = try Self.offset(of: target, in: assigned.log)
        assigned.position.withLock { position in
            position.offset = offset
            position.near = nil
            position.generation += 1
        }
        arrival.signal()
    }

    private static func offset(
        of target: StartingPosition, in log: PartitionLog
    ) throws(LogError) -> Offset {
        switch target {
        case .earliest: log.logStart
        case .latest: log.highWatermark
        case .offset(let offset): offset
        case .time(let time): try log.offset(forTimestamp: time)?.offset ?? log.highWatermark
        }
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
            try await consumer.next()
        }
    }

    private func next() async throws -> ConsumedRecords? {
        while true {
            try Task.checkCancellation()
            let seen = arrival.count
            switch try await engine.workers.run({ [self] in try fetchAny() }) {
            case .records(let records): return records
            case .ended: return nil
            case .nothing:
                watch()
                try await arrival.wait(after: seen)
            }
        }
    }

    enum Fetched: Sendable {
        case records(ConsumedRecords)
        case nothing
        case ended
    }

    /// Records of the next partition that has some. Blocks; on a worker.
    func fetchAny() throws -> Fetched {
        try checkTopic()
        var hasEnded = true
        let assigned = assigned
        for _ in assigned.indices {
            let index = turn.wrappingAdd(1, ordering: .relaxed).oldValue
            switch try fetch(assigned[(index & Int.max) % assigned.count]) {
            case .records(let records): return .records(records)
            case .nothing: hasEnded = false
            case .ended: break
            }
        }
        return hasEnded ? .ended : .nothing
    }

    /// Throws where the topic is not the one that this consumer was made for: its files are gone,
    /// and the positions mean nothing in a topic that was created anew.
    private func checkTopic() throws(EngineError) {
        let current = try engine.partitions(of: topic)
        guard let first = assigned.first else { return }
        let index = Int(first.partition.index)
        guard index < current.count, current[index] === first.partition else {
            throw .topicReplaced(name: topic)
        }
        if isOfWholeTopic { try join(current) }
    }

    /// Takes on the partitions that the topic got since. They are read from their beginning,
    /// wherever this consumer began: all they hold was written since it did.
    private func join(_ current: [Partition]) throws(EngineError) {
        try assignment.withLock { assigned throws(EngineError) in
            for partition in current.dropFirst(assigned.count) {
                let new = Assigned(partition: partition, log: try partition.log)
                new.position.withLock { $0.offset = new.log.logStart }
                assigned.append(new)
            }
        }
    }

    private func fetch(_ assigned: Assigned) throws -> Fetched {
        let log = assigned.log
        let highWatermark = log.highWatermark
        let start = try assigned.position.withLock { position in
            if position.offset == nil {
                position.offset = try Self.offset(of: configuration.start, in: log)
            }
            if configuration.end == .currentEnd, position.end == nil {
                position.end = highWatermark
            }
            return position
        }
        guard let offset = start.offset else { return .nothing }
        // Behind the log's end there is nothing to be through with: reading says so.
        if let end = start.end, offset >= end, offset <= log.logEnd { return .ended }
        guard
            let slice = try log.read(
                from: offset, bytesMax: configuration.fetchBytesMax, near: start.near)
        else { return start.end == nil ? .nothing : .ended }
        let epoch = try check(slice)
        let moved = assigned.position.withLock { position in
            guard position.generation == start.generation else { return false }
            position.offset = slice.nextOffset
            position.near = slice.end
            return true
        }
        // Somebody sought elsewhere meanwhile: what was fetched is not what comes next.
        guard moved else { return try fetch(assigned) }
        return .records(
            ConsumedRecords(
                topic: topic, partition: assigned.partition.index, startOffset: offset,
                nextOffset: slice.nextOffset, leaderEpoch: epoch, highWatermark: highWatermark,
                slice: slice))
    }

    /// Checks every batch before an application sees it. Returns the last one's epoch.
    private func check(_ slice: LogSlice) throws -> LeaderEpoch {
        var epoch = LeaderEpoch.none
        let bytes = slice.content.all
        var at = 0
        while at < bytes.byteCount {
            do {
                let batch = try RecordBatch(bytes, at: at)
                if configuration.isCheckingChecksums { try batch.verifyChecksum() }
                epoch = batch.header.partitionLeaderEpoch
                at += batch.header.sizeInBytes
            } catch {
                throw LogError.corruption(
                    Corruption(
                        file: slice.file, position: slice.position.advanced(by: at),
                        reason: "\(error)"))
            }
        }
        return epoch
    }

    /// Has every partition tell of its next record.
    private func watch() {
        for assigned in assigned {
            let mark = assigned.log.highWatermarkWatermark
            let position = assigned.position.withLock { $0.offset } ?? mark.offset
            assigned.partition.arrivals.wake(arrival, behind: position, of: mark)
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
