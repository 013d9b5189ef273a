import Synchronization
import TallyGroups
import TallyLog
import TallyRecords

/// Partitions of a cluster that a consumer reads, which take turns, and where it stands in each.
///
/// One task of its own, the pump, tells the fetcher what to read and takes what comes; whoever
/// iterates takes that from here. So a consumer whose task is cancelled goes on where it was.
/// Thread rule: any thread; ``fetchNext()`` by one task at a time.
final class RemoteReaders: Sendable {
    /// Where partitions begin that were not sought.
    typealias FindStart =
        @Sendable (Set<TopicPartition>) async throws -> [TopicPartition: Offset]

    let cluster: any RemoteCluster
    private let configuration: ConsumerConfiguration
    private let fetcher: any RemoteFetcher
    private let findStart: FindStart
    /// Signalled when there is something for whoever iterates.
    let arrival = Arrival()
    /// Signalled when there is something for the pump.
    private let changes = Arrival()
    private let state = Mutex(State())

    /// As many bytes are kept before the pump waits.
    private static let keptByteCountMax = 16 << 20

    struct State {
        var readers: [TopicPartition: RemoteReader] = [:]
        /// All that there ever were.
        var readerCount = 0
        /// Whose turn it is next comes first.
        var order: [TopicPartition] = []
        var topicIDs: [String: TopicID] = [:]
        /// Not read any more, which the fetcher has yet to hear.
        var removed: Set<TopicPartition> = []
        var keptByteCount = 0
        /// Something is to be read from elsewhere, which the pump has yet to hear.
        var hasMoved = false
        /// What has gone wrong with reading, to be thrown once.
        var failure: (any Error)?
        var pump: Task<Void, Never>?
        var isClosed = false
    }

    /// - Parameter findStart: asked for partitions without a position; nil for what the
    ///   configuration says.
    init(
        _ cluster: any RemoteCluster, _ configuration: ConsumerConfiguration,
        findStart: FindStart? = nil
    ) {
        self.cluster = cluster
        self.configuration = configuration
        fetcher = cluster.fetcher(configuration)
        self.findStart =
            findStart ?? { partitions in
                if case .offset(let offset) = configuration.start {
                    return Dictionary(uniqueKeysWithValues: partitions.map { ($0, offset) })
                }
                return try await Self.offsets(
                    of: partitions, at: configuration.start, in: cluster)
            }
    }

    deinit {
        let (pump, fetcher) = (state.withLock { $0.pump }, fetcher)
        pump?.cancel()
        Task { await fetcher.close() }
    }

    // MARK: What is read

    /// All of them.
    var assignment: Set<TopicPartition> { state.withLock { Set($0.readers.keys) } }

    /// The number of what reads a partition, which it gets anew when it is assigned anew; nil where
    /// it is not read.
    func number(of id: TopicPartition) -> Int? { state.withLock { $0.readers[id]?.number } }

    /// Takes partitions on that have no position yet.
    func add(_ partitions: Set<TopicPartition>) {
        state.withLock { state in
            for id in partitions.sorted() where state.readers[id] == nil {
                state.readerCount += 1
                state.readers[id] = RemoteReader(number: state.readerCount)
                state.order.append(id)
            }
        }
        signal()
    }

    /// Nothing of these is handed out any more.
    func remove(_ partitions: Set<TopicPartition>) {
        state.withLock { state in
            for id in partitions {
                guard let reader = state.readers.removeValue(forKey: id) else { continue }
                state.keptByteCount -= reader.keptByteCount
                state.removed.insert(id)
            }
            state.order.removeAll { partitions.contains($0) }
        }
        signal()
    }

    /// Reads these from now on, instead of those of before; those that stay go on where they are.
    ///
    /// Throws ``EngineError/invalidSetting(name:reason:)`` where there are none.
    func assign(_ partitions: Set<TopicPartition>) throws(EngineError) {
        guard !partitions.isEmpty else {
            throw .invalidSetting(name: "partitions", reason: "name at least one")
        }
        remove(assignment.subtracting(partitions))
        add(partitions)
    }

    /// Ends reading for good.
    func close() async {
        let pump = state.withLock { state in
            state.isClosed = true
            return state.pump
        }
        pump?.cancel()
        signal()
        await fetcher.close()
    }

    private func signal() {
        arrival.signal()
        changes.signal()
        fetcher.nudge()
    }

