public import TallyRecords

/// The leader of a partition, as a state machine: counts who is in sync and how far all of them
/// are, and says when a record is committed.
///
/// The high watermark is the least end of all replicas that are in sync, by what the coordination
/// store is known to hold *and* by what it was asked to hold: until it has confirmed a change,
/// either may be what the next leader is chosen from. So every record below the high watermark is
/// in every replica that may lead next. That, with epochs that are compared at each fetch, is all
/// that `acks=all` rests upon; clocks and leases only decide how soon something happens.
///
/// The rules are Kafka's (`Partition.scala` and KIP-497); the names too. A value type; one thread
/// at a time.
public struct PartitionLeader: Hashable, Sendable {
    /// Who leads.
    public let id: ReplicaID
    /// The epoch that it leads in.
    public let epoch: LeaderEpoch
    /// What the store is known to hold.
    public private(set) var state: PartitionState
    /// What the store was asked to hold, and may hold by now; nil where nothing is under way. To
    /// be sent until the store is known to have gone on: see ``adopt(_:now:)``.
    public private(set) var proposal: PartitionState?
    /// Whom the proposal takes in, by the fetch of which process; nil where it takes in nobody.
    ///
    /// The store must carry the proposal out only while that process is registered: one that was
    /// started since may have lost what this one said that it has.
    public private(set) var joining: MemberProcess?
    /// Whether the proposal was sent and not answered: it may be carried out late.
    private var isInDoubt = false
    /// Everything before it is committed. Never falls.
    public private(set) var highWatermark: Offset
    /// Where the log ended when the epoch began. Below it lies what earlier leaders may have
    /// acknowledged.
    public let epochStart: Offset
    private var configuration: ReplicationConfiguration
    private var logEnd: Offset
    private var ownEnd: Offset
    private var followers: [ReplicaID: FollowerProgress] = [:]

    /// Begins to lead.
    ///
    /// - Parameters:
    ///   - state: names `id` as the leader.
    ///   - logEnd: the log's end, of whatever epoch.
    ///   - ownEnd: up to where the leader's own log is as safe as the topic promises: the synced
    ///     end where that is stable storage, else the log end.
    ///   - highWatermark: what was known of it as a follower.
    public init(
        _ id: ReplicaID, state: PartitionState, logEnd: Offset, ownEnd: Offset,
        highWatermark: Offset, configuration: ReplicationConfiguration, now: CoordinationInstant
    ) {
        self.id = id
        self.state = state
        epoch = state.leaderEpoch
        epochStart = logEnd
        self.logEnd = logEnd
        self.ownEnd = ownEnd
        self.highWatermark = min(highWatermark, logEnd)
        self.configuration = configuration
        noteReplicas(now)
        advance(now)
    }

    // MARK: What happens

    /// The own log has grown, or more of it is safe; see `init` for the ends.
    public mutating func noteOwn(logEnd: Offset, ownEnd: Offset, now: CoordinationInstant) {
        self.logEnd = logEnd
        self.ownEnd = ownEnd
        advance(now)
    }

    /// A follower asks for what comes at `offset`, and so says that it has everything before, as
    /// safely as the topic promises. To be called only where its log was found to agree with the
    /// leader's up to there: see ``EpochHistory/divergence(at:after:)``.
    ///
    /// Throws ``ReplicationError/fencedLeaderEpoch(sender:leader:)``,
    /// ``ReplicationError/unknownLeaderEpoch(sender:leader:)``,
    /// ``ReplicationError/staleProcess(_:)``, ``ReplicationError/notReplica(_:)``; then the fetch
    /// counts for nothing.
    ///
    /// - Parameter registered: as in ``check(_:registered:)``.
    public mutating func noteFetch(
        from follower: MemberProcess, registered: UInt64?, in senderEpoch: LeaderEpoch,
        at offset: Offset, now: CoordinationInstant
    ) throws(ReplicationError) {
        try check(senderEpoch)
        try check(follower, registered: registered)
        guard follower.id != id, followers[follower.id] != nil else {
            throw .notReplica(follower.id)
        }
        followers[follower.id]?.noteFetch(at: offset, leaderEnd: logEnd, now: now)
        propose(now, joining: follower)
        advance(now)
    }

