import TallyGroups
import TallyRecords
import TallyReplication
import TallyTransactions

/// Writes transactions to several partitions, commits or aborts each, and begins anew where it was
/// fenced, or where it does not know any more how things stand.
final class TransactionalProducer: SimulatedClient {
    private let number: Int
    private let transactionalID: String
    private unowned let world: World
    private let coordinator: Caller
    private let groupCoordinator: Caller
    private let leaders: [Caller]
    /// Whether it speaks the first version of the protocol, in which all its transactions have one
    /// epoch.
    private let keepsEpoch: Bool
    private var identity = ProducerIdentity(id: -1, epoch: -1)
    /// The transaction under way.
    private var transaction = 0
    private var sequences: [Int: Int32] = [:]
    private var records: [Int] = []
    private var offset: Int64?
    /// How often the step under way was tried.
    private var tryCount = 0

    init(_ number: Int, _ transactionalID: String, in world: World) {
        self.number = number
        self.transactionalID = transactionalID
        self.world = world
        keepsEpoch = world.chance(0.5)
        coordinator = Caller(in: world)
        groupCoordinator = Caller(in: world)
        leaders = (0..<world.dataPartitionCount).map { _ in Caller(in: world) }
    }

    func start() { begin() }

    private func later(_ milliseconds: Int64, _ action: @escaping () -> Void) {
        world.schedule(after: milliseconds, action)
    }

    // MARK: The identity

    /// A new producer: whoever had the transactional id before is fenced.
    private func begin() {
        let id = transactionalID
        coordinator.call { (member, answer: @escaping (Outcome<ProducerIdentity>) -> Void) in
            member.ask(answer) { (coordinator, now) throws(TransactionError) in
                try coordinator.initProducerID(id, timeoutMilliseconds: 1500, now: now)
            }
        } hear: { [self] result in
            guard case .success(let identity) = result else {
                if result.isAboutPlace() { coordinator.guessAnew() }
                return later(60) { [self] in begin() }
            }
            self.identity = identity
            sequences = [:]
            beginTransaction()
        }
    }

    typealias Outcome<Success> = Result<Success, TransactionError>

    /// Something has failed for good; how the transaction ends is for its coordinator to decide.
    private func beginAnew() {
        later(Int64.random(in: 20...600, using: &world.random)) { [self] in begin() }
    }

    /// Tries the step under way again, some time; a client that cannot go on for long gives up.
    private func again(_ step: @escaping () -> Void) {
        tryCount += 1
        if tryCount > 40 { return beginAnew() }
        later(40, step)
    }

    // MARK: A transaction

    private func beginTransaction() {
        if world.isEnding { return }
        transaction = world.history.transactions.begin()
        tryCount = 0
        offset = world.chance(0.4) ? Int64(transaction) : nil
        let count = Int.random(in: 1...4, using: &world.random)
        records = (0..<count).map { _ in
            Int.random(in: 0..<world.dataPartitionCount, using: &world.random)
        }
        takePart()
    }

    private func takePart() {
        let (id, identity) = (transactionalID, identity)
        let places = Set(records).sorted().map { world.place(of: $0) }
        let group = offset == nil ? nil : id
        coordinator.call { (member, answer: @escaping (Outcome<Void>) -> Void) in
            member.ask(answer) { (coordinator, now) throws(TransactionError) in
                try coordinator.addPartitions(places, to: id, producer: identity, now: now)
                guard let group else { return }
                try coordinator.addGroup(group, to: id, producer: identity, now: now)
            }
        } hear: { [self] result in
            switch result {
            case .success: sendNext()
            case .failure(let error) where error.isForGood: beginAnew()
            default:
                if result.isAboutPlace() { coordinator.guessAnew() }
                again { [self] in takePart() }
            }
        }
    }

    private func sendNext() {
        // Now and then a producer dies in the middle.
        if world.chance(0.02) { return beginAnew() }
        tryCount = 0
        guard let partition = records.popLast() else { return sendOffset() }
        send(to: partition)
    }

