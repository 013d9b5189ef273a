package import TallyRecords

/// All consumer groups of an engine: Kafka's classic group protocol as a state machine.
///
/// It has no threads and no clock: whoever drives it hands in requests and the time, hands out the
/// effects, and calls ``advance(to:)`` when ``nextDeadline`` comes. Joins and syncs are answered by
/// effects, at once or in a later call, each token exactly once; everything else is answered by
/// the call. A request may have effects on others, which wait in ``takeEffects()``.
///
/// Used by one thread at a time. Time must not go backwards. The store is called within the calls
/// that change what has to last, and before anybody hears of the change.
///
/// The rules are those of Kafka's group coordinator (KIP-62, 134, 345, 389, 394, 559, 800, 814);
/// where they leave something open, or are kept more strictly, the rule says so.
public struct GroupCoordinator: ~Copyable, Sendable {
    /// The settings.
    public let configuration: GroupConfiguration
    let store: any OffsetStore
    let makeMemberID: @Sendable (String) -> String
    var groups: [String: Group] = [:]
    /// Which partitions of `__consumer_offsets` it answers for; nil where it keeps all groups.
    package var partitions: CoordinatorPartitions?
    private var effects: [GroupEffect] = []
    private var nextSequence: Int64 = 0
    var nextRetentionCheck: GroupInstant

    /// A coordinator of the groups in the store. None of them has members: those of before have to
    /// join again.
    ///
    /// - Parameter makeMemberID: a new member id each time, that no other member ever had. Kafka's
    ///   begins with what it is called with (the client's id, or the instance's), a dash, and a
    ///   random UUID.
    /// - Throws: what the store throws.
    public init(
        configuration: GroupConfiguration, store: any OffsetStore, at now: GroupTime,
        makeMemberID: @escaping @Sendable (String) -> String
    ) throws(OffsetStoreError) {
        self.configuration = configuration
        self.store = store
        self.makeMemberID = makeMemberID
        nextRetentionCheck = now.instant.advanced(
            byMilliseconds: max(configuration.offsetsRetentionCheckMilliseconds, 1))
        var changes: [OffsetStoreChange] = []
        for stored in try store.loadGroups() {
            var group = Group(stored, at: now)
            // It had members when the engine stopped. They are gone, and its offsets begin to age.
            if group.protocolType != nil, group.emptySince == nil {
                group.emptySince = now.timestamp
                changes.append(.metadata(group: group.id, group.storedMetadata))
            }
            add(group)
        }
        if !changes.isEmpty { try store.apply(changes) }
    }

    /// Takes a group over that was stored.
    mutating func add(_ group: Group) {
        let committed = group.offsets.values.map(\.sequence)
        let pending = group.pendingOffsets.values.flatMap { $0.offsets.values.map(\.sequence) }
        for sequence in committed + pending where sequence >= nextSequence {
            nextSequence = sequence == .max ? .max : sequence + 1
        }
        groups[group.id] = group
    }

    mutating func add(_ more: [GroupEffect]) { effects += more }

    /// What is to be answered, in order; each effect is given out once.
    public mutating func takeEffects() -> [GroupEffect] {
        defer { effects = [] }
        return effects
    }

    /// When ``advance(to:)`` has something to do at the latest; nil while there is nothing to wait
    /// for. It may have come to nothing then: heartbeats move deadlines.
    public var nextDeadline: GroupInstant? {
        var earliest = groups.values.compactMap(\.earliestDeadline).min()
        if configuration.offsetsRetentionMilliseconds > 0, !groups.isEmpty {
            earliest = min(earliest ?? nextRetentionCheck, nextRetentionCheck)
        }
        return earliest
    }

    /// Does what is due: members that were silent for too long are out, rebalances that waited long
    /// enough go on, old offsets are forgotten. A store that fails is asked again later.
    ///
    /// Hand in the requests that have arrived first: after a pause of the process, members whose
    /// heartbeats and joins have waited for it must not be taken for dead.
    public mutating func advance(to now: GroupTime) {
        for id in groups.keys.sorted() {
            guard let due = groups[id]?.earliestDeadline, due <= now.instant else { continue }
            change(id, at: now) { group, context in group.advance(in: &context) }
        }
        if nextRetentionCheck <= now.instant {
            nextRetentionCheck = now.instant.advanced(
                byMilliseconds: max(configuration.offsetsRetentionCheckMilliseconds, 1))
            if configuration.offsetsRetentionMilliseconds > 0 { expireOffsets(at: now) }
        }
    }

    // MARK: Membership

