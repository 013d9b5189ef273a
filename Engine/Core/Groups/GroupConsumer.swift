import Metrics
import Synchronization
import TallyGroups
import TallyLog
import TallyRecords

/// A member of a consumer group: reads the partitions that the group gives it, as an asynchronous
/// sequence of fetched records, and commits how far it is.
///
/// ```swift
/// let consumer = try engine.consumer(group: "billing", topics: ["orders"])
/// for try await records in consumer {
///     try records.forEachRecord { record in
///         print(record.offset, record.valueText ?? "")
///     }
///     try await consumer.commit(records)
/// }
/// ```
///
/// As with Kafka, the group's changes reach the application between two elements: who does not
/// come back for more for `max.poll.interval.ms` loses its partitions. Leave with ``close()``; a
/// consumer that is dropped leaves too. Thread rule: one task at a time iterates; everything else
/// is for any task.
public final class GroupConsumer: AsyncSequence, Sendable {
    /// One fetch from one partition.
    public typealias Element = ConsumedRecords

    /// The group's id.
    public let group: String
    package let engine: Engine
    let configuration: GroupConsumerConfiguration
    let membership: GroupMembership
    let readers = PartitionReaders()
    let service: GroupService
    let returned = Mutex(ReturnedPositions())
    let backgroundCommits = BackgroundCommits()
    let commitCounter: Counter
    private let assignmentCounter: Counter
    private let lastPolled = Mutex(ContinuousClock.now)
    private let isClosing = Atomic<Bool>(false)
    private let closing = Mutex<Task<Void, any Error>?>(nil)
    /// Whose closing the task is at.
    @TaskLocal private static var closingNow: GroupConsumer?
    private let isStopping = Atomic<Bool>(false)
    /// Some partition has no position yet: it is found before anything is fetched.
    private let isMissingPosition = Atomic<Bool>(false)

    init(
        engine: Engine, service: GroupService, group: String, topics: Set<String>,
        configuration: GroupConsumerConfiguration
    ) {
        self.engine = engine
        self.service = service
        self.group = group
        commitCounter = GroupMetrics.commits(of: group)
        assignmentCounter = GroupMetrics.assignments(of: group)
        self.configuration = configuration
        membership = GroupMembership(
            configuration.member(of: group), service: service, arrival: readers.arrival
        ) { [weak engine] topic in
            (try? engine?.partitions(of: topic)).map(\.count)
        }
        membership.subscribe(to: topics)
    }

    deinit { membership.leave() }

    // MARK: Membership

    /// Wants these topics from now on, instead of those of before.
    ///
    /// Throws ``EngineError/unknownTopic(name:known:)``.
    public func subscribe(to topics: Set<String>) throws(EngineError) {
        for topic in topics { _ = try engine.partitions(of: topic) }
        membership.subscribe(to: topics)
    }

    /// What is read now.
    public var assignment: Set<TopicPartition> { Set(readers.all.map(\.id)) }

    /// The generation that the member is in; -1 while it is in none.
    public var generation: Int32 { membership.identity.generation }

    /// Leaves the group: the partitions go to others at once. Tells the listener, and commits first
    /// where that is automatic. The sequence ends. Where another task iterates, let it come to the
    /// end of its element first: others may read what it is still at.
    ///
    /// Throws what the listener throws, and where the last commit failed; the member has left all
    /// the same. Closing twice is closing once: every caller returns when it is done, with the same
    /// outcome; the listener, which closing waits for, returns at once.
    public func close() async throws {
        if Self.closingNow === self { return }
        isClosing.store(true, ordering: .releasing)
        let closing = closing.withLock { closing in
            // Not the caller's task: cancelling that must not leave the leaving half done.
            closing =
                closing
                ?? Task { try await Self.$closingNow.withValue(self) { try await closeOnce() } }
            return closing!
        }
        try await closing.value
    }

    private func closeOnce() async throws {
        defer {
            readers.removeAll()
            readers.arrival.signal()
        }
        await backgroundCommits.wait()
        var failure: (any Error)?
        do {
            try await giveUp(membership.identity.owned)
        } catch {
            failure = error
        }
        await withCheckedContinuation { continuation in
            membership.leave { continuation.resume() }
        }
        if let failure { throw failure }
    }

