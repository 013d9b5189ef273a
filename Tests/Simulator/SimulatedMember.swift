import TallyReplication

/// A process of the cluster: may crash, be paused, and have a clock that runs fast or slow.
final class SimulatedMember {
    let id: ReplicaID
    unowned let world: World
    private(set) var isUp = false
    /// Rises with each start: what was begun before belongs to nobody.
    private(set) var incarnation = 0
    /// What came while the process was stopped; nil while it runs.
    private var backlog: [() -> Void]?
    /// How fast its clock is, against the store's.
    private let clockRate: Double
    /// How long a sync takes when the disk is well, in milliseconds.
    private let usualSyncMilliseconds: Int64
    /// How long it takes now.
    var syncMilliseconds: Int64

    private(set) var replicas: [SimulatedReplica] = []
    private(set) var session: MemberSession
    private(set) var news = ClusterNews()
    private var isRenewingLeadership: Set<Int> = []
    private var isElecting: Set<Int> = []
    /// What coordinates transactions and groups, since the process was started.
    var transactions: SimulatedTransactions?
    var groups: SimulatedGroups?
    /// How wrong its wall clock is.
    let wallClockOffset: Int64
    /// How long it takes until its coordinators hear of what it leads, in milliseconds.
    let coordinatorDelay: Int64

    init(_ id: ReplicaID, in world: World) {
        self.id = id
        self.world = world
        clockRate = Double.random(in: 0.96...1.04, using: &world.random)
        usualSyncMilliseconds = Int64.random(in: 1...80, using: &world.random)
        syncMilliseconds = usualSyncMilliseconds
        session = MemberSession()
        wallClockOffset = Int64.random(in: -3000...3000, using: &world.random)
        coordinatorDelay = Int64.random(in: 0...100, using: &world.random)
        replicas = (0..<world.partitionCount).map { SimulatedReplica($0, on: self) }
    }

    var process: MemberProcess { MemberProcess(id, incarnation: UInt64(incarnation)) }
    var place: Place { .member(id) }
    var localNow: CoordinationInstant {
        CoordinationInstant(milliseconds: Int64(Double(world.now) * clockRate))
    }
    var isPaused: Bool { backlog != nil }
    /// Whether it may acknowledge and answer: its lease is valid by its own clock, and it has heard
    /// all that was said before it had one.
    var isServing: Bool {
        if world.has(.ignoresLease) { return true }
        guard session.isValid(at: localNow), let registered = session.revision else { return false }
        return news.revision.map { $0 >= registered } ?? false
    }

    // MARK: Life

    func mendDisk() {
        syncMilliseconds = usualSyncMilliseconds
        for replica in replicas { replica.log.mend() }
    }

    func start() {
        guard !isUp else { return }
        isUp = true
        incarnation += 1
        session = MemberSession()
        news = ClusterNews()
        isRenewingLeadership = []
        isElecting = []
        for replica in replicas { replica.start() }
        guard replicas.allSatisfy({ !$0.log.hasFailed }) else { return diskFails() }
        startCoordinators()
        register()
        watch()
        tick()
    }

    /// All that its disk has is gone. It is to be down.
    func loseDisk() {
        for replica in replicas { replica.loseLog() }
    }

    func crash() {
        guard isUp else { return }
        isUp = false
        backlog = nil
        for replica in replicas { replica.crash() }
    }

    /// The disk holds something else than it should: the process ends, and is started again.
    func diskFails() {
        world.trace("the disk of \(id) has failed")
        crash()
        world.schedule(after: 300) { [self] in start() }
    }

    func pause() { if isUp, backlog == nil { backlog = [] } }

    func goOn() {
        let waiting = backlog ?? []
        backlog = nil
        for action in waiting { action() }
    }

    /// Runs something in the process, now or when it goes on.
    func run(_ action: @escaping () -> Void) {
        guard isUp else { return }
        if backlog == nil { return action() }
        let begun = incarnation
        backlog?.append { [self] in if isUp, incarnation == begun { action() } }
    }

