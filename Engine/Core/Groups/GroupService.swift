import DequeModule
import Foundation
import Synchronization
import TallyFiles
package import TallyGroups
package import TallyRecords

/// Runs the group coordinator of an engine, and the members that live in its process: hands in
/// requests and the time, hands out answers, and wakes up when something is due.
///
/// Everything happens on one lane, one job after the other, so that the state machines need no
/// locks; the mutex only proves it. Callbacks are called on the lane. Thread rule: any thread.
package final class GroupService: Sendable {
    package typealias Answer<Success> = @Sendable (Result<Success, GroupError>) -> Void
    package typealias Refusal = @Sendable () -> GroupError?

    private let lane: SerialLane
    private let store: any OffsetStore
    private let configuration: GroupConfiguration
    /// Where groups are recorded before they count; nil where the store is all there is.
    let journal: CoordinationJournal<OffsetStoreChange>?
    let state = Mutex(State())
    private let alarm = Alarm()
    private let commits = UnfairLock(WaitingCommits())

    /// Commits that came while the lane was busy: they share the next write to the store.
    private struct WaitingCommits: Sendable {
        typealias Refused = [TopicPartition: GroupError]
        var all: Deque<Commit> = []
        struct Commit: Sendable {
            var request: OffsetCommitRequest
            var refusal: Refusal
            var answer: Answer<Refused>
        }

        /// Beyond this, heartbeats would wait too long behind one write.
        static let turnMax = 1000
    }

    struct State: ~Copyable {
        /// Nil before the first request, and while the store cannot be read.
        var coordinator: GroupCoordinator?
        var nextToken: UInt64 = 0
        /// With the groups that they are about.
        var joins: [GroupToken: (group: String, answer: Answer<JoinAnswer>)] = [:]
        var syncs: [GroupToken: (group: String, answer: Answer<SyncAnswer>)] = [:]
        var members: [WeakMember] = []
        var membersChanged: (@Sendable () -> Void)?
    }

    struct WeakMember {
        weak var membership: GroupMembership?
    }

    init(
        lane: SerialLane, store: any OffsetStore, configuration: GroupConfiguration,
        journal: CoordinationJournal<OffsetStoreChange>? = nil
    ) {
        self.lane = lane
        self.store = store
        self.configuration = configuration
        self.journal = journal
    }

    /// The store, where it is a journal.
    var journaledStore: JournaledOffsetStore? { store as? JournaledOffsetStore }

    /// The partitions of `__consumer_offsets`; nil where groups are not recorded there.
    var partitionCount: Int32? { journaledStore?.partitionCount }

    /// Ends the timer, and has members look up: the engine is being closed.
    func stop() {
        alarm.stop()
        journal?.stop()
        let members = state.withLock { $0.members.compactMap(\.membership) }
        for member in members { member.wake() }
        // Those who wait for a rebalance would wait for ever.
        lane.submit { [self] in
            let (joins, syncs) = state.withLock { state in
                defer { (state.joins, state.syncs) = ([:], [:]) }
                return (state.joins.values.map(\.answer), state.syncs.values.map(\.answer))
            }
            let closed = GroupError.coordinatorNotAvailable(reason: "the engine is closed")
            for join in joins { join(.failure(closed)) }
            for sync in syncs { sync(.failure(closed)) }
        }
    }

    /// Has somebody told whenever members, or what they read, may have changed. Before anything
    /// else is asked for.
    func whenMembersChange(_ tell: @escaping @Sendable () -> Void) {
        state.withLock { $0.membersChanged = tell }
    }

    /// All groups as they are now, told on the lane.
    func describeAll(_ tell: @escaping @Sendable ([GroupDescription]) -> Void) {
        ask { (coordinator, _) throws(GroupError) in
            coordinator.list().compactMap { try? coordinator.describe($0.group) }
        } answer: { result in
            if case .success(let groups) = result { tell(groups) }
        }
    }

    // MARK: Time

    private static let start = ContinuousClock.now

    /// What time it is.
    static var now: GroupTime {
        let passed = (ContinuousClock.now - start) / .milliseconds(1)
        return GroupTime(
            instant: GroupInstant(milliseconds: Int64(passed)), timestamp: .now)
    }

    // MARK: Members of this process

    /// Begins to wake a member when something is due for it.
    func add(_ membership: GroupMembership) {
        state.withLock { state in
            state.members.removeAll { $0.membership == nil }
            state.members.append(WeakMember(membership: membership))
        }
    }

    /// Runs a step of a member, and then what follows from it.
    func submit(_ step: @escaping @Sendable () -> Void) {
        lane.submit { [self] in
            step()
            setAlarm()
        }
    }

    /// A topic came, grew or went: groups that read it share out anew.
    func partitionsChanged() {
        let members = state.withLock { $0.members.compactMap(\.membership) }
        for member in members { member.partitionsChanged() }
    }

    /// A topic comes, and offsets of its name can only be of one that is gone: a crash in the
    /// middle of its deletion leaves them, and so does an engine without this state.
    ///
    /// - Parameter isThere: asked on the lane; nothing is forgotten where the topic came meanwhile.
    /// - Throws: what forgetting throws. Groups that are not loaded yet are compared with the
    ///   topics when they are.
    func topicComes(
        _ topic: String, isThere: @escaping @Sendable () -> Bool
    ) async throws(GroupError) {
        let result: Result<Void, GroupError> = await withCheckedContinuation { continuation in
            submit { [self] in
                guard state.withLock({ $0.coordinator != nil }), !isThere() else {
                    return continuation.resume(returning: .success(()))
                }
                let result = use { (state, _) throws(GroupError) in
                    try state.coordinator!.topicDeleted(topic)
                }
                continuation.resume(returning: result)
            }
        }
        try result.get()
    }

    // MARK: Requests

    package func join(_ request: JoinRequest, answer: @escaping Answer<JoinAnswer>) {
        submit { [self] in
            let failure = use { (state, now) throws(GroupError) in
                let token = Self.takeToken(&state)
                state.joins[token] = (request.group, answer)
                state.coordinator?.join(request, token: token, at: now)
            }
            if case .failure(let error) = failure { answer(.failure(error)) }
            hurryMembers(of: request.group)
        }
    }

    func leave(
        _ group: String, _ member: LeavingMember, done: @escaping @Sendable () -> Void = {}
    ) {
        submit { [self] in
            _ = use { (state, now) throws(GroupError) in
                state.coordinator?.leave(group: group, members: [member], at: now)
            }
            hurryMembers(of: group)
            done()
            state.withLock { $0.membersChanged }?()
        }
    }

    /// Members go; each has a result of its own, in their order.
    package func leave(
        _ group: String, _ members: [LeavingMember]
    ) async throws(GroupError) -> [Result<Void, GroupError>] {
        let result = await withCheckedContinuation { continuation in
            submit { [self] in
                let result = use { (state, now) throws(GroupError) in
                    guard state.coordinator != nil else { throw Self.notLoaded }
                    return state.coordinator!.leave(group: group, members: members, at: now)
                }
                hurryMembers(of: group)
                whenCommitted(group) { failure in
                    continuation.resume(returning: failure.map { .failure($0) } ?? result)
                }
                state.withLock { $0.membersChanged }?()
            }
        }
        return try result.get()
    }

    /// Members of this process hear of a rebalance at once.
    private func hurryMembers(of group: String? = nil) {
        let members = state.withLock { $0.members.compactMap(\.membership) }
        let now = Self.now.instant
        for member in members where group == nil || member.group == group {
            member.hurry(at: now)
        }
    }

    package func sync(_ request: SyncRequest, answer: @escaping Answer<SyncAnswer>) {
        submit { [self] in
            let failure = use { (state, now) throws(GroupError) in
                let token = Self.takeToken(&state)
                state.syncs[token] = (request.group, answer)
                state.coordinator?.sync(request, token: token, at: now)
            }
            if case .failure(let error) = failure { answer(.failure(error)) }
        }
    }

    /// Any request that the coordinator answers at once.
    ///
    /// - Parameter group: which group it is about, where the answer must not tell of what is not
    ///   committed.
    func ask<Success: Sendable>(
        about group: String? = nil,
        _ request:
            @escaping @Sendable (inout GroupCoordinator, GroupTime) throws(GroupError) ->
            Success, answer: @escaping Answer<Success>
    ) {
        submit { [self] in
            let result = use { (state, now) throws(GroupError) in
                guard state.coordinator != nil else { throw Self.notLoaded }
                if let group { try state.coordinator!.requireServed(group) }
                return try request(&state.coordinator!, now)
            }
            whenCommitted(group) { failure in answer(failure.map { .failure($0) } ?? result) }
        }
    }

    /// Any request that the coordinator answers at once, waited for; see ``ask(about:_:answer:)``.
    package func ask<Success: Sendable>(
        about group: String? = nil,
        _ request:
            @escaping @Sendable (inout GroupCoordinator, GroupTime) throws(GroupError) ->
            Success
    ) async throws(GroupError) -> Success {
        let result: Result<Success, GroupError> = await withCheckedContinuation { continuation in
            ask(about: group, request) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    /// Commits offsets. All commits that wait when the lane comes to them are stored in one step,
    /// so that many callers wait for one sync of the store, and not for each other's.
    ///
    /// - Parameter refusal: asked on the lane, which is where groups forget a topic that was
    ///   deleted: what it refuses is not committed.
    /// - Returns: the partitions that were refused, with the reasons.
    package func commit(
        _ request: OffsetCommitRequest, unless refusal: @escaping Refusal = { nil }
    ) async throws(GroupError) -> [TopicPartition: GroupError] {
        let result = await withCheckedContinuation { continuation in
            let isFirst = commits.withLock { commits in
                commits.all.append(
                    WaitingCommits.Commit(request: request, refusal: refusal) {
                        continuation.resume(returning: $0)
                    })
                return commits.all.count == 1
            }
            if isFirst { submit { [self] in commitWaiting() } }
        }
        return try result.get()
    }

    /// One turn: what waits now.
    private func commitWaiting() {
        let (all, isMore) = commits.withLock { commits in
            let turn = Array(commits.all.prefix(WaitingCommits.turnMax))
            commits.all.removeFirst(turn.count)
            return (turn, !commits.all.isEmpty)
        }
        if isMore { submit { [self] in commitWaiting() } }
        let turn = all.filter { commit in
            guard let error = commit.refusal() else { return true }
            commit.answer(.failure(error))
            return false
        }
        for part in parts(of: turn) { commit(part) }
    }

    /// What is written in one step: all of a turn, or what goes to one partition of a journal, so
    /// that one which fails does not take the others along.
    private func parts(of turn: [WaitingCommits.Commit]) -> [[WaitingCommits.Commit]] {
        guard journal != nil else { return [turn] }
        let partitions = Dictionary(grouping: turn) { partition(of: $0.request.group) }
        return partitions.sorted { ($0.key ?? -1) < ($1.key ?? -1) }.map(\.value)
    }

    private func commit(_ turn: [WaitingCommits.Commit]) {
        let results = use { (state, now) throws(GroupError) in
            guard state.coordinator != nil else { throw Self.notLoaded }
            return state.coordinator!.commit(turn.map(\.request), at: now)
        }
        switch results {
        case .success(let results):
            for (commit, result) in zip(turn, results) {
                whenCommitted(commit.request.group) { failure in
                    commit.answer(failure.map { .failure($0) } ?? result)
                }
            }
        case .failure(let error):
            for commit in turn { commit.answer(.failure(error)) }
        }
    }

    static let notLoaded = GroupError.coordinatorNotAvailable(
        reason: "the groups are not loaded")

    private static func takeToken(_ state: inout State) -> GroupToken {
        state.nextToken += 1
        return GroupToken(state.nextToken)
    }

    /// Uses the coordinator, which is loaded first where it is not, and hands out its effects.
    func use<Success>(
        _ body: (inout State, GroupTime) throws(GroupError) -> Success
    ) -> Result<Success, GroupError> {
        let now = Self.now
        var effects: [GroupEffect] = []
        let result = state.withLock { state -> Result<Success, GroupError> in
            do throws(GroupError) {
                try load(&state, at: now)
                let success = try body(&state, now)
                effects = state.coordinator?.takeEffects() ?? []
                return .success(success)
            } catch {
                effects = state.coordinator?.takeEffects() ?? []
                return .failure(error)
            }
        }
        deliver(effects)
        return result
    }

    private func load(_ state: inout State, at now: GroupTime) throws(GroupError) {
        guard state.coordinator == nil else { return }
        do throws(OffsetStoreError) {
            state.coordinator = try GroupCoordinator(
                configuration: configuration, store: store, at: now
            ) { "\($0)-\(UUID().uuidString.lowercased())" }
            if let journaled = store as? JournaledOffsetStore {
                state.coordinator?.partitions = CoordinatorPartitions(
                    topic: .consumerOffsets, count: journaled.partitionCount)
            }
        } catch {
            throw .coordinatorNotAvailable(reason: error.description)
        }
    }

    private func deliver(_ effects: [GroupEffect]) {
        var haveMembersChanged = false
        defer { if haveMembersChanged { state.withLock { $0.membersChanged }?() } }
        for effect in effects {
            switch effect {
            case .joinAnswered(let token, let result):
                guard let join = state.withLock({ $0.joins.removeValue(forKey: token) }) else {
                    continue
                }
                whenCommitted(join.group) { failure in
                    join.answer(failure.map { .failure($0) } ?? result)
                }
            case .syncAnswered(let token, let result):
                haveMembersChanged = true
                guard let sync = state.withLock({ $0.syncs.removeValue(forKey: token) }) else {
                    continue
                }
                whenCommitted(sync.group) { failure in
                    sync.answer(failure.map { .failure($0) } ?? result)
                }
            }
        }
    }

    // MARK: What is due

    private func setAlarm() {
        let (members, deadline) = state.withLock { state in
            (state.members.compactMap(\.membership), state.coordinator?.nextDeadline)
        }
        let deadlines = members.compactMap(\.nextDeadline) + [deadline].compactMap { $0 }
        guard let next = deadlines.min() else { return }
        let pause = max(next.milliseconds - Self.now.instant.milliseconds, 1)
        alarm.set(after: .milliseconds(pause)) { [weak self] in
            self?.submit { [weak self] in self?.advance() }
        }
    }

    private func advance() {
        let now = Self.now
        if state.withLock({ $0.coordinator != nil }) {
            var hadDue = false
            _ = use { (state, now) throws(GroupError) in
                hadDue = state.coordinator?.nextDeadline.map { $0 <= now.instant } ?? false
                state.coordinator?.advance(to: now)
            }
            // Somebody may have been put out.
            if hadDue { hurryMembers() }
        }
        let members = state.withLock { $0.members.compactMap(\.membership) }
        for member in members { member.advance(to: now.instant) }
    }
}
