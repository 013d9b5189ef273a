import TallyRecords
import Testing

@testable import TallyTransactions

@Suite("Transactions")
struct TransactionTests {
    let bench: Bench
    let producer: ProducerIdentity

    init() throws { (bench, producer) = try Bench.begun() }

    @Test(
        "the decision is stored before anybody is told, and the end before it is answered",
        arguments: [TransactionDecision.commit, .abort])
    func order(decision: TransactionDecision) throws {
        try bench.add(producer, 1, 0)
        try bench.coordinator.addGroup("g", to: "t", producer: producer, now: bench.now)
        let prepared = decision == .commit ? "PrepareCommit" : "PrepareAbort"
        let completed = decision == .commit ? "CompleteCommit" : "CompleteAbort"
        #expect(bench.end(producer, decision) == nil)
        #expect(bench.store.states == ["Empty", "Ongoing", "Ongoing", prepared])
        let raised = ProducerIdentity(0, 1)
        #expect(
            bench.work.map(\.target) == [
                .partition(TopicPartition(topic: "a", partition: 0)),
                .partition(TopicPartition(topic: "a", partition: 1)), .group("g"),
            ])
        for work in bench.work {
            #expect(work.producer == raised)
            #expect(work.transactionEpoch == 0)
            #expect(work.decision == decision)
            #expect(work.coordinatorEpoch == 0)
        }
        for work in bench.work {
            #expect(bench.take() == [])
            #expect(bench.store.states.last == prepared)
            bench.coordinator.report(work, .done, now: bench.now)
        }
        #expect(bench.store.states.last == completed)
        #expect(bench.take() == [.success(raised)])
        #expect(bench.state()?.rawValue == completed)
        #expect(bench.coordinator.untold(of: "t") == [])
        // The next one is of the raised epoch.
        #expect(try bench.run(raised, decision) == ProducerIdentity(0, 2))
    }

    @Test("while a decision is on its way, nothing else begins")
    func concurrent() throws {
        try bench.add(producer, 0)
        _ = bench.end(producer, .commit)
        #expect(throws: TransactionError.concurrentTransactions) { _ = try bench.begin() }
        #expect(throws: TransactionError.producerFenced) { try bench.add(producer, 1) }
        let raised = ProducerIdentity(0, 1)
        #expect(throws: TransactionError.concurrentTransactions) { try bench.add(raised, 1) }
        #expect(bench.end(raised, .commit) == .failure(.concurrentTransactions))
        bench.finish()
        #expect(try bench.begin() == ProducerIdentity(0, 2))
    }

    @Test("an end asked for again has the same answer, the opposite one is refused")
    func retries() throws {
        try bench.add(producer, 0)
        #expect(bench.end(producer, .commit) == nil)
        #expect(bench.end(producer, .commit) == nil)
        #expect(bench.end(producer, .abort) == .failure(.invalidTransactionState))
        let next = Result<ProducerIdentity, TransactionError>.success(ProducerIdentity(0, 1))
        #expect(bench.finish() == [next, next])
        for _ in 0..<2 {
            #expect(bench.end(producer, .commit) == next)
            #expect(bench.end(producer, .abort) == .failure(.invalidTransactionState))
            try bench.restart()
        }
        // With the next transaction under way the old end means nothing.
        try bench.add(ProducerIdentity(0, 1), 0)
        #expect(bench.end(producer, .commit) == .failure(.producerFenced))
        #expect(bench.end(producer, .abort) == .failure(.producerFenced))
        #expect(bench.state() == .ongoing)
    }

    @Test("a producer that lost the answer of an end may begin again by saying who it was")
    func beginningAfterEnd() throws {
        try bench.add(producer, 0)
        _ = bench.end(producer, .commit)
        #expect(throws: TransactionError.concurrentTransactions) {
            _ = try bench.begin(expected: producer)
        }
        bench.finish()
        #expect(try bench.begin(expected: producer) == ProducerIdentity(0, 1))
    }

    @Test("nothing can be aborted, which raises the epoch, but not committed")
    func empty() throws {
        #expect(bench.end(producer, .commit) == .failure(.invalidTransactionState))
        let next = ProducerIdentity(0, 1)
        for _ in 0..<2 { #expect(bench.end(producer, .abort) == .success(next)) }
        #expect(bench.work.isEmpty)
        #expect(bench.state() == .completeAbort)
        #expect(bench.end(next, .abort) == .success(ProducerIdentity(0, 2)))
        #expect(bench.end(ProducerIdentity(0, 2), .commit) == .failure(.invalidTransactionState))
    }

    @Test("a partition that takes part is known, others are not")
    func verifying() throws {
        let coordinator = { (partition: Int32) throws(TransactionError) in
            try bench.coordinator.verify(
                TopicPartition(topic: "a", partition: partition), in: "t", producer: producer)
        }
        #expect(throws: TransactionError.transactionAbortable) { try coordinator(0) }
        try bench.add(producer, 0)
        try coordinator(0)
        #expect(throws: TransactionError.transactionAbortable) { try coordinator(1) }
        let saves = bench.store.states.count
        try bench.add(producer, 0)
        try bench.add(producer)
        #expect(bench.store.states.count == saves)
    }

    @Test("what fails is tried again after a pause, and what is refused or gone is done")
    func failures() throws {
        try bench.add(producer, 0, 1, 2)
        _ = bench.end(producer, .commit)
        let work = bench.work
        bench.work = []
        bench.coordinator.report(work[0], .failed, now: bench.now)
        bench.coordinator.report(work[1], .refused, now: bench.now)
        bench.coordinator.report(work[2], .done, now: bench.now)
        #expect(bench.deadline == bench.now.later(by: 100))
        bench.pass(milliseconds: 99)
        #expect(bench.work.isEmpty)
        bench.pass(milliseconds: 1)
        #expect(bench.work.map(\.target) == [work[0].target])
        // Partitions tell late copies of the first attempt by that.
        #expect(bench.work[0].attempt > work[2].attempt)
        #expect(bench.coordinator.untold(of: "t") == [work[0].target])
        // Late copies of reports mean nothing.
        bench.coordinator.report(work[2], .failed, now: bench.now)
        #expect(bench.finish() == [.success(ProducerIdentity(0, 1))])
        bench.coordinator.report(work[0], .failed, now: bench.now)
        #expect(bench.state() == .completeCommit)
    }

    @Test(
        "reports about an earlier transaction say nothing about this one",
        arguments: [false, true], [TransactionWorkOutcome.done, .refused, .failed])
    func lateReports(keepsEpoch: Bool, outcome: TransactionWorkOutcome) throws {
        try bench.add(producer, 0)
        _ = bench.end(producer, .commit, keepsEpoch: keepsEpoch)
        let earlier = bench.work
        bench.finish()
        let next = keepsEpoch ? producer : ProducerIdentity(0, 1)
        try bench.add(next, 0)
        _ = bench.end(next, .commit, keepsEpoch: keepsEpoch)
        let asked = bench.work
        for work in earlier { bench.coordinator.report(work, outcome, now: bench.now) }
        bench.pass(milliseconds: 1000)
        #expect(bench.state() == .prepareCommit)
        #expect(bench.work == asked)
        #expect(bench.finish() == [.success(keepsEpoch ? producer : ProducerIdentity(0, 2))])
    }

    @Test("a transaction of before is aborted when another producer begins")
    func takingOver() throws {
        try bench.add(producer, 0)
        #expect(throws: TransactionError.concurrentTransactions) { _ = try bench.begin() }
        #expect(bench.state() == .prepareAbort)
        #expect(bench.end(producer, .commit) == .failure(.producerFenced))
        bench.finish()
        #expect(bench.end(producer, .abort) == .failure(.producerFenced))
        #expect(bench.state() == .completeAbort)
        #expect(try bench.begin() == ProducerIdentity(0, 2))
    }

    @Test("a transaction that takes longer than its timeout is aborted and its producer fenced")
    func timeout() throws {
        try bench.add(producer, 0)
        bench.pass(milliseconds: 30_000)
        // More partitions give no more time.
        try bench.add(producer, 1)
        #expect(bench.deadline == bench.now.later(by: 30_000))
        bench.pass(milliseconds: 29_999)
        #expect(bench.state() == .ongoing)
        bench.pass(milliseconds: 1)
        #expect(bench.state() == .prepareAbort)
        #expect(bench.work.map(\.decision) == [.abort, .abort])
        #expect(throws: TransactionError.producerFenced) { try bench.add(producer, 2) }
        bench.finish()
        #expect(bench.end(producer, .commit) == .failure(.producerFenced))
        #expect(throws: TransactionError.producerFenced) {
            _ = try bench.begin(expected: producer)
        }
        #expect(try bench.begin() == ProducerIdentity(0, 2))
    }

    @Test("records are listed by state, producer id and age")
    func listing() throws {
        let other = try bench.begin("u")
        try bench.add(other, 3, id: "u")
        bench.pass(milliseconds: 1001)
        let list = {
            (states: Set<TransactionState>, producers: Set<Int64>, age: Int64?) -> [String] in
            bench.coordinator.list(
                states: states, producerIDs: producers, longerThanMilliseconds: age,
                now: bench.now
            ).map(\.transactionalID)
        }
        #expect(list([], [], nil) == ["t", "u"])
        #expect(list([.ongoing], [], nil) == ["u"])
        #expect(list([], [producer.id], nil) == ["t"])
        #expect(list([], [], 1000) == ["u"])
        #expect(list([], [], 1001) == [])
        let description = try bench.coordinator.describe("u")
        #expect(description.partitions == [TopicPartition(topic: "a", partition: 3)])
        #expect(description.startedAt == bench.now.later(by: -1001))
    }
}
