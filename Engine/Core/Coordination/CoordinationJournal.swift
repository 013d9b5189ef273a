import DequeModule
import Logging
import Synchronization
import TallyFiles
import TallyLog
import TallyRecords

/// Appends what a coordinator decides to the partitions of an internal topic, and says when that is
/// committed: below the high watermark of its partition, which moves when the log is synced, or
/// when enough replicas have it.
///
/// Nobody waits in it. A coordinator's memory is what the log says to its end; an answer is held
/// back until all that it may rest on is committed (``whenCommitted(_:timeLimit:_:)``), so that
/// requests of many share a sync, and a partition that is stuck keeps no other from going on. What
/// is committed is handed to `project`, in the order of the log, for the state that people look
/// into.
///
/// Thread rule: ``append(_:)`` on the coordinator's lane, the rest anywhere. Whoever waits is told
/// on the lane, or at once.
final class CoordinationJournal<Change: Sendable>: Sendable {
    typealias Tell = @Sendable (CommitFailure?) -> Void

    /// One batch for one partition.
    struct Entry: Sendable {
        var partition: Int32
        /// Whose transaction it is part of; nil where it counts at once.
        var producer: BatchProducer?
        /// Where that transaction stood when somebody asked its coordinator about it.
        var verification: TransactionStanding?
        /// What is written; without any, `changes` follow what was written before.
        var records: [CoordinatorRecord]
        /// What it says, as the state has it.
        var changes: [Change]
    }

    /// What an internal topic is to a journal.
    struct Surroundings: Sendable {
        /// The log of a partition, which is led here; makes the topic where it is not there yet.
        var log: @Sendable (Int32) throws -> PartitionLog
        /// Takes over what is committed. Called in order, with a lock held: must not block.
        var project: @Sendable ([Change]) -> Void
    }

    let topic: InternalTopic
    private let timeLimit: Duration
    private let lane: SerialLane
    private let workers: WorkerPool
    private let surroundings = Mutex<Surroundings?>(nil)
    private let builder: Mutex<RecordBatchBuilder>
    private let state = UnfairLock(State())
    private let alarm = Alarm()
    /// Looks again at what cannot be told now.
    private let laterAlarm = Alarm()

    private struct State: Sendable {
        var partitions: [Int32: Standing] = [:]
        /// In which epoch each was read that is led here: the coordinator's state is of then.
        var epochs: [Int32: LeaderEpoch] = [:]
        /// Those with a time limit, by that: all have the same.
        var limited: Deque<(due: ContinuousClock.Instant, waiter: Waiter)> = []
    }

    /// A partition that something was appended to.
    private struct Standing: Sendable {
        var log: PartitionLog
        /// The epoch in which it was appended: in a later one the log may have something else at
        /// the same offsets.
        var epoch: LeaderEpoch
        /// Behind what was appended last.
        var end: Offset

        /// How much of it is committed; nil where that cannot be told, now or any more.
        var committed: Offset? { log.committedEnd(in: epoch) }
        /// Whether it can be told later where it cannot be now: the member's lease has ended, and
        /// when it has another it goes on in the same epoch, so that nobody reads the log anew.
        var canBeToldLater: Bool { log.leads(in: epoch) }

        /// What waits to be committed; rising.
        var uncommitted: Deque<(end: Offset, changes: [Change])> = []
        var waiters: Deque<(end: Offset, waiter: Waiter)> = []
        var isSyncing = false
        var hasWork: Bool { !uncommitted.isEmpty || !waiters.isEmpty }
    }

    /// Somebody who waits, and is told once.
    private final class Waiter: Sendable {
        let hasTimeLimit: Bool
        private let tell: UnfairLock<Tell?>

        init(hasTimeLimit: Bool, _ tell: @escaping Tell) {
            self.hasTimeLimit = hasTimeLimit
            self.tell = UnfairLock(tell)
        }

        func tell(_ failure: CommitFailure?) { tell.withLock { $0.take() }?(failure) }

        /// Who waits without a limit hears of no failure.
        func fail(_ failure: CommitFailure) { if hasTimeLimit { tell(failure) } }

        var isTold: Bool { tell.withLock { $0 == nil } }
    }

    /// - Parameters:
    ///   - lane: the coordinator's.
    ///   - workers: where logs are synced.
    init(topic: InternalTopic, timeLimit: Duration, lane: SerialLane, workers: WorkerPool) {
        self.topic = topic
        self.timeLimit = timeLimit
        self.lane = lane
        self.workers = workers
        guard let builder = try? RecordBatchBuilder() else {
            invariantFailure("there is no batch without compression")
        }
        self.builder = Mutex(builder)
    }

    /// Before anything is appended.
    func begin(_ surroundings: Surroundings) { self.surroundings.withLock { $0 = surroundings } }