    /// Time has passed: who lags behind for too long is to leave the in-sync set, and is not
    /// waited for.
    public mutating func tick(_ now: CoordinationInstant) {
        propose(now)
        advance(now)
    }

    /// Who is registered has changed. Who is not, and not in sync either, is not waited for before
    /// it asks again, though it kept up a moment ago.
    public mutating func noteLive(_ live: Set<ReplicaID>, now: CoordinationInstant) {
        for follower in followers.keys
        where !live.contains(follower) && !state.inSyncReplicas.contains(follower) {
            followers[follower]?.lapse()
        }
        advance(now)
    }

    /// What the store holds now, as it was read or as it answered. Older news than those that are
    /// known change nothing.
    ///
    /// A proposal is given up only when the store has gone on from what it was based on: an attempt
    /// that was not answered may still be carried out.
    public mutating func adopt(_ next: PartitionState, now: CoordinationInstant) {
        guard next.leaderEpoch == epoch, next.version > state.version else { return }
        // Who was taken out is not waited for, though it kept up a moment ago: its member is gone.
        for follower in state.inSyncReplicas where !next.inSyncReplicas.contains(follower) {
            followers[follower]?.lapse()
        }
        state = next
        if let proposal, proposal.version <= next.version { dropProposal() }
        noteReplicas(now)
        propose(now)
        advance(now)
    }

    /// A proposal will never be carried out: it takes in a process that is registered no more, at
    /// a revision at which the store still holds what the proposal was based on.
    public mutating func giveUp(_ proposal: PartitionState, now: CoordinationInstant) {
        guard self.proposal == proposal, let joining else { return }
        followers[joining.id]?.lapse()
        dropProposal()
        propose(now)
        advance(now)
    }

    /// A proposal was sent, and may have been carried out, for all that the news say: nobody has
    /// answered, or the store has done it and the news have not come.
    public mutating func noteUnknown(_ proposal: PartitionState) {
        if self.proposal == proposal { isInDoubt = true }
    }

    /// The store has not carried a proposal out that was sent. A leader that wanted to hand over
    /// leads on, unless another attempt may be carried out still.
    public mutating func noteRefused(_ proposal: PartitionState) {
        guard self.proposal == proposal, isHandingOver, !isInDoubt else { return }
        dropProposal()
    }

    /// Asks the store for a state in which others keep replicas, or another member leads: the end
    /// of a move, or a leader that is preferred. Asks nothing while something else is under way.
    ///
    /// Nobody else may take the lead from a member whose lease is valid, or that would answer for a
    /// partition that others lead until it hears of it. So it serves no more from here on, as long
    /// as the store may carry it out: see ``isHandingOver``.
    ///
    /// - Parameter next: the state that should follow the one that is known; nil for no other.
    public mutating func change(
        _ next: (PartitionState) -> PartitionState?, now: CoordinationInstant
    ) {
        guard proposal == nil, let next = next(state), next.version > state.version else { return }
        proposal = next
        advance(now)
    }

    /// Counts by another configuration from now on.
    public mutating func adopt(_ configuration: ReplicationConfiguration) {
        self.configuration = configuration
    }

    // MARK: What is asked

    /// Whether the store was asked to have another lead, and may have done so by now.
    public var isHandingOver: Bool { proposal.map { $0.leaderEpoch > epoch } ?? false }

    /// Throws ``ReplicationError/handingOver`` where others may lead by now, for all that this
    /// leader can know.
    public func checkLeading() throws(ReplicationError) {
        if isHandingOver { throw .handingOver }
    }

    /// Throws unless the sender lives in this epoch: `fencedLeaderEpoch`, `unknownLeaderEpoch`.
    public func check(_ senderEpoch: LeaderEpoch) throws(ReplicationError) {
        if senderEpoch < epoch { throw .fencedLeaderEpoch(sender: senderEpoch, leader: epoch) }
        if senderEpoch > epoch { throw .unknownLeaderEpoch(sender: senderEpoch, leader: epoch) }
    }

