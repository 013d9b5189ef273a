import Foundation
import Synchronization
import TallyTestSupport
import Testing

@testable import Tally

/// Requests to the transaction coordinator that share a write to its store.
@Suite(.timeLimit(.minutes(10))) struct TransactionTurnTests {
    private let directory: TemporaryDirectory
    private let store = GatedStore()

    init() throws { directory = try TemporaryDirectory() }

    private func engine() async throws -> Engine {
        var configuration = EngineConfiguration()
        let store = store
        configuration.state = EngineStateFactory { _ in TestState(transactions: store) }
        let engine = try await Engine.open(at: directory.path, configuration: configuration)
        try await engine.createTopic("a", partitions: 8)
        return engine
    }

    /// Producers with a record each in an open transaction of their own.
    private func begun(_ count: Int32, in engine: Engine) async throws -> [Producer] {
        var producers: [Producer] = []
        for number in 0..<count {
            let producer = try await engine.transactionalProducer(id: "t\(number)")
            try producer.beginTransaction()
            _ = try await producer.send(
                ProducerRecord(
                    topic: "a", partition: number, key: nil as String?, value: "\(number)"))
            producers.append(producer)
        }
        return producers
    }

    @Test("who waits for the store while it writes shares the next write")
    func shared() async throws {
        let engine = try await engine()
        let producers = try await begun(8, in: engine)
        store.close()
        let first = Task { try await producers[0].commitTransaction() }
        await store.waitUntilBusy()
        let others = producers.dropFirst().map { producer in
            Task { try await producer.commitTransaction() }
        }
        #expect(try await eventually { engine.transactions.waitingCount == 7 })
        store.open()
        try await first.value
        for other in others { try await other.value }
        #expect(store.largestTurn >= 7, "decisions in one write: \(store.largestTurn)")
        #expect(
            try await engine.committedValues(of: "a").sorted() == (0..<8).map(String.init))
        try await engine.close()
    }

    @Test(
        "a turn that cannot be stored is an error for all of it, and asking again tells",
        arguments: [true, false])
    func failing(isStored: Bool) async throws {
        let engine = try await engine()
        let producers = try await begun(4, in: engine)
        store.close()
        let first = Task { try await producers[0].commitTransaction() }
        await store.waitUntilBusy()
        let others = producers.dropFirst().map { producer in
            Task { await message { try await producer.commitTransaction() } }
        }
        #expect(try await eventually { engine.transactions.waitingCount == 3 })
        // The first write is done; the next one, with the other three, is not, or nobody hears.
        store.fail(after: 1, isStored: isStored)
        // The first has its decision, and loses the one who would have told it of the end.
        let outcome = await first.result
        for other in others { #expect(await other.value.contains("a test says so")) }
        #expect(try await eventually { store.failureCount > 0 })
        // What was stored counts, and not what the coordinator thought: one can still abort where
        // its decision did not come to the store, and only there.
        let abort = await message { try await producers[3].abortTransaction() }
        #expect(abort.isEmpty == !isStored, "\(abort)")
        for producer in producers[1..<3] { try await producer.commitTransaction() }
        if isStored { try await producers[3].commitTransaction() }
        if case .failure = outcome { try await producers[0].commitTransaction() }
        let count = isStored ? 4 : 3
        #expect(
            try await engine.committedValues(of: "a").sorted() == (0..<count).map(String.init))
        #expect(try await engine.openTransactions(of: "a").isEmpty)
        for producer in producers {
            try await producer.withTransaction { producer in
                _ = try await producer.send(key: nil, value: "next", to: "a")
            }
        }
        #expect(try await engine.committedValues(of: "a").count == count + 4)
        try await engine.close()
    }
}

/// Keeps a write waiting, or fails one, as a test wants.
private final class GatedStore: TransactionStore {
    private let inner = InMemoryTransactionStore()
    private let state = Mutex(State())

    private struct State {
        var isClosed = false
        var isBusy = false
        var largestTurn = 0
        /// How many writes come before the one that fails; nil where none does.
        var failure: (after: Int, isStored: Bool)?
        var failureCount = 0
    }

    var largestTurn: Int { state.withLock { $0.largestTurn } }
    var failureCount: Int { state.withLock { $0.failureCount } }

    func close() { state.withLock { $0.isClosed = true } }

    func open() { state.withLock { $0.isClosed = false } }

    func fail(after count: Int, isStored: Bool) {
        state.withLock { $0.failure = (count, isStored) }
        open()
    }

    func waitUntilBusy() async {
        while !state.withLock({ $0.isBusy }) { try? await Task.sleep(for: .milliseconds(1)) }
    }

    func apply(_ changes: [TransactionChange]) throws(TransactionStoreError) {
        state.withLock { state in
            state.largestTurn = max(state.largestTurn, changes.count)
            state.isBusy = state.isClosed
        }
        while state.withLock({ $0.isClosed }) { usleep(500) }
        let failing = state.withLock { state -> (after: Int, isStored: Bool)? in
            guard let failure = state.failure else { return nil }
            state.failure = failure.after == 0 ? nil : (failure.after - 1, failure.isStored)
            if failure.after == 0 { state.failureCount += 1 }
            return failure.after == 0 ? failure : nil
        }
        guard failing?.isStored != false else { throw Self.error }
        for change in changes {
            switch change {
            case .save(let record): inner.save(record)
            case .remove(let transactionalID): inner.removeTransaction(transactionalID)
            }
        }
        if failing != nil { throw Self.error }
    }

    private static let error = TransactionStoreError.unavailable(reason: "a test says so")

    func save(_ record: TransactionRecord) throws(TransactionStoreError) {
        try apply([.save(record)])
    }

    func removeTransaction(_ transactionalID: String) throws(TransactionStoreError) {
        try apply([.remove(transactionalID: transactionalID)])
    }

    func loadTransactions() -> [TransactionRecord] { inner.loadTransactions() }
    func beginCoordinatorTerm() -> Int32 { inner.beginCoordinatorTerm() }

    func reserveProducerIDs(
        count: Int64, notBelow least: Int64
    ) throws(TransactionStoreError) -> Range<Int64> {
        try inner.reserveProducerIDs(count: count, notBelow: least)
    }
}
