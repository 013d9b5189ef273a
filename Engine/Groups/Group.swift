import TallyRecords

/// What a group needs of its surroundings for one call.
struct GroupContext {
    let configuration: GroupConfiguration
    let store: any OffsetStore
    let makeMemberID: @Sendable (String) -> String
    let now: GroupTime
    /// The number of the next commit.
    var nextSequence: Int64
    /// What is to be answered when the call is over.
    var effects: [GroupEffect] = []
}

/// A member as the coordinator sees it.
struct Member {
    var id: String
    var instanceID: String?
    var clientID: String
    var clientHost: String
    var sessionTimeoutMilliseconds: Int64
    var rebalanceTimeoutMilliseconds: Int64
    var supportsSkippingAssignment: Bool
    var protocols: [GroupProtocol]
    var assignment: [UInt8] = []
    /// Rises from member to member of a group: the order in which they came.
    var order: Int
    /// A join that waits for its answer.
    var joinToken: GroupToken?
    /// A sync that waits for its answer.
    var syncToken: GroupToken?
    /// It has not completed a rebalance yet.
    var isNew = true
    /// It has joined the generation and not yet asked what to read.
    var owesSync = false
    /// Nothing was heard of it for too long then.
    var sessionDeadline: GroupInstant

    /// Whoever waits for an answer cannot send heartbeats, and is heard of when it gets one. A new
    /// member must not keep its place for ever, if its answer reaches nobody.
    func isLate(at now: GroupInstant) -> Bool {
        sessionDeadline <= now && (isNew || joinToken == nil && syncToken == nil)
    }

    func metadata(for name: String?) -> [UInt8] {
        protocols.first { $0.name == name }?.metadata ?? []
    }
}

/// One group: Kafka's classic protocol as rules over a few variables. Its methods are in files by
/// what they are about; each leaves the group in one of the states, with `verify()` true.
struct Group {
    let id: String
    var state = GroupState.empty
    var generation: Int32 = 0
    var protocolType: String?
    var protocolName: String?
    var leaderID: String?
    var members: [String: Member] = [:]
    /// The ids of the static members, by their instance ids.
    var staticMembers: [String: String] = [:]
    /// Ids that were given out and have not joined yet, with the moment when they expire.
    var pendingMembers: [String: GroupInstant] = [:]
    /// How many members know each protocol.
    var protocolCounts: [String: Int] = [:]
    var nextOrder = 0

    /// When those who have not joined by then are left behind.
    var rebalanceDeadline: GroupInstant?
    /// In the first rebalance of an empty group: how much longer it may be delayed. Nil otherwise.
    var initialDelayRemaining: Int64?
    /// Whether somebody came during the current step of the initial delay.
    var hasNewMembers = false
    /// When members that have not synced by then are taken out.
    var syncDeadline: GroupInstant?

    var emptySince: Timestamp?
    var offsets: [TopicPartition: CommittedOffset] = [:]
    /// By producer id.
    var pendingOffsets: [Int64: PendingOffsets] = [:]

    /// No deadline of the group is earlier; nil where it has none.
    var earliestDeadline: GroupInstant?

    init(id: String) { self.id = id }

    /// A group as it was stored; its members, where they are stored, have as long to be heard of as
    /// a session lasts.
    init(_ stored: StoredGroup, at now: GroupTime) {
        id = stored.group
        generation = max(stored.metadata.generation, 0)
        protocolType = stored.metadata.protocolType
        emptySince = stored.metadata.emptySince
        offsets = stored.offsets
        for pending in stored.pendingOffsets { pendingOffsets[pending.producerID] = pending }
        restoreMembers(stored.metadata, at: now)
    }

    private mutating func restoreMembers(_ stored: StoredGroupMetadata, at now: GroupTime) {
        guard let name = stored.protocolName, !stored.members.isEmpty else { return }
        for known in stored.members where members[known.memberID] == nil {
            let timeout = Int64(max(known.sessionTimeoutMilliseconds, 1))
            var member = Member(
                id: known.memberID, instanceID: known.instanceID, clientID: known.clientID,
                clientHost: known.clientHost, sessionTimeoutMilliseconds: timeout,
                rebalanceTimeoutMilliseconds: Int64(max(known.rebalanceTimeoutMilliseconds, 1)),
                supportsSkippingAssignment: false,
                protocols: [GroupProtocol(name: name, metadata: known.subscription)],
                assignment: known.assignment, order: nextOrder,
                sessionDeadline: now.instant.advanced(byMilliseconds: timeout))
            member.isNew = false
            nextOrder += 1
            members[member.id] = member
            countProtocols(of: member, by: 1)
            if let instanceID = member.instanceID { staticMembers[instanceID] = member.id }
            note(member.sessionDeadline)
        }
        state = .stable
        protocolName = name
        let leads = stored.leaderID.map { members[$0] != nil } ?? false
        leaderID = leads ? stored.leaderID : membersInOrder.first?.id
        emptySince = nil
        // Of two members with one instance id the later counts; a log of ours has no two.
        staticMembers = staticMembers.filter { members[$0.value]?.instanceID == $0.key }
    }

    var membersInOrder: [Member] { members.values.sorted { $0.order < $1.order } }

    var storedMetadata: StoredGroupMetadata {
        StoredGroupMetadata(
            generation: generation, protocolType: protocolType, emptySince: emptySince)
    }

