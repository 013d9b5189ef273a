import Synchronization
package import Tally
import TallyFiles
package import TallyLog
package import TallyRecords
package import TallyReplication

/// A partition's replica on this member: its log, and whether it leads or follows.
///
/// The thin shell around ``PartitionLeader`` and ``PartitionFollower``, as the simulator's is.
/// Thread rule: any thread. Taking another role blocks for moments, while an append ends.
package final class Replica: Sendable {
    /// Which partition.
    package let id: PartitionID
    /// Its topic's name.
    package let topic: String
    /// This member.
    package let member: ReplicaID
    /// The partition as the engine holds it.
    package let partition: Partition
    /// Its log.
    package let log: PartitionLog
    private let session: MemberSession
    private let news: ClusterNews
    private let settings: Mutex<ReplicationConfiguration>
    private let state = Mutex(State())
    /// Held while something is appended as a follower, cut, or another role taken: what comes from
    /// a former leader must not be appended behind what the next one has.
    private let appending = Mutex(())
    /// Called where the leader wants to have a state stored.
    private let proposes: @Sendable (Replica) -> Void

    private enum Role {
        case none
        case leader(PartitionLeader)
        case follower(PartitionFollower)
    }

    private struct State: ~Copyable {
        var role = Role.none
        /// The epoch that is known; none since the process was started.
        var epoch = LeaderEpoch.none
        var version: Int32 = -1
        var fence = RestartFence()
        /// What was answered to each follower of the high watermark.
        var told: [ReplicaID: Offset] = [:]
    }

    package init(
        _ id: PartitionID, topic: String, member: ReplicaID, partition: Partition,
        log: PartitionLog, session: MemberSession, news: ClusterNews,
        settings: ReplicationConfiguration, proposes: @escaping @Sendable (Replica) -> Void
    ) {
        self.id = id
        self.topic = topic
        self.member = member
        self.partition = partition
        self.log = log
        self.session = session
        self.news = news
        self.settings = Mutex(settings)
        self.proposes = proposes
    }

    /// Topic and number.
    package var place: TopicPartition { TopicPartition(topic: topic, partition: id.partition) }

    private var now: CoordinationInstant {
        CoordinationInstant(milliseconds: MachineClock.milliseconds)
    }

    // MARK: Roles

    /// What the member has to do about a state.
    package enum Consequence: Hashable, Sendable {
        case none
        /// To ask for a new epoch, since the member led before it was started anew.
        case renew
        /// To fetch from another member from now on.
        case follow(ReplicaID)
        /// Leads from now on.
        case lead
        /// To fetch no more: there is no leader, or no replica is to be kept here.
        case rest
    }

    /// Hears what the store holds of the partition. Blocks for moments.
    ///
    /// Throws ``LogError`` where the log cannot lead.
    package func heed(_ next: PartitionState) throws(LogError) -> Consequence {
        let (epoch, mayLead) = state.withLock { state in
            (state.epoch, state.fence.permits(next.leaderEpoch))
        }
        if next.leaderEpoch > epoch {
            if next.leader == member, !mayLead { return .renew }
            return try appending.withLock { (_) throws(LogError) in try take(next) }
        }
        let consequence: Consequence? = state.withLock { state in
            guard next.leaderEpoch == state.epoch, next.version > state.version else {
                return Optional(Consequence.none)
            }
            state.version = next.version
            switch state.role {
            case .leader(var leader):
                leader.adopt(next, now: now)
                state.role = .leader(leader)
                return Optional(Consequence.none)
            // Comes to keep a replica while the leader stays, or keeps it no more.
            case .none where next.replicas.contains(member) && next.leader != nil: return nil
            case .follower where !next.replicas.contains(member):
                state.role = .none
                return .rest
            default: return Optional(Consequence.none)
            }
        }
        guard let consequence else {
            return try appending.withLock { (_) throws(LogError) in try take(next) }
        }
        pump()
        return consequence
    }

    /// Takes the role that a state gives to the member, with `appending` held.
    private func take(_ next: PartitionState) throws(LogError) -> Consequence {
        // Before anything else: what was acknowledged in the epoch before is none of this one's.
        let isNew = state.withLock { state in
            guard next.leaderEpoch >= state.epoch else { return false }
            state.role = .none
            state.epoch = next.leaderEpoch
            state.version = next.version
            state.told = [:]
            return true
        }
        guard isNew else { return .none }
        log.follow()
        // A leader that was deposed may have appended what it had not synced yet.
        try storeWhatIsHere()
        guard next.replicas.contains(member), let leader = next.leader else { return .rest }
        guard leader == member else {
            state.withLock { $0.role = .follower(PartitionFollower(leader, in: next.leaderEpoch)) }
            return .follow(leader)
        }
        let configuration = settings.withLock { $0 }
        state.withLock { state in
            state.role = .leader(
                PartitionLeader(
                    member, state: next, logEnd: log.logEnd, ownEnd: log.keptEnd,
                    highWatermark: log.highWatermark, configuration: configuration, now: now))
        }
        do {
            try log.lead(in: next.leaderEpoch, replication: self)
        } catch {
            state.withLock { $0.role = .none }
            throw error
        }
        pump()
        return .lead
    }

    /// Puts what the log has where the topic promises it to be: a follower says by what it asks for
    /// that all before that is kept. Blocks.
    func storeWhatIsHere() throws(LogError) {
        if log.keptEnd < log.logEnd { try log.flush() }
    }

    /// Leads and follows no more.
    package func stop() {
        appending.withLock { _ in
            state.withLock { $0.role = .none }
            log.follow()
        }
    }

    /// Uses another configuration from the next epoch on.
    package func adopt(_ next: ReplicationConfiguration) {
        settings.withLock { $0 = next }
        state.withLock { state in
            guard case .leader(var leader) = state.role else { return }
            leader.adopt(next)
            state.role = .leader(leader)
        }
    }

    /// The epoch that is known, and whether this member leads in it.
    package var standing: (epoch: LeaderEpoch, isLeading: Bool) {
        state.withLock { state in
            if case .leader = state.role { return (state.epoch, true) }
            return (state.epoch, false)
        }
    }

    /// Whether this member has heard of an epoch and does not lead in it.
    func isIdle(in epoch: LeaderEpoch) -> Bool {
        let standing = standing
        return !standing.isLeading && standing.epoch >= epoch
    }

    // MARK: Leading

    /// Does what the leader's state calls for, after each change of it.
    private func pump() {
        let (mark, hasProposal) = state.withLock { state -> (Offset?, Bool) in
            guard case .leader(let leader) = state.role else { return (nil, false) }
            return (leader.highWatermark, leader.proposal != nil)
        }
        if let mark, mark > log.highWatermark { log.raiseHighWatermark(to: mark) }
        if hasProposal { proposes(self) }
    }

    /// What the leader wants to have stored; nil where it wants nothing, or does not lead.
    package var proposal: PartitionState? { proposalAndJoining?.proposal }

    /// The same, and whom it takes in: see ``PartitionLeader/joining``.
    package var proposalAndJoining: (proposal: PartitionState, joining: MemberProcess?)? {
        state.withLock { state in
            guard case .leader(let leader) = state.role else { return nil }
            return leader.proposal.map { ($0, leader.joining) }
        }
    }

    /// A proposal will never be carried out: see ``PartitionLeader/giveUp(_:now:)``.
    package func giveUp(_ proposal: PartitionState) {
        state.withLock { state in
            guard case .leader(var leader) = state.role else { return }
            leader.giveUp(proposal, now: now)
            state.role = .leader(leader)
        }
        pump()
    }

    /// See ``PartitionLeader/noteUnknown(_:)``.
    func noteUnknown(_ proposal: PartitionState) { withLeader { $0.noteUnknown(proposal) } }

    /// See ``PartitionLeader/noteRefused(_:)``.
    func noteRefused(_ proposal: PartitionState) { withLeader { $0.noteRefused(proposal) } }

    /// See ``PartitionLeader/noteLive(_:now:)``.
    func noteLive(_ live: Set<ReplicaID>) {
        withLeader { $0.noteLive(live, now: now) }
        pump()
    }

    private func withLeader(_ body: (inout PartitionLeader) -> Void) {
        state.withLock { state in
            guard case .leader(var leader) = state.role else { return }
            body(&leader)
            state.role = .leader(leader)
        }
    }

    /// Asks for another state, where none is asked for: see ``PartitionLeader/change(_:now:)``.
    /// Nothing happens where this member does not lead.
    package func change(_ next: (PartitionState) -> PartitionState?) {
        let hasProposal = state.withLock { state in
            guard case .leader(var leader) = state.role, leader.proposal == nil else {
                return false
            }
            leader.change(next, now: now)
            state.role = .leader(leader)
            return leader.proposal != nil
        }
        if hasProposal { pump() }
    }

    /// Time has passed.
    package func tick() {
        let isLeading = state.withLock { state in
            guard case .leader(var leader) = state.role else { return false }
            leader.tick(now)
            state.role = .leader(leader)
            return true
        }
        if isLeading { pump() }
    }

    /// What a follower asks for, and is told.
    package struct FollowerFetch: Sendable {
        /// Where the follower's log parts from this one; then nothing is fetched.
        package var diverging: EpochEnd?
        /// The high watermark that it was told last.
        package var told: Offset
    }

    /// A follower asks for what comes at an offset.
    ///
    /// Throws ``ReplicationError``, ``LogError/notLeader(partition:)``,
    /// ``LogError/offsetOutOfRange(_:)``.
    package func noteFetch(
        from follower: MemberProcess, in epoch: LeaderEpoch, at offset: Offset,
        after lastEpoch: LeaderEpoch
    ) throws -> FollowerFetch {
        let history = LogHistory(log: log)
        let end = history.divergence(at: offset, after: lastEpoch)
        let inRange = offset >= log.logStart && offset <= log.logEnd
        let fetch = try state.withLock { state in
            guard case .leader(var leader) = state.role else {
                throw LogError.notLeader(partition: partition.name)
            }
            // Looked up in here: news of another process, and of what that has lost, are not
            // heeded between the look and the count.
            let registered = news.look { $0.members[follower.id]?.incarnation }
            // Also where nothing is counted, below.
            try leader.check(epoch)
            try leader.check(follower, registered: registered)
            let told = state.told[follower.id] ?? .zero
            if let end { return FollowerFetch(diverging: end, told: told) }
            guard inRange else { return FollowerFetch(told: told) }
            try leader.noteFetch(
                from: follower, registered: registered, in: epoch, at: offset, now: now)
            state.role = .leader(leader)
            return FollowerFetch(told: told)
        }
        guard inRange || end != nil else { throw log.outOfRangeForReplica(offset) }
        pump()
        return fetch
    }

    /// Notes which high watermark a follower is told.
    package func noteTold(_ mark: Offset, to follower: ReplicaID) {
        state.withLock { $0.told[follower] = mark }
    }

    /// Throws unless this member leads, in the epoch that the sender knows (none: any), and is not
    /// about to hand over.
    package func check(_ epoch: LeaderEpoch) throws {
        try state.withLock { state in
            guard case .leader(let leader) = state.role, session.isServing else {
                throw LogError.notLeader(partition: partition.name)
            }
            try leader.checkLeading()
            if epoch > .none { try leader.check(epoch) }
        }
    }

    /// The high watermark as consumers may be told. Throws ``LogError/notLeader(partition:)``,
    /// ``ReplicationError/offsetNotAvailable``.
    package func highWatermarkForConsumers() throws -> Offset {
        try state.withLock { state in
            guard case .leader(let leader) = state.role, session.isServing else {
                throw LogError.notLeader(partition: partition.name)
            }
            return try leader.highWatermarkForConsumers()
        }
    }

    // MARK: Following

    /// What to ask the leader next; nil where this member does not follow it.
    package func request(
        to leader: ReplicaID
    ) -> (epoch: LeaderEpoch, request: PartitionFollower.Request)? {
        state.withLock { state in
            // What is not kept must not be told of.
            guard case .follower(let follower) = state.role, follower.leader == leader,
                log.keptEnd >= log.logEnd
            else { return nil }
            return (state.epoch, follower.request(LogHistory(log: log)))
        }
    }

    /// Runs something with the log of a follower, as long as it is in an epoch; nil where it is
    /// not. Blocks while another does, or takes another role.
    func whileFollowing<Result>(
        in epoch: LeaderEpoch,
        _ body: (inout PartitionFollower, LogHistory) throws -> Result
    ) rethrows -> Result? {
        try appending.withLock { _ in
            let current: PartitionFollower? = state.withLock { state in
                guard case .follower(let follower) = state.role, state.epoch == epoch else {
                    return nil
                }
                return follower
            }
            guard var follower = current else { return nil }
            let result = try body(&follower, LogHistory(log: log))
            state.withLock { state in
                // No replica is to be kept here any more.
                guard case .follower = state.role, state.epoch == epoch else { return }
                state.role = .follower(follower)
            }
            return result
        }
    }
}

