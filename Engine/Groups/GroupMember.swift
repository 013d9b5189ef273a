public import TallyRecords

/// A consumer's side of a group as a state machine: when to join, sync, send heartbeats and leave,
/// and what to read meanwhile.
///
/// It has no threads and no clock. Its driver calls ``subscribe(to:at:)``, ``polled(at:)`` when
/// the application asks for records, ``advance(to:)`` when ``nextDeadline`` comes, and hands in
/// answers; after each call it does what ``takeActions()`` gives. A request whose answer will not
/// come (a connection is lost) is answered with `coordinatorNotAvailable`. Answers to attempts that
/// were given up are ignored. Used by one thread at a time.
///
/// Eager members (KIP-62) give up everything before they join. Cooperative ones (KIP-429) keep what
/// they have, give up what their next assignment does not hold, and join again so that it can be
/// given to another. In one thing a member is more careful than Kafka's: when no heartbeat was
/// answered for the session timeout, counted from sending the last that was, it takes its
/// partitions for lost before the coordinator can give them to another. (The answer to a join or
/// sync counts as a heartbeat sent one interval before it: as long as answers are under way no
/// longer than that, the member is the first to know.) One whose process was stopped for that long
/// while it waited for an answer takes its partitions for lost too.
public struct GroupMember: ~Copyable, Sendable {
    enum State: Hashable {
        /// Not in the group: no subscription, or the application has stopped asking.
        case unjoined
        /// Partitions are being given up; then it joins.
        case revokingBeforeJoin(Set<TopicPartition>)
        case joinDue(GroupInstant)
        case joining(attempt: UInt64)
        /// The leader needs to know how many partitions there are.
        case countingPartitions(attempt: UInt64)
        case syncing(attempt: UInt64)
        /// Partitions are being given up that are not in the new assignment.
        case revokingAfterSync(assigned: Set<TopicPartition>)
        case stable
        /// Partitions are being given up; then it leaves.
        case revokingBeforeLeave
        /// It has left for good, or failed.
        case ended
    }

    /// The settings.
    public let configuration: GroupMemberConfiguration
    /// The topics it wants.
    public internal(set) var topics: Set<String> = []
    /// What it may read and commit now.
    public internal(set) var owned: Set<TopicPartition> = []
    /// Its id; empty before it got one.
    public internal(set) var memberID = ""
    /// The generation it has joined; -1 while it is in none.
    public internal(set) var generation: Int32 = -1

    var state = State.unjoined
    /// Something has changed since the join was sent: join again as soon as this round is over.
    var needsRejoin = false
    /// For the eager sticky assignor: what it had last, and in which generation.
    var previous: (partitions: Set<TopicPartition>, generation: Int32) = ([], -1)
    var joined: JoinAnswer?
    /// A restarted static leader is about to compare these with the partitions that there are: what
    /// its assignment was computed from; nil where that is not known.
    var inherited: (attempt: UInt64, counts: [String: Int]?)?
    var actions: [GroupMemberAction] = []
    var nextAttempt: UInt64 = 0
    /// The heartbeat that was not answered yet.
    var heartbeat: (attempt: UInt64, sent: GroupInstant)?
    var nextHeartbeat = GroupInstant(milliseconds: .min)
    /// When the last request was sent that the coordinator knew the member by.
    var lastHeard = GroupInstant(milliseconds: .min)
    /// When the driver last looked at the clock for it, or it began to wait for an answer.
    var lastAdvance = GroupInstant(milliseconds: .min)
    /// The partitions that are being given up.
    var revocation: UInt64 = 0
    var lastPoll = GroupInstant(milliseconds: .min)

    /// A member that has not joined.
    public init(configuration: GroupMemberConfiguration) { self.configuration = configuration }

    /// Whether it keeps reading while the group rebalances.
    public var isCooperative: Bool { configuration.assignors.allSatisfy(\.isCooperative) }

    /// Whether it has its assignment, and nothing goes on.
    public var isStable: Bool { state == .stable && !needsRejoin }

    /// Whether it has left for good, by ``close(at:)`` or because it failed.
    public var hasEnded: Bool { state == .ended }

