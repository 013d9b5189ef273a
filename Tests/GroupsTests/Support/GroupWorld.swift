import TallyGroups
import TallyRecords
import TallyTestSupport

/// A coordinator, some members, and a network between them, all in one thread and driven by one
/// clock and one seed. What must never happen is looked for after each step.
final class GroupWorld {
    static let group = "shop"
    /// How many worlds a test makes: enough for each rule to be met, and few seconds.
    static let count = 5

    /// Something that happens at a moment.
    enum Event {
        case toCoordinator(SimulatedMember, GroupMemberAction)
        case commit(SimulatedMember?, OffsetCommitRequest)
        case toMember(SimulatedMember, (inout GroupMember, GroupInstant) -> Void)
        case poll(SimulatedMember)
    }

    var generator: SeededGenerator
    let configuration: GroupConfiguration
    let store = InMemoryOffsetStore()
    private let memberIDs = MemberIDs()
    var coordinator: CoordinatorBox
    var partitionCounts = ["orders": 7, "stock": 6]
    var members: [SimulatedMember] = []
    var now = GroupInstant(milliseconds: 1_000_000)
    var problems: [String] = []

    private var events: [(at: GroupInstant, order: Int, event: Event)] = []
    private var nextOrder = 0
    private var tokens: [GroupToken: (member: SimulatedMember, attempt: UInt64)] = [:]
    private var nextToken: UInt64 = 0
    /// Who got each partition in each generation.
    private var assigned: [Int32: [TopicPartition: String]] = [:]
    /// Requests of the past, which somebody sends again.
    var oldCommits: [OffsetCommitRequest] = []
    private(set) var acceptedCommits = 0
    private(set) var refusedCommits = 0
    private(set) var generationsSeen: Set<Int32> = []

    init(seed: UInt64) throws {
        generator = SeededGenerator(seed: seed)
        var configuration = GroupConfiguration()
        configuration.initialRebalanceDelayMilliseconds = Bool.random(using: &generator) ? 0 : 3000
        self.configuration = configuration
        coordinator = try CoordinatorBox(
            configuration, store, memberIDs, at: Self.time(now))
    }

    static func time(_ instant: GroupInstant) -> GroupTime {
        GroupTime(
            instant: instant,
            timestamp: Timestamp(milliseconds: 1_700_000_000_000 + instant.milliseconds))
    }

    var alive: [SimulatedMember] { members.filter(\.isAlive) }

    func schedule(_ event: Event, after milliseconds: Int64) {
        schedule(event, at: now.advanced(byMilliseconds: milliseconds))
    }

    private func schedule(_ event: Event, at instant: GroupInstant) {
        events.append((instant, nextOrder, event))
        nextOrder += 1
    }

    // MARK: Members

    @discardableResult
    func start(
        _ assignors: [Assignor], topics: Set<String>, instanceID: String? = nil
    ) -> SimulatedMember {
        var configuration = GroupMemberConfiguration(
            group: Self.group, clientID: "c\(members.count)", instanceID: instanceID)
        configuration.assignors = assignors
        configuration.sessionTimeoutMilliseconds = 10_000
        configuration.pollIntervalMillisecondsMax = 60_000
        let member = SimulatedMember(configuration)
        members.append(member)
        member.machine.subscribe(to: topics, at: now)
        schedule(.poll(member), after: 500)
        perform(member)
        return member
    }

    /// The engine stops and is opened again; all members were part of it.
    func restartEngine() throws {
        for member in alive { member.isAlive = false }
        tokens = [:]
        events.removeAll { event in
            if case .commit = event.event { false } else { true }
        }
        let before = coordinator.generation(of: Self.group)
        coordinator = try CoordinatorBox(
            configuration, store, memberIDs, at: Self.time(now))
        if let before, before > 0, coordinator.generation(of: Self.group) != before {
            problems.append("generation \(before) was forgotten")
        }
    }

    private func perform(_ member: SimulatedMember) {
        for action in member.machine.takeActions() {
            member.log.append(action)
            switch action {
            case .join, .sync, .heartbeat, .leave:
                let arrival = max(member.lastArrival, now.advanced(byMilliseconds: latency()))
                member.lastArrival = arrival
                schedule(.toCoordinator(member, action), at: arrival)
            case .findPartitionCounts(let topics, let attempt):
                let counts = partitionCounts.filter { topics.contains($0.key) }
                schedule(
                    .toMember(member) { $0.partitionCounts(counts, attempt: attempt, at: $1) },
                    after: latency())
            case .revoke(_, let attempt):
                commitSome(of: member)
                schedule(
                    .toMember(member) { $0.revocationDone(attempt: attempt, at: $1) },
                    after: latency())
            case .lost, .assigned:
                break
            case .failed(let error):
                problems.append("\(member.name) failed: \(error)")
            }
        }
    }

