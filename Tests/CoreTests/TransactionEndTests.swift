import Foundation
import Synchronization
import TallyTestSupport
import Testing

@testable import Tally
@testable import TallyLog

/// What can come between the beginning of a transaction and its end.
@Suite(.timeLimit(.minutes(10))) struct TransactionEndTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func engine(
        durability: String = "synced", state: EngineStateFactory = .inMemory
    ) async throws -> Engine {
        var configuration = EngineConfiguration()
        configuration.state = state
        let engine = try await Engine.open(at: directory.path, configuration: configuration)
        let topic = try TopicConfiguration(["tally.durability": durability])
        for name in ["a", "b"] {
            try await engine.createTopic(name, partitions: 1, configuration: topic)
        }
        return engine
    }

    /// Keeps a topic's markers back until it is signalled.
    private func holdMarkers(of topic: String, in engine: Engine) -> DispatchSemaphore {
        let isOver = DispatchSemaphore(value: 0)
        engine.transactions.start { [weak engine] partition, work in
            if partition.topic == topic {
                isOver.wait()
                isOver.signal()
            }
            guard let found = try? engine?.partition(partition.partition, of: partition.topic)
            else { return .failed }
            return found.write(work)
        }
        return isOver
    }

    @Test("the id is taken over once: a second time is refused, and partitions still take part")
    func initializedTwice() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer()
        try producer.beginTransaction()
        _ = try await producer.send(key: nil, value: "one", to: "a")
        let refusal = await message { try await producer.initTransactions() }
        #expect(refusal.contains("already"))
        _ = try await producer.send(key: nil, value: "two", to: "a")
        try await producer.commitTransaction()
        try await producer.withTransaction { _ = try await $0.send(key: nil, value: "3", to: "a") }
        #expect(try await engine.committedValues(of: "a") == ["one", "two", "3"])
        #expect(try await engine.openTransactions(of: "a").isEmpty)
        try await engine.close()
    }

    @Test("what is sent while a transaction commits is in it, in the next one, or refused")
    func sentMeanwhile() async throws {
        let engine = try await engine(durability: "buffered")
        let producer = try await engine.transactionalProducer()
        try await withThrowingTaskGroup { group in
            for sender in 0..<3 {
                group.addTask {
                    var taken: [String] = []
                    var number = 0
                    while !Task.isCancelled {
                        let value = "\(sender) \(number)"
                        number += 1
                        do {
                            try producer.enqueue(value, to: number % 2 == 0 ? "a" : "b")
                            taken.append(value)
                        } catch EngineError.invalidProducerState {
                            // There is no transaction, or it is being ended.
                        }
                        // The test's own task needs a thread, too.
                        try? await Task.sleep(for: .microseconds(20))
                    }
                    return taken
                }
            }
            for _ in 0..<200 {
                try producer.beginTransaction()
                await Task.yield()
                try await producer.commitTransaction()
            }
            group.cancelAll()
            var taken: [String] = []
            for try await values in group { taken += values }
            let stored = try await engine.committedValues(of: "a") + engine.committedValues(of: "b")
            #expect(!taken.isEmpty)
            #expect(stored.count == taken.count && Set(stored) == Set(taken))
        }
        let open = try await engine.openTransactions(of: "a") + engine.openTransactions(of: "b")
        #expect(open.isEmpty)
        try await engine.close()
    }

    @Test("a record whose sender was told that its time was up keeps the transaction from commits")
    func timedOut() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer {
            $0.deliveryTimeoutMilliseconds = 1_500
        }
        let log = try engine.partition(0, of: "a").log
        try producer.beginTransaction()
        let isOver = await log.holdWriter()
        do {
            _ = try await producer.send(key: nil, value: "late", to: "a")
            Issue.record("sent, though nothing can be written")
        } catch EngineError.deliveryTimeout(_, _, let mayBeStored) {
            #expect(mayBeStored)
        }
        isOver.signal()
        let refusal = await message { try await producer.commitTransaction() }
        #expect(refusal.contains("aborted"))
        try await producer.abortTransaction()
        try await producer.withTransaction { _ = try await $0.send(key: nil, value: "ok", to: "a") }
        #expect(try await engine.committedValues(of: "a") == ["ok"])
        try await engine.close()
    }

    @Test("where a partition cannot take part, all who sent to it are told")
    func notIncluded() async throws {
        let store = ReluctantStore()
        let engine = try await engine(
            state: EngineStateFactory { _ in TestState(transactions: store) })
        let producer = try await engine.transactionalProducer()
        try producer.beginTransaction()
        store.isReluctant.store(true, ordering: .releasing)
        let first = Task { try await producer.send(key: nil, value: "first", to: "a") }
        await store.waitUntilAsked()
        let byteCount = producer.pendingByteCount
        // Joins or opens a batch behind the one whose delivery waits.
        let second = Task { try await producer.send(key: nil, value: "second", to: "a") }
        #expect(try await eventually { producer.pendingByteCount > byteCount })
        store.refuse()
        await #expect(throws: EngineError.self) { try await first.value }
        await #expect(throws: EngineError.self) { try await second.value }
        store.isReluctant.store(false, ordering: .releasing)
        try await producer.abortTransaction()
        try await producer.withTransaction { _ = try await $0.send(key: nil, value: "ok", to: "a") }
        #expect(try await engine.committedValues(of: "a") == ["ok"])
        try await engine.close()
    }

    @Test("a commit that nobody could tell the outcome of is told by committing again")
    func undecided() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer {
            $0.transactionTimeoutMilliseconds = 15_000
        }
        let isOver = holdMarkers(of: "b", in: engine)
        try producer.beginTransaction()
        for topic in ["a", "b"] {
            _ = try await producer.send(key: nil, value: "in \(topic)", to: topic)
        }
        let first = await message { try await producer.commitTransaction() }
        #expect(first.contains("decided"))
        #expect(await message { try producer.enqueue("x", to: "a") }.contains("ended"))
        // It is decided: there is nothing to abort any more.
        await #expect(throws: EngineError.self) { try await producer.abortTransaction() }
        #expect(await message { try producer.beginTransaction() }.contains("ended"))
        isOver.signal()
        try await producer.commitTransaction()
        #expect(try await engine.committedValues(of: "a") == ["in a"])
        #expect(try await engine.committedValues(of: "b") == ["in b"])
        try await producer.withTransaction { _ = try await $0.send(key: nil, value: "n", to: "b") }
        #expect(try await engine.committedValues(of: "b") == ["in b", "n"])
        try await engine.close()
    }

    @Test("a committed transaction is on stable storage, whatever its topics promise")
    func durable() async throws {
        let engine = try await engine(durability: "buffered")
        let producer = try await engine.transactionalProducer()
        let logs = try ["a", "b"].map { try engine.partition(0, of: $0).log }
        try producer.beginTransaction()
        for topic in ["a", "b"] {
            _ = try await producer.send(key: nil, value: "in \(topic)", to: topic)
        }
        #expect(logs.map(\.recoveryPoint) == [.zero, .zero])
        // The records before the decision, the markers before the answer.
        let isOver = holdMarkers(of: "b", in: engine)
        let commit = Task { try await producer.commitTransaction() }
        #expect(try await eventually { logs[0].recoveryPoint == Offset(2) })
        #expect(logs[1].recoveryPoint == Offset(1))
        #expect(try await eventually { engine.transactions.limitCount == 1 })
        isOver.signal()
        try await commit.value
        #expect(engine.transactions.limitCount == 0, "nobody waits any more")
        #expect(logs[1].recoveryPoint == Offset(2))
        try await engine.close()
    }

    @Test("offsets on their way to a transaction are not overtaken by its end")
    func offsetsUnderWay() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer()
        var configuration = GroupConsumerConfiguration()
        configuration.reading.reset = .earliest
        let consumer = try engine.consumer(group: "g", topics: ["a"], configuration)
        var iterator = consumer.makeAsyncIterator()
        _ = try await engine.producer().send(key: nil, value: "x", to: "a")
        let records = try #require(try await iterator.next())
        try producer.beginTransaction()
        let isOver = DispatchSemaphore(value: 0)
        engine.lane.submit { isOver.wait() }
        let sending = Task { try await producer.sendOffsets(behind: records, of: consumer) }
        #expect(try await eventually { producer.parts.transaction?.hasGroupUnderWay == true })
        let refusal = await message { try await producer.commitTransaction() }
        #expect(refusal.contains("sendOffsets"))
        isOver.signal()
        try await sending.value
        try await producer.commitTransaction()
        let position = try await engine.committedOffsets(ofGroup: "g")
        #expect(position.values.map(\.offset) == [Offset(1)])
        try await consumer.close()
        try await engine.close()
    }

    @Test("what was delivered is not given up later, at the cost of the transaction of that time")
    func deliveredLongAgo() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer {
            $0.deliveryTimeoutMilliseconds = 300
        }
        try await producer.withTransaction { _ = try await $0.send(key: nil, value: "1", to: "a") }
        try producer.beginTransaction()
        // The time limit of the first record comes by.
        try await Task.sleep(for: .milliseconds(700))
        _ = try await producer.send(key: nil, value: "2", to: "b")
        try await producer.commitTransaction()
        #expect(try await engine.committedValues(of: "b") == ["2"])
        try await engine.close()
    }

    @Test("of two calls that end a transaction, the late one does not touch the next")
    func endedTwice() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer()
        let transaction = try #require(producer.parts.transaction)
        try producer.beginTransaction()
        _ = try await producer.send(key: nil, value: "1", to: "a")
        // One call has come as far as its flush while another goes all the way.
        let number = try transaction.beginEnd(.commit)
        try await producer.commitTransaction()
        try producer.beginTransaction()
        _ = try await producer.send(key: nil, value: "2", to: "a")
        #expect(try transaction.participants(for: .commit, of: number) == nil)
        #expect(throws: EngineError.self) {
            try transaction.participants(for: .abort, of: number)
        }
        // Or the coordinator has just answered it.
        let stale = ProducerIdentity(id: 1, epoch: 0)
        transaction.ended(number, by: .commit, next: stale)
        transaction.noteNotEnded(number, .producerFenced, askedBefore: nil)
        transaction.noteFailure(CancellationError(), of: number)
        _ = try await producer.send(key: nil, value: "3", to: "a")
        try await producer.abortTransaction()
        #expect(try await engine.committedValues(of: "a") == ["1"])
        try await engine.close()
    }

    @Test("withTransaction aborts where a partition could not take part")
    func notIncludedWithin() async throws {
        let store = ReluctantStore()
        let engine = try await engine(
            state: EngineStateFactory { _ in TestState(transactions: store) })
        let producer = try await engine.transactionalProducer()
        store.isReluctant.store(true, ordering: .releasing)
        let first = Task { try await producer.withTransaction { try $0.enqueue("1", to: "a") } }
        await store.waitUntilAsked()
        store.isReluctant.store(false, ordering: .releasing)
        store.refuse()
        await #expect(throws: EngineError.self) { try await first.value }
        try await producer.withTransaction { _ = try await $0.send(key: nil, value: "2", to: "a") }
        #expect(try await engine.committedValues(of: "a") == ["2"])
        try await engine.close()
    }

    @Test("offsets that could not be sent have failed their transaction before it can be ended")
    func offsetsFailed() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer()
        let transaction = try #require(producer.parts.transaction)
        try producer.beginTransaction()
        await #expect(throws: CancellationError.self) {
            try await transaction.withGroup("g") { _ in throw CancellationError() }
        }
        #expect(await message { try transaction.requireOpen() }.contains("must be aborted"))
        try await producer.abortTransaction()
        try await engine.close()
    }

    @Test("a partition that takes part only after the abort does not leave a transaction behind")
    func includedLate() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer {
            // Not so short that a busy machine lets the last transaction run out of time.
            $0.deliveryTimeoutMilliseconds = 1_000
            $0.transactionTimeoutMilliseconds = 4_000
        }
        let isOver = DispatchSemaphore(value: 0)
        engine.lane.submit { isOver.wait() }
        try producer.beginTransaction()
        await #expect(throws: EngineError.self) {
            try await producer.send(key: nil, value: "1", to: "a")
        }
        let abort = Task { try await producer.abortTransaction() }
        try await Task.sleep(for: .milliseconds(100))
        isOver.signal()
        try await abort.value
        // Long enough for a transaction that nobody ends to be fenced.
        try await Task.sleep(for: .milliseconds(6_000))
        try await producer.withTransaction { _ = try await $0.send(key: nil, value: "2", to: "a") }
        #expect(try await engine.committedValues(of: "a") == ["2"])
        try await engine.close()
    }

    @Test("offsets that come when the time of their transaction is over are not left pending")
    func offsetsTooLate() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer {
            $0.transactionTimeoutMilliseconds = 500
        }
        let transaction = try #require(producer.parts.transaction)
        let partition = TopicPartition(topic: "a", partition: 0)
        let request = OffsetCommitRequest(
            group: "g", caller: .outside, offsets: [partition: OffsetToCommit(offset: Offset(7))])
        try producer.beginTransaction()
        try? await transaction.withGroup("g") { identity in
            try await Task.sleep(for: .milliseconds(2_000))
            _ = try await engine.askGroups { (coordinator, now) throws(GroupError) in
                try coordinator.commitInTransaction(
                    request, producerID: identity.id, producerEpoch: identity.epoch, at: now)
            }
        }
        let left = try await engine.askGroups { coordinator, _ in
            coordinator.fetchOffsets(group: "g", partitions: [partition], requiresStable: true)
        }
        #expect(left.isEmpty, "pending for ever")
        // Whoever has the id next makes them visible, though their transaction was aborted.
        let next = try await engine.transactionalProducer()
        try next.beginTransaction()
        try await next.parts.transaction?.withGroup("other") { _ in }
        try await next.commitTransaction()
        #expect(try await engine.committedOffsets(ofGroup: "g").isEmpty)
        try await engine.close()
    }

    @Test("the stack of a marker's thread does not grow with the markers before it")
    func manyMarkers() async throws {
        let engine = try await engine(durability: "buffered")
        let producer = try await engine.transactionalProducer()
        // A thread of 512 KiB was used up between 2,000 and 4,000.
        let count = 6_000
        for _ in 0..<count {
            try await producer.withTransaction { try $0.enqueue("x", to: "a") }
        }
        #expect(try await engine.committedValues(of: "a").count == count)
        try await engine.close()
    }

    @Test("on an engine that was closed nothing waits: it is told")
    func closed() async throws {
        let engine = try await engine()
        let producer = try await engine.transactionalProducer()
        try producer.beginTransaction()
        _ = try await producer.send(key: nil, value: "x", to: "a")
        try await engine.close()
        for end in [producer.commitTransaction, producer.abortTransaction] {
            #expect(await message { try await end() } == EngineError.closed.description)
        }
        var configuration = ProducerConfiguration()
        configuration.transactionalID = "t"
        let late = try engine.producer(configuration)
        #expect(await message { try await late.initTransactions() }.contains("closed"))
    }
}

