import TallyRecords
import Testing

@testable import TallyTransactions

@Suite("A coordinator that crashes, and a store that fails")
struct RecoveryTests {
    let bench: Bench
    let producer: ProducerIdentity

    init() throws { (bench, producer) = try Bench.begun() }

    @Test(
        "an end that was decided is finished in the decided direction",
        arguments: [TransactionDecision.commit, .abort])
    func decided(decision: TransactionDecision) throws {
        try bench.add(producer, 0, 1)
        _ = bench.end(producer, decision)
        bench.coordinator.report(bench.work[0], .done, now: bench.now)
        bench.work = []
        for term in 1...2 {
            try bench.restart()
            bench.take()
            // All are told again: what was done is not stored one by one.
            #expect(bench.work.count == 2)
            #expect(bench.work.allSatisfy { $0.decision == decision })
            #expect(bench.work.allSatisfy { $0.coordinatorEpoch == Int32(term) })
            let late = bench.work
            bench.work = []
            try bench.restart()
            // Reports to the coordinator of before are none to this one.
            for work in late { bench.coordinator.report(work, .done, now: bench.now) }
            #expect(bench.state()?.decision == decision)
            #expect(bench.state()?.isPrepared == true)
            if term == 1 { break }
        }
        bench.finish()
        #expect(bench.end(producer, decision) == .success(ProducerIdentity(0, 1)))
    }

    @Test("a transaction without a decision goes on, or is aborted where its producer is gone")
    func undecided() throws {
        try bench.add(producer, 0)
        bench.pass(milliseconds: 59_000)
        try bench.restart()
        #expect(bench.state() == .ongoing)
        #expect(bench.deadline == bench.now.later(by: 1000))
        try bench.restart(earlierProducers: .areGone)
        #expect(try #require(bench.deadline) < bench.now)
        bench.store.fault = .before
        bench.pass(milliseconds: 0)
        #expect(bench.state() == .prepareEpochFence)
        #expect(throws: TransactionError.producerFenced) { try bench.add(producer, 1) }
        #expect(throws: TransactionError.concurrentTransactions) { _ = try bench.begin() }
        bench.store.fault = nil
        bench.pass(milliseconds: 100)
        #expect(bench.state() == .prepareAbort)
        bench.finish()
        #expect(bench.state() == .completeAbort)
        #expect(try bench.begin() == ProducerIdentity(0, 2))
    }

    @Test(
        "a request whose state cannot be stored is refused, and can be made again",
        arguments: [FaultyStore.Fault.before, .after])
    func refused(fault: FaultyStore.Fault) throws {
        func failing(_ body: () throws -> Void) {
            bench.store.fault = fault
            defer { bench.store.fault = nil }
            #expect(throws: TransactionError.coordinatorNotAvailable(reason: "a test says so")) {
                try body()
            }
        }
        failing { _ = try bench.begin("new") }
        failing { _ = try bench.begin(expected: producer) }
        failing { try bench.add(producer, 0) }
        #expect(bench.state() == .empty)
        try bench.add(producer, 0)
        failing { _ = try bench.end(producer, .commit)?.get() }
        #expect(bench.state() == .ongoing)
        #expect(bench.work.isEmpty)
        // What nobody was told may become the opposite.
        #expect(bench.end(producer, .abort) == nil)
        bench.store.fault = fault
        #expect(bench.finish() == [])
        #expect(bench.state() == .prepareAbort)
        bench.store.fault = nil
        bench.now = bench.now.later(by: 100)
        bench.coordinator.advance(to: bench.now)
        #expect(bench.take() == [.success(ProducerIdentity(0, 1))])
    }

    @Test("no new producer id, no decision")
    func noProducerID() throws {
        var record = TransactionRecord(
            transactionalID: "t", producer: ProducerIdentity(5, ProducerIdentity.epochMax),
            timeoutMilliseconds: 1000, updatedAt: bench.now)
        record.state = .ongoing
        record.groups = ["g"]
        record.startedAt = bench.now
        try bench.store.save(record)
        try bench.restart()
        bench.store.fault = .before
        #expect(
            bench.end(record.producer, .commit)
                == .failure(.coordinatorNotAvailable(reason: "a test says so")))
        #expect(bench.state() == .ongoing)
    }

    @Test("a clock that was set back does not keep a transaction open")
    func clock() throws {
        try bench.add(producer, 0)
        bench.now = Timestamp(milliseconds: 1000)
        try bench.restart()
        #expect(bench.deadline == bench.now.later(by: 60_000))
    }

    @Test("a stored record that breaks a rule is told, with the rule")
    func corrupt() throws {
        var good = TransactionRecord(
            transactionalID: "t", producer: ProducerIdentity(5, 1), timeoutMilliseconds: 1000,
            updatedAt: bench.now)
        #expect(good.verify() == [])
        good.state = .ongoing
        good.groups = ["g"]
        good.startedAt = bench.now
        #expect(good.verify() == [])
        let changes: [(inout TransactionRecord) -> Void] = [
            { $0.transactionalID = "" }, { $0.producer.id = -1 }, { $0.producer.epoch = -1 },
            { $0.timeoutMilliseconds = 0 }, { $0.state = .dead }, { $0.producer.epoch = .max },
            {
                $0.state = .prepareAbort
                $0.producer.epoch = 0
            },
            { $0.next = ProducerIdentity(1, 0) }, { $0.groups = [] }, { $0.startedAt = nil },
            { $0.state = .empty },
        ]
        for change in changes {
            var bad = good
            change(&bad)
            #expect(!bad.verify().isEmpty)
            let store = FaultyStore()
            try store.save(bad)
            #expect(throws: TransactionStoreError.self) { _ = try Bench(store: store) }
        }
    }
}