    /// Runs something after so many milliseconds of the process's clock, unless it is gone then.
    func after(_ milliseconds: Int64, _ action: @escaping () -> Void) {
        let begun = incarnation
        world.schedule(after: Int64(Double(milliseconds) / clockRate)) { [self] in
            if incarnation == begun { run(action) }
        }
    }

    /// Sends something to another member, which runs it there.
    func send(to other: ReplicaID, _ action: @escaping (SimulatedMember) -> Void) {
        let receiver = world.member(other)
        world.network.send(place, receiver.place, in: world) {
            receiver.run { action(receiver) }
        }
    }

    private func tick() {
        for replica in replicas { replica.tick() }
        tickCoordinators()
        after(50) { [self] in tick() }
    }

    // MARK: The store

    private enum Fate { case done, lost, answerLost, late }

    private func fate() -> Fate {
        let network = world.network
        if network.isCut(place, .store) || world.chance(network.loss) { return .lost }
        if network.isCut(.store, place) || world.chance(network.loss) { return .answerLost }
        return world.chance(network.loss / 2) ? .late : .done
    }

    /// Asks the store for something. `then` hears what it answered, or why it did not.
    func ask<Answer>(
        _ request: @escaping (inout CoordinationLedger, CoordinationInstant) throws -> Answer,
        then: @escaping (Result<Answer, any Error>) -> Void
    ) {
        let fate = fate()
        let begun = incarnation
        let delay = world.network.delay(in: world)
        let answer = { [self] (result: Result<Answer, any Error>, after: Int64) in
            world.schedule(after: after) { [self] in
                if incarnation == begun { run { then(result) } }
            }
        }
        let work = { [self] in
            Result { try request(&world.store, CoordinationInstant(milliseconds: world.now)) }
        }
        switch fate {
        case .done: world.schedule(after: delay) { answer(work(), delay) }
        case .lost:
            answer(.failure(CoordinationError.unavailable(reason: "cut off")), 300)
        case .answerLost:
            world.schedule(after: delay) { _ = work() }
            answer(.failure(CoordinationError.outcomeUnknown(reason: "no answer")), 300)
        case .late:
            world.schedule(after: 300 + 100 * delay) { _ = work() }
            answer(.failure(CoordinationError.outcomeUnknown(reason: "no answer yet")), 300)
        }
    }

    // MARK: The lease

    /// How long a lease is asked for, in seconds.
    private static let leaseSeconds: Int64 = 1

    private func register() {
        guard news.revision != nil, replicas.allSatisfy(\.permitsRegistration) else {
            return after(20) { [self] in register() }
        }
        let asked = localNow
        ask {
            try $0.grant(seconds: Self.leaseSeconds, now: $1)
        } then: { [self] result in
            guard case .success(let lease) = result else {
                return after(200) { [self] in register() }
            }
            enter(LeaseTerm(lease, asked: asked))
        }
    }

    private func enter(_ term: LeaseTerm) {
        guard term.isValid(at: localNow) else { return register() }
        let key = Keys.member(id)
        let value = Keys.encode(process)
        ask {
            store, _ in
            try store.commit(
                CoordinationTransaction(
                    conditions: [.absent(key: key)],
                    operations: [.put(key: key, value: value, lease: term.lease.id)]))
        } then: { [self] result in
            if case .success(.success(let revision)) = result {
                session.begin(term, revision: revision)
                world.trace("member \(id) is registered")
                return keepAlive()
            }
            // The lease of the process before has not ended yet, or nobody knows.
            after(100) { [self] in register() }
        }
    }

    private func keepAlive() {
        guard let term = session.term else { return register() }
        after(term.renewalIntervalMilliseconds) { [self] in
            let asked = localNow
            ask {
                try $0.keepAlive(term.lease.id, now: $1)
            } then: { [self] result in
                switch result {
                case .success(let lease): session.renew(lease, asked: asked)
                case .failure(CoordinationError.leaseNotFound): session.end()
                case .failure: if !session.isValid(at: localNow) { session.end() }
                }
                keepAlive()
            }
        }
    }

    // MARK: News

