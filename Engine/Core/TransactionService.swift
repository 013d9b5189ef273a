import Logging
import Synchronization
import TallyGroups
import TallyLog
import TallyRecords
import TallyTransactions

/// Runs the transaction coordinator of an engine: hands in requests and the time, has markers
/// written and groups told, and wakes up when something is due.
///
/// Everything but the writing happens on one lane, which the groups are on too. Thread rule: any
/// thread.
final class TransactionService: Sendable {
    typealias Answer<Success> = @Sendable (Result<Success, TransactionError>) -> Void

    /// Tells a partition how a transaction ended; blocks, on a thread of its own.
    typealias MarkerWriter =
        @Sendable (_ partition: TopicPartition, TransactionWork) -> TransactionWorkOutcome

    private let lane: SerialLane
    private let workers: WorkerPool
    private let store: any TransactionStore
    private let configuration: TransactionConfiguration
    private let groups: GroupService
    private let logger: Logger
    private let writeMarker: Mutex<MarkerWriter?> = Mutex(nil)
    private let state = Mutex(State())
    private let alarm = Alarm()

    private struct State: ~Copyable {
        /// Nil before it was loaded, and while the store cannot be read.
        var coordinator: TransactionCoordinator?
        var isStopped = false
        var nextToken: UInt64 = 0
        var answers: [TransactionToken: Answer<ProducerIdentity>] = [:]
    }

    init(
        lane: SerialLane, workers: WorkerPool, store: any TransactionStore,
        configuration: TransactionConfiguration, groups: GroupService, logger: Logger
    ) {
        self.lane = lane
        self.workers = workers
        self.store = store
        self.configuration = configuration
        self.groups = groups
        self.logger = logger
    }

    /// Loads what is stored, and finishes what was decided and not finished. Transactions without
    /// a decision are aborted: their producers died with the process.
    func start(_ writeMarker: @escaping MarkerWriter) {
        self.writeMarker.withLock { $0 = writeMarker }
        lane.submit { [self] in
            let result = use { (_, _) throws(TransactionError) in }
            if case .failure(let error) = result {
                logger.error("The transactions could not be loaded: \(error)")
            }
        }
    }

    /// Ends the timer, and answers those who still wait: what was decided is finished when the
    /// directory is opened again.
    func stop() {
        alarm.stop()
        let answers = state.withLock { state in
            defer { state.answers = [:] }
            state.isStopped = true
            return state.answers
        }
        for answer in answers.values { answer(.failure(Self.closed)) }
    }

    private static let closed = TransactionError.coordinatorNotAvailable(
        reason: "the engine is closed; what was decided is finished when it is opened again")

    // MARK: Requests

    /// Any request that the coordinator answers at once.
    func ask<Success: Sendable>(
        _ request:
            @escaping @Sendable (
                inout TransactionCoordinator, Timestamp
            ) throws(TransactionError) -> Success,
        answer: @escaping Answer<Success>
    ) {
        lane.submit { [self] in
            answer(
                use { (state, now) throws(TransactionError) in
                    guard state.coordinator != nil else { throw Self.notLoaded }
                    return try request(&state.coordinator!, now)
                })
        }
    }

    /// Any request that the coordinator answers at once, waited for.
    func ask<Success: Sendable>(
        _ request:
            @escaping @Sendable (
                inout TransactionCoordinator, Timestamp
            ) throws(TransactionError) -> Success
    ) async throws(TransactionError) -> Success {
        let result: Result<Success, TransactionError> = await withCheckedContinuation { waiter in
            ask(request) { waiter.resume(returning: $0) }
        }
        return try result.get()
    }

    /// Ends a transaction; returns the producer of the next one when everybody was told.
    ///
    /// After the time limit whoever waits is told that it will be finished later: a partition may
    /// be stopped until the directory is opened again.
    func end(
        _ transactionalID: String, producer: ProducerIdentity, _ decision: TransactionDecision,
        timeout: Duration
    ) async throws(TransactionError) -> ProducerIdentity {
        let result: Result<ProducerIdentity, TransactionError>
        result = await withCheckedContinuation { waiter in
            lane.submit { [self] in
                let begun = use { (state, now) throws(TransactionError) -> TransactionToken in
                    state.nextToken += 1
                    let token = TransactionToken(rawValue: state.nextToken)
                    state.answers[token] = { waiter.resume(returning: $0) }
                    state.coordinator?.endTransaction(
                        transactionalID, producer: producer, decision, token: token, now: now)
                    return token
                }
                switch begun {
                case .failure(let error): waiter.resume(returning: .failure(error))
                case .success(let token): limit(token, to: timeout)
                }
            }
        }
        return try result.get()
    }

