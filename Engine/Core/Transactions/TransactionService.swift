import DequeModule
import Logging
import Synchronization
import TallyFiles
import TallyGroups
import TallyLog
package import TallyRecords
package import TallyTransactions

/// Runs the transaction coordinator of an engine: hands in requests and the time, has markers
/// written and groups told, and wakes up when something is due.
///
/// Everything but the writing happens on one lane, which the groups are on too. What waits when
/// the lane comes to it is one turn: it shares a durable write, and is answered, and followed by
/// what it wants done, behind that. Thread rule: any thread.
package final class TransactionService: Sendable {
    typealias Answer<Success> = @Sendable (Result<Success, TransactionError>) -> Void

    /// Tells a partition that is led here how a transaction ended; blocks, on a thread of its own.
    typealias MarkerWriter =
        @Sendable (_ partition: TopicPartition, TransactionWork) -> TransactionWorkOutcome

    private let lane: SerialLane
    private let workers: WorkerPool
    private let store: BufferedTransactionStore
    private let configuration: TransactionConfiguration
    private let producerIDs: any ProducerIDGenerator
    let groups: GroupService
    private let logger: Logger
    private let markers = Mutex(Markers())
    /// Where transactional ids are recorded before they count; nil where the store is all there is.
    let journal: TransactionJournal?
    let others = Mutex(OtherMembers())
    private let state = Mutex(State())
    private let isStopped = Atomic<Bool>(false)
    private let waiters = UnfairLock(Waiters())
    private let steps = UnfairLock<Deque<Step>>([])
    private let alarm = Alarm()

    /// Not the closure itself: a mutex of closures wraps its content once more with each access,
    /// until a call of it has used up the stack.
    private struct Markers {
        var write: MarkerWriter?
    }

    struct State: ~Copyable {
        /// Nil before it was loaded, and while the store cannot be read.
        var coordinator: TransactionCoordinator?
        /// Loaded before: whoever was given an identity is alive.
        var isReloading = false
    }

    /// Those who wait for an end. Under a lock of its own: the one of the coordinator is held while
    /// the disk is written to, and tasks do not wait for that.
    private struct Waiters: Sendable {
        var nextToken: UInt64 = 0
        var answers: [TransactionToken: Answer<ProducerIdentity>] = [:]
        /// Whose end it is.
        var ids: [TransactionToken: String] = [:]

        /// What tells those who wait for too long.
        var limits: [TransactionToken: Task<Void, Never>] = [:]

        /// Whom to tell. Nobody watches the time for them any longer: tasks that sleep until their
        /// time is over held 3 KB a transaction.
        mutating func take(_ token: TransactionToken) -> Answer<ProducerIdentity>? {
            limits.removeValue(forKey: token)?.cancel()
            ids[token] = nil
            return answers.removeValue(forKey: token)
        }

        mutating func takeAll() -> [Answer<ProducerIdentity>] {
            answers.keys.compactMap { take($0) }
        }
    }

    init(
        lane: SerialLane, workers: WorkerPool, store: any TransactionStore,
        configuration: TransactionConfiguration, groups: GroupService, logger: Logger,
        journal: TransactionJournal? = nil, producerIDs: (any ProducerIDGenerator)? = nil
    ) {
        self.lane = lane
        self.workers = workers
        self.store = BufferedTransactionStore(journal?.store ?? store)
        self.configuration = configuration
        self.groups = groups
        self.logger = logger
        self.journal = journal
        self.producerIDs = producerIDs ?? DrawnProducerIDs()
    }

    /// Loads what is stored, and finishes what was decided and not finished. Transactions without
    /// a decision are aborted: their producers died with the process.
    func start(_ writeMarker: @escaping MarkerWriter) {
        markers.withLock { $0.write = writeMarker }
        submit { (_, _) throws(TransactionError) in
        } answer: { [self] result in
            // An engine that is closed at once, by a command that failed, has nothing to say.
            guard case .failure(let error) = result, error != Self.closed else { return }
            logger.error("The transactions could not be loaded: \(error)")
        }
    }

    /// Ends the timer, and answers those who still wait: what was decided is finished when the
    /// directory is opened again.
    func stop() {
        alarm.stop()
        journal?.journal.stop()
        isStopped.store(true, ordering: .releasing)
        let answers = waiters.withLock { $0.takeAll() }
        for answer in answers { answer(.failure(Self.closed)) }
    }

    private static let closed = TransactionError.coordinatorNotAvailable(
        reason: "the engine is closed; what was decided is finished when it is opened again")

    // MARK: Requests

    /// Any request that the coordinator answers at once.
    ///
    /// - Parameter transactionalID: which id it is about, where the answer must not tell of what is
    ///   not committed.
    func ask<Success: Sendable>(
        about transactionalID: String? = nil,
        _ request:
            @escaping @Sendable (
                inout TransactionCoordinator, Timestamp
            ) throws(TransactionError) -> Success,
        answer: @escaping Answer<Success>
    ) {
        submit(
            about: transactionalID,
            { (state, now) throws(TransactionError) in
                guard state.coordinator != nil else { throw Self.notLoaded }
                return try request(&state.coordinator!, now)
            }, answer: answer)
    }

    /// Any request that the coordinator answers at once, waited for; see ``ask(about:_:answer:)``.
    package func ask<Success: Sendable>(
        about transactionalID: String? = nil,
        _ request:
            @escaping @Sendable (
                inout TransactionCoordinator, Timestamp
            ) throws(TransactionError) -> Success
    ) async throws(TransactionError) -> Success {
        let result: Result<Success, TransactionError> = await withCheckedContinuation { waiter in
            ask(about: transactionalID, request) { waiter.resume(returning: $0) }
        }
        return try result.get()
    }

    /// Looks at the coordinator from the lane, which the groups are on too: what follows in the
    /// same job comes before any end of a transaction. Called with the groups' lock held, never
    /// the other way round.
    package func lookOnLane<Success>(
        _ body: (borrowing TransactionCoordinator) throws(TransactionError) -> Success
    ) throws(TransactionError) -> Success {
        try state.withLock { (state) throws(TransactionError) in
            guard state.coordinator != nil else { throw Self.notLoaded }
            return try body(state.coordinator!)
        }
    }

    /// Ends a transaction; returns the producer of the next one when everybody was told.
    ///
    /// After the time limit whoever waits is told that it will be finished later: a partition may
    /// be stopped until the directory is opened again.
    ///
    /// - Parameter keepsEpoch: see ``TransactionCoordinator``.
    package func end(
        _ transactionalID: String, producer: ProducerIdentity, _ decision: TransactionDecision,
        keepsEpoch: Bool = false, timeout: Duration
    ) async throws(TransactionError) -> ProducerIdentity {
        let result: Result<ProducerIdentity, TransactionError>
        result = await withCheckedContinuation { waiter in
            let token = register(transactionalID) { waiter.resume(returning: $0) }
            submit(about: transactionalID) { (state, now) throws(TransactionError) in
                state.coordinator?.endTransaction(
                    transactionalID, producer: producer, decision, keepsEpoch: keepsEpoch,
                    token: token, now: now)
            } answer: { [self] begun in
                switch begun {
                case .failure(let error): answer(token, .failure(error))
                case .success: limit(token, to: timeout)
                }
            }
        }
        return try result.get()
    }

    /// Whoever waits for an end is told once, by whatever comes first.
    private func register(
        _ transactionalID: String, _ answer: @escaping Answer<ProducerIdentity>
    ) -> TransactionToken {
        waiters.withLock { waiters in
            waiters.nextToken += 1
            let token = TransactionToken(rawValue: waiters.nextToken)
            waiters.answers[token] = answer
            if journal != nil { waiters.ids[token] = transactionalID }
            return token
        }
    }

    private func answer(
        _ token: TransactionToken, _ result: Result<ProducerIdentity, TransactionError>
    ) {
        waiters.withLock { $0.take(token) }?(result)
    }

    private func limit(_ token: TransactionToken, to timeout: Duration) {
        let limit = Task { [weak self] in
            guard (try? await Task.sleep(for: timeout)) != nil else { return }
            self?.answer(
                token,
                .failure(
                    .coordinatorNotAvailable(
                        reason: """
                            it is decided, and not all partitions could be told in time; they \
                            will be, at the latest when the directory is opened again
                            """)))
        }
        let isAnswered = waiters.withLock { waiters in
            guard waiters.answers[token] != nil else { return true }
            waiters.limits[token] = limit
            return false
        }
        if isAnswered { limit.cancel() }
    }

    /// How many watch the time of somebody who waits; for tests.
    var limitCount: Int { waiters.withLock { $0.limits.count } }

    private static let notLoaded = TransactionError.coordinatorNotAvailable(
        reason: "the transactions are not loaded")

    // MARK: Turns

    /// Something to do with the coordinator, unless that is not to be had. Returns what tells how
    /// it went, which is called when the turn is stored, or with the error why it is not.
    private struct Step: Sendable {
        /// Whose answer waits for what is known of the id to be committed; nil where it need not.
        var transactionalID: String?
        var take: @Sendable (inout State, Timestamp, TransactionError?) -> Tell
    }
    private typealias Tell = @Sendable (TransactionError?) -> Void

    /// Beyond this, the groups would wait too long behind one write.
    private static var turnMax: Int { 1000 }

    func submit<Success: Sendable>(
        about transactionalID: String? = nil,
        _ body: @escaping @Sendable (inout State, Timestamp) throws(TransactionError) -> Success,
        answer: @escaping Answer<Success>
    ) {
        let isFirst = steps.withLock { steps in
            let step = Step(transactionalID: transactionalID) { state, now, failure in
                let result: Result<Success, TransactionError>
                do throws(TransactionError) {
                    if let failure { throw failure }
                    result = .success(try body(&state, now))
                } catch {
                    result = .failure(error)
                }
                return { failure in answer(failure.map { .failure($0) } ?? result) }
            }
            steps.append(step)
            return steps.count == 1
        }
        if isFirst { lane.submit { [self] in takeTurn() } }
    }

    /// What waits for the next turn; for tests.
    var waitingCount: Int { steps.withLock { $0.count } }

    private func takeTurn() {
        let (turn, isMore) = steps.withLock { steps in
            let turn = Array(steps.prefix(Self.turnMax))
            steps.removeFirst(turn.count)
            return (turn, !steps.isEmpty)
        }
        if isMore { lane.submit { [self] in takeTurn() } }
        let now = Timestamp.now
        let outcome = state.withLock { state in take(turn, &state, now) }
        tell(turn, outcome)
        for answer in outcome.lost { answer(.failure(outcome.failure ?? Self.notLoaded)) }
        for effect in outcome.effects { performWhenCommitted(effect) }
        if let journal, !outcome.failedPartitions.isEmpty {
            journal.reload(outcome.failedPartitions)
        }
        if let deadline = outcome.deadline { setAlarm(deadline, now: now) }
    }

    /// Answers each step of a turn when what it is about is committed.
    private func tell(_ turn: [Step], _ outcome: Outcome) {
        for (step, tell) in zip(turn, outcome.tells) {
            if outcome.failure == nil, let id = step.transactionalID, let journal {
                let partition = journal.partition(of: id)
                if let failure = outcome.failedPartitions[partition] {
                    tell(failure.transactionError)
                } else {
                    journal.journal.whenCommitted(partition) { tell($0?.transactionError) }
                }
            } else {
                tell(outcome.failure)
            }
        }
    }

    /// What a turn led to.
    private struct Outcome {
        /// One for each step.
        var tells: [Tell] = []
        /// The partitions of a journal that did not take what was decided.
        var failedPartitions: [Int32: CommitFailure] = [:]
        /// Why nothing of the turn counts; nil where it does.
        var failure: TransactionError?
        /// Those who wait for an end, where nobody will tell them any more.
        var lost: [Answer<ProducerIdentity>] = []
        var effects: [TransactionEffect] = []
        var deadline: Timestamp?
    }

    private func take(_ turn: [Step], _ state: inout State, _ now: Timestamp) -> Outcome {
        var outcome = Outcome()
        do throws(TransactionError) {
            // Whoever would be answered later would not be.
            if isStopped.load(ordering: .acquiring) { throw Self.closed }
            try load(&state, at: now)
        } catch {
            outcome.tells = turn.map { $0.take(&state, now, error) }
            if error != Self.closed { outcome.deadline = retryTime(after: now) }
            return outcome
        }
        store.beginTurn()
        outcome.tells = turn.map { $0.take(&state, now, nil) }
        do throws(TransactionStoreError) {
            try store.endTurn()
            outcome.failedPartitions = journal?.store.takeFailures() ?? [:]
            forget(outcome.failedPartitions, &state, &outcome)
            outcome.effects += state.coordinator?.takeEffects() ?? []
            outcome.deadline = state.coordinator?.nextDeadline
        } catch {
            // The coordinator thinks that all of it is stored: what is shall be read again.
            state.coordinator = nil
            outcome.failure = .coordinatorNotAvailable(reason: error.description)
            outcome.lost = waiters.withLock { $0.takeAll() }
            outcome.deadline = retryTime(after: now)
        }
        return outcome
    }

    /// The coordinator thinks that what these partitions did not take is stored: it is read again
    /// from what is, and whoever waits for an end in them is told.
    private func forget(
        _ failed: [Int32: CommitFailure], _ state: inout State, _ outcome: inout Outcome
    ) {
        guard let journal, !failed.isEmpty else { return }
        let isFailed = { (id: String) in failed[journal.partition(of: id)] != nil }
        outcome.effects = (state.coordinator?.takeEffects() ?? []).filter { effect in
            if case .perform(let work) = effect { !isFailed(work.transactionalID) } else { true }
        }
        for (partition, failure) in failed {
            let epoch = state.coordinator?.partitions?.led[partition]?.epoch
            state.coordinator?.unload(partition)
            state.coordinator?.partitions?.note(
                .failed("\(failure.transactionError)"), of: partition, epoch: epoch ?? .none)
        }
        let lost = waiters.withLock { waiters in
            waiters.ids.filter { isFailed($0.value) }.compactMap { waiters.take($0.key) }
        }
        let reason = TransactionError.coordinatorNotAvailable(reason: "it could not be recorded")
        for answer in lost { answer(.failure(reason)) }
    }

    private func retryTime(after now: Timestamp) -> Timestamp {
        Timestamp(milliseconds: now.rawValue &+ max(configuration.retryPauseMilliseconds, 1))
    }

    private func load(_ state: inout State, at now: Timestamp) throws(TransactionError) {
        guard state.coordinator == nil else { return }
        do throws(TransactionStoreError) {
            state.coordinator = try TransactionCoordinator(
                configuration: configuration, store: store, producerIDs: producerIDs,
                earlierProducers: state.isReloading || configuration.areProducersRemote
                    ? .mayBeAlive : .areGone, now: now)
            state.isReloading = true
            if let journal {
                state.coordinator?.partitions = CoordinatorPartitions(
                    topic: .transactionState, count: journal.store.partitionCount)
                state.coordinator?.offsetsPartitionCount = journal.store.offsetsPartitionCount
            }
        } catch {
            throw .coordinatorNotAvailable(reason: error.description)
        }
    }

    private func setAlarm(_ deadline: Timestamp, now: Timestamp) {
        // What is long due may be due since the beginning of time.
        let pause =
            deadline <= now
            ? 1 : deadline.rawValue.subtractingReportingOverflow(now.rawValue).partialValue
        alarm.set(after: .milliseconds(min(pause, 3_600_000))) { [weak self] in
            self?.submit { (state, now) throws(TransactionError) in
                state.coordinator?.advance(to: now)
            } answer: { _ in
            }
        }
    }

    // MARK: Effects

    /// What was decided is committed before anybody hears of it.
    private func performWhenCommitted(_ effect: TransactionEffect) {
        guard let journal else { return perform(effect) }
        switch effect {
        case .answer(let token, let result):
            guard let id = waiters.withLock({ $0.ids[token] }) else { return }
            journal.journal.whenCommitted(journal.partition(of: id)) { [weak self] failure in
                self?.answer(token, failure.map { .failure($0.transactionError) } ?? result)
            }
        case .perform(let work):
            // However long that takes: nobody else would do it.
            let partition = journal.partition(of: work.transactionalID)
            journal.journal.whenCommitted(partition, hasTimeLimit: false) { [weak self] _ in
                self?.perform(effect)
            }
        }
    }

    private func perform(_ effect: TransactionEffect) {
        switch effect {
        case .answer(let token, let result):
            answer(token, result)
        case .perform(let work):
            switch work.target {
            case .partition(let partition): tell(partition, work)
            case .group: tellGroups(work)
            }
        }
    }

    /// Has a marker written here, on a thread that may block.
    func writeHere(_ partition: TopicPartition, _ work: TransactionWork) {
        guard let writeMarker = markers.withLock({ $0.write }) else { return }
        workers.submit { [self] in report(work, writeMarker(partition, work)) }
    }

    /// All groups of the producer at once: those that have nothing of it have nothing to do.
    private func tellGroups(_ work: TransactionWork) {
        groups.ask { (coordinator, now) throws(GroupError) in
            try coordinator.endTransaction(
                producerID: work.producer.id, producerEpoch: work.transactionEpoch,
                isCommitted: work.decision == .commit, at: now)
        } answer: { [self] result in
            switch result {
            case .success, .failure(.invalidProducerEpoch): report(work, .done)
            case .failure: report(work, .failed)
            }
        }
    }

    /// Has groups forget what is pending of a producer whose transaction was aborted before that
    /// came.
    func dropOffsets(of producer: ProducerIdentity) async {
        if journal != nil { return await dropRecordedOffsets(of: producer) }
        do throws(GroupError) {
            try await groups.ask { (coordinator, now) throws(GroupError) in
                try coordinator.endTransaction(
                    producerID: producer.id, producerEpoch: producer.epoch, isCommitted: false,
                    at: now)
            }
        } catch {
            logger.error("Offsets of an aborted transaction stay pending: \(error)")
        }
    }

    func report(_ work: TransactionWork, _ outcome: TransactionWorkOutcome) {
        submit { (state, now) throws(TransactionError) in
            state.coordinator?.report(work, outcome, now: now)
        } answer: { _ in
        }
    }
}