    /// Throws ``ReplicationError/staleProcess(_:)`` unless the sender is the process that is
    /// registered. What one says that is dead by now may be true no more of the next; who names a
    /// member's number alone is anybody.
    ///
    /// - Parameter registered: the incarnation with which the member is registered, by news that
    ///   are not older than the state that is known; nil where it is not registered.
    public func check(
        _ sender: MemberProcess, registered: UInt64?
    ) throws(ReplicationError) {
        guard sender.incarnation == registered else { throw .staleProcess(sender.id) }
    }

    /// Throws ``ReplicationError/notEnoughReplicas(inSync:min:)`` where a record for `acks=all`
    /// must not be appended, and as ``checkLeading()`` does.
    public func checkAppend() throws(ReplicationError) {
        try checkLeading()
        let count = state.inSyncReplicas.count
        guard count >= configuration.inSyncReplicasMin else {
            throw .notEnoughReplicas(inSync: count, min: configuration.inSyncReplicasMin)
        }
    }

    /// Whether everything before an offset may be acknowledged to a producer with `acks=all`.
    /// Throws ``ReplicationError/notEnoughReplicasAfterAppend(inSync:min:)``, and as
    /// ``checkLeading()`` does.
    public func isCommitted(before end: Offset) throws(ReplicationError) -> Bool {
        try checkLeading()
        guard highWatermark >= end else { return false }
        let count = state.inSyncReplicas.count
        guard count >= configuration.inSyncReplicasMin else {
            throw .notEnoughReplicasAfterAppend(
                inSync: count, min: configuration.inSyncReplicasMin)
        }
        return true
    }

    /// The high watermark as consumers may be told. Throws
    /// ``ReplicationError/offsetNotAvailable`` until everything of earlier epochs is committed:
    /// earlier leaders may have told of a higher one, and none may be seen to fall. Throws as
    /// ``checkLeading()`` does.
    public func highWatermarkForConsumers() throws(ReplicationError) -> Offset {
        try checkLeading()
        guard highWatermark >= epochStart else { throw .offsetNotAvailable }
        return highWatermark
    }

    // MARK: Who is in sync

    private mutating func noteReplicas(_ now: CoordinationInstant) {
        followers = followers.filter { state.replicas.contains($0.key) }
        for replica in state.replicas where replica != id && followers[replica] == nil {
            followers[replica] = FollowerProgress(since: now)
        }
    }

    /// Asks for another in-sync set, if it should be another; one change at a time. Only who has
    /// just asked for something may join: of the others nobody knows whether they are there.
    private mutating func propose(
        _ now: CoordinationInstant, joining candidate: MemberProcess? = nil
    ) {
        guard proposal == nil else { return }
        let known = state.inSyncReplicas
        var next = known.filter { $0 == id || isKeepingUp($0, now) }
        if let candidate, !known.contains(candidate.id), mayJoin(candidate.id) {
            next.append(candidate.id)
            joining = candidate
        }
        if next != known { proposal = state.replacing(inSyncReplicas: next) }
    }

    private mutating func dropProposal() {
        proposal = nil
        joining = nil
        isInDoubt = false
    }

    private func isKeepingUp(_ follower: ReplicaID, _ now: CoordinationInstant) -> Bool {
        guard let progress = followers[follower] else { return false }
        let limit = progress.caughtUp.advanced(byMilliseconds: configuration.lagMillisecondsMax)
        return progress.end == logEnd || now <= limit
    }

    /// Whether it has all that may have been acknowledged: up to the high watermark, and what the
    /// leader had when its epoch began.
    private func mayJoin(_ follower: ReplicaID) -> Bool {
        guard let end = followers[follower]?.end else { return false }
        return end >= highWatermark && end >= epochStart
    }

    private mutating func advance(_ now: CoordinationInstant) {
        var least = ownEnd
        for (replica, progress) in followers {
            let isCounted =
                state.inSyncReplicas.contains(replica)
                || proposal?.inSyncReplicas.contains(replica) ?? false
            guard let end = progress.end else {
                if isCounted { return }
                continue
            }
            // Who keeps up and is not in sync yet is waited for: under steady appends it would
            // never reach a high watermark that runs ahead of it, and never join.
            if isCounted || isKeepingUp(replica, now) { least = min(least, end) }
        }
        highWatermark = max(highWatermark, least)
    }
}