    /// The same with all members, and what each is to read.
    func metadataWithMembers(_ assignment: (Member) -> [UInt8]) -> StoredGroupMetadata {
        var metadata = StoredGroupMetadata(generation: generation, protocolType: protocolType)
        metadata.protocolName = protocolName
        metadata.leaderID = leaderID
        metadata.members = membersInOrder.map { member in
            StoredMember(
                memberID: member.id, instanceID: member.instanceID, clientID: member.clientID,
                clientHost: member.clientHost,
                rebalanceTimeoutMilliseconds: Int32(clamping: member.rebalanceTimeoutMilliseconds),
                sessionTimeoutMilliseconds: Int32(clamping: member.sessionTimeoutMilliseconds),
                subscription: member.metadata(for: protocolName), assignment: assignment(member))
        }
        return metadata
    }

    /// Whether nothing of the group is worth keeping.
    var isForgettable: Bool {
        state == .empty && offsets.isEmpty && pendingOffsets.isEmpty && pendingMembers.isEmpty
    }

    // MARK: Deadlines

    mutating func note(_ deadline: GroupInstant) {
        earliestDeadline = min(earliestDeadline ?? deadline, deadline)
    }

    /// Looks at all deadlines; otherwise they are only noted, and later moves of them are not.
    mutating func recomputeEarliestDeadline() {
        var deadlines = Array(pendingMembers.values)
        if let rebalanceDeadline { deadlines.append(rebalanceDeadline) }
        if let syncDeadline { deadlines.append(syncDeadline) }
        for member in members.values
        where member.isNew || member.joinToken == nil && member.syncToken == nil {
            deadlines.append(member.sessionDeadline)
        }
        earliestDeadline = deadlines.min()
    }

    /// Something was heard of the member, or its answer is on the way.
    mutating func renewSession(of memberID: String, at now: GroupTime) {
        guard let timeout = members[memberID]?.sessionTimeoutMilliseconds else { return }
        let deadline = now.instant.advanced(byMilliseconds: timeout)
        members[memberID]?.sessionDeadline = deadline
        note(deadline)
    }

    // MARK: Members

    /// Throws where the caller is not a member of the group as it is now (but for its generation).
    func requireMember(_ memberID: String, instanceID: String?) throws(GroupError) {
        if let instanceID {
            guard let current = staticMembers[instanceID] else {
                throw .unknownMemberID(memberID)
            }
            guard current == memberID else { throw .fencedInstanceID(instanceID) }
        }
        guard members[memberID] != nil else { throw .unknownMemberID(memberID) }
    }

    func requireCurrent(_ caller: GroupCaller) throws(GroupError) {
        try requireMember(caller.memberID, instanceID: caller.instanceID)
        guard caller.generation == generation else {
            throw .illegalGeneration(given: caller.generation, current: generation)
        }
    }

    mutating func countProtocols(of member: Member, by change: Int) {
        for known in member.protocols {
            let count = protocolCounts[known.name, default: 0] + change
            protocolCounts[known.name] = count == 0 ? nil : count
        }
    }

    /// Takes a member out; what waits for an answer gets the error.
    mutating func remove(
        _ memberID: String, answering error: GroupError, in context: inout GroupContext
    ) {
        guard var member = members.removeValue(forKey: memberID) else { return }
        countProtocols(of: member, by: -1)
        if let instanceID = member.instanceID, staticMembers[instanceID] == memberID {
            staticMembers[instanceID] = nil
        }
        Self.answer(&member, .failure(error), in: &context)
        Self.answerSync(&member, .failure(error), in: &context)
        if leaderID == memberID { leaderID = membersInOrder.first?.id }
    }

    static func answer(
        _ member: inout Member, _ result: Result<JoinAnswer, GroupError>,
        in context: inout GroupContext
    ) {
        guard let token = member.joinToken else { return }
        member.joinToken = nil
        context.effects.append(.joinAnswered(token, result))
    }

    static func answerSync(
        _ member: inout Member, _ result: Result<SyncAnswer, GroupError>,
        in context: inout GroupContext
    ) {
        guard let token = member.syncToken else { return }
        member.syncToken = nil
        context.effects.append(.syncAnswered(token, result))
    }

    // MARK: Check

    /// What of the group contradicts itself; nil where nothing does.
    func verify() -> String? {
        if state == .empty, !members.isEmpty { return "empty with members" }
        if state == .stable || state == .completingRebalance {
            if members.isEmpty { return "\(state) without members" }
            if leaderID.map({ members[$0] == nil }) ?? true { return "\(state) without leader" }
            if protocolName.map({ protocolCounts[$0] != members.count }) ?? true {
                return "\(state) with a protocol that not all members know"
            }
            if members.values.contains(where: { $0.joinToken != nil }) {
                return "\(state) with an unanswered join"
            }
        }
        if state != .completingRebalance, members.values.contains(where: { $0.syncToken != nil }) {
            return "\(state) with an unanswered sync"
        }
        if state == .preparingRebalance, rebalanceDeadline == nil {
            return "a rebalance without end"
        }
        for (instanceID, memberID) in staticMembers
        where members[memberID]?.instanceID != instanceID {
            return "static member \(instanceID) is lost"
        }
        return nil
    }
}