    /// What is to be done, in order; each action is given out once.
    public mutating func takeActions() -> [GroupMemberAction] {
        defer { actions = [] }
        return actions
    }

    // MARK: The application

    /// Wants these topics from now on, instead of those of before. With none it leaves.
    public mutating func subscribe(to topics: Set<String>, at now: GroupInstant) {
        guard state != .ended, state != .revokingBeforeLeave, topics != self.topics else { return }
        self.topics = topics
        if state == .unjoined { lastPoll = now }
        rejoin(at: now)
    }

    /// The number of partitions of a topic has changed, or something else that the leader has to
    /// look at: the group shares out again, where this member leads it. Who becomes the leader
    /// later counts then.
    public mutating func partitionsChanged(at now: GroupInstant) {
        guard joined?.isLeader == true, generation >= 0 else { return }
        rejoin(at: now)
    }

    /// The application has asked for records: it is alive.
    public mutating func polled(at now: GroupInstant) {
        lastPoll = now
        if state == .unjoined, !topics.isEmpty { rejoin(at: now) }
    }

    /// Leaves, once the partitions have been given up. A static member only stops: its place is
    /// kept until its session ends.
    public mutating func close(at now: GroupInstant) {
        guard state != .ended, state != .revokingBeforeLeave else { return }
        state = .revokingBeforeLeave
        revoke(owned, at: now)
    }

    /// What `revoke` named has been finished with.
    public mutating func revocationDone(attempt: UInt64, at now: GroupInstant) {
        guard attempt == revocation else { return }
        revocation = 0
        switch state {
        case .revokingBeforeJoin(let going):
            owned.subtract(going)
            beginJoin(at: now)
        case .revokingAfterSync(let assigned):
            owned.formIntersection(assigned)
            // Others can have what was given up when the group has shared out once more.
            needsRejoin = true
            settle(assigned, at: now)
        case .revokingBeforeLeave:
            owned = []
            leave()
            state = .ended
        default:
            break
        }
    }

    mutating func revoke(_ going: Set<TopicPartition>, at now: GroupInstant) {
        let attempt = takeAttempt()
        revocation = attempt
        if going.isEmpty {
            revocationDone(attempt: attempt, at: now)
        } else {
            actions.append(.revoke(going, attempt: attempt))
        }
    }

    /// What to send to commit these offsets.
    ///
    /// - Throws: `unknownMemberID` while it is in no generation, and `invalidRequest` for a
    ///   partition that is not its own: another may have read further by now.
    public func commitRequest(
        _ offsets: [TopicPartition: OffsetToCommit]
    ) throws(GroupError) -> OffsetCommitRequest {
        guard generation >= 0 else { throw .unknownMemberID(memberID) }
        for partition in offsets.keys.sorted() where !owned.contains(partition) {
            throw .invalidRequest(
                reason: "\(partition) is not assigned to this member in generation "
                    + "\(generation): it cannot commit an offset for it")
        }
        return OffsetCommitRequest(
            group: configuration.group, caller: caller, offsets: offsets)
    }

    var caller: GroupCaller {
        GroupCaller(
            memberID: memberID, instanceID: configuration.instanceID, generation: generation)
    }

    // MARK: Time

    /// When ``advance(to:)`` has something to do; nil while there is nothing to wait for.
    public var nextDeadline: GroupInstant? {
        var deadlines: [GroupInstant] = []
        if case .joinDue(let due) = state { deadlines.append(due) }
        if isInGroup {
            deadlines.append(lastPoll.advanced(byMilliseconds: pollInterval))
        }
        if waitsForAnswer {
            deadlines.append(
                lastAdvance.advanced(byMilliseconds: configuration.heartbeatInterval))
        }
        if sendsHeartbeats {
            if heartbeat == nil { deadlines.append(nextHeartbeat) }
            deadlines.append(sessionEnd)
        }
        return deadlines.min()
    }