    private func watch() {
        let known = news.revision
        ask { store, _ -> CoordinationChanges? in
            known.map { try? store.changes(prefix: "", after: $0) } ?? nil
        } then: { [self] result in
            switch result {
            case .success(let changes?): learn(changes)
            case .success(nil): return readAnew()
            case .failure: break
            }
            after(Int64.random(in: 10...40, using: &world.random)) { [self] in watch() }
        }
    }

    private func readAnew() {
        ask { store, _ in
            try store.read(prefix: "")
        } then: { [self] result in
            if case .success(let snapshot) = result {
                news = ClusterNews(snapshot)
                heed()
            }
            after(20) { [self] in watch() }
        }
    }

    private func learn(_ changes: CoordinationChanges) {
        news.learn(changes)
        heed()
    }

    private func heed() {
        let live = Set(news.members.keys)
        for (number, replica) in replicas.enumerated() {
            if let known = news.partitions[number] { replica.hear(known) }
            replica.noteLive(live)
        }
        control()
    }

    // MARK: Controlling

    private func control() {
        guard isServing, let term = session.term else { return }
        guard let controller = news.controller else { return standForController(term) }
        guard controller.id == id, controller.lease == term.lease.id else { return }
        let election = Election(
            live: Set(news.members.keys), isUncleanAllowed: world.has(.electsAnybody))
        for (number, known) in news.partitions.sorted(by: { $0.key < $1.key }) {
            guard !isElecting.contains(number) else { continue }
            guard let next = self.next(after: known.state, election) else { continue }
            isElecting.insert(number)
            var conditions = [
                CoordinationCondition.modified(
                    key: Keys.controller, revision: controller.revision)
            ]
            if let leader = known.state.leader, leader != next.leader, !world.has(.takesTheLead) {
                conditions.append(.absent(key: Keys.member(leader)))
            }
            change(number, to: next, from: known.revision, conditions) { [self] _ in
                isElecting.remove(number)
            }
        }
    }

    /// What a controller does about a partition: what it must, or what an operator asks for.
    private func next(after state: PartitionState, _ election: Election) -> PartitionState? {
        if let next = election.next(after: state) { return next }
        if world.isHealed { return nil }
        if world.has(.takesTheLead), world.chance(0.02), let leader = state.leader {
            return election.leaving(leader, state)
        }
        if world.chance(0.02) { return election.asking(state) }
        guard world.chance(0.02) else { return nil }
        let target = world.members.map(\.id).shuffled(using: &world.random)
            .prefix(Int.random(in: 2...3, using: &world.random))
        world.trace("controller \(id) moves to \(Array(target))")
        return Reassignment.begin(state, to: Array(target))
    }

    private func standForController(_ term: LeaseTerm) {
        let value = Keys.encode(id)
        ask { store, _ in
            try store.commit(
                CoordinationTransaction(
                    conditions: [.absent(key: Keys.controller)],
                    operations: [
                        .put(key: Keys.controller, value: value, lease: term.lease.id)
                    ]))
        } then: { _ in
        }
    }

    /// Changes a partition's state, if it is still what it was.
    func change(
        _ partition: Int, to state: PartitionState, from revision: CoordinationRevision,
        _ others: [CoordinationCondition] = [],
        then: @escaping (Result<CoordinationOutcome, any Error>) -> Void
    ) {
        let key = Keys.partition(partition)
        let value = Keys.encode(state)
        let conditions = [CoordinationCondition.modified(key: key, revision: revision)] + others
        ask { store, _ in
            try store.commit(
                CoordinationTransaction(
                    conditions: conditions, operations: [.put(key: key, value: value)]))
        } then: { result in
            then(result)
        }
    }

    /// Leads in a new epoch, where the store says that this member led before it was started.
    func renewLeadership(of partition: Int, _ known: ClusterNews.Partition) {
        guard session.revision != nil, isRenewingLeadership.insert(partition).inserted else {
            return
        }
        change(partition, to: Election.renewing(known.state), from: known.revision) {
            [self] _ in isRenewingLeadership.remove(partition)
        }
    }
}
