import TallyRecords
import TallyTestSupport
import Testing

@testable import TallyTransactions

@Suite("A simulation of transactions", .timeLimit(.minutes(10)))
struct SimulationTests {
    @Test("every transaction ends everywhere in the direction that was answered, or aborted")
    func random() throws {
        var seeds = SeededGenerator.fromEnvironment()
        var (commits, aborts, rotations) = (0, 0, 0)
        for _ in 0..<300 {
            let seed = seeds.next()
            let world = try World(seed: seed)
            try world.run(steps: 500)
            try world.settle()
            // What a store kept while it said that it failed shows at the next start.
            try world.crash()
            try world.settle()
            let problems = world.problems()
            try #require(problems.isEmpty, "seed \(seed): \(problems.prefix(5))")
            #expect(world.crashes > 0)
            commits += world.writes.values.filter { $0.answered == .commit }.count
            aborts += world.writes.values.filter { $0.answered == .abort }.count
            let ids = Set(world.identities.filter { $0.id == "a" }.map(\.producer.id))
            if ids.contains(900_000), ids.count > 1 { rotations += 1 }
        }
        print("\(commits) commits, \(aborts) aborts, \(rotations) worlds with a new producer id")
        // It is of no use where nothing gets through.
        #expect(commits > 300 && aborts > 100 && rotations > 10)
    }

    @Test("with nothing that disturbs, transactions commit and abort as they are told")
    func undisturbed() throws {
        var seeds = SeededGenerator.fromEnvironment()
        var commits = 0
        for _ in 0..<20 {
            let world = try World(seed: seeds.next())
            world.isDisturbed = false
            try world.run(steps: 1000)
            try world.settle()
            #expect(world.problems() == [])
            commits += world.writes.values.filter { $0.answered == .commit }.count
        }
        #expect(commits > 100)
    }
}

/// One transaction as its producer sees it.
struct WrittenTransaction {
    /// What the producer asked for; nil before.
    var asked: TransactionDecision?
    /// What it was told has happened; nil where it heard nothing.
    var answered: TransactionDecision?
}

/// A partition, or a group's pending offsets: something that takes part.
struct Participant {
    /// The epoch of the last record or marker of each producer id.
    var epochs: [Int64: Int16] = [:]
    /// The transaction that is open for a producer id.
    var open: [Int64: Int] = [:]
    var coordinatorEpoch: Int32 = -1
    /// How transactions ended here.
    var ended: [Int: TransactionDecision] = [:]

    /// Writes a record of a transaction. Whether it was accepted.
    mutating func write(_ producer: ProducerIdentity, transaction: Int) -> Bool {
        guard producer.epoch >= epochs[producer.id, default: -1] else { return false }
        epochs[producer.id] = producer.epoch
        if let other = open[producer.id], other != transaction { return false }
        open[producer.id] = transaction
        return true
    }

    /// Does the work by the rules that ``TransactionWork`` states. Whether it was accepted.
    mutating func end(_ work: TransactionWork) -> Bool {
        guard work.coordinatorEpoch >= coordinatorEpoch else { return false }
        let known = epochs[work.producer.id, default: -1]
        // A late copy must not end the next transaction, which has the marker's epoch.
        if known > work.producer.epoch { return false }
        if known == work.producer.epoch, open[work.producer.id] != nil { return false }
        coordinatorEpoch = work.coordinatorEpoch
        epochs[work.producer.id] = work.producer.epoch
        if let transaction = open.removeValue(forKey: work.producer.id) {
            ended[transaction] = work.decision
        }
        return true
    }
}

/// A producer, perhaps a zombie.
struct SimulatedProducer {
    let transactionalID: String
    var identity: ProducerIdentity?
    /// The transaction that it writes, and those whom it told the coordinator of.
    var transaction: Int?
    var targets: Set<TransactionWork.Target> = []
    /// Waits for the answer of an end.
    var waiting: TransactionToken?
    var asked: TransactionDecision?
    /// Whether its identity may be of before a lost answer.
    var mustBegin = true
}
