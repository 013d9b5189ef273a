import Synchronization
import TallyGroups
import TallyRecords
import TallyTransactions

/// Coordinates the transactions of a producer at a cluster: one request after the other, each until
/// it is answered or has been tried for long enough.
///
/// It speaks the first version of the protocol, which all brokers with transactions know: there a
/// producer keeps its epoch from one transaction to the next, so that a request that comes late
/// could be taken for one of the next transaction. After a request whose fate was unknown at some
/// time the producer therefore asks for a new epoch, before its next transaction begins: what comes
/// late is refused then. The second version (KIP-890) does the same after each transaction.
///
/// Thread rule: any thread and task.
final class RemoteTransactionLink: TransactionLink {
    let transactions: any RemoteTransactions
    private let timeoutMilliseconds: Int32
    private let backoffMilliseconds: Int64
    private let steps: AsyncStream<@Sendable () async -> Void>.Continuation
    private let state = Mutex(State())

    /// Whether the coordinator knows of a transaction.
    private enum Standing {
        case none
        /// It was asked to, and nobody knows whether it has heard of it.
        case perhaps
        case begun
    }

    private struct State {
        var identity: ProducerIdentity?
        var standing = Standing.none
        /// Something of the producer's may come late.
        var isInDoubt = false
    }

    init(_ transactions: any RemoteTransactions, _ configuration: ProducerConfiguration) {
        self.transactions = transactions
        timeoutMilliseconds = Int32(clamping: configuration.transactionTimeoutMilliseconds)
        backoffMilliseconds = max(configuration.retryBackoffMilliseconds, 1)
        let (stream, continuation) = AsyncStream<@Sendable () async -> Void>.makeStream()
        steps = continuation
        Task { for await step in stream { await step() } }
    }

    /// What is open is aborted: nobody could end it any more.
    deinit {
        steps.finish()
        let transactions = transactions
        Task { await transactions.close() }
    }

    var mayHaveBegun: Bool { state.withLock { $0.standing == .perhaps } }

    /// Something was sent whose fate is not known, and comes late perhaps.
    func noteDoubt() { state.withLock { $0.isInDoubt = true } }

    // MARK: Requests

    /// Takes the transactional id over.
    func takeOver() async throws(TransactionError) -> ProducerIdentity {
        try await inTurn { [self] () async throws(TransactionError) in
            let identity = try await untilDone { () async throws(RemoteTransactionFailure) in
                try await transactions.initProducer(
                    timeoutMilliseconds: timeoutMilliseconds, current: nil)
            }
            state.withLock { $0 = State(identity: identity) }
            return identity
        }
    }

    func addPartitions(
        to transactionalID: String,
        gather: @escaping @Sendable () -> (ProducerIdentity?, TransactionJoiners),
        answer: @escaping TransactionLink.Answer
    ) {
        steps.yield { [self] in
            let partitions = gather().1.keys.sorted()
            do throws(TransactionError) {
                let identity = try await begin { (identity) throws(RemoteTransactionFailure) in
                    try await self.transactions.addPartitions(partitions, identity)
                }
                answer(.success(identity))
            } catch {
                answer(.failure(error))
            }
        }
    }

    func addGroup(
        _ group: String, to transactionalID: String, producer: ProducerIdentity
    ) async throws(TransactionError) -> ProducerIdentity? {
        try await inTurn { [self] () async throws(TransactionError) in
            try await begin { (identity) throws(RemoteTransactionFailure) in
                try await self.transactions.addGroup(group, identity)
            }
        }
    }

    /// The cluster looks at each of them, and there is nothing to be dropped from here.
    func confirmGroup(
        _ group: String, in transactionalID: String, producer: ProducerIdentity
    ) async throws(TransactionError) {}

    /// Hands a group's offsets over; those that the group refused, with the reasons.
    func commitOffsets(
        _ request: OffsetCommitRequest, as producer: ProducerIdentity
    ) async throws(TransactionError) -> [TopicPartition: GroupError] {
        try await inTurn { [self] () async throws(TransactionError) in
            try await untilDone { () async throws(RemoteTransactionFailure) in
                try await transactions.commitOffsets(request, producer)
            }
        }
    }