    // MARK: The sequence

    /// Iterates from the group's positions on.
    public func makeAsyncIterator() -> Iterator { Iterator(consumer: self) }

    /// Asks for one fetch after the other.
    public struct Iterator: AsyncIteratorProtocol {
        let consumer: GroupConsumer

        /// The next records of some partition; nil once the consumer was closed.
        ///
        /// Throws ``EngineError/offsetUnavailable(_:)`` where the group has no position that the
        /// log holds and `auto.offset.reset` does not choose one (again with each call, until
        /// somebody seeks or commits), ``EngineError/group(_:)`` where the member cannot be in the
        /// group, ``LogError``, ``EngineError/closed``, what the
        /// listener throws, and `CancellationError`.
        public mutating func next() async throws -> ConsumedRecords? {
            try await consumer.next()
        }
    }

    private func next() async throws -> ConsumedRecords? {
        try await noteReturn()
        return try await fetchNext()
    }

    /// The sequence ends before its next element; the member stays until ``close()``.
    func stopAsking() {
        isStopping.store(true, ordering: .releasing)
        readers.arrival.signal()
    }

    func attend() async throws -> Bool {
        try Task.checkCancellation()
        if isClosing.load(ordering: .acquiring) || isStopping.load(ordering: .acquiring) {
            return false
        }
        try engine.requireNotClosed()
        while let event = membership.takeEvent() { try await handle(event) }
        return true
    }

    func fetchNext() async throws -> ConsumedRecords? {
        while true {
            let seen = readers.arrival.count
            guard try await attend() else { return nil }
            guard try await findPositions() else {
                // Moments, but for a transaction whose producer has died.
                membership.setWaiting(true)
                defer { membership.setWaiting(false) }
                try await Task.sleep(for: .milliseconds(10))
                continue
            }
            switch try await engine.workers.run({ [self] in try fetchAny() }) {
            case .records(let records): return records
            case .ended, .nothing:
                readers.watch()
                membership.setWaiting(true)
                defer { membership.setWaiting(false) }
                try await readers.arrival.wait(after: seen)
            }
        }
    }

    /// The application has come back: it is through with what it was given.
    func noteReturn() async throws {
        let now = ContinuousClock.now
        // A step of the state machine is not worth it for each fetch.
        let isDue = lastPolled.withLock { last in
            guard now - last >= .milliseconds(100) else { return false }
            last = now
            return true
        }
        if isDue { membership.polled() }
        guard configuration.isAutoCommitting else { return }
        let readers = readers
        returned.withLock { $0.note(readers) }
        try await autoCommit(at: now)
    }

    private func fetchAny() throws -> Fetched {
        try engine.requireNotClosed()
        do {
            return try readers.fetchAny()
        } catch LogError.offsetOutOfRange(let range) {
            throw EngineError.offsetUnavailable(
                UnavailableOffset(
                    partition: range.partition, group: group, committed: range.requested,
                    logStart: range.logStart, logEnd: range.logEnd))
        }
    }

    // MARK: Events

    private func handle(_ event: GroupEvent) async throws {
        switch event {
        case .revoke(let partitions, let attempt):
            // Also where the listener throws: the group waits for it.
            defer {
                readers.remove(partitions)
                membership.revocationDone(attempt: attempt)
            }
            try await giveUp(partitions)
        case .lost(let partitions):
            readers.remove(partitions)
            try await configuration.onRebalance?(self, .lost(partitions))
        case .assigned(let partitions):
            // The listener may seek, as one does that keeps its positions elsewhere: only where it
            // did not is the group asked.
            assignmentCounter.increment()
            let failure = add(partitions)
            try await configuration.onRebalance?(self, .assigned(partitions))
            if let failure { throw failure }
        case .failed(let error):
            throw EngineError.group(error)
        }
    }

    /// Commits, where that is automatic, and tells the listener: also where the commit fails, which
    /// is thrown after it.
    private func giveUp(_ partitions: Set<TopicPartition>) async throws {
        var failure: (any Error)?
        if configuration.isAutoCommitting {
            do {
                try await commitReturned()
            } catch {
                failure = error
            }
        }
        if !partitions.isEmpty { try await configuration.onRebalance?(self, .revoked(partitions)) }
        if let failure { throw failure }
    }

