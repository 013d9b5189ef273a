package import TallyGroups
package import TallyRecords

/// The groups of a cluster, one request at a time, for one member. What cannot be asked is
/// `coordinatorNotAvailable`. Thread rule: any task; requests of a member that waits in
/// ``join(_:)`` or ``sync(_:)`` are not held up by it.
package protocol RemoteGroups: AnyObject, Sendable {
    /// Waits as long as the group does for its members.
    func join(_ request: JoinRequest) async throws(GroupError) -> JoinAnswer
    /// Waits for the leader's assignment.
    func sync(_ request: SyncRequest) async throws(GroupError) -> SyncAnswer
    /// Tells that a member is there.
    func heartbeat(group: String, _ caller: GroupCaller) async throws(GroupError)
    /// Tells that a member goes.
    func leave(_ group: String, _ member: LeavingMember) async
    /// Commits offsets; those that were refused, with the reasons.
    func commit(
        _ request: OffsetCommitRequest
    ) async throws(GroupError) -> [TopicPartition: GroupError]
    /// What a group has committed of partitions; those without are missing. Throws
    /// `unstableOffsetCommit` where a transaction is about to change some of it.
    func committedOffsets(
        ofGroup group: String, _ partitions: Set<TopicPartition>
    ) async throws(GroupError) -> [TopicPartition: CommittedOffset]
    /// Ends its connections.
    func close() async
}