    // MARK: Positions

    var positions: [TopicPartition: Offset] {
        state.withLock { $0.readers.compactMapValues { $0.positionAndEpoch?.offset } }
    }

    /// What a commit of all positions says.
    var offsetsToCommit: [TopicPartition: OffsetToCommit] {
        state.withLock { state in
            state.readers.compactMapValues { reader in
                reader.positionAndEpoch.map {
                    OffsetToCommit(offset: $0.offset, leaderEpoch: $0.epoch)
                }
            }
        }
    }

    /// As far as the cluster has told of ends.
    var lag: [TopicPartition: Int64] {
        state.withLock { state in
            state.readers.mapValues { reader in
                let position = reader.positionAndEpoch?.offset ?? .zero
                return max(reader.highWatermark.rawValue - position.rawValue, 0)
            }
        }
    }

    /// Goes on somewhere else; false where the partition is not read.
    func seek(_ id: TopicPartition, to target: StartingPosition) async throws -> Bool {
        guard assignment.contains(id) else { return false }
        let offset: Offset
        if case .offset(let given) = target {
            offset = given
        } else {
            offset = try await Self.offsets(of: [id], at: target, in: cluster)[id]!
        }
        let isRead = state.withLock { state in state.move(id, to: offset) }
        signal()
        return isRead
    }

    /// Passes a partition over, or not any more; false where it is not read.
    func setPaused(_ isPaused: Bool, _ id: TopicPartition) -> Bool {
        let isRead = state.withLock { state in
            state.readers[id]?.isPaused = isPaused
            return state.readers[id] != nil
        }
        signal()
        return isRead
    }

    /// Offsets of all of these: where there is no record of a time, the end.
    static func offsets(
        of partitions: Set<TopicPartition>, at place: StartingPosition,
        in cluster: any RemoteCluster
    ) async throws -> [TopicPartition: Offset] {
        var found = try await cluster.offsets(
            of: partitions, at: place, isolation: .readUncommitted
        ).mapValues(\.offset)
        let missing = partitions.subtracting(found.keys)
        if !missing.isEmpty {
            found.merge(
                try await cluster.offsets(
                    of: missing, at: .latest, isolation: .readUncommitted
                ).mapValues(\.offset)
            ) { $1 }
        }
        return found
    }

    /// Where partitions begin or end for this consumer.
    func offsets(
        of partitions: Set<TopicPartition>, at place: StartingPosition
    ) async throws -> [TopicPartition: Offset] {
        try await cluster.offsets(of: partitions, at: place, isolation: configuration.isolation)
            .mapValues(\.offset)
    }

    /// The first record of each partition whose timestamp is the given one or later.
    func offsetsForTimes(
        _ times: [TopicPartition: Timestamp]
    ) async throws -> [TopicPartition: OffsetAndTimestamp] {
        var found: [TopicPartition: OffsetAndTimestamp] = [:]
        for (time, partitions) in Dictionary(grouping: times, by: \.value) {
            found.merge(
                try await cluster.offsets(
                    of: Set(partitions.map(\.key)), at: .time(time),
                    isolation: configuration.isolation)
            ) { $1 }
        }
        return found
    }

    // MARK: Iterating

    /// Records of the next partition that has some; nil where all have come to their ends.
    /// Returns `.nothing` where there is nothing now, after ``arrival`` was looked at.
    func take() throws -> Fetched {
        startPump()
        let (fetched, failure, hasMoved) = try state.withLock {
            (state) -> (Fetched, (any Error)?, Bool) in
            if let failure = state.failure.take() { return (.nothing, failure, true) }
            defer { state.hasMoved = false }
            let fetched = try state.take(configuration)
            return (fetched, nil, state.hasMoved)
        }
        if case .records = fetched { changes.signal() }
        if hasMoved { signal() }
        if let failure { throw failure }
        return fetched
    }

    /// Waits for the next fetch that has something; nil where the sequence has ended.
    func fetchNext() async throws -> ConsumedRecords? {
        while true {
            try Task.checkCancellation()
            let seen = arrival.count
            try await settle()
            switch try take() {
            case .records(let records): return records
            case .ended: return nil
            case .nothing: try await arrival.wait(after: seen)
            }
        }
    }