    private func send(to partition: Int) {
        let (id, sent) = (transactionalID, transaction)
        let record = SimulatedRecord(
            producer: BatchProducer(
                id: identity.id, epoch: identity.epoch,
                baseSequence: sequences[partition] ?? 0),
            isTransactional: true, content: .data(transaction))
        leaders[partition].call { (member, answer: @escaping (ProduceAnswer) -> Void) in
            member.replicas[partition].produce(record, in: id, answer: answer)
        } hear: { [self] answer in
            switch answer {
            case .stored(let offset, let epoch):
                world.history.acknowledge(
                    History.Acknowledgement(
                        partition: partition, producer: record.producer, offset: offset,
                        epoch: epoch))
                world.history.transactions.noteRecord(of: sent, in: partition)
                sequences[partition, default: 0] += 1
                sendNext()
            case .fenced: beginAnew()
            case .notLeader, nil:
                leaders[partition].guessAnew()
                again { [self] in send(to: partition) }
            case .refused: again { [self] in send(to: partition) }
            }
        }
    }

    private func sendOffset() {
        guard let offset else { return end(decision()) }
        let (id, identity) = (transactionalID, identity)
        let request = OffsetCommitRequest(
            group: id, caller: .outside,
            offsets: [world.place(of: 0): OffsetToCommit(offset: Offset(offset))])
        groupCoordinator.call { (member, answer: @escaping (Result<Void, GroupError>) -> Void) in
            guard let groups = member.groups else { return }
            groups.commit(request, in: id, identity, answer: answer)
        } hear: { [self] result in
            switch result {
            case .success: end(decision())
            case .failure(.invalidProducerEpoch): beginAnew()
            case .failure(.notCoordinator), nil:
                groupCoordinator.guessAnew()
                again { [self] in sendOffset() }
            case .failure: again { [self] in sendOffset() }
            }
        }
    }

    // MARK: The end

    private func decision() -> TransactionDecision {
        tryCount = 0
        return world.chance(0.7) ? .commit : .abort
    }

    private func end(_ decision: TransactionDecision) {
        let (id, identity, keepsEpoch) = (transactionalID, identity, keepsEpoch)
        let (ended, offset) = (transaction, offset)
        let groups = world.history.groups
        let place = world.place(of: 0)
        coordinator.call(within: 900) {
            (member, answer: @escaping (Outcome<ProducerIdentity>) -> Void) in
            guard let transactions = member.transactions else { return }
            transactions.end(id, identity, decision, keepsEpoch: keepsEpoch) { result in
                if case .success = result, decision == .commit, let offset {
                    groups.noteCommit([place: Offset(offset)], of: id)
                }
                answer(result)
            }
        } hear: { [self] result in
            switch result {
            case .success(let next):
                world.history.transactions.noteEnd(of: ended, decision)
                // A new epoch begins at 0.
                if next != identity { sequences = [:] }
                self.identity = next
                later(Int64.random(in: 0...60, using: &world.random)) { [self] in
                    beginTransaction()
                }
            case .failure(let error) where error.isForGood: beginAnew()
            default:
                if result.isAboutPlace() { coordinator.guessAnew() }
                again { [self] in end(decision) }
            }
        }
    }
}

extension SimulatedMember {
    /// Asks the coordinator of transactions; nobody answers where there is none.
    func ask<Success>(
        _ answer: @escaping SimulatedTransactions.Answer<Success>,
        _ request: (inout TransactionCoordinator, Timestamp) throws(TransactionError) -> Success
    ) {
        transactions?.ask(request, answer: answer)
    }
}

extension TransactionError {
    /// Whether the producer cannot go on.
    fileprivate var isForGood: Bool {
        switch self {
        case .invalidProducerIDMapping, .producerFenced, .invalidProducerEpoch,
            .invalidTransactionState, .transactionAbortable, .transactionalIDNotFound:
            true
        default: false
        }
    }
}

extension Optional {
    /// Whether another member may be the right one.
    fileprivate func isAboutPlace<Success>() -> Bool
    where Wrapped == Result<Success, TransactionError> {
        switch self {
        case .failure(.notCoordinator), nil: true
        default: false
        }
    }
}
