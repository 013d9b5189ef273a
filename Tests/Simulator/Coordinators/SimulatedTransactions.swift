import TallyRecords
import TallyReplication
import TallyTransactions

/// The transaction coordinator of a member: the engine's state machine, in a shell as thin as the
/// engine's (`TransactionService`), which cannot be used itself because of its threads.
final class SimulatedTransactions {
    typealias Answer<Success> = (Result<Success, TransactionError>) -> Void

    private unowned let member: SimulatedMember
    private let journal: CoordinatorJournal
    private let store: TransactionTopicStore
    private let turns: BufferedTransactionStore
    private let producerIDs: ProducerIDPool
    private var coordinator: TransactionCoordinator
    /// Those who wait for an end, by their tokens.
    private var waiting: [TransactionToken: Answer<ProducerIdentity>] = [:]
    private var tokenCount: UInt64 = 0
    /// Whether it has led since its process was started.
    private var hasLed = false

    init(_ replica: SimulatedReplica) {
        member = replica.member
        journal = CoordinatorJournal(replica)
        store = TransactionTopicStore(journal)
        turns = BufferedTransactionStore(store)
        let blocks = ProducerIDBlocksOfStore(member)
        producerIDs = ProducerIDPool { blocks.ask() }
        blocks.pool = producerIDs
        var configuration = TransactionConfiguration()
        configuration.areProducersRemote = true
        do {
            coordinator = try TransactionCoordinator(
                configuration: configuration, store: turns, producerIDs: producerIDs,
                earlierProducers: .mayBeAlive, now: member.wallClock)
        } catch {
            fatalError("an empty store cannot be read: \(error)")
        }
        coordinator.partitions = CoordinatorPartitions(topic: .transactionState, count: 1)
        coordinator.offsetsPartitionCount = 1
    }

    // MARK: Leading

    /// Reads the partition, and serves its transactional ids when what was read is committed.
    func lead(in epoch: LeaderEpoch) {
        guard coordinator.partitions?.lead(0, epoch: epoch) ?? false else { return }
        journal.lead(in: epoch)
        if member.world.has(.keepsOldState), hasLed {
            coordinator.partitions?.note(.active, of: 0, epoch: epoch)
            return
        }
        hasLed = true
        var replay = TransactionTopicReplay()
        let end = journal.log.logEnd
        do {
            for record in journal.log.all {
                guard case .state(let records) = record.content else { continue }
                for record in records { try replay.read(record) }
            }
        } catch {
            member.world.history.violate(.recovers, "a transactional id: \(error)")
        }
        let records = replay.records
        member.replica(of: .transactionState)?.whenCommitted(before: end, in: epoch) {
            [self] commitment in
            switch commitment {
            case .committed, .notNow: serve(records, in: epoch)
            // Perhaps its lease has ended, and it goes on to lead when it has another.
            case .notLeader: member.after(100) { [self] in readAgain(in: epoch) }
            }
        }
    }

    private func readAgain(in epoch: LeaderEpoch) {
        guard coordinator.partitions?.led[0]?.epoch == epoch else { return }
        coordinator.partitions?.note(.failed("not read"), of: 0, epoch: epoch)
        lead(in: epoch)
    }

    private func serve(_ records: [TransactionRecord], in epoch: LeaderEpoch) {
        guard coordinator.partitions?.led[0]?.epoch == epoch else { return }
        do {
            try coordinator.load(
                records, ofPartition: 0, earlierProducers: .mayBeAlive, now: member.wallClock)
        } catch {
            return member.world.history.violate(.recovers, "a transactional id: \(error)")
        }
        coordinator.partitions?.note(.active, of: 0, epoch: epoch)
        member.world.trace("\(member.id) coordinates transactions in \(epoch)")
        deliver()
    }

    func resign(next epoch: LeaderEpoch) {
        guard coordinator.partitions?.resign(0, epoch: epoch) ?? false else { return }
        if !member.world.has(.keepsOldState) { coordinator.unload(0) }
        journal.forget()
        tellAll(.notCoordinator)
    }

    private func tellAll(_ error: TransactionError) {
        let lost = waiting.sorted { $0.key.rawValue < $1.key.rawValue }
        waiting = [:]
        for (_, answer) in lost { answer(.failure(error)) }
    }

    /// All that it knows.
    var records: [TransactionRecord] { coordinator.list(now: member.wallClock) }

    func tick() {
        guard let due = coordinator.nextDeadline, due <= member.wallClock else { return }
        ask {
            $0.advance(to: $1)
        } answer: { _ in
        }
    }