    private func limit(_ token: TransactionToken, to timeout: Duration) {
        guard state.withLock({ $0.answers[token] != nil }) else { return }
        Task { [weak self] in
            try? await Task.sleep(for: timeout)
            self?.state.withLock { $0.answers.removeValue(forKey: token) }?(
                .failure(
                    .coordinatorNotAvailable(
                        reason: """
                            it is decided, and not all partitions could be told in time; they \
                            will be, at the latest when the directory is opened again
                            """)))
        }
    }

    private static let notLoaded = TransactionError.coordinatorNotAvailable(
        reason: "the transactions are not loaded")

    /// Uses the coordinator, which is loaded first where it is not, and does what it wants done.
    private func use<Success>(
        _ body: (inout State, Timestamp) throws(TransactionError) -> Success
    ) -> Result<Success, TransactionError> {
        let now = Timestamp.now
        var effects: [TransactionEffect] = []
        var deadline: Timestamp?
        let result = state.withLock { state -> Result<Success, TransactionError> in
            defer {
                effects = state.coordinator?.takeEffects() ?? []
                deadline = state.coordinator?.nextDeadline
            }
            do throws(TransactionError) {
                // Whoever would be answered later would not be.
                if state.isStopped { throw Self.closed }
                try load(&state, at: now)
                return .success(try body(&state, now))
            } catch {
                return .failure(error)
            }
        }
        for effect in effects { perform(effect) }
        if let deadline { setAlarm(deadline, now: now) }
        return result
    }

    private func load(_ state: inout State, at now: Timestamp) throws(TransactionError) {
        guard state.coordinator == nil else { return }
        do throws(TransactionStoreError) {
            state.coordinator = try TransactionCoordinator(
                configuration: configuration, store: store, producerIDs: DrawnProducerIDs(),
                earlierProducers: .areGone, now: now)
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
            self?.lane.submit { [weak self] in
                _ = self?.use { (state, now) throws(TransactionError) in
                    state.coordinator?.advance(to: now)
                }
            }
        }
    }

    // MARK: Effects

    private func perform(_ effect: TransactionEffect) {
        switch effect {
        case .answer(let token, let result):
            state.withLock { $0.answers.removeValue(forKey: token) }?(result)
        case .perform(let work):
            switch work.target {
            case .partition(let partition):
                guard let writeMarker = writeMarker.withLock({ $0 }) else { return }
                workers.submit { [self] in report(work, writeMarker(partition, work)) }
            case .group:
                tellGroups(work)
            }
        }
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

    private func report(_ work: TransactionWork, _ outcome: TransactionWorkOutcome) {
        lane.submit { [self] in
            _ = use { (state, now) throws(TransactionError) in
                state.coordinator?.report(work, outcome, now: now)
            }
        }
    }
}

/// Producer ids that need no register; see ``ProducerIdentity/drawn()``.
private struct DrawnProducerIDs: ProducerIDGenerator {
    mutating func next() throws(TransactionStoreError) -> Int64 { ProducerIdentity.drawn().id }
}

extension Partition {
    /// Writes the marker that ends a transaction here, and syncs it: when all were told the
    /// coordinator forgets who they were, and a marker that is lost then is written by nobody.
    func write(_ work: TransactionWork) -> TransactionWorkOutcome {
        do {
            let log = try log
            let appended = try log.appendMarker(
                didCommit: work.decision == .commit, producerID: work.producer.id,
                producerEpoch: work.producer.epoch, coordinatorEpoch: work.coordinatorEpoch,
                now: .now)
            try log.flush(reaching: appended.nextOffset)
            return .done
        } catch LogError.producer {
            return .refused
        } catch {
            return .failed
        }
    }
}