/// Waits at a save when it is told to, and refuses it then.
private final class ReluctantStore: TransactionStore {
    let isReluctant = Atomic<Bool>(false)
    private let inner = InMemoryTransactionStore()
    private let asked = DispatchSemaphore(value: 0)
    private let answer = DispatchSemaphore(value: 0)

    func waitUntilAsked() async {
        await withCheckedContinuation { ready in
            DispatchQueue.global().async { [asked] in
                asked.wait()
                ready.resume()
            }
        }
    }

    func refuse() { answer.signal() }

    func loadTransactions() -> [TransactionRecord] { inner.loadTransactions() }
    func beginCoordinatorTerm() -> Int32 { inner.beginCoordinatorTerm() }

    func save(_ record: TransactionRecord) throws(TransactionStoreError) {
        if isReluctant.load(ordering: .acquiring) {
            asked.signal()
            answer.wait()
            throw .unavailable(reason: "reluctant")
        }
        inner.save(record)
    }

    func removeTransaction(_ transactionalID: String) { inner.removeTransaction(transactionalID) }

    func reserveProducerIDs(
        count: Int64, notBelow least: Int64
    ) throws(TransactionStoreError) -> Range<Int64> {
        try inner.reserveProducerIDs(count: count, notBelow: least)
    }
}