    // MARK: Requests

    /// Asks the coordinator; the answer comes when all that it may rest on is committed.
    func ask<Success>(
        _ request:
            (inout TransactionCoordinator, Timestamp) throws(TransactionError) -> Success,
        answer: @escaping Answer<Success>
    ) {
        var result: Result<Success, TransactionError>
        turns.beginTurn()
        do throws(TransactionError) {
            result = .success(try request(&coordinator, member.wallClock))
        } catch {
            result = .failure(error)
        }
        do { try turns.endTurn() } catch { fatalError("the topic is asked later: \(error)") }
        if store.takeFailure() {
            answer(.failure(.coordinatorNotAvailable(reason: "it could not be recorded")))
            return forgetAll()
        }
        journal.whenCommitted { answer($0 ? result : .failure(.notCoordinator)) }
        deliver()
    }

    /// The coordinator thinks that what could not be recorded is: it is to be read again.
    private func forgetAll() {
        _ = coordinator.takeEffects()
        tellAll(.coordinatorNotAvailable(reason: "it could not be recorded"))
        guard let epoch = coordinator.partitions?.led[0]?.epoch else { return }
        coordinator.unload(0)
        coordinator.partitions?.note(.failed("not recorded"), of: 0, epoch: epoch)
        member.after(200) { [self] in readAgain(in: epoch) }
    }

    /// Ends a transaction; answers when all who take part were told.
    func end(
        _ id: String, _ producer: ProducerIdentity, _ decision: TransactionDecision,
        keepsEpoch: Bool, answer: @escaping Answer<ProducerIdentity>
    ) {
        tokenCount += 1
        let token = TransactionToken(rawValue: tokenCount)
        waiting[token] = answer
        ask { coordinator, now in
            coordinator.endTransaction(
                id, producer: producer, decision, keepsEpoch: keepsEpoch, token: token, now: now)
        } answer: { [self] result in
            guard case .failure(let error) = result else { return }
            waiting.removeValue(forKey: token)?(.failure(error))
        }
    }

    // MARK: Effects

    private func deliver() {
        for effect in coordinator.takeEffects() {
            switch effect {
            case .answer(let token, let result):
                journal.whenCommitted { [self] isCommitted in
                    waiting.removeValue(forKey: token)?(
                        isCommitted ? result : .failure(.notCoordinator))
                }
            case .perform(let work):
                // Otherwise whoever leads next reads what there is to do.
                journal.afterCommit { [self] in perform(work) }
            }
        }
    }

    private func perform(_ work: TransactionWork) {
        guard case .partition(let place) = work.target else {
            return report(work, .done)
        }
        let number = member.world.number(of: place)
        var isTold = false
        let report = { [self] (outcome: TransactionWorkOutcome) in
            if !isTold { self.report(work, outcome) }
            isTold = true
        }
        if let state = member.news.partitions[number]?.state, let leader = state.leader {
            let sender = member.id
            let marker = TransactionMarker(work, leaderEpoch: state.leaderEpoch)
            // Now and then it lies somewhere on its way, until long after it was sent again.
            let world = member.world
            let delay = world.chance(0.05) ? Int64.random(in: 0...2000, using: &world.random) : 0
            world.schedule(after: delay) { [member] in
                member.send(to: leader) { leader in
                    leader.write(marker, to: number) { outcome in
                        leader.send(to: sender) { _ in report(outcome) }
                    }
                }
            }
        }
        member.after(400) { report(.failed) }
    }

    private func report(_ work: TransactionWork, _ outcome: TransactionWorkOutcome) {
        let isDone = outcome != .failed || member.world.has(.forgetsMarkers)
        ask {
            $0.report(work, isDone ? .done : .failed, now: $1)
        } answer: { _ in
        }
    }
}

/// Fetches blocks of producer ids from the coordination store, as members of a cluster do.
private final class ProducerIDBlocksOfStore: @unchecked Sendable {
    private unowned let member: SimulatedMember
    weak var pool: ProducerIDPool?

    init(_ member: SimulatedMember) { self.member = member }

    func ask() {
        let id = member.id
        member.ask { store, _ -> Range<Int64>? in
            let entry = store.entry(of: ClusterKeys.producerIDs)
            guard let next = try ProducerIDsRecord.allocation(by: id, entry: entry),
                case .success = try store.commit(next.transaction)
            else { return nil }
            return next.block
        } then: { [self] result in
            if case .success(let block?) = result { pool?.add(block) } else { pool?.refillFailed() }
        }
    }
}