    private func latency() -> Int64 { .random(in: 0...200, using: &generator) }

    /// A member commits a partition of its own; the request may take long.
    func commitSome(of member: SimulatedMember) {
        let owned = member.machine.owned
        guard let partition = owned.sorted().randomElement(using: &generator),
            let request = try? member.machine.commitRequest([
                partition: OffsetToCommit(offset: Offset(now.milliseconds))
            ])
        else { return }
        let isLate = Int.random(in: 0..<4, using: &generator) == 0
        schedule(
            .commit(member, request), after: isLate ? .random(in: 0...30_000, using: &generator) : 5
        )
        if Int.random(in: 0..<10, using: &generator) == 0 { oldCommits.append(request) }
    }

    // MARK: Time

    /// Runs for so long.
    func run(milliseconds: Int64) { run(milliseconds: milliseconds) { _ in } }

    /// Runs for so long, and calls `disturb` before each step.
    func run(milliseconds: Int64, _ disturb: (GroupWorld) throws -> Void) rethrows {
        let end = now.advanced(byMilliseconds: milliseconds)
        var steps = 0
        while problems.isEmpty {
            // At least a step a second, so that something can happen where nobody is left.
            var next = now.advanced(byMilliseconds: 1000)
            next = min(next, events.map(\.at).min() ?? next)
            for member in alive {
                if let deadline = member.machine.nextDeadline { next = min(next, deadline) }
            }
            if let deadline = coordinator.nextDeadline { next = min(next, deadline) }
            guard next < end else { break }
            now = max(now, next)
            try disturb(self)
            step()
            steps += 1
            if steps > 200_000 { problems.append("no end of steps at \(now)") }
        }
        now = max(now, end)
    }

    private func step() {
        // Members look at the clock first: as in life, one that comes out of a long pause must not
        // go on reading before it has done so.
        for member in alive {
            member.machine.advance(to: now)
            perform(member)
            if member.machine.hasEnded { member.isAlive = false }
        }
        let due = events.filter { $0.at <= now }.sorted { ($0.at, $0.order) < ($1.at, $1.order) }
        events.removeAll { $0.at <= now }
        for event in due {
            handle(event.event)
            check()
        }
        coordinator.advance(to: Self.time(now))
        handOutEffects()
        check()
    }

    private func handle(_ event: Event) {
        switch event {
        case .toCoordinator(let member, let action):
            if member.isCutOff(at: now) { return failed(action, of: member) }
            // What a static member's dead process has sent would fence the next one.
            if !member.isAlive, member.configuration.instanceID != nil { return }
            deliver(action, of: member)
            handOutEffects()
        case .commit(_, let request):
            deliver(request)
        case .toMember(let member, let body):
            guard member.isAlive else { return }
            body(&member.machine, now)
            perform(member)
        case .poll(let member):
            guard member.isAlive else { return }
            if !member.isStuck(at: now) { member.machine.polled(at: now) }
            commitSome(of: member)
            perform(member)
            schedule(.poll(member), after: 1000)
        }
    }

    /// The connection breaks: the member's driver notices after a while.
    private func failed(_ action: GroupMemberAction, of member: SimulatedMember) {
        let error = GroupError.coordinatorNotAvailable(reason: "cut off")
        let event: Event
        switch action {
        case .join(_, let attempt):
            event = .toMember(member) {
                $0.joinAnswered(.failure(error), attempt: attempt, at: $1)
            }
        case .sync(_, let attempt):
            event = .toMember(member) {
                $0.syncAnswered(.failure(error), attempt: attempt, at: $1)
            }
        case .heartbeat(_, _, let attempt):
            event = .toMember(member) { $0.heartbeatAnswered(error, attempt: attempt, at: $1) }
        default:
            return
        }
        schedule(event, after: 300)
    }

