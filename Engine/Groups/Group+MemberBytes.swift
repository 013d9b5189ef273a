extension Member {
    /// What a member takes beside what it hands over: its entries, names of fields, times.
    static let bytesAlone = 512
    /// What the coordinator's part of a new member's id takes: a dash and a UUID.
    private static let idSuffixBytes = 37

    /// What keeping the member takes, nearly: what it has handed over, and as much again as even a
    /// member without anything takes.
    var byteCount: Int {
        Self.byteCount(
            of: protocols, clientID: clientID, clientHost: clientHost, instanceID: instanceID)
            + id.utf8.count + assignment.count
    }

    /// What a member would take that joins with a request.
    static func byteCount(joiningWith request: JoinRequest) -> Int {
        let idByteCount =
            request.memberID.isEmpty
            ? (request.instanceID ?? request.clientID).utf8.count + idSuffixBytes
            : request.memberID.utf8.count
        return idByteCount
            + byteCount(
                of: request.protocols, clientID: request.clientID,
                clientHost: request.clientHost, instanceID: request.instanceID)
    }

    private static func byteCount(
        of protocols: [GroupProtocol], clientID: String, clientHost: String, instanceID: String?
    ) -> Int {
        let named = clientID.utf8.count + clientHost.utf8.count + (instanceID?.utf8.count ?? 0)
        return protocols.reduce(bytesAlone + named) {
            $0 + $1.name.utf8.count + $1.metadata.count
        }
    }

    /// What an id takes that was given out and has not joined yet.
    static func byteCount(pending memberID: String) -> Int { bytesAlone + memberID.utf8.count }
}

/// What members hand over is kept in memory, for as long as they are members: the limit on all of
/// it keeps clients that make up groups and members from taking all there is.
extension Group {
    /// Throws where members of all groups would take more than they may together. Those that join
    /// again with what they had are let in however full it is.
    func requireRoom(
        forMoreBytes byteCount: Int, in context: GroupContext
    ) throws(GroupError) {
        let limit = context.configuration.memberBytesMax
        guard byteCount > 0, context.memberBytesElsewhere + memberBytes + byteCount > limit else {
            return
        }
        // Clients try again what may work later: members leave, and their sessions end.
        throw .coordinatorNotAvailable(
            reason: "the members of all groups would take more than \(limit) bytes together "
                + "(tally.group.members.max.bytes)")
    }

    /// The same for a member that joins.
    func requireMemberBytes(
        for request: JoinRequest, in context: GroupContext
    ) throws(GroupError) {
        let id = request.instanceID.flatMap { staticMembers[$0] } ?? request.memberID
        let before = members[id].map { $0.byteCount - $0.assignment.count } ?? 0
        let after = Member.byteCount(joiningWith: request)
        try requireRoom(forMoreBytes: after - before, in: context)
    }

    /// Notes that a member has come, or goes: before and after each change of what it has handed
    /// over.
    mutating func countBytes(of member: Member, by change: Int) {
        memberBytes += change * member.byteCount
    }

    /// Gives out an id that is to be joined with.
    mutating func addPending(_ memberID: String, until deadline: GroupInstant) {
        pendingMembers[memberID] = deadline
        memberBytes += Member.byteCount(pending: memberID)
        note(deadline)
    }

    /// Takes an id back that was given out; false where it was not.
    mutating func removePending(_ memberID: String) -> Bool {
        guard pendingMembers.removeValue(forKey: memberID) != nil else { return false }
        memberBytes -= Member.byteCount(pending: memberID)
        return true
    }

    /// What ``memberBytes`` has to be.
    var countedMemberBytes: Int {
        members.values.reduce(0) { $0 + $1.byteCount }
            + pendingMembers.keys.reduce(0) { $0 + Member.byteCount(pending: $1) }
    }
}
