import Foundation
import Tally
import TallyGroups
import TallyTransactions
import Testing

@testable import TallyStateStore

/// Both coordinators over one `state.db`: a group's offsets as part of a transaction.
@Suite("Offsets in a transaction")
struct GroupTransactionTests {
    private static let partition = TopicPartition(topic: "stock", partition: 0)
    private static let now = Timestamp(milliseconds: 1000)
    private static let time = GroupTime(instant: GroupInstant(milliseconds: 1), timestamp: now)

    /// Where the process dies.
    enum Death: CaseIterable, Sendable {
        case beforeDecision
        case afterDecision
        case afterMoving
    }

    /// The coordinators of an engine, opened from the directory.
    private struct Coordinators: ~Copyable {
        let state: SQLiteState
        var groups: GroupCoordinator
        var transactions: TransactionCoordinator

        init(_ directory: ScratchDirectory) throws {
            let state = try SQLiteState.open(inDataDirectory: directory.path)
            let groups = try GroupCoordinator(
                configuration: GroupConfiguration(), store: state.offsets, at: time,
                makeMemberID: { $0 })
            let transactions = try TransactionCoordinator(
                store: state.transactions,
                producerIDs: ProducerIDBlocks(store: state.transactions),
                earlierProducers: .areGone, now: now)
            self.state = state
            self.groups = groups
            self.transactions = transactions
        }

        mutating func send(_ offset: Int64, _ producer: ProducerIdentity) throws {
            try transactions.addGroup("g", to: "t", producer: producer, now: now)
            let refused = try groups.commitInTransaction(
                OffsetCommitRequest(
                    group: "g", caller: .outside,
                    offsets: [partition: OffsetToCommit(offset: Offset(offset))]),
                producerID: producer.id, producerEpoch: producer.epoch, at: time)
            #expect(refused.isEmpty)
        }

        mutating func end(_ producer: ProducerIdentity, _ decision: TransactionDecision) {
            transactions.endTransaction(
                "t", producer: producer, decision, token: TransactionToken(rawValue: 1), now: now)
        }

        /// What a shell does for a group. The epoch is that of the transaction, not the raised one.
        mutating func move(_ work: TransactionWork) throws(GroupError) {
            try groups.endTransaction(
                producerID: work.producer.id, producerEpoch: work.transactionEpoch,
                isCommitted: work.decision == .commit, at: time)
        }

        /// Does all work; gives it, for late copies.
        @discardableResult
        mutating func finish() throws -> [TransactionWork] {
            transactions.advance(to: now)
            var done: [TransactionWork] = []
            for case .perform(let work) in transactions.takeEffects() {
                try move(work)
                transactions.report(work, .done, now: now)
                done.append(work)
            }
            return done
        }

        func committed() throws -> Int64? {
            try groups.fetchOffsets(group: "g")[partition]?.get().offset.rawValue
        }

        func stability() -> Bool {
            groups.fetchOffsets(group: "g", partitions: [partition], requiresStable: true)[
                partition]
                != .failure(.unstableOffsetCommit)
        }
    }

    @Test(
        "they count exactly if the transaction commits, wherever the process died",
        arguments: [TransactionDecision.commit, .abort], Death.allCases)
    func crash(decision: TransactionDecision, death: Death) throws {
        let directory = try ScratchDirectory()
        var first = try Coordinators(directory)
        let producer = try first.transactions.initProducerID(
            "t", timeoutMilliseconds: 1000, now: Self.now)
        try first.send(5, producer)
        #expect(try first.committed() == nil)
        let before = first.stability()
        #expect(!before)
        if death != .beforeDecision { first.end(producer, decision) }
        if death == .afterMoving {
            for case .perform(let work) in first.transactions.takeEffects() {
                try first.move(work)
            }
        }
        try first.state.close()

        var second = try Coordinators(directory)
        try second.finish()
        let isCommitted = decision == .commit && death != .beforeDecision
        #expect(try second.committed() == (isCommitted ? 5 : nil))
        let after = second.stability()
        #expect(after)
        #expect(second.transactions.list(now: Self.now).allSatisfy { $0.groups.isEmpty })
        try second.state.database.expectSound()
    }

    @Test("a late copy of an end does not touch the next transaction's offsets")
    func lateCopy() throws {
        let directory = try ScratchDirectory()
        var engine = try Coordinators(directory)
        let producer = try engine.transactions.initProducerID(
            "t", timeoutMilliseconds: 1000, now: Self.now)
        try engine.send(5, producer)
        engine.end(producer, .commit)
        let late = try engine.finish()
        let next = try engine.transactions.describe("t").producer
        #expect(next == ProducerIdentity(id: producer.id, epoch: 1))
        try engine.send(9, next)
        #expect(late.count == 1)
        for work in late {
            #expect(throws: GroupError.self) { try engine.move(work) }
        }
        #expect(try engine.committed() == 5)
        engine.end(next, .abort)
        try engine.finish()
        #expect(try engine.committed() == 5)
        let isStable = engine.stability()
        #expect(isStable)
    }
}