extension Replica: LogReplication {
    package func logHasMore() {
        state.withLock { state in
            guard case .leader(var leader) = state.role else { return }
            // Read in here, so that what is noted later is never less.
            leader.noteOwn(logEnd: log.logEnd, ownEnd: log.keptEnd, now: now)
            state.role = .leader(leader)
        }
        pump()
    }

    package func checkAppend(forAll: Bool) throws(LogError) {
        try asLogError { (state) throws(LogError) in
            guard case .leader(let leader) = state.role, session.isServing,
                !leader.isHandingOver
            else { throw .notLeader(partition: partition.name) }
            guard forAll else { return }
            do throws(ReplicationError) { try leader.checkAppend() } catch {
                throw error.logError(of: partition.name)
            }
        }
    }

    package func isCommitted(
        before end: Offset, in epoch: LeaderEpoch
    ) throws(LogError) -> Bool {
        var isCommitted = false
        try asLogError { (state) throws(LogError) in
            // In a later epoch there may be other records at the same offsets.
            guard case .leader(let leader) = state.role, session.isServing, leader.epoch == epoch
            else {
                throw .notLeader(partition: partition.name)
            }
            do throws(ReplicationError) {
                isCommitted = try leader.isCommitted(before: end)
            } catch {
                throw error.logError(of: partition.name)
            }
        }
        return isCommitted
    }

    private func asLogError(
        _ body: (borrowing State) throws(LogError) -> Void
    ) throws(LogError) {
        var failure: LogError?
        state.withLock { state in
            do throws(LogError) { try body(state) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}

extension ReplicationError {
    /// The same, as a log tells it.
    fileprivate func logError(of partition: String) -> LogError {
        switch self {
        case .notEnoughReplicas(let inSync, let min):
            .notEnoughReplicas(partition: partition, inSync: inSync, min: min)
        case .notEnoughReplicasAfterAppend(let inSync, let min):
            .notEnoughReplicasAfterAppend(partition: partition, inSync: inSync, min: min)
        default: .notLeader(partition: partition)
        }
    }
}