    /// Does what is due at this moment.
    public mutating func advance(to now: GroupInstant) {
        let pauseMax = configuration.sessionTimeoutMilliseconds - configuration.heartbeatInterval
        let wasPaused = lastAdvance.advanced(byMilliseconds: max(pauseMax, 1)) <= now
        lastAdvance = now
        if isInGroup, lastPoll.advanced(byMilliseconds: pollInterval) <= now {
            // The application is stuck. Others take over; it joins again when it asks again.
            loseAll()
            leave()
            state = .unjoined
            needsRejoin = false
            return
        }
        if sendsHeartbeats && sessionEnd <= now || waitsForAnswer && wasPaused {
            sessionLost(at: now)
        }
        if case .joinDue(let due) = state, due <= now { beginJoin(at: now) }
        if sendsHeartbeats, heartbeat == nil, nextHeartbeat <= now {
            let attempt = takeAttempt()
            heartbeat = (attempt, now)
            nextHeartbeat = now.advanced(byMilliseconds: configuration.heartbeatInterval)
            actions.append(
                .heartbeat(group: configuration.group, caller, attempt: attempt))
        }
    }

    private var pollInterval: Int64 { configuration.pollIntervalMillisecondsMax }

    private var sessionEnd: GroupInstant {
        lastHeard.advanced(byMilliseconds: configuration.sessionTimeoutMilliseconds)
    }

    private var isInGroup: Bool {
        switch state {
        case .unjoined, .ended, .revokingBeforeLeave: false
        default: true
        }
    }

    /// While a join or sync waits for its answer, the coordinator knows that the member is there.
    private var sendsHeartbeats: Bool {
        guard generation >= 0 else { return false }
        switch state {
        case .unjoined, .ended, .joining, .syncing: return false
        default: return true
        }
    }

    private var waitsForAnswer: Bool {
        switch state {
        case .joining, .syncing: true
        default: false
        }
    }

    // MARK: Steps

    mutating func takeAttempt() -> UInt64 {
        nextAttempt += 1
        return nextAttempt
    }

    /// Begins a round, or notes that another is wanted when the one that goes on is over.
    mutating func rejoin(at now: GroupInstant) {
        switch state {
        case .ended, .revokingBeforeLeave, .revokingBeforeJoin, .joinDue:
            return
        case .joining, .countingPartitions, .syncing, .revokingAfterSync:
            needsRejoin = true
        case .unjoined, .stable:
            beginJoin(at: now)
        }
    }

    /// Joins when what has to go first is gone: everything, or, of a cooperative member, what it
    /// does not want any more.
    mutating func beginJoin(at now: GroupInstant) {
        let going = isCooperative ? owned.filter { !topics.contains($0.topic) } : owned
        if !going.isEmpty {
            state = .revokingBeforeJoin(going)
            revoke(going, at: now)
        } else if topics.isEmpty {
            leave()
            state = .unjoined
        } else {
            sendJoin(at: now)
        }
    }

    /// It is not in the group any more, as far as it knows, and joins again.
    mutating func sessionLost(at now: GroupInstant) {
        loseAll()
        generation = -1
        heartbeat = nil
        revocation = 0
        if state == .revokingBeforeLeave {
            leave()
            state = .ended
        } else {
            state = topics.isEmpty ? .unjoined : .joinDue(now)
        }
    }

    /// The coordinator has answered something that waited until now.
    mutating func heard(at now: GroupInstant) {
        lastHeard = max(
            lastHeard, now.advanced(byMilliseconds: -configuration.heartbeatInterval))
        nextHeartbeat = now
    }

    /// Somebody else may have the partitions already.
    mutating func loseAll() {
        guard !owned.isEmpty else { return }
        actions.append(.lost(owned))
        owned = []
    }

    private mutating func leave() {
        if configuration.instanceID == nil {
            if !memberID.isEmpty {
                actions.append(
                    .leave(group: configuration.group, LeavingMember(memberID: memberID)))
            }
            memberID = ""
        }
        generation = -1
        heartbeat = nil
        joined = nil
        inherited = nil
    }

    mutating func fail(_ error: GroupError) {
        loseAll()
        generation = -1
        heartbeat = nil
        state = .ended
        actions.append(.failed(error))
    }
}
