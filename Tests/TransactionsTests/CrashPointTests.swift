import Synchronization
import TallyRecords
import Testing

@testable import TallyTransactions

@Suite("A coordinator that crashes at each point of a transaction")
struct CrashPointTests {
    /// How the process dies at a call of the store.
    enum Death: CaseIterable, Sendable {
        case beforeStoring
        case afterStoring
    }

    @Test(
        "wherever it crashes, the transaction ends everywhere in one direction, that of the answer",
        arguments: [TransactionDecision.commit, .abort], Death.allCases)
    func storeCalls(decision: TransactionDecision, death: Death) throws {
        var outcomes: [String] = []
        for point in 0..<20 {
            let script = try Script(decision, dyingAt: point, death)
            try script.run()
            outcomes.append(script.outcome)
            if !script.hasDied { break }
        }
        // Stored: the id, the partitions, the group, the decision, the end.
        #expect(outcomes.count == 6)
        #expect(outcomes.last == "\(decision)")
        // Dying at the decision decides by what is on the disk.
        let atDecision = death == .afterStoring ? "\(decision)" : "abort"
        #expect(outcomes == ["none", "none", "abort", atDecision, "\(decision)", "\(decision)"])
    }

    @Test(
        "wherever it crashes between the markers, all are written in the decided direction",
        arguments: [TransactionDecision.commit, .abort], 0..<8)
    func markers(decision: TransactionDecision, point: Int) throws {
        let script = try Script(decision, dyingAt: .max, .beforeStoring)
        script.diesAtMarker = point
        try script.run()
        // Before and behind each of three, and then not at all.
        #expect(script.hasDied == (point < 6))
        #expect(script.outcome == "\(decision)")
    }
}

/// One transaction of two partitions and a group, in which the coordinator dies once.
private final class Script: TransactionStore {
    private struct Contents {
        var calls = 0
        var isDead = false
    }

    private let kept = InMemoryTransactionStore()
    private let contents = Mutex(Contents())
    private let decision: TransactionDecision
    private let point: Int
    private let death: CrashPointTests.Death
    private let now = Timestamp(milliseconds: 1000)
    private let targets: [TransactionWork.Target] = [
        .partition(TopicPartition(topic: "a", partition: 0)),
        .partition(TopicPartition(topic: "a", partition: 1)), .group("g"),
    ]
    private let world = Mutex(Ends())

    private struct Ends {
        var written: Set<TransactionWork.Target> = []
        var ended: [TransactionWork.Target: TransactionDecision] = [:]
        var markers = 0
        var diesAtMarker = Int.max
        var deaths = 0
        var answer: Result<ProducerIdentity, TransactionError>?
    }

    init(
        _ decision: TransactionDecision, dyingAt point: Int, _ death: CrashPointTests.Death
    ) throws {
        (self.decision, self.point, self.death) = (decision, point, death)
    }

    var diesAtMarker: Int {
        get { world.withLock { $0.diesAtMarker } }
        set { world.withLock { $0.diesAtMarker = newValue } }
    }
    var hasDied: Bool { world.withLock { $0.deaths > 0 } }

    /// How the transaction ended where it was written.
    var outcome: String {
        world.withLock { world in
            let ends = Set(world.written.map { world.ended[$0].map { "\($0)" } ?? "open" })
            return ends.isEmpty ? "none" : ends.sorted().joined(separator: " and ")
        }
    }

    // MARK: The script

    func run() throws {
        var coordinator = try open()
        do {
            let producer = try coordinator.initProducerID(
                "t", timeoutMilliseconds: 100, now: now)
            for (index, target) in targets.enumerated() where index != 1 {
                if case .group(let group) = target {
                    try coordinator.addGroup(group, to: "t", producer: producer, now: now)
                } else {
                    try coordinator.addPartitions(
                        targets[0...1].compactMap {
                            if case .partition(let partition) = $0 { partition } else { nil }
                        }, to: "t", producer: producer, now: now)
                }
                // Written is what the coordinator knows, and no more.
                let added = index == 0 ? Set(targets[0...1]) : [target]
                world.withLock { $0.written.formUnion(added) }
            }
            coordinator.endTransaction(
                "t", producer: producer, decision, token: TransactionToken(rawValue: 1), now: now)
            try work(&coordinator)
        } catch {
            #expect(isDead, "\(error)")
        }
        guard hasDied else {
            #expect(try world.withLock { $0.answer }?.get().epoch == 1)
            return
        }
        contents.withLock { $0.isDead = false }
        var successor = try open()
        for _ in 0..<10 {
            successor.advance(to: now)
            try work(&successor)
        }
        #expect(successor.list(now: now).allSatisfy { $0.state.isIdle })
    }

    private func open() throws -> TransactionCoordinator {
        try TransactionCoordinator(
            store: self, producerIDs: ProducerIDBlocks(store: kept), earlierProducers: .areGone,
            now: now)
    }

    private struct Dead: Error {}

    private func work(_ coordinator: inout TransactionCoordinator) throws {
        let effects = coordinator.takeEffects()
        guard !effects.isEmpty else { return }
        for effect in effects {
            switch effect {
            case .answer(_, let result):
                world.withLock { $0.answer = result }
            case .perform(let work):
                if dies() { throw Dead() }
                world.withLock { world in
                    let before = world.ended.updateValue(work.decision, forKey: work.target)
                    #expect(before == nil || before == work.decision)
                }
                if dies() { throw Dead() }
                coordinator.report(work, .done, now: now)
                if isDead { throw Dead() }
            }
        }
        try work(&coordinator)
    }

    /// Whether the process dies here, before or behind a marker.
    private func dies() -> Bool {
        let dies = world.withLock { world in
            defer { world.markers += 1 }
            guard world.markers == world.diesAtMarker else { return false }
            world.deaths += 1
            return true
        }
        if dies { contents.withLock { $0.isDead = true } }
        return dies
    }

    // MARK: The store

    private var isDead: Bool { contents.withLock { $0.isDead } }

    func loadTransactions() -> [TransactionRecord] { kept.loadTransactions() }
    func beginCoordinatorTerm() -> Int32 { kept.beginCoordinatorTerm() }

    func save(_ record: TransactionRecord) throws(TransactionStoreError) {
        let dies = contents.withLock { contents in
            defer { contents.calls += 1 }
            guard contents.calls == point else { return false }
            contents.isDead = true
            return true
        }
        if dies { world.withLock { $0.deaths += 1 } }
        if !isDead || dies && death == .afterStoring { kept.save(record) }
        if isDead { throw .unavailable(reason: "the process is dead") }
    }

    func removeTransaction(_ transactionalID: String) { kept.removeTransaction(transactionalID) }

    func reserveProducerIDs(
        count: Int64, notBelow least: Int64
    ) throws(TransactionStoreError) -> Range<Int64> {
        try kept.reserveProducerIDs(count: count, notBelow: least)
    }
}
