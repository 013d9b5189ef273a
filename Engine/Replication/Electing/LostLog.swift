import TallyRecords

/// What a member does about a partition of which it may not have what it had before its process
/// was started: no log is there, or its end went with the power.
///
/// The store may count on it all the same. To lead with nothing would have the others cut off what
/// they have; to be elected, or to be left as the last in sync when the others die, would keep the
/// partition from those that have it all. So it leaves the in-sync set first, is registered then,
/// and makes a new log when the news have it registered.
///
/// All of that waits for the end of the lease of the process before: as long as that is registered,
/// a leader may count a fetch of its that comes late, and take the member back into the set.
///
/// Pure: from what the news of one revision say.
public enum LostLog: Hashable, Sendable {
    /// Waits: the process before is still registered.
    case waits
    /// Asks to be taken out of the in-sync set: see ``Election/losing(_:_:)``.
    case leaves
    /// Nobody counts on the member, or nobody else is left: it may be registered.
    case registers
    /// A new log is made, and the partition followed.
    case begins
    /// Neither leads nor follows: no other member is known to have all of it.
    case stays

    /// What a process is to do.
    ///
    /// - Parameters:
    ///   - registered: the incarnation with which the member is registered; nil while it is not.
    ///   - hasLog: whether a log is there, of which only the end is in doubt. The only one in sync
    ///     goes on with it: nobody has more.
    public init(
        of process: MemberProcess, in state: PartitionState, registered: UInt64?, hasLog: Bool
    ) {
        if let registered, registered != process.incarnation {
            self = .waits
        } else if !state.inSyncReplicas.contains(process.id) {
            self = registered == nil ? .registers : .begins
        } else if state.inSyncReplicas.count > 1 {
            self = .leaves
        } else if registered == nil {
            self = .registers
        } else {
            self = hasLog ? .begins : .stays
        }
    }

    /// Whether the member may be registered, as far as this partition goes.
    public var permitsRegistration: Bool { self != .waits && self != .leaves }

    /// Whether it may have something to lose: what has ever been led has an epoch above 0, for
    /// each leader begins a new one before its first record.
    public static func isPossible(_ member: ReplicaID, _ state: PartitionState) -> Bool {
        state.leaderEpoch > LeaderEpoch(0) && state.replicas.contains(member)
    }
}