    /// Tells everybody who waits that it was closed.
    func stop() {
        alarm.stop()
        laterAlarm.stop()
        let waiters = state.withLock { state in
            defer { state.partitions = [:] }
            return state.partitions.values.flatMap { $0.waiters.map(\.waiter) }
        }
        for waiter in waiters { waiter.fail(.failed("the engine is closed")) }
    }

    /// The partition was read, and is led here in an epoch: from now on nobody is answered while
    /// this member must not answer for it, also before anything is appended.
    func lead(_ partition: Int32, _ log: PartitionLog, in epoch: LeaderEpoch) {
        let lost = state.withLock { state -> [Waiter] in
            state.epochs[partition] = epoch
            let known = state.partitions[partition]
            guard known?.log !== log || known?.epoch != epoch else { return [] }
            state.partitions[partition] = Standing(log: log, epoch: epoch, end: .zero)
            return known?.waiters.map(\.waiter) ?? []
        }
        if !lost.isEmpty { lane.submit { for waiter in lost { waiter.fail(.notCoordinator) } } }
    }

    // MARK: Appending

    /// Appends a batch; on return the log has it, and nobody may hear of it yet. On the lane.
    ///
    /// - Throws: what the log does; nothing was appended then.
    func append(_ entry: Entry) throws {
        guard let surroundings = surroundings.withLock({ $0 }) else {
            throw LogError.closed(partition: "\(topic.rawValue)-\(entry.partition)")
        }
        let log = try surroundings.log(entry.partition)
        let appended = entry.records.isEmpty ? nil : try append(entry, to: log)
        note(appended, entry, log)
    }

    /// Appends the marker that ends a producer's transaction in a partition. On the lane.
    ///
    /// - Parameter changes: what is so when it is committed.
    /// - Throws: what the log does; nothing was appended then.
    func append(
        _ marker: TransactionMarker, to partition: Int32, changes: () -> [Change]
    ) throws {
        guard let surroundings = surroundings.withLock({ $0 }) else {
            throw LogError.closed(partition: "\(topic.rawValue)-\(partition)")
        }
        let log = try surroundings.log(partition)
        try log.checkAppend(forAll: true)
        let appended = try log.append(marker, now: .now)
        let entry = Entry(partition: partition, records: [], changes: changes())
        note(appended, entry, log)
    }

    private func append(_ entry: Entry, to log: PartitionLog) throws -> AppendResult {
        try log.checkAppend(forAll: true)
        let epoch = state.withLock { $0.epochs[entry.partition] }
        return try builder.withLock { builder in
            builder.reset()
            let now = Timestamp.now
            for record in entry.records {
                try record.append(to: &builder, timestamp: now)
            }
            var batch = try builder.finishMutable(
                producer: entry.producer ?? .none, isTransactional: entry.producer != nil)
            return try log.append(
                &batch, from: .coordinator(in: epoch), now: now, verification: entry.verification)
        }
    }

    private func note(_ appended: AppendResult?, _ entry: Entry, _ log: PartitionLog) {
        let epoch = appended?.leaderEpoch ?? log.leaderEpoch
        let (end, needsSync, lost) = state.withLock { state -> (Offset, Bool, [Waiter]) in
            var standing =
                state.partitions[entry.partition]
                ?? Standing(log: log, epoch: epoch, end: .zero)
            var lost: [Waiter] = []
            if standing.log !== log || standing.epoch != epoch {
                // Nobody will ever know what became of it.
                lost = standing.waiters.map(\.waiter)
                standing = Standing(log: log, epoch: epoch, end: .zero)
            }
            standing.end = max(standing.end, appended?.nextOffset ?? log.logEnd)
            if !entry.changes.isEmpty {
                standing.uncommitted.append((standing.end, entry.changes))
            }
            let needsSync = log.durability == .synced && !standing.isSyncing
            if needsSync { standing.isSyncing = true }
            state.partitions[entry.partition] = standing
            return (standing.end, needsSync, lost)
        }
        if !lost.isEmpty { lane.submit { for waiter in lost { waiter.fail(.notCoordinator) } } }
        log.highWatermarkWatermark.whenReached(end) { [weak self] error in
            self?.reached(entry.partition, log, error)
        }
        if needsSync { workers.submit { [weak self] in self?.sync(entry.partition, log) } }
    }

    /// Syncs what there is; one for each partition at a time, which takes along what others append
    /// before it begins.
    private func sync(_ partition: Int32, _ log: PartitionLog) {
        state.withLock { $0.partitions[partition]?.isSyncing = false }
        do {
            try log.flush()
        } catch {
            reached(partition, log, error)
        }
    }

    // MARK: Committed

