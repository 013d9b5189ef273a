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
    let link: any TransactionLink
    private let state = Mutex(State())

    /// Where the producer is.
    enum Phase: Sendable {
        case uninitialized
        case initializing
        case ready
        case open
        /// Something was not stored: the transaction can only be aborted.
        case failed(any Error)
        /// Nothing more is taken: what was taken is written, and then it is ended.
        case ending(TransactionDecision)
        /// The coordinator was asked to end it, and may have done so.
        case asked(TransactionDecision)
        /// Another producer has the transactional id now.
        case fenced(any Error)
    }

    private struct State {
        var phase = Phase.uninitialized
        /// Which transaction it is, counted by this producer: several calls may end the same one,
        /// and the last of them must not touch the next.
        var number = 0
        /// The transaction that has ended last, and how.
        var lastEnd: (number: Int, decision: TransactionDecision)?
        var identity: ProducerIdentity?
        /// On stable storage as taking part.
        var included: Set<TopicPartition> = []
        var hasGroups = false
        /// Groups whose offsets are on their way.
        var groupsUnderWay = 0
        /// Steps that put partitions there and are not over.
        var includesUnderWay = 0
        /// To be put there by the next step.
        var waiting: TransactionJoiners = [:]
    }

    /// One step, and whom it puts there; nil before it is asked for. Where what is decided has to
    /// be committed by others, the next step may be asked for before this one is answered.
    private final class Step: Sendable {
        let joiners = Mutex<TransactionJoiners?>(nil)
    }

    init(transactionalID: String, link: any TransactionLink) {
        self.transactionalID = transactionalID
        self.link = link
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
        case .uninitialized, .initializing:
            throw .invalidProducerState(reason: "initTransactions() comes first")
        case .ready:
            throw .invalidProducerState(reason: "there is no transaction: begin one")
        case .failed(let error):
            throw .invalidProducerState(
                reason: "the transaction has failed and must be aborted: \(error)")
        case .ending(let decision), .asked(let decision):
            throw .invalidProducerState(
                reason: "the transaction is being ended: wait for \(decision), or try it again")
        case .fenced(let error):
            throw .invalidProducerState(reason: "this producer has ended: \(error)")
        }
    }

    // MARK: From one transaction to the next

    /// Only one takes the id over, and only once: a second identity would fence the first.
    func beginInitialization() throws(EngineError) {
        try state.withLock { (state) throws(EngineError) in
            switch state.phase {
            case .uninitialized: state.phase = .initializing
            case .fenced: try Self.requireOpen(state.phase)
            default: throw .invalidProducerState(reason: "initTransactions() was called already")
            }
        }
    }

    /// - Parameter identity: nil where there is none, and it may be tried again.
    func endInitialization(_ identity: ProducerIdentity?) {
        state.withLock { state in
            state.identity = identity
            state.phase = identity == nil ? .uninitialized : .ready
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
            state.number += 1
            state.phase = .open
        }
    }

    /// What is left to be done to end a transaction.
    struct Ending: Sendable {
        var identity: ProducerIdentity
        /// Where something was written.
        var partitions: Set<TopicPartition>
    }

    /// Begins to end the transaction: from now on nothing more is taken. Returns its number.
    func beginEnd(_ decision: TransactionDecision) throws(EngineError) -> Int {
        try state.withLock { (state) throws(EngineError) in
            switch state.phase {
            case .open, .ending(decision): break
            // Decided perhaps: only the coordinator knows whether it can be aborted still.
            case .asked where decision == .abort, .asked(decision): return state.number
            case .failed where decision == .abort, .ending where decision == .abort: break
            default: try Self.requireOpen(state.phase)
            }
            guard state.groupsUnderWay == 0 else {
                throw .invalidProducerState(reason: "sendOffsets() has not returned yet")
            }
            state.phase = .ending(decision)
            return state.number
        }
    }

    /// Whether another call has ended the transaction as it was to be ended. Throws where it ended
    /// otherwise.
    func hasEnded(_ number: Int, by decision: TransactionDecision) throws(EngineError) -> Bool {
        try state.withLock { (state) throws(EngineError) in
            try Self.hasEnded(number, by: decision, state)
        }
    }

    private static func hasEnded(
        _ number: Int, by decision: TransactionDecision, _ state: State
    ) throws(EngineError) -> Bool {
        guard let end = state.lastEnd, end.number >= number else { return false }
        guard end.number == number, end.decision == decision else {
            let how = end.number == number ? "by \(end.decision)" : "some time ago"
            throw .invalidProducerState(
                reason: "another call has ended the transaction already, \(how)")
        }
        return true
    }

    /// What is left when all that was taken is written; nil where there is nothing to end: nobody
    /// takes part, or another call has ended it.
    ///
    /// Throws where something could not be written that was to be committed.
    func participants(
        for decision: TransactionDecision, of number: Int
    ) throws(EngineError) -> Ending? {
        try state.withLock { (state) throws(EngineError) in
            if try Self.hasEnded(number, by: decision, state) { return nil }
            switch state.phase {
            case .ending(decision), .asked: break
            default: try Self.requireOpen(state.phase)
            }
            // A partition may be on its way whose records were given up meanwhile: nobody else
            // would end the transaction that it begins.
            let hasBegun =
                !state.included.isEmpty || state.hasGroups || state.includesUnderWay > 0
                || link.mayHaveBegun
            guard let identity = state.identity, hasBegun else {
                state.phase = .ready
                state.lastEnd = (number, decision)
                return nil
            }
            return Ending(identity: identity, partitions: state.included)
        }
    }

    /// What the coordinator was asked before, if anything.
    struct Asked: Sendable {
        var before: TransactionDecision?
    }

    /// The coordinator is being asked; nil where another call has ended the transaction.
    func noteAsked(
        _ decision: TransactionDecision, of number: Int
    ) throws(EngineError) -> Asked? {
        try state.withLock { (state) throws(EngineError) in
            if try Self.hasEnded(number, by: decision, state) { return nil }
            switch state.phase {
            case .ending(decision):
                state.phase = .asked(decision)
                return Asked()
            case .asked(let before):
                state.phase = .asked(decision)
                return Asked(before: before)
            default:
                try Self.requireOpen(state.phase)
                return Asked()
            }
        }
    }

    /// The coordinator has not ended it. Where it was asked the opposite `before` and has done
    /// that, asking for that again tells.
    func noteNotEnded(
        _ number: Int, _ error: TransactionError, askedBefore before: TransactionDecision?
    ) {
        state.withLock { state in
            guard state.number == number, case .asked = state.phase else { return }
            let error = EngineError.transaction(error)
            if error.isFencing {
                state.phase = .fenced(error)
            } else if case .transaction(.invalidTransactionState) = error, let before {
                state.phase = .asked(before)
            }
        }
    }

    /// The coordinator has ended it. Says nothing new where another call was answered before.
    func ended(_ number: Int, by decision: TransactionDecision, next: ProducerIdentity) {
        state.withLock { state in
            guard state.number == number, case .asked = state.phase else { return }
            state.lastEnd = (number, decision)
            state.identity = next
            state.phase = .ready
            state.included = []
            state.hasGroups = false
        }
    }

    /// Whether it is open, and the coordinator was not asked to end it: nothing is decided.
    var isUndecided: Bool {
        state.withLock { state in
            switch state.phase {
            case .open, .failed, .ending: true
            case .uninitialized, .initializing, .ready, .asked, .fenced: false
            }
        }
    }

    /// Whatever could not be stored leaves only the abort.
    ///
    /// - Parameter number: the transaction; nil for the one that is open.
    func noteFailure(_ error: any Error, of number: Int? = nil) {
        state.withLock { state in
            guard number ?? state.number == state.number else { return }
            switch state.phase {
            case .open, .ending(.commit):
                state.phase = error.isFencing ? .fenced(error) : .failed(error)
            case .failed, .ending(.abort):
                if error.isFencing { state.phase = .fenced(error) }
            case .uninitialized, .initializing, .ready, .asked, .fenced: break
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
            if isFirst { state.includesUnderWay += 1 }
            return (false, isFirst)
        }
        if isIncluded { return done(.success(())) }
        // One step for all that gather until it begins.
        if isFirst { includeWaiting() }
    }

    private func includeWaiting() {
        let step = Step()
        link.addPartitions(to: transactionalID) { [self] in
            // Who comes from now on begins the next step.
            let (identity, joiners) = state.withLock { state in
                defer { state.waiting = [:] }
                return (state.identity, state.waiting)
            }
            step.joiners.withLock { $0 = joiners }
            return (identity, joiners)
        } answer: { [self] result in
            let asked = step.joiners.withLock { $0 }
            let answered = state.withLock { state in
                state.includesUnderWay -= 1
                // Where it did not come to the asking, all are told.
                let answered = asked ?? state.waiting
                if asked == nil { state.waiting = [:] }
                if case .success(let renewed) = result {
                    state.included.formUnion(answered.keys)
                    if let renewed { state.identity = renewed }
                }
                return answered
            }
            let told = result.map { _ in }.mapError { EngineError.transaction($0) as any Error }
            for done in answered.values.joined() { done(told) }
        }
    }

    /// Has a group take part while its offsets are handed over by `body`; the transaction cannot be
    /// ended meanwhile.
    func withGroup(
        _ group: String, _ body: (ProducerIdentity) async throws -> Void
    ) async throws {
        var identity = try beginGroup()
        defer { state.withLock { $0.groupsUnderWay -= 1 } }
        do {
            identity = try await include(group: group, by: identity)
            try await body(identity)
            do throws(TransactionError) {
                try await link.confirmGroup(group, in: transactionalID, producer: identity)
            } catch {
                throw EngineError.transaction(error)
            }
        } catch {
            // Before the transaction can be ended: it must not commit without the offsets.
            noteFailure(error)
            throw error
        }
    }

    private func include(
        group: String, by identity: ProducerIdentity
    ) async throws(EngineError) -> ProducerIdentity {
        let renewed: ProducerIdentity?
        do throws(TransactionError) {
            renewed = try await link.addGroup(group, to: transactionalID, producer: identity)
        } catch {
            throw .transaction(error)
        }
        state.withLock { state in
            state.hasGroups = true
            if let renewed { state.identity = renewed }
        }
        return renewed ?? identity
    }

    /// Whether a partition takes part already.
    func includes(_ partition: TopicPartition) -> Bool {
        state.withLock { $0.included.contains(partition) }
    }

    /// Why nothing more of what was taken is to be sent over a network: the transaction has failed
    /// or is being aborted. Nil where it is to be sent.
    var stop: EngineError? {
        state.withLock { state in
            switch state.phase {
            case .open, .ending(.commit): return nil
            default: break
            }
            do throws(EngineError) {
                try Self.requireOpen(state.phase)
                return nil
            } catch {
                return error
            }
        }
    }

    /// Whether offsets are on their way; for tests.
    var hasGroupUnderWay: Bool { state.withLock { $0.groupsUnderWay > 0 } }

    private func beginGroup() throws(EngineError) -> ProducerIdentity {
        try state.withLock { (state) throws(EngineError) in
            try Self.requireOpen(state.phase)
            guard let identity = state.identity else {
                throw .transaction(.invalidTransactionState)
            }
            state.groupsUnderWay += 1
            return identity
        }
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
