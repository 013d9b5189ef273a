import TallyRecords
import Testing

@testable import TallyTransactions

@Suite("Producers with a transactional id")
struct ProducerTests {
    let bench: Bench

    init() throws { bench = try Bench() }

    @Test("a new id gets a producer id with epoch 0, and each beginning raises the epoch")
    func epochs() throws {
        #expect(try bench.begin() == ProducerIdentity(0, 0))
        #expect(try bench.begin() == ProducerIdentity(0, 1))
        #expect(try bench.begin("other") == ProducerIdentity(1, 0))
        #expect(try bench.coordinator.newProducer() == ProducerIdentity(2, 0))
        #expect(try bench.begin() == ProducerIdentity(0, 2))
        // Of a block of 1,000 ids a restart loses the rest; epochs go on.
        try bench.restart()
        #expect(try bench.begin() == ProducerIdentity(0, 3))
        #expect(try bench.begin("third") == ProducerIdentity(1000, 0))
    }

    @Test("whoever had the id before is fenced from everything")
    func fencing() throws {
        let old = try bench.begin()
        let new = try bench.begin()
        #expect(throws: TransactionError.producerFenced) { try bench.add(old, 0) }
        #expect(throws: TransactionError.producerFenced) {
            try bench.coordinator.addGroup("g", to: "t", producer: old, now: bench.now)
        }
        #expect(throws: TransactionError.invalidProducerEpoch) {
            try bench.coordinator.verify(
                TopicPartition(topic: "a", partition: 0), in: "t", producer: old)
        }
        for decision in [TransactionDecision.commit, .abort] {
            #expect(bench.end(old, decision) == .failure(.producerFenced))
        }
        #expect(throws: TransactionError.producerFenced) { _ = try bench.begin(expected: old) }
        try bench.add(new, 0)
        #expect(bench.end(old, .commit) == .failure(.producerFenced))
        #expect(throws: TransactionError.producerFenced) { _ = try bench.begin(expected: old) }
        #expect(bench.state() == .ongoing)
    }

    @Test("another producer id than the one given out is no mapping")
    func mapping() throws {
        let producer = try bench.begin()
        let other = ProducerIdentity(77, producer.epoch)
        #expect(throws: TransactionError.invalidProducerIDMapping) { try bench.add(other, 0) }
        #expect(bench.end(other, .commit) == .failure(.invalidProducerIDMapping))
        #expect(bench.end(producer, .commit, id: "x") == .failure(.invalidProducerIDMapping))
        #expect(throws: TransactionError.transactionalIDNotFound) {
            _ = try bench.coordinator.describe("x")
        }
    }

    @Test("who says who it was goes on with a raised epoch, and may ask again")
    func expected() throws {
        let first = try bench.begin()
        let second = try bench.begin(expected: first)
        #expect(second == ProducerIdentity(0, 1))
        // The answer was lost: the same again.
        #expect(try bench.begin(expected: first) == second)
        let third = try bench.begin(expected: second)
        #expect(third == ProducerIdentity(0, 2))
        #expect(throws: TransactionError.producerFenced) { _ = try bench.begin(expected: first) }
        // A newcomer fences them all.
        _ = try bench.begin()
        #expect(throws: TransactionError.producerFenced) { _ = try bench.begin(expected: third) }
        // Who comes with an id that was forgotten gets a new one.
        #expect(try bench.begin("new", expected: first) == ProducerIdentity(1, 0))
    }

    @Test("when epochs run out, a new producer id with epoch 0 follows")
    func exhaustion() throws {
        var record = TransactionRecord(
            transactionalID: "t", producer: ProducerIdentity(5, Int16.max - 2),
            timeoutMilliseconds: 1000, updatedAt: bench.now)
        try bench.store.save(record)
        try bench.restart()
        let last = try bench.begin()
        #expect(last == ProducerIdentity(5, Int16.max - 1))
        let rotated = try bench.begin(expected: last)
        #expect(rotated == ProducerIdentity(0, 0))
        #expect(try bench.begin(expected: last) == rotated)
        #expect(throws: TransactionError.invalidProducerIDMapping) { try bench.add(last, 0) }

        // The same by a transaction's end: the marker has the last number there is.
        record.producer = ProducerIdentity(5, Int16.max - 1)
        try bench.store.save(record)
        try bench.restart()
        try bench.add(record.producer, 0)
        #expect(bench.end(record.producer, .commit) == nil)
        #expect(bench.work.map(\.producer) == [ProducerIdentity(5, Int16.max)])
        let answers = bench.finish()
        #expect(answers == [.success(ProducerIdentity(1000, 0))])
        #expect(bench.end(record.producer, .commit) == answers[0])
        #expect(bench.end(record.producer, .abort) == .failure(.invalidTransactionState))

        // And by a timeout: the next to begin gets the new id.
        try bench.store.save(record)
        try bench.restart()
        try bench.add(record.producer, 0)
        bench.pass(milliseconds: 1000)
        bench.finish()
        #expect(bench.state() == .completeAbort)
        #expect(bench.end(record.producer, .commit) == .failure(.producerFenced))
        #expect(try bench.begin() == ProducerIdentity(2000, 0))
    }

    @Test(
        "a timeout must be between 1 and transaction.max.timeout.ms",
        arguments: [Int32.min, -1, 0, 900_001, .max])
    func timeouts(timeout: Int32) throws {
        #expect(throws: TransactionError.invalidTransactionTimeout) {
            _ = try bench.begin(timeout: timeout)
        }
        #expect(try bench.begin(timeout: 900_000) == ProducerIdentity(0, 0))
    }

    @Test("names that cannot be stored, and partitions that cannot be, are refused")
    func names() throws {
        let producer = try bench.begin()
        for name in ["", "a\0b", String(repeating: "x", count: 32_768)] {
            #expect(throws: TransactionError.self) { _ = try bench.begin(name) }
            #expect(throws: TransactionError.self) {
                try bench.coordinator.addGroup(name, to: "t", producer: producer, now: bench.now)
            }
        }
        #expect(throws: TransactionError.self) { try bench.add(producer, -1) }
        #expect(bench.state() == .empty)
    }

    @Test("an id that is idle for transactional.id.expiration.ms is forgotten")
    func expiration() throws {
        let producer = try bench.begin()
        let week: Int64 = 604_800_000
        #expect(bench.deadline == bench.now.later(by: week))
        bench.pass(milliseconds: week - 1)
        let next = try bench.run(producer, .commit)
        bench.pass(milliseconds: week - 1)
        #expect(bench.state() == .completeCommit)
        bench.store.fault = .before
        bench.pass(milliseconds: 1)
        #expect(bench.state() == .completeCommit)
        bench.store.fault = nil
        bench.pass(milliseconds: 100)
        #expect(bench.state() == nil)
        #expect(bench.deadline == nil)
        #expect(throws: TransactionError.invalidProducerIDMapping) { try bench.add(next, 0) }
        #expect(try bench.begin() == ProducerIdentity(1, 0))
        #expect(bench.store.loadTransactions().count == 1)
    }

    @Test("producer ids start above those that logs know")
    func floor() throws {
        var ids = ProducerIDBlocks(store: bench.store, notBelow: 5000)
        #expect(try ids.next() == 5000)
        #expect(try ids.next() == 5001)
        var others = ProducerIDBlocks(store: bench.store)
        #expect(try others.next() == 6000)
        var last = ProducerIDBlocks(store: bench.store, notBelow: .max)
        #expect(throws: TransactionStoreError.producerIDsExhausted) { _ = try last.next() }
    }

    @Test("every error has Kafka's name and number")
    func errors() {
        let errors: [(TransactionError, Int16, String)] = [
            (.invalidProducerIDMapping, 49, "INVALID_PRODUCER_ID_MAPPING"),
            (.producerFenced, 90, "PRODUCER_FENCED"),
            (.invalidProducerEpoch, 47, "INVALID_PRODUCER_EPOCH"),
            (.concurrentTransactions, 51, "CONCURRENT_TRANSACTIONS"),
            (.invalidTransactionState, 48, "INVALID_TXN_STATE"),
            (.invalidTransactionTimeout, 50, "INVALID_TRANSACTION_TIMEOUT"),
            (.transactionAbortable, 120, "TRANSACTION_ABORTABLE"),
            (.transactionalIDNotFound, 105, "TRANSACTIONAL_ID_NOT_FOUND"),
            (.invalidRequest(reason: "r"), 42, "INVALID_REQUEST"),
            (.coordinatorNotAvailable(reason: "r"), 15, "COORDINATOR_NOT_AVAILABLE"),
        ]
        for (error, code, name) in errors {
            #expect(error.code == code)
            #expect(error.description.hasPrefix(name + ": "))
        }
    }
}
