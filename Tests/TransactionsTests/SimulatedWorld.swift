import Synchronization
import TallyRecords
import TallyTestSupport

@testable import TallyTransactions

/// A store in which every change may fail, be done without anybody hearing of it, or take the
/// coordinator down with it.
final class SimulatedStore: TransactionStore {
    private struct Contents {
        var generator: TallyTestSupport.SeededGenerator
        var isFaulty = false
        var hasCrashed = false
    }

    private let kept = InMemoryTransactionStore()
    private let contents: Mutex<Contents>
    private static let error = TransactionStoreError.unavailable(reason: "simulated")

    init(seed: UInt64) { contents = Mutex(Contents(generator: SeededGenerator(seed: seed))) }

    var isFaulty: Bool {
        get { contents.withLock { $0.isFaulty } }
        set { contents.withLock { $0.isFaulty = newValue } }
    }

    /// Whether the coordinator's process died in a call; asking forgets it.
    func takeCrash() -> Bool {
        contents.withLock { contents in
            defer { contents.hasCrashed = false }
            return contents.hasCrashed
        }
    }

    /// Whether the change is to be made, and whether the caller is to hear of an error.
    private func fate() -> (isDone: Bool, fails: Bool) {
        contents.withLock { contents in
            // A process that is dead stores nothing more.
            if contents.hasCrashed { return (false, true) }
            guard contents.isFaulty, Int.random(in: 0..<8, using: &contents.generator) == 0 else {
                return (true, false)
            }
            contents.hasCrashed = Bool.random(using: &contents.generator)
            return (Bool.random(using: &contents.generator), true)
        }
    }

    private func change(_ body: () -> Void) throws(TransactionStoreError) {
        let fate = fate()
        if fate.isDone { body() }
        if fate.fails { throw Self.error }
    }

    func loadTransactions() -> [TransactionRecord] { kept.loadTransactions() }
    func beginCoordinatorTerm() -> Int32 { kept.beginCoordinatorTerm() }

    func save(_ record: TransactionRecord) throws(TransactionStoreError) {
        try change { kept.save(record) }
    }

    func removeTransaction(_ transactionalID: String) throws(TransactionStoreError) {
        try change { kept.removeTransaction(transactionalID) }
    }

    func reserveProducerIDs(
        count: Int64, notBelow least: Int64
    ) throws(TransactionStoreError) -> Range<Int64> {
        try kept.reserveProducerIDs(count: count, notBelow: least)
    }
}

/// Producers, a coordinator and those who take part, driven by random numbers.
final class World {
    static let ids = ["a", "b", "c"]
    static let participants: [TransactionWork.Target] =
        (0..<3).map { .partition(TopicPartition(topic: "t", partition: $0)) }
        + [.group("g"), .group("h")]

    var generator: TallyTestSupport.SeededGenerator
    let store: SimulatedStore
    var coordinator: TransactionCoordinator
    var now = Timestamp(milliseconds: 1_000_000)
    var isDisturbed = true
    var participants: [TransactionWork.Target: Participant] = [:]
    var producers: [SimulatedProducer] = []
    /// All transactions that were ever begun, by number.
    var writes: [Int: WrittenTransaction] = [:]
    /// Work that is on its way, and copies of what was done that may arrive again.
    var work: [TransactionWork] = []
    var lateWork: [TransactionWork] = []
    /// Reports that may arrive again, at whichever coordinator there is then.
    var lateReports: [(work: TransactionWork, outcome: TransactionWorkOutcome)] = []
    /// Identities that were given out once, with their ids: what zombies know.
    var identities: [(id: String, producer: ProducerIdentity)] = []
    var crashes = 0
    var broken: [String] = []
    private var tokens: UInt64 = 0

    init(seed: UInt64) throws {
        generator = SeededGenerator(seed: seed)
        store = SimulatedStore(seed: seed &+ 1)
        // One id whose epochs are about to run out.
        try store.save(
            TransactionRecord(
                transactionalID: "a", producer: ProducerIdentity(900_000, Int16.max - 6),
                timeoutMilliseconds: 500, updatedAt: now))
        coordinator = try Self.open(store, .mayBeAlive, now)
        for target in Self.participants { participants[target] = Participant() }
    }

    private static func open(
        _ store: SimulatedStore, _ earlier: TransactionCoordinator.EarlierProducers,
        _ now: Timestamp
    ) throws -> TransactionCoordinator {
        var configuration = TransactionConfiguration()
        configuration.idExpirationMilliseconds = 20_000
        return try TransactionCoordinator(
            configuration: configuration, store: store,
            producerIDs: ProducerIDBlocks(store: store), earlierProducers: earlier, now: now)
    }