    /// Calls back when everything that was appended to a partition so far is committed; at once
    /// where it is.
    ///
    /// - Parameter hasTimeLimit: false for what has to be done whenever it is committed; it is not
    ///   called at all, then, where that never happens.
    func whenCommitted(_ partition: Int32, hasTimeLimit: Bool = true, _ tell: @escaping Tell) {
        let limit = timeLimit
        let isWaiting: Bool? = state.withLock { state in
            guard let standing = state.partitions[partition] else { return false }
            let committed = standing.committed
            if committed == nil, hasTimeLimit || !standing.canBeToldLater { return nil }
            if let committed, committed >= standing.end { return false }
            let waiter = Waiter(hasTimeLimit: hasTimeLimit, tell)
            state.partitions[partition]?.waiters.append((standing.end, waiter))
            if hasTimeLimit { state.limited.append((.now + limit, waiter)) }
            return true
        }
        guard let isWaiting else {
            // What has no limit waits for whoever leads next, who reads what there is to do.
            if hasTimeLimit { tell(.notCoordinator) }
            return
        }
        guard isWaiting else { return tell(nil) }
        // It may have come to that meanwhile.
        reached(partition, nil, nil)
        if hasTimeLimit { setAlarm() }
    }

    /// The high watermark has moved, or will not.
    private func reached(_ partition: Int32, _ log: PartitionLog?, _ error: (any Error)?) {
        var looksAgain = false
        let (told, failed) = state.withLock { state -> ([Waiter], [Waiter]) in
            guard var standing = state.partitions[partition], log == nil || log === standing.log
            else { return ([], []) }
            defer { state.partitions[partition] = standing }
            guard let committed = standing.committed else {
                let canBeToldLater = standing.canBeToldLater
                let failed = Self.takeFailed(&standing, areAll: !canBeToldLater)
                looksAgain = canBeToldLater && standing.hasWork
                return ([], failed)
            }
            var changes: [Change] = []
            while let first = standing.uncommitted.first, first.end <= committed {
                changes += first.changes
                standing.uncommitted.removeFirst()
            }
            // Under the lock, so that they keep the order of the log.
            if !changes.isEmpty { surroundings.withLock { $0 }?.project(changes) }
            var told: [Waiter] = []
            while let first = standing.waiters.first, first.end <= committed {
                told.append(first.waiter)
                standing.waiters.removeFirst()
            }
            while state.limited.first?.waiter.isTold ?? false { state.limited.removeFirst() }
            guard error != nil else { return (told, []) }
            let failed = standing.waiters.map(\.waiter).filter(\.hasTimeLimit)
            standing.waiters.removeAll { $0.waiter.hasTimeLimit }
            return (told, failed)
        }
        if looksAgain { lookAgain() }
        guard !told.isEmpty || !failed.isEmpty else { return }
        // Without an error somebody else leads, or may lead, by now.
        let failure = error.map { CommitFailure($0) } ?? .notCoordinator
        // Not here: this may be the thread that appends, with the coordinator's lock held.
        lane.submit {
            for waiter in told { waiter.tell(nil) }
            for waiter in failed { waiter.fail(failure) }
        }
    }

    /// Those who need not wait any longer: all, and what was to follow for them, or those with a
    /// time limit.
    private static func takeFailed(_ standing: inout Standing, areAll: Bool) -> [Waiter] {
        let failed = standing.waiters.map(\.waiter).filter { areAll || $0.hasTimeLimit }
        standing.waiters.removeAll { areAll || $0.waiter.hasTimeLimit }
        if areAll { standing.uncommitted = [] }
        return failed
    }

    /// Looks once more, some time soon, at all that cannot be told now.
    private func lookAgain() {
        laterAlarm.set(after: .milliseconds(100)) { [weak self] in
            guard let self else { return }
            for partition in state.withLock({ $0.partitions.keys.sorted() }) {
                reached(partition, nil, nil)
            }
        }
    }

    /// Forgets a partition that is led no longer: who waits is told.
    func forget(_ partition: Int32) {
        let waiters = state.withLock { state in
            state.epochs[partition] = nil
            return state.partitions.removeValue(forKey: partition)?.waiters.map(\.waiter) ?? []
        }
        lane.submit { for waiter in waiters { waiter.fail(.notCoordinator) } }
    }

    // MARK: Time

    private func setAlarm() {
        guard let due = state.withLock({ $0.limited.first?.due }) else { return }
        alarm.set(after: max(due - .now, .milliseconds(1))) { [weak self] in self?.ring() }
    }

    private func ring() {
        let now = ContinuousClock.now
        let due: [Waiter] = state.withLock { state in
            var due: [Waiter] = []
            while let first = state.limited.first, first.due <= now {
                due.append(first.waiter)
                state.limited.removeFirst()
            }
            return due
        }
        lane.submit { for waiter in due { waiter.fail(.timedOut) } }
        setAlarm()
    }
}

extension CoordinatorRecord {
    fileprivate func append(
        to builder: inout RecordBatchBuilder, timestamp: Timestamp
    ) throws(RecordError) {
        if let value {
            try builder.append(key: key.rawSpan, value: value.rawSpan, timestamp: timestamp)
        } else {
            try builder.append(key: key.rawSpan, value: nil, timestamp: timestamp)
        }
    }
}