    /// Finds positions where there are none, and mends those that are not in the log, as
    /// `auto.offset.reset` says.
    func settle() async throws {
        let (missing, endless) = state.withLock { state in
            (
                Set(state.readers.filter { $0.value.needsPosition }.keys),
                Set(state.readers.filter { $0.value.needsEnd }.keys)
            )
        }
        if configuration.end == .currentEnd, !endless.isEmpty {
            let ends = try await offsets(of: endless, at: .latest)
            state.withLock { state in
                for (id, end) in ends { state.readers[id]?.noteEnd(end) }
            }
        }
        if !missing.isEmpty {
            let starts = try await findStart(missing)
            state.withLock { state in
                for (id, offset) in starts where state.readers[id]?.needsPosition == true {
                    state.move(id, to: offset)
                }
            }
            try await noteTopics(missing)
            signal()
        }
        try await mend()
    }

    private func noteTopics(_ partitions: Set<TopicPartition>) async throws {
        for topic in Set(partitions.map(\.topic)) {
            let id = try await cluster.describeTopic(topic).id
            state.withLock { $0.topicIDs[topic] = id }
        }
    }

    private func mend() async throws {
        let outside = state.withLock { state in
            state.readers.compactMapValues(\.outside)
        }
        for (id, requested) in outside.sorted(by: { $0.key < $1.key }) {
            let start = try await Self.offsets(of: [id], at: .earliest, in: cluster)
            let end = try await Self.offsets(of: [id], at: .latest, in: cluster)
            let (logStart, logEnd) = (start[id] ?? .zero, end[id] ?? .zero)
            let target = configuration.reset.target(
                of: requested, logStart: logStart, logEnd: logEnd)
            guard let target else {
                throw LogError.offsetOutOfRange(
                    OffsetOutOfRange(
                        of: "\(id)", requested: requested, logStart: logStart,
                        logEnd: logEnd))
            }
            let found = try await Self.offsets(of: [id], at: target, in: cluster)
            state.withLock { state in
                // Somebody sought elsewhere meanwhile: that counts.
                guard state.readers[id]?.outside == requested else { return }
                state.move(id, to: found[id] ?? .zero)
            }
            signal()
        }
    }

    // MARK: The pump

    private func startPump() {
        state.withLock { state in
            guard state.pump == nil, !state.isClosed else { return }
            state.pump = Task { [weak self, changes] in
                while !Task.isCancelled {
                    let seen = changes.count
                    // Held for one step only: a consumer that is let go of ends its pump.
                    guard let isAtRest = await self?.pumpOnce() else { return }
                    if isAtRest { try? await changes.wait(after: seen) }
                }
            }
        }
    }

    /// Tells the fetcher what has changed, and takes what it has. True where there is nothing to
    /// wait for there.
    private func pumpOnce() async -> Bool {
        for (id, offset) in state.withLock({ $0.takeOrders() }) {
            if let offset {
                await fetcher.read(id, from: offset)
            } else {
                await fetcher.stop(id)
            }
        }
        let isIdle = state.withLock { state in
            state.failure != nil || state.keptByteCount > Self.keptByteCountMax
                || !state.readers.values.contains(where: \.isFetched)
        }
        if isIdle { return true }
        do {
            let fetched = try await fetcher.next()
            guard !fetched.isEmpty else { return false }
            state.withLock { state in
                for fetch in fetched { state.keep(fetch) }
            }
        } catch is CancellationError {
            return false
        } catch {
            state.withLock { $0.failure = error }
        }
        arrival.signal()
        return false
    }

    // MARK: Record by record

    func beginRecords(of records: ConsumedRecords) -> Bool {
        state.withLock { state in
            let id = records.topicPartition
            guard let reader = state.readers[id], reader.generation == records.generation else {
                return false
            }
            state.readers[id]?.inside = reader.before
            return true
        }
    }

    func handOut(_ record: ConsumerRecord, of records: ConsumedRecords) -> Bool {
        state.withLock { state in
            let id = records.topicPartition
            guard let reader = state.readers[id], reader.generation == records.generation,
                !reader.isPaused
            else { return false }
            state.readers[id]?.inside = (record.nextOffset, record.leaderEpoch)
            return true
        }
    }

    func endRecords(of records: ConsumedRecords) {
        state.withLock { state in
            let id = records.topicPartition
            if state.readers[id]?.generation == records.generation {
                state.readers[id]?.inside = nil
            }
        }
    }
}