    /// A member joins, or joins again. The answer is an effect.
    public mutating func join(_ request: JoinRequest, token: GroupToken, at now: GroupTime) {
        answeringJoin(token) { (coordinator) throws(GroupError) in
            try coordinator.requireGroupID(request.group)
            let allowed = coordinator.configuration.sessionTimeouts
            guard allowed.contains(request.sessionTimeoutMilliseconds) else {
                throw .invalidSessionTimeout(
                    milliseconds: request.sessionTimeoutMilliseconds, allowed: allowed)
            }
            if coordinator.groups[request.group] == nil {
                guard request.memberID.isEmpty else {
                    throw .unknownMemberID(request.memberID)
                }
                coordinator.groups[request.group] = Group(id: request.group)
            }
            try coordinator.change(request.group, at: now) {
                (group, context) throws(GroupError) in
                try group.join(request, token: token, in: &context)
            }
        }
    }

    private mutating func answeringJoin(
        _ token: GroupToken,
        _ body: (inout GroupCoordinator) throws(GroupError) -> Void
    ) {
        do throws(GroupError) {
            try body(&self)
        } catch {
            effects.append(.joinAnswered(token, .failure(error)))
        }
    }

    /// A member asks for its assignment, and the leader tells everybody's. The answer is an effect.
    public mutating func sync(_ request: SyncRequest, token: GroupToken, at now: GroupTime) {
        do throws(GroupError) {
            try requireMembers(of: request.group, for: request.caller.memberID)
            try change(request.group, at: now) { (group, context) throws(GroupError) in
                try group.sync(request, token: token, in: &context)
            }
        } catch {
            effects.append(.syncAnswered(token, .failure(error)))
        }
    }

    /// A member says that it is alive.
    ///
    /// - Throws: `rebalanceInProgress` where it is to join again; `unknownMemberID`,
    ///   `illegalGeneration`, `fencedInstanceID`.
    public mutating func heartbeat(
        group id: String, caller: GroupCaller, at now: GroupTime
    ) throws(GroupError) {
        try requireMembers(of: id, for: caller.memberID)
        try change(id, at: now) { (group, context) throws(GroupError) in
            try group.heartbeat(caller, in: context)
        }
    }

    /// Members go, each with a result of its own, in the order of the request.
    public mutating func leave(
        group id: String, members: [LeavingMember], at now: GroupTime
    ) -> [Result<Void, GroupError>] {
        do throws(GroupError) {
            try requireServed(id)
        } catch {
            return members.map { _ in .failure(error) }
        }
        guard groups[id] != nil else {
            return members.map { .failure(.unknownMemberID($0.memberID)) }
        }
        return members.map { leaving in
            do throws(GroupError) {
                try change(id, at: now) { (group, context) throws(GroupError) in
                    try group.leave(leaving, in: &context)
                }
                return .success(())
            } catch {
                return .failure(error)
            }
        }
    }

    private func requireMembers(of id: String, for memberID: String) throws(GroupError) {
        try requireGroupID(id)
        guard groups[id] != nil else { throw .unknownMemberID(memberID) }
    }

    func requireGroupID(_ id: String) throws(GroupError) {
        // No store could keep a NUL character, and it must not take others' commits along.
        guard !id.isEmpty, !id.utf8.contains(0) else { throw .invalidGroupID(id) }
        try requireServed(id)
    }

    // MARK: Changing a group

    /// Takes the group out, changes it and puts it back, unless nothing is left of it.
    mutating func change<Value>(
        _ id: String, at now: GroupTime,
        _ body: (inout Group, inout GroupContext) throws(GroupError) -> Value
    ) throws(GroupError) -> Value {
        var group = groups.removeValue(forKey: id) ?? Group(id: id)
        var context = GroupContext(
            configuration: configuration, store: store, makeMemberID: makeMemberID, now: now,
            nextSequence: nextSequence, effects: effects)
        effects = []
        defer {
            effects = context.effects
            nextSequence = context.nextSequence
            // One that was stored is forgotten with its offsets, by their age; only then does its
            // generation not matter any more.
            if !group.isForgettable || group.generation > 0 { groups[group.id] = group }
        }
        return try body(&group, &context)
    }

    mutating func change(
        _ id: String, at now: GroupTime, _ body: (inout Group, inout GroupContext) -> Void
    ) {
        let always: (inout Group, inout GroupContext) throws(GroupError) -> Void = {
            (group, context) throws(GroupError) in body(&group, &context)
        }
        try? change(id, at: now, always)
    }

    /// What contradicts itself in a group; nil where nothing does. For tests.
    package func verify() -> String? {
        for group in groups.values {
            if let problem = group.verify() { return "\(group.id): \(problem)" }
        }
        return nil
    }
}

extension GroupConfiguration {
    /// The session timeouts that are allowed; where the limits contradict, only the lower one.
    var sessionTimeouts: ClosedRange<Int64> {
        let lowest = sessionTimeoutMillisecondsMin
        return lowest...max(lowest, sessionTimeoutMillisecondsMax)
    }
}
