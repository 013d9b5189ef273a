import Foundation
import Tally
import TallyTransactions
import Testing

@testable import TallyStateStore

@Suite("Transactions in state.db")
struct TransactionStoreTests {
    let directory: ScratchDirectory

    init() throws { directory = try ScratchDirectory() }

    private func open() throws -> SQLiteState {
        try SQLiteState.open(inDataDirectory: directory.path)
    }

    private static func record(_ name: String = "t") -> TransactionRecord {
        var record = TransactionRecord(
            transactionalID: name, producer: ProducerIdentity(id: 5, epoch: .max),
            timeoutMilliseconds: 1000, updatedAt: Timestamp(milliseconds: 77))
        record.previous = ProducerIdentity(id: 5, epoch: .max - 1)
        record.next = ProducerIdentity(id: 6, epoch: 0)
        record.state = .prepareCommit
        record.startedAt = Timestamp(milliseconds: 66)
        record.partitions = Set((0..<3).map { TopicPartition(topic: "a", partition: $0) })
        record.groups = ["g", "h"]
        return record
    }

    @Test("what was saved is there after opening again, whole")
    func roundTrip() throws {
        var state = try open()
        _ = try state.transactions.reserveProducerIDs(count: 10, notBelow: 0)
        var record = Self.record()
        let changes: [(inout TransactionRecord) -> Void] = [
            { _ in },
            { $0.partitions.remove(TopicPartition(topic: "a", partition: 1)) },
            { $0.partitions.insert(TopicPartition(topic: "b", partition: 1)) },
            { $0.groups = ["i"] },
            {
                $0 = TransactionRecord(
                    transactionalID: "t", producer: ProducerIdentity(id: 6, epoch: 0),
                    timeoutMilliseconds: 1000, updatedAt: Timestamp(milliseconds: 78))
            },
        ]
        try state.transactions.save(Self.record("u"))
        for change in changes {
            change(&record)
            try state.transactions.save(record)
            try state.close()
            state = try open()
            #expect(try state.transactions.loadTransactions() == [record, Self.record("u")])
            try state.database.expectSound()
        }
        let reader = try SQLiteState.read(inDataDirectory: directory.path)
        #expect(try reader.transactions.loadTransactions().count == 2)
        #expect(throws: TransactionStoreError.self) { try reader.transactions.save(record) }
        #expect(throws: TransactionStoreError.self) {
            _ = try reader.transactions.beginCoordinatorTerm()
        }
        try state.transactions.removeTransaction("u")
        try state.transactions.removeTransaction("nobody")
        #expect(try state.transactions.loadTransactions() == [record])
        try state.database.expectSound()
    }

    @Test("terms and producer ids are given out once, over restarts too")
    func counters() throws {
        for term in 0..<3 {
            let state = try open()
            #expect(try state.transactions.beginCoordinatorTerm() == Int32(term))
            let ids = try state.transactions.reserveProducerIDs(count: 10, notBelow: 0)
            #expect(ids == Int64(term) * 10..<Int64(term) * 10 + 10)
            try state.close()
        }
        let state = try open()
        #expect(try state.transactions.reserveProducerIDs(count: 2, notBelow: 500) == 500..<502)
        #expect(try state.transactions.reserveProducerIDs(count: 2, notBelow: 500) == 502..<504)
        #expect(throws: TransactionStoreError.producerIDsExhausted) {
            _ = try state.transactions.reserveProducerIDs(count: 2, notBelow: .max)
        }
        try state.database.execute("UPDATE transaction_coordinator SET nextEpoch = 2147483647")
        #expect(throws: TransactionStoreError.self) {
            _ = try state.transactions.beginCoordinatorTerm()
        }
    }

    @Test("a coordinator goes on from it")
    func coordinator() throws {
        let now = Timestamp(milliseconds: 1000)
        func coordinator(_ state: SQLiteState) throws -> TransactionCoordinator {
            try TransactionCoordinator(
                store: state.transactions,
                producerIDs: ProducerIDBlocks(store: state.transactions),
                earlierProducers: .areGone, now: now)
        }
        var state = try open()
        var first = try coordinator(state)
        let producer = try first.initProducerID("t", timeoutMilliseconds: 100, now: now)
        let partition = TopicPartition(topic: "a", partition: 0)
        try first.addPartitions([partition], to: "t", producer: producer, now: now)
        try first.addGroup("g", to: "t", producer: producer, now: now)
        first.endTransaction(
            "t", producer: producer, .commit, token: TransactionToken(rawValue: 1), now: now)
        #expect(first.takeEffects().count == 2)
        try state.close()

        state = try open()
        var second = try coordinator(state)
        for effect in second.takeEffects() {
            guard case .perform(let work) = effect else { continue }
            #expect(work.decision == .commit)
            #expect(work.coordinatorEpoch == 1)
            second.report(work, .done, now: now)
        }
        #expect(try second.describe("t").state == .completeCommit)
        try state.database.expectSound()
    }

    @Test("damage is told as such")
    func damage() throws {
        let state = try open()
        try state.transactions.save(Self.record())
        for sql in [
            "UPDATE transactional_id SET state = 'Odd'",
            "UPDATE transactional_id SET state = 'Empty', producerEpoch = 99999",
            "UPDATE transactional_id SET producerEpoch = 0, timeoutMilliseconds = 99999999999",
        ] {
            try state.database.execute(sql)
            do {
                _ = try state.transactions.loadTransactions()
                Issue.record("loaded after \(sql)")
            } catch {
                guard case .corrupt = error else {
                    Issue.record("\(error)")
                    continue
                }
            }
        }
    }

    @Test(
        "state.db that is missing, damaged, newer or locked is told by the errors of the database")
    func openingErrors() throws {
        #expect(throws: StateStoreError.noProjectionYet(path: directory.file)) {
            _ = try SQLiteState.read(inDataDirectory: directory.path)
        }
        let state = try open()
        try state.database.execute("INSERT INTO grdb_migrations VALUES ('999-of-the-future')")
        try state.close()
        let newer = StateStoreError.newerSchema(
            path: directory.file, migrations: ["999-of-the-future"])
        #expect(throws: newer) { _ = try SQLiteState.open(inDataDirectory: directory.path) }
        #expect(throws: newer) { _ = try SQLiteState.read(inDataDirectory: directory.path) }
        try Data(repeating: 0x5a, count: 10_000).write(to: URL(fileURLWithPath: directory.file))
        #expect(throws: StateStoreError.self) {
            _ = try SQLiteState.open(inDataDirectory: directory.path)
        }
        #expect(throws: StateStoreError.self) {
            _ = try SQLiteState.read(inDataDirectory: directory.path)
        }
    }
}
