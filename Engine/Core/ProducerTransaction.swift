import Synchronization
import TallyLog
import TallyRecords
import TallyTransactions

/// Where a transactional producer is between its transactions, and what takes part in the one
/// under way.
///
/// Thread rule: any thread.
final class ProducerTransaction: Sendable {
    let transactionalID: String
    private let service: TransactionService
    private let state = Mutex(State())

    /// Where the producer is.
    enum Phase: Sendable {
        case uninitialized
        case ready
        case open
        /// Something was not stored: the transaction can only be aborted.
        case failed(any Error)
        /// It is being ended, or should have been.
        case ending(TransactionDecision)
        /// Another producer has the transactional id now.
        case fenced(any Error)
    }

    private struct State {
        var phase = Phase.uninitialized
        var identity: ProducerIdentity?
        /// On stable storage as taking part.
        var included: Set<TopicPartition> = []
        var hasGroups = false
        /// Being put there.
        var waiting: [TopicPartition: [@Sendable (Result<Void, any Error>) -> Void]] = [:]
    }

    init(transactionalID: String, service: TransactionService) {
        self.transactionalID = transactionalID
        self.service = service
    }

    /// Who writes now.
    var identity: ProducerIdentity? { state.withLock { $0.identity } }

    /// Throws unless a transaction is open: records outside of one are refused.
    func requireOpen() throws(EngineError) {
        try state.withLock { (state) throws(EngineError) in try Self.requireOpen(state.phase) }
    }

    private static func requireOpen(_ phase: Phase) throws(EngineError) {
        switch phase {
        case .open: return
        case .uninitialized:
            throw .invalidProducerState(reason: "initTransactions() comes first")
        case .ready:
            throw .invalidProducerState(reason: "there is no transaction: begin one")
        case .failed(let error):
            throw .invalidProducerState(
                reason: "the transaction has failed and must be aborted: \(error)")
        case .ending(let decision):
            throw .invalidProducerState(
                reason: "the transaction is being ended: wait for \(decision), or try it again")
        case .fenced(let error):
            throw .invalidProducerState(reason: "this producer has ended: \(error)")
        }
    }

    // MARK: From one transaction to the next

    func initialized(_ identity: ProducerIdentity) {
        state.withLock { state in
            state.identity = identity
            state.phase = .ready
        }
    }

    func begin() throws(EngineError) {
        try state.withLock { (state) throws(EngineError) in
            guard case .ready = state.phase else {
                if case .open = state.phase {
                    throw .invalidProducerState(reason: "a transaction is open already")
                }
                return try Self.requireOpen(state.phase)
            }
            state.phase = .open
        }
    }

    /// Begins to end the transaction. Returns who is to end it; nil where nobody takes part, so
    /// that there is nothing to end.
    func beginEnd(_ decision: TransactionDecision) throws(EngineError) -> ProducerIdentity? {
        try state.withLock { (state) throws(EngineError) in
            switch state.phase {
            case .open, .ending(decision): break
            // The coordinator may be told to abort what it was not told to commit.
            case .failed where decision == .abort, .ending where decision == .abort: break
            default: try Self.requireOpen(state.phase)
            }
            if state.included.isEmpty, !state.hasGroups {
                state.phase = .ready
                return nil
            }
            state.phase = .ending(decision)
            return state.identity
        }
    }

    func ended(_ next: ProducerIdentity) {
        state.withLock { state in
            state.identity = next
            state.phase = .ready
            state.included = []
            state.hasGroups = false
        }
    }

    /// Whatever could not be stored leaves only the abort.
    func noteFailure(_ error: any Error) {
        state.withLock { state in
            if error.isFencing {
                state.phase = .fenced(error)
            } else if case .open = state.phase {
                state.phase = .failed(error)
            }
        }
    }

    // MARK: Taking part

    /// Has a partition take part before anything is written there. `done` is called at once where
    /// it does already, or else when that is on stable storage.
    func include(
        _ partition: TopicPartition, done: @escaping @Sendable (Result<Void, any Error>) -> Void
    ) {
        let (isIncluded, isFirst) = state.withLock { state -> (Bool, Bool) in
            if state.included.contains(partition) { return (true, false) }
            let isFirst = state.waiting.isEmpty
            state.waiting[partition, default: []].append(done)
            return (false, isFirst)
        }
        if isIncluded { return done(.success(())) }
        // One step for all that gather until it begins.
        if isFirst { includeWaiting() }
    }

    private func includeWaiting() {
        service.ask { [self] (coordinator, now) throws(TransactionError) in
            let (identity, waiting) = state.withLock { state in
                defer { state.waiting = [:] }
                return (state.identity, state.waiting)
            }
            guard let identity else { throw .invalidTransactionState }
            let result: Result<Void, any Error>
            do throws(TransactionError) {
                try coordinator.addPartitions(
                    waiting.keys, to: transactionalID, producer: identity, now: now)
                state.withLock { $0.included.formUnion(waiting.keys) }
                result = .success(())
            } catch {
                result = .failure(EngineError.transaction(error))
            }
            for done in waiting.values.joined() { done(result) }
        } answer: { [self] result in
            // The coordinator could not even be loaded.
            guard case .failure(let error) = result else { return }
            let waiting = state.withLock { state in
                defer { state.waiting = [:] }
                return state.waiting
            }
            for done in waiting.values.joined() { done(.failure(EngineError.transaction(error))) }
        }
    }

    /// A group's offsets take part.
    func includeGroup(_ group: String) async throws -> ProducerIdentity {
        try requireOpen()
        guard let identity else { throw EngineError.transaction(.invalidTransactionState) }
        let transactionalID = transactionalID
        do {
            try await service.ask { (coordinator, now) throws(TransactionError) in
                try coordinator.addGroup(group, to: transactionalID, producer: identity, now: now)
            }
        } catch {
            throw EngineError.transaction(error)
        }
        state.withLock { $0.hasGroups = true }
        return identity
    }
}

extension Error {
    /// Whether somebody else has the transactional id now.
    fileprivate var isFencing: Bool {
        switch self as any Error {
        case LogError.producer(let refusal):
            if case .invalidProducerEpoch = refusal.reason { true } else { false }
        case EngineError.transaction(.producerFenced),
            EngineError.transaction(.invalidProducerEpoch),
            EngineError.transaction(.invalidProducerIDMapping):
            true
        default: false
        }
    }
}
