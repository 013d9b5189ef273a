import TallyGroups
import TallyRecords
import TallyReplication

/// A member of a consumer group: the engine's state machine, and a client that says it has read
/// what it is given, and commits how far. Now and then it stops for so long that it is taken for
/// dead, and goes on as if nothing had happened.
final class GroupConsumer: SimulatedClient {
    private static let group = "g"
    private unowned let world: World
    private let membership: Caller
    private let offsets: Caller
    private var member: GroupMember
    /// What comes next of each partition that it has.
    private var positions: [TopicPartition: Int64] = [:]
    /// Rises with each assignment: what was asked before is the position of another time.
    private var assignment = 0
    private var isPaused = false
    private var isCommitting = false

    init(_ number: Int, in world: World) {
        self.world = world
        membership = Caller(in: world)
        offsets = Caller(in: world)
        var configuration = GroupMemberConfiguration(
            group: Self.group, clientID: "c\(number)",
            instanceID: number == 2 && world.chance(0.3) ? "static" : nil)
        configuration.sessionTimeoutMilliseconds = 1200
        configuration.heartbeatIntervalMilliseconds = 300
        configuration.pollIntervalMillisecondsMax = 2500
        configuration.retryBackoffMilliseconds = 50
        configuration.assignors =
            world.options.seed.isMultiple(of: 2) ? [.range] : [.cooperativeSticky]
        member = GroupMember(configuration: configuration)
    }

    private var now: GroupInstant { GroupInstant(milliseconds: world.now) }

    func start() {
        member.subscribe(to: ["t"], at: now)
        perform()
        tick()
    }

    private func tick() {
        world.schedule(after: 50) { [self] in tick() }
        if isPaused { return }
        if !world.isHealed, world.chance(0.003) { pause() }
        member.polled(at: now)
        member.advance(to: now)
        perform()
        read()
    }

    private func pause() {
        isPaused = true
        world.schedule(after: Int64.random(in: 200...5000, using: &world.random)) { [self] in
            isPaused = false
            // What it had read before it was stopped it commits first of all.
            commit()
        }
    }

    // MARK: Membership

    private func step(_ body: (inout GroupMember, GroupInstant) -> Void) {
        body(&member, now)
        perform()
    }

    private func perform() {
        for action in member.takeActions() { perform(action) }
    }

    private func perform(_ action: GroupMemberAction) {
        switch action {
        case .join(let request, let attempt):
            ask(within: 4000) {
                $0.join(request, answer: $1)
            } hear: {
                $0.joinAnswered($1, attempt: attempt, at: $2)
            }
        case .sync(let request, let attempt):
            ask(within: 3000) {
                $0.sync(request, answer: $1)
            } hear: {
                $0.syncAnswered($1, attempt: attempt, at: $2)
            }
        case .heartbeat(let group, let caller, let attempt):
            ask(within: 400) {
                $0.heartbeat(group, caller, answer: $1)
            } hear: {
                (member, result: Result<Void, GroupError>, now) in
                var error: GroupError?
                if case .failure(let failure) = result { error = failure }
                member.heartbeatAnswered(error, attempt: attempt, at: now)
            }
        case .findPartitionCounts(_, let attempt):
            let count = world.dataPartitionCount
            step { $0.partitionCounts(["t": count], attempt: attempt, at: $1) }
        case .leave(let group, let leaving):
            membership.call { (member, answer: @escaping (Bool) -> Void) in
                member.groups?.leave(group, leaving)
                answer(true)
            } hear: { _ in
            }
        case .revoke(let places, let attempt):
            for place in places { positions[place] = nil }
            step { $0.revocationDone(attempt: attempt, at: $1) }
        case .lost(let places):
            for place in places { positions[place] = nil }
        case .assigned:
            assignment += 1
            fetchOffsets()
        case .failed(let error):
            world.history.violate(.recovers, "a member of the group has failed: \(error)")
        }
    }

    /// Asks the group's coordinator; an answer that does not come is `coordinatorNotAvailable`.
    private func ask<Success>(
        within milliseconds: Int64,
        _ body: @escaping (SimulatedGroups, @escaping SimulatedGroups.Answer<Success>) -> Void,
        hear: @escaping (inout GroupMember, Result<Success, GroupError>, GroupInstant) -> Void
    ) {
        membership.call(within: milliseconds) {
            (member, answer: @escaping SimulatedGroups.Answer<Success>) in
            guard let groups = member.groups else { return }
            body(groups, answer)
        } hear: { [self] result in
            if result.isAboutPlace() { membership.guessAnew() }
            let late = GroupError.coordinatorNotAvailable(reason: "no answer")
            whenAwake { [self] in
                step { hear(&$0, result ?? .failure(late), $1) }
            }
        }
    }

    private func whenAwake(_ action: @escaping () -> Void) {
        if !isPaused { return action() }
        world.schedule(after: 50) { [self] in whenAwake(action) }
    }

    // MARK: Offsets

    private func fetchOffsets() {
        let wanted = member.owned
        guard !wanted.allSatisfy({ positions[$0] != nil }) else { return }
        isCommitting = false
        offsets.call {
            (member, answer: @escaping SimulatedGroups.Answer<[TopicPartition: Offset]>) in
            member.groups?.fetchOffsets(Self.group, answer: answer)
        } hear: { [self, assignment] result in
            guard assignment == self.assignment else { return }
            guard case .success(let found) = result else {
                if result.isAboutPlace() { offsets.guessAnew() }
                return world.schedule(after: 60) { [self] in fetchOffsets() }
            }
            for place in wanted where member.owned.contains(place) && positions[place] == nil {
                positions[place] = found[place]?.rawValue ?? 0
            }
        }
    }

    private func read() {
        for place in positions.keys.sorted() {
            positions[place, default: 0] += Int64.random(in: 0...3, using: &world.random)
        }
        if world.chance(0.4) { commit() }
    }

    private func commit() {
        guard !isCommitting, !positions.isEmpty, member.generation >= 0 else { return }
        let read = positions.filter { member.owned.contains($0.key) }
            .mapValues { OffsetToCommit(offset: Offset($0)) }
        guard let request = try? member.commitRequest(read), !read.isEmpty else { return }
        isCommitting = true
        offsets.call { (member, answer: @escaping SimulatedGroups.Answer<Void>) in
            member.groups?.commit(request, answer: answer)
        } hear: { [self] result in
            isCommitting = false
            if result.isAboutPlace() { offsets.guessAnew() }
        }
    }
}

extension Optional {
    /// Whether another member may be the right one.
    fileprivate func isAboutPlace<Success>() -> Bool
    where Wrapped == Result<Success, GroupError> {
        switch self {
        case .failure(.notCoordinator), nil: true
        default: false
        }
    }
}
