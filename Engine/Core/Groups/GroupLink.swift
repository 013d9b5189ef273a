import TallyGroups

/// What a member of a group needs of whoever coordinates it: the service of an engine, or a
/// cluster. Steps and answers come one after the other.
protocol GroupLink: AnyObject, Sendable {
    typealias Answer<Success> = @Sendable (Result<Success, GroupError>) -> Void

    /// Begins to wake a member when something is due for it.
    func add(_ membership: GroupMembership)
    /// Runs a step of a member, and then what follows from it.
    func submit(_ step: @escaping @Sendable () -> Void)
    func join(_ request: JoinRequest, answer: @escaping Answer<JoinAnswer>)
    func sync(_ request: SyncRequest, answer: @escaping Answer<SyncAnswer>)
    func heartbeat(group: String, _ caller: GroupCaller, answer: @escaping Answer<Void>)
    func leave(_ group: String, _ member: LeavingMember, done: @escaping @Sendable () -> Void)
}

extension GroupService: GroupLink {
    func heartbeat(group: String, _ caller: GroupCaller, answer: @escaping Answer<Void>) {
        ask(
            { (coordinator, now) throws(GroupError) in
                try coordinator.heartbeat(group: group, caller: caller, at: now)
            }, answer: answer)
    }
}
