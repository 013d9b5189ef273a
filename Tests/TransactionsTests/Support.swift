import Synchronization
import TallyRecords
import Testing

@testable import TallyTransactions

/// A store whose next calls fail as a test wants: before they do anything, or after.
final class FaultyStore: TransactionStore {
    enum Fault {
        /// Nothing is stored.
        case before
        /// All is stored, and nobody hears of it.
        case after
    }

    private struct Contents {
        var fault: Fault?
        var saves: [TransactionRecord] = []
    }

    private let kept = InMemoryTransactionStore()
    private let contents = Mutex(Contents())

    /// What the next changes do; nil for working.
    var fault: Fault? {
        get { contents.withLock { $0.fault } }
        set { contents.withLock { $0.fault = newValue } }
    }

    /// The states that were stored, in order.
    var states: [String] { contents.withLock { $0.saves.map(\.state.rawValue) } }

    func loadTransactions() -> [TransactionRecord] { kept.loadTransactions() }
    func beginCoordinatorTerm() -> Int32 { kept.beginCoordinatorTerm() }

    func save(_ record: TransactionRecord) throws(TransactionStoreError) {
        try failing {
            kept.save(record)
            contents.withLock { $0.saves.append(record) }
        }
    }

    func removeTransaction(_ transactionalID: String) throws(TransactionStoreError) {
        try failing { kept.removeTransaction(transactionalID) }
    }

    func reserveProducerIDs(
        count: Int64, notBelow least: Int64
    ) throws(TransactionStoreError) -> Range<Int64> {
        if fault != nil { throw Self.error }
        return try kept.reserveProducerIDs(count: count, notBelow: least)
    }

    private static let error = TransactionStoreError.unavailable(reason: "a test says so")

    private func failing(_ body: () -> Void) throws(TransactionStoreError) {
        let fault = fault
        if fault != .before { body() }
        if fault != nil { throw Self.error }
    }
}

/// A coordinator with its store and a clock, as most tests want it.
final class Bench {
    let store: FaultyStore
    var coordinator: TransactionCoordinator
    var now = Timestamp(milliseconds: 1_000_000)
    private var tokens: UInt64 = 0

    init(
        store: FaultyStore = FaultyStore(),
        earlierProducers: TransactionCoordinator.EarlierProducers = .mayBeAlive
    ) throws {
        self.store = store
        coordinator = try TransactionCoordinator(
            store: store, producerIDs: ProducerIDBlocks(store: store),
            earlierProducers: earlierProducers, now: now)
    }

    /// A coordinator, and a producer of its id "t".
    static func begun() throws -> (Bench, ProducerIdentity) {
        let bench = try Bench()
        return (bench, try bench.begin())
    }

    /// The same store under a new coordinator, as after a crash.
    func restart(
        earlierProducers: TransactionCoordinator.EarlierProducers = .mayBeAlive
    ) throws {
        coordinator = try TransactionCoordinator(
            store: store, producerIDs: ProducerIDBlocks(store: store),
            earlierProducers: earlierProducers, now: now)
    }

    func begin(
        _ id: String = "t", timeout: Int32 = 60_000, expected: ProducerIdentity? = nil
    ) throws(TransactionError) -> ProducerIdentity {
        try coordinator.initProducerID(
            id, timeoutMilliseconds: timeout, expected: expected, now: now)
    }

    func add(
        _ producer: ProducerIdentity, _ partitions: Int32..., id: String = "t"
    ) throws(TransactionError) {
        try coordinator.addPartitions(
            partitions.map { TopicPartition(topic: "a", partition: $0) }, to: id,
            producer: producer, now: now)
    }

    /// Asks for an end, and gives the answer where there is one at once.
    func end(
        _ producer: ProducerIdentity, _ decision: TransactionDecision, id: String = "t",
        keepsEpoch: Bool = false
    ) -> Result<ProducerIdentity, TransactionError>? {
        tokens += 1
        let token = TransactionToken(rawValue: tokens)
        coordinator.endTransaction(
            id, producer: producer, decision, keepsEpoch: keepsEpoch, token: token, now: now)
        let effects = coordinator.takeEffects()
        work += effects.compactMap { if case .perform(let work) = $0 { work } else { nil } }
        for case .answer(token, let result) in effects { return result }
        return nil
    }

    /// Work that was asked for and not reported by ``finish()``.
    var work: [TransactionWork] = []

    /// Takes the effects; the answers among them.
    @discardableResult
    func take() -> [Result<ProducerIdentity, TransactionError>] {
        var answers: [Result<ProducerIdentity, TransactionError>] = []
        for effect in coordinator.takeEffects() {
            switch effect {
            case .perform(let piece): work.append(piece)
            case .answer(_, let result): answers.append(result)
            }
        }
        return answers
    }

    /// Reports all work and gives the answers.
    @discardableResult
    func finish(
        _ outcome: TransactionWorkOutcome = .done
    ) -> [Result<ProducerIdentity, TransactionError>] {
        var answers = take()
        let reported = work
        work = []
        for piece in reported { coordinator.report(piece, outcome, now: now) }
        answers += take()
        return answers
    }

    /// Moves the clock.
    func pass(milliseconds: Int64) {
        now = now.later(by: milliseconds)
        coordinator.advance(to: now)
        take()
    }

    /// When the coordinator wants to be called.
    var deadline: Timestamp? { coordinator.nextDeadline }

    func state(_ id: String = "t") -> TransactionState? {
        try? coordinator.describe(id).state
    }

    /// A whole transaction.
    func run(
        _ producer: ProducerIdentity, _ decision: TransactionDecision
    ) throws -> ProducerIdentity {
        try add(producer, 0)
        #expect(end(producer, decision) == nil)
        let answers = finish()
        try #require(answers.count == 1)
        return try answers[0].get()
    }
}

extension ProducerIdentity {
    init(_ id: Int64, _ epoch: Int16) { self.init(id: id, epoch: epoch) }
}