    private func deliver(_ action: GroupMemberAction, of member: SimulatedMember) {
        let time = Self.time(now)
        switch action {
        case .join(let request, let attempt):
            coordinator.join(request, token: newToken(member, attempt), at: time)
        case .sync(let request, let attempt):
            coordinator.sync(request, token: newToken(member, attempt), at: time)
        case .heartbeat(let group, let caller, let attempt):
            let error = coordinator.heartbeat(group: group, caller: caller, at: time)
            answer(member) { $0.heartbeatAnswered(error, attempt: attempt, at: $1) }
        case .leave(let group, let leaving):
            coordinator.leave(group: group, leaving, at: time)
        default:
            break
        }
    }

    private func deliver(_ request: OffsetCommitRequest) {
        let before = coordinator.describe(Self.group)
        guard coordinator.commit(request, at: Self.time(now)) else {
            refusedCommits += 1
            return
        }
        acceptedCommits += 1
        let isMember = before?.members.contains { $0.memberID == request.caller.memberID }
        if before?.generation != request.caller.generation || isMember != true {
            problems.append("an old commit was accepted: \(request.caller)")
        }
    }

    private func newToken(_ member: SimulatedMember, _ attempt: UInt64) -> GroupToken {
        nextToken += 1
        tokens[GroupToken(nextToken)] = (member, attempt)
        return GroupToken(nextToken)
    }

    private func answer(
        _ member: SimulatedMember, _ body: @escaping (inout GroupMember, GroupInstant) -> Void
    ) {
        schedule(.toMember(member, body), after: latency())
    }

    private func handOutEffects() {
        for effect in coordinator.takeEffects() {
            switch effect {
            case .joinAnswered(let token, let result):
                guard let (member, attempt) = taken(token) else { continue }
                if case .success(let answer) = result { generationsSeen.insert(answer.generation) }
                let lost = member.isCutOff(at: now)
                let known: Result<JoinAnswer, GroupError> =
                    lost ? .failure(.coordinatorNotAvailable(reason: "lost")) : result
                answer(member) { $0.joinAnswered(known, attempt: attempt, at: $1) }
            case .syncAnswered(let token, let result):
                guard let (member, attempt) = taken(token) else { continue }
                if case .success(let answer) = result { note(answer, for: member) }
                answer(member) { $0.syncAnswered(result, attempt: attempt, at: $1) }
            }
        }
    }

    private func taken(_ token: GroupToken) -> (SimulatedMember, UInt64)? {
        guard let found = tokens.removeValue(forKey: token) else {
            problems.append("\(token) was answered twice")
            return nil
        }
        return (found.member, found.attempt)
    }

    // MARK: What must never happen

    private func note(_ answer: SyncAnswer, for member: SimulatedMember) {
        guard let generation = coordinator.generation(of: Self.group),
            let assignment = try? ConsumerAssignment(decoding: answer.assignment)
        else { return problems.append("an assignment that cannot be read") }
        for partition in assignment.partitions {
            let owner = assigned[generation, default: [:]][partition]
            if let owner, owner != member.identity {
                problems.append(
                    "\(partition) has two owners in generation \(generation): \(owner) and "
                        + member.identity)
            }
            assigned[generation, default: [:]][partition] = member.identity
        }
    }

    private func check() {
        if let problem = coordinator.verify() { problems.append(problem) }
        var owners: [TopicPartition: SimulatedMember] = [:]
        for member in alive {
            for partition in member.machine.owned {
                if let other = owners[partition] {
                    problems.append(
                        "\(partition) is read by \(other.name) and \(member.name) at \(now)")
                }
                owners[partition] = member
            }
        }
    }

    /// What keeps the group from being settled; nil where everybody has what it should.
    func unsettled() -> String? {
        let description = coordinator.describe(Self.group)
        guard !alive.isEmpty else {
            return description?.members.isEmpty ?? true ? nil : "members that are dead"
        }
        guard let description, description.state == .stable else { return "not stable" }
        guard description.members.count == alive.count else { return "wrong members" }
        var owned: Set<TopicPartition> = []
        for member in alive {
            guard member.machine.isStable, member.machine.generation == description.generation
            else { return "\(member.name) is not stable" }
            owned.formUnion(member.machine.owned)
        }
        var wanted: Set<TopicPartition> = []
        for (topic, count) in partitionCounts
        where alive.contains(where: { $0.machine.topics.contains(topic) }) {
            for partition in 0..<count {
                wanted.insert(TopicPartition(topic: topic, partition: Int32(partition)))
            }
        }
        return owned == wanted ? nil : "\(wanted.subtracting(owned)) have no owner"
    }
}