    /// Takes partitions on that have no position yet. Those that are offline are left out, with
    /// the first one's error.
    private func add(_ partitions: Set<TopicPartition>) -> (any Error)? {
        var failure: (any Error)?
        for id in partitions.sorted() {
            do {
                let partition = try engine.partition(id.partition, of: id.topic)
                readers.add(
                    PartitionReader(
                        partition, log: try partition.log, configuration: configuration.reading))
                isMissingPosition.store(true, ordering: .releasing)
            } catch {
                failure = failure ?? error
            }
        }
        return failure
    }

    /// Has partitions without a position begin where the group stands. One that cannot is tried
    /// again with each call, until a position was committed or sought: it is never passed over.
    ///
    /// False where a transaction is about to move one, and nobody knows yet how it ends: whoever
    /// had the partition before may commit what it read, and it must not be read again then.
    private func findPositions() async throws -> Bool {
        guard isMissingPosition.exchange(false, ordering: .acquiringAndReleasing) else {
            return true
        }
        let missing = readers.all.filter { $0.position == nil }
        guard !missing.isEmpty else { return true }
        do {
            guard let committed = try await stableOffsets(of: Set(missing.map(\.id))) else {
                isMissingPosition.store(true, ordering: .releasing)
                return false
            }
            var failure: (any Error)?
            for reader in missing {
                do {
                    let start = try await start(
                        of: reader.id, reader.log, committed: committed[reader.id])
                    reader.begin(at: start)
                } catch {
                    failure = failure ?? error
                }
            }
            if let failure { throw failure }
            return true
        } catch {
            isMissingPosition.store(true, ordering: .releasing)
            throw error
        }
    }

    /// What the group has committed, as Kafka's OffsetFetch with `require_stable`; nil where a
    /// transaction is about to change some of it.
    private func stableOffsets(
        of partitions: Set<TopicPartition>
    ) async throws -> [TopicPartition: CommittedOffset]? {
        let group = group
        let answers = try await engine.askGroups(about: group) { coordinator, _ in
            coordinator.fetchOffsets(group: group, partitions: partitions, requiresStable: true)
        }
        var committed: [TopicPartition: CommittedOffset] = [:]
        for (partition, answer) in answers {
            switch answer {
            case .success(let offset): committed[partition] = offset
            case .failure(.unstableOffsetCommit): return nil
            case .failure(let error): throw EngineError.group(error)
            }
        }
        return committed
    }

    /// Where to begin. What was committed must be in the log still, and be the same records.
    private func start(
        of id: TopicPartition, _ log: PartitionLog, committed: CommittedOffset?
    ) async throws -> Offset {
        if let committed {
            let position = StoredPosition(
                offset: committed.offset, leaderEpoch: committed.leaderEpoch)
            if log.state(of: position) == .held { return committed.offset }
        }
        let target = configuration.reading.reset.target(
            of: committed?.offset, logStart: log.logStart, logEnd: log.highWatermark)
        guard let target else {
            throw EngineError.offsetUnavailable(
                UnavailableOffset(
                    partition: id.description, group: group, committed: committed?.offset,
                    logStart: log.logStart, logEnd: log.highWatermark))
        }
        return try await engine.workers.run { try PartitionReader.offset(of: target, in: log) }
    }
}

extension Engine {
    /// A member of a consumer group, which reads what the group gives it of these topics.
    ///
    /// Joins at once; what the group has for it comes with the iteration.
    ///
    /// Throws ``EngineError/unknownTopic(name:known:)``, ``EngineError/closed``, and
    /// ``EngineError/invalidSetting(name:reason:)``.
    public func consumer(
        group: String, topics: Set<String>,
        _ configuration: GroupConsumerConfiguration = GroupConsumerConfiguration()
    ) throws(EngineError) -> GroupConsumer {
        try configuration.check()
        guard !group.isEmpty else {
            throw .invalidSetting(name: "group.id", reason: "it cannot be empty")
        }
        for topic in topics { _ = try partitions(of: topic) }
        return GroupConsumer(
            engine: self, service: groups, group: group, topics: topics,
            configuration: configuration)
    }
}
