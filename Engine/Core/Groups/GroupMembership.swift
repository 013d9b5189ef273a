import DequeModule
import Synchronization
import TallyGroups
import TallyRecords

/// What a group tells a consumer between two fetches.
enum GroupEvent: Sendable {
    /// Give these up, and say when that is done.
    case revoke(Set<TopicPartition>, attempt: UInt64)
    case lost(Set<TopicPartition>)
    case assigned(Set<TopicPartition>)
    case failed(GroupError)

    /// What to say when it is done, where somebody waits for that.
    var attempt: UInt64? {
        if case .revoke(_, let attempt) = self { attempt } else { nil }
    }
}

/// Drives the membership of one consumer: sends what its state machine wants sent, and keeps for
/// the consumer what it has to do.
///
/// Steps run on the group service's lane. Thread rule: any thread.
final class GroupMembership: Sendable {
    /// Tells how many partitions topics have; those that are not there are missing.
    typealias CountPartitions =
        @Sendable (Set<String>, _ tell: @escaping @Sendable ([String: Int]) -> Void) -> Void

    private let service: any GroupLink
    private let countPartitions: CountPartitions
    private let arrival: Arrival
    private let state: Mutex<State>

    private struct State: ~Copyable {
        var member: GroupMember
        var events: Deque<GroupEvent> = []
        /// The consumer waits for records: its application is alive.
        var isWaiting = false
        /// Nobody asks for events any more.
        var isAbandoned = false
    }

    /// - Parameter arrival: signalled when there is an event.
    init(
        _ configuration: GroupMemberConfiguration, service: any GroupLink, arrival: Arrival,
        countPartitions: @escaping CountPartitions
    ) {
        self.service = service
        self.arrival = arrival
        self.countPartitions = countPartitions
        state = Mutex(State(member: GroupMember(configuration: configuration)))
        service.add(self)
    }

    // MARK: The consumer's side

    func subscribe(to topics: Set<String>) {
        step { member, now in member.subscribe(to: topics, at: now) }
    }

    /// The application asks for records.
    func polled() {
        step { member, now in member.polled(at: now) }
    }

    /// A topic has more partitions, or fewer.
    func partitionsChanged() {
        step { member, now in member.partitionsChanged(at: now) }
    }

    /// Has the consumer look up, where it waits.
    func wake() { arrival.signal() }

    /// Whether the application waits for records just now.
    func setWaiting(_ isWaiting: Bool) { state.withLock { $0.isWaiting = isWaiting } }

    func revocationDone(attempt: UInt64) {
        step { member, now in member.revocationDone(attempt: attempt, at: now) }
    }

    /// Leaves at once, whatever is still to be done; `done` is called when the group knows.
    func leave(done: @escaping @Sendable () -> Void = {}) {
        service.submit { [self] in
            let now = GroupService.now.instant
            let actions = state.withLock { state in
                state.isAbandoned = true
                var attempts = state.events.compactMap(\.attempt)
                state.events = []
                state.member.close(at: now)
                var actions = state.member.takeActions()
                attempts += actions.compactMap { action in
                    if case .revoke(_, let attempt) = action { attempt } else { nil }
                }
                for attempt in attempts { state.member.revocationDone(attempt: attempt, at: now) }
                actions += state.member.takeActions()
                return actions
            }
            for case .leave(let group, let member) in actions {
                return service.leave(group, member, done: done)
            }
            done()
        }
    }

    /// The next thing to do; each is given out once.
    func takeEvent() -> GroupEvent? { state.withLock { $0.events.popFirst() } }

    /// Generation, id and what is owned now.
    var identity: (memberID: String, generation: Int32, owned: Set<TopicPartition>) {
        state.withLock { ($0.member.memberID, $0.member.generation, $0.member.owned) }
    }

    /// Whether it has its assignment and nothing goes on.
    var isStable: Bool { state.withLock { $0.member.isStable && $0.events.isEmpty } }

    /// Throws where the member may not commit these.
    func commitRequest(
        _ offsets: [TopicPartition: OffsetToCommit]
    ) throws(GroupError) -> OffsetCommitRequest {
        try state.withLock { (state) throws(GroupError) in
            try state.member.commitRequest(offsets)
        }
    }

    // MARK: The lane's side

    /// Something has happened in the group; on the lane.
    func hurry(at now: GroupInstant) { state.withLock { $0.member.hurry(at: now) } }

    /// The group's id.
    var group: String { state.withLock { $0.member.configuration.group } }

    var nextDeadline: GroupInstant? { state.withLock { $0.member.nextDeadline } }

    func advance(to now: GroupInstant) {
        let actions = state.withLock { state in
            if state.isWaiting { state.member.polled(at: now) }
            state.member.advance(to: now)
            return state.member.takeActions()
        }
        perform(actions)
    }

    /// Runs a step of the state machine on the lane, and does what it wants done.
    private func step(_ body: @escaping @Sendable (inout GroupMember, GroupInstant) -> Void) {
        service.submit { [self] in
            let now = GroupService.now.instant
            let actions = state.withLock { state in
                body(&state.member, now)
                return state.member.takeActions()
            }
            perform(actions)
        }
    }

    private func perform(_ actions: [GroupMemberAction]) {
        for action in actions {
            switch action {
            case .join(let request, let attempt):
                service.join(request) { [self] result in
                    step { $0.joinAnswered(result, attempt: attempt, at: $1) }
                }
            case .sync(let request, let attempt):
                service.sync(request) { [self] result in
                    step { $0.syncAnswered(result, attempt: attempt, at: $1) }
                }
            case .findPartitionCounts(let topics, let attempt):
                countPartitions(topics) { [self] counts in
                    step { $0.partitionCounts(counts, attempt: attempt, at: $1) }
                }
            case .heartbeat(let group, let caller, let attempt):
                service.heartbeat(group: group, caller) { [self] result in
                    var error: GroupError?
                    if case .failure(let failure) = result { error = failure }
                    step { [error] in
                        $0.heartbeatAnswered(error, attempt: attempt, at: $1)
                    }
                }
            case .leave(let group, let member):
                service.leave(group, member, done: {})
            case .revoke(let partitions, let attempt):
                add(.revoke(partitions, attempt: attempt))
            case .lost(let partitions): add(.lost(partitions))
            case .assigned(let partitions): add(.assigned(partitions))
            case .failed(let error): add(.failed(error))
            }
        }
    }

    private func add(_ event: GroupEvent) {
        let isAbandoned = state.withLock { state in
            if !state.isAbandoned { state.events.append(event) }
            return state.isAbandoned
        }
        guard isAbandoned else { return arrival.signal() }
        if let attempt = event.attempt { revocationDone(attempt: attempt) }
    }
}