    func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &generator) == 0 }

    // MARK: The coordinator's shell

    /// To be called after every call of the coordinator: takes effects, or takes a crash.
    func collect() throws {
        if store.takeCrash() { return try crash() }
        for effect in coordinator.takeEffects() {
            switch effect {
            case .perform(let piece): work.append(piece)
            case .answer(let token, let result): answer(token, result)
            }
        }
    }

    /// The coordinator dies. What was on its way may still arrive, answers never do.
    func crash() throws {
        crashes += 1
        lateWork += work
        work = []
        for index in producers.indices where producers[index].waiting != nil {
            producers[index].waiting = nil
        }
        coordinator = try Self.open(store, chance(4) ? .areGone : .mayBeAlive, now)
        try collect()
    }

    private func answer(
        _ token: TransactionToken, _ result: Result<ProducerIdentity, TransactionError>
    ) {
        guard let index = producers.firstIndex(where: { $0.waiting == token }) else { return }
        producers[index].waiting = nil
        // A lost answer: the producer will ask again.
        if isDisturbed, chance(6) { return }
        switch result {
        case .success(let next):
            if let transaction = producers[index].transaction {
                writes[transaction]?.answered = producers[index].asked
            }
            identities.append((producers[index].transactionalID, next))
            producers[index].identity = next
            producers[index].transaction = nil
            producers[index].asked = nil
            producers[index].targets = []
        case .failure(.concurrentTransactions), .failure(.coordinatorNotAvailable):
            break
        case .failure:
            producers[index].mustBegin = true
        }
    }

    /// Does one piece of work that is on its way.
    private func perform() throws {
        guard let index = work.indices.randomElement(using: &generator) else { return }
        let piece = work.remove(at: index)
        if isDisturbed, chance(5) {
            // Lost on the way there, or on the way back.
            if chance(2) { _ = participants[piece.target]?.end(piece) }
            lateWork.append(piece)
            coordinator.report(piece, .failed, now: now)
            return try collect()
        }
        let isAccepted = participants[piece.target]?.end(piece) ?? false
        let outcome = isAccepted ? TransactionWorkOutcome.done : .refused
        coordinator.report(piece, outcome, now: now)
        if isDisturbed, chance(3) { lateWork.append(piece) }
        if isDisturbed, chance(3) { lateReports.append((piece, outcome)) }
        try collect()
    }

    private func performLate() throws {
        if let (piece, outcome) = lateReports.randomElement(using: &generator) {
            coordinator.report(piece, outcome, now: now)
            try collect()
        }
        guard let piece = lateWork.randomElement(using: &generator) else { return }
        let isAccepted = participants[piece.target]?.end(piece) ?? false
        guard isAccepted else { return }
        coordinator.report(piece, .done, now: now)
        try collect()
    }

    // MARK: Producers

    private func begin(_ index: Int) throws {
        var producer = producers[index]
        let expected = chance(2) ? producer.identity : nil
        // Whatever it had written, it will not ask for any more.
        (producer.transaction, producer.targets, producer.asked) = (nil, [], nil)
        do {
            let identity = try coordinator.initProducerID(
                producer.transactionalID, timeoutMilliseconds: 500, expected: expected, now: now)
            producer.identity = identity
            producer.mustBegin = false
            identities.append((producer.transactionalID, identity))
        } catch .producerFenced {
            producer.identity = nil
        } catch {}
        producers[index] = producer
        try collect()
    }

    private func write(_ index: Int) throws {
        guard let identity = producers[index].identity,
            let target = Self.participants.randomElement(using: &generator)
        else { return }
        let id = producers[index].transactionalID
        let transaction = producers[index].transaction ?? writes.count
        do {
            if !producers[index].targets.contains(target) {
                switch target {
                case .partition(let partition):
                    try coordinator.addPartitions(
                        [partition], to: id, producer: identity, now: now)
                case .group(let group):
                    try coordinator.addGroup(group, to: id, producer: identity, now: now)
                }
            }
            // What a partition asks before the first record of a transaction.
            if case .partition(let partition) = target,
                participants[target]?.open[identity.id] == nil
            {
                try coordinator.verify(partition, in: id, producer: identity)
            } else if participants[target]?.open[identity.id] == nil {
                guard try coordinator.describe(id).producer == identity else {
                    throw TransactionError.invalidProducerEpoch
                }
            }
        } catch TransactionError.concurrentTransactions {
            return try collect()
        } catch TransactionError.coordinatorNotAvailable {
            return try collect()
        } catch {
            producers[index].mustBegin = true
            return try collect()
        }
        try collect()
        if writes[transaction] == nil { writes[transaction] = WrittenTransaction() }
        producers[index].transaction = transaction
        producers[index].targets.insert(target)
        if participants[target]?.write(identity, transaction: transaction) != true {
            producers[index].mustBegin = true
        }
    }

    private func end(_ index: Int) throws {
        guard let identity = producers[index].identity,
            let transaction = producers[index].transaction
        else { return }
        let decision = producers[index].asked ?? (chance(3) ? .abort : .commit)
        producers[index].asked = decision
        writes[transaction]?.asked = decision
        tokens += 1
        producers[index].waiting = TransactionToken(rawValue: tokens)
        coordinator.endTransaction(
            producers[index].transactionalID, producer: identity, decision,
            token: TransactionToken(rawValue: tokens), now: now)
        try collect()
    }

    private func actAsProducer() throws {
        if producers.count < 3 || isDisturbed && chance(40) {
            let id = Self.ids.randomElement(using: &generator) ?? "a"
            if isDisturbed || !producers.contains(where: { $0.transactionalID == id }) {
                // Those of before with the same id live on as zombies.
                producers.append(SimulatedProducer(transactionalID: id))
            }
        }
        if producers.count > 6 { producers.removeFirst() }
        guard let index = producers.indices.randomElement(using: &generator),
            producers[index].waiting == nil
        else { return }
        if producers[index].mustBegin { return try begin(index) }
        if producers[index].asked != nil { return try end(index) }
        switch Int.random(in: 0..<5, using: &generator) {
        case 0: try end(index)
        default: try write(index)
        }
    }

    /// A request of a producer of long ago: whatever is said to it, nothing may change by it.
    private func actAsZombie() throws {
        guard let (id, zombie) = identities.randomElement(using: &generator),
            let before = try? coordinator.describe(id), before.producer != zombie
        else { return }
        tokens += 1
        let (token, partition) = (
            TransactionToken(rawValue: tokens), TopicPartition(topic: "t", partition: 0)
        )
        switch Int.random(in: 0..<4, using: &generator) {
        case 0:
            try? coordinator.addPartitions([partition], to: id, producer: zombie, now: now)
        case 1: try? coordinator.addGroup("g", to: id, producer: zombie, now: now)
        case 2:
            coordinator.endTransaction(id, producer: zombie, .commit, token: token, now: now)
        default:
            coordinator.endTransaction(id, producer: zombie, .abort, token: token, now: now)
        }
        if try coordinator.describe(id) != before {
            broken.append("\(zombie) of \(id) changed \(before)")
        }
        try collect()
    }

    // MARK: Running

    func run(steps: Int) throws {
        store.isFaulty = isDisturbed
        for _ in 0..<steps {
            switch Int.random(in: 0..<20, using: &generator) {
            case 0..<10: try actAsProducer()
            case 10..<15: try perform()
            case 15: try actAsZombie()
            case 16 where isDisturbed: try performLate()
            case 17 where isDisturbed && chance(8): try crash()
            default: try pass()
            }
        }
        store.isFaulty = false
        if crashes == 0, isDisturbed { try crash() }
    }

    private func pass() throws {
        let step = isDisturbed && chance(50) ? 30_000 : Int64.random(in: 0..<40, using: &generator)
        // Without disturbances no transaction reaches its timeout for long waits of the dice.
        now = now.later(by: isDisturbed ? step : 1)
        coordinator.advance(to: now)
        try collect()
    }

    /// Nobody begins anything any more, and nothing fails: all that is open has to end.
    func settle() throws {
        isDisturbed = false
        for _ in 0..<1000 {
            while !work.isEmpty { try perform() }
            guard coordinator.list(now: now).contains(where: { !$0.state.isIdle }),
                let deadline = coordinator.nextDeadline
            else { break }
            now = max(now, deadline)
            coordinator.advance(to: now)
            try collect()
        }
        // Late copies of everything that was ever sent change nothing.
        let before = participants.mapValues(\.ended)
        for piece in lateWork { _ = participants[piece.target]?.end(piece) }
        if participants.mapValues(\.ended) != before { broken.append("late markers counted") }
    }

    /// What is wrong now that all is settled.
    func problems() -> [String] {
        var problems = broken
        for record in coordinator.list(now: now) {
            problems += record.verify()
            if !record.state.isIdle { problems.append("\(record.transactionalID) did not settle") }
        }
        for (target, participant) in participants where !participant.open.isEmpty {
            problems.append("\(target) has open transactions \(participant.open)")
        }
        for (number, transaction) in writes {
            let ends = Set(participants.values.compactMap { $0.ended[number] })
            if ends.count > 1 { problems.append("transaction \(number) ended in both ways") }
            if let answered = transaction.answered, !ends.isSubset(of: [answered]) {
                problems.append("transaction \(number) was answered \(answered): \(ends)")
            }
            if transaction.asked != .commit, ends.contains(.commit) {
                problems.append("transaction \(number) was committed by nobody")
            }
        }
        return problems.sorted()
    }
}