    func end(
        _ transactionalID: String, producer: ProducerIdentity, _ decision: TransactionDecision,
        timeout: Duration
    ) async throws(TransactionError) -> ProducerIdentity {
        try await inTurn { [self] () async throws(TransactionError) in
            // Partitions that were on their way may have brought a new epoch.
            let (identity, standing) = state.withLock { ($0.identity ?? producer, $0.standing) }
            guard standing != .none else { return identity }
            do throws(TransactionError) {
                try await untilDone { () async throws(RemoteTransactionFailure) in
                    try await transactions.end(decision, identity)
                }
            } catch {
                switch error {
                // The coordinator has never heard of it.
                case .invalidTransactionState where decision == .abort && standing == .perhaps:
                    break
                case .concurrentTransactions, .notCoordinator, .coordinatorLoadInProgress:
                    throw .coordinatorNotAvailable(reason: error.description)
                default: throw error
                }
            }
            state.withLock { $0.standing = .none }
            return identity
        }
    }

    // MARK: One after the other

    private func inTurn<Success: Sendable>(
        _ step: @escaping @Sendable () async throws(TransactionError) -> Success
    ) async throws(TransactionError) -> Success {
        let result: Result<Success, TransactionError> = await withCheckedContinuation { waiter in
            steps.yield {
                do throws(TransactionError) {
                    waiter.resume(returning: .success(try await step()))
                } catch {
                    waiter.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }

    /// Runs a request that begins the transaction where nothing has yet, under a new epoch where
    /// something of the last transaction may come late. Returns who the producer is.
    private func begin(
        _ request: (ProducerIdentity) async throws(RemoteTransactionFailure) -> Void
    ) async throws(TransactionError) -> ProducerIdentity {
        let (known, standing, isInDoubt) = state.withLock {
            ($0.identity, $0.standing, $0.isInDoubt)
        }
        guard var identity = known else { throw .invalidTransactionState }
        if standing == .none, isInDoubt {
            let former = identity
            identity = try await untilDone { () async throws(RemoteTransactionFailure) in
                try await transactions.initProducer(
                    timeoutMilliseconds: timeoutMilliseconds, current: former)
            }
            state.withLock { $0 = State(identity: identity) }
        }
        let writer = identity
        try await untilDone { () async throws(RemoteTransactionFailure) in
            do throws(RemoteTransactionFailure) {
                try await request(writer)
            } catch {
                if error.isInDoubt { noteBegin(.perhaps) }
                throw error
            }
        }
        noteBegin(.begun)
        return identity
    }

    private func noteBegin(_ standing: Standing) {
        state.withLock { state in
            if state.standing != .begun { state.standing = standing }
        }
    }

    /// Pauses before the next attempt begin with this where the coordinator is at work on the last
    /// transaction, which takes moments; as Kafka's own client has it.
    private static let concurrentMilliseconds: Int64 = 20

    /// Tries again what may go better later, until there is an answer or the time is over.
    private func untilDone<Success>(
        _ attempt: () async throws(RemoteTransactionFailure) -> Success
    ) async throws(TransactionError) -> Success {
        let limit = transactions.limitMilliseconds
        let deadline = ContinuousClock.now + .milliseconds(limit)
        var pause = backoffMilliseconds
        var shortPause = min(Self.concurrentMilliseconds, backoffMilliseconds)
        while true {
            let failure: RemoteTransactionFailure
            do throws(RemoteTransactionFailure) {
                return try await attempt()
            } catch {
                failure = error
            }
            if failure.isInDoubt { noteDoubt() }
            guard failure.isRetriable else { throw failure.error }
            let isConcurrent = failure.error == .concurrentTransactions
            let wait = Duration.milliseconds(isConcurrent ? shortPause : pause)
            guard ContinuousClock.now + wait < deadline else { throw failure.error }
            if isConcurrent {
                shortPause = min(2 * shortPause, max(1_000, backoffMilliseconds))
            } else {
                pause = min(2 * pause, max(1_000, backoffMilliseconds))
            }
            try? await Task.sleep(for: wait)
        }
    }
}
