import TallyLog
import TallyRecords
import TallyReplication

/// A partition on a member: its log, and what the member does with it. The thin shell around the
/// state machines, as the engine's is.
final class SimulatedReplica {
    enum Role {
        case none
        case leader(PartitionLeader)
        case follower(PartitionFollower)
    }

    let partition: Int
    unowned let member: SimulatedMember
    private(set) var log: any ReplicaLog
    /// Whether there is no log on the disk, and may have been one: see ``LostLog``.
    private var isLost = false
    /// What is to be done about that; nil where nothing is.
    private var lostLog: LostLog?
    private var isLeaving = false
    var role = Role.none
    /// The epoch that it knows of; none since the process was started.
    private(set) var epoch = LeaderEpoch.none
    /// The revision of the state that it knows.
    private var revision = CoordinationRevision.absent
    private var fence = RestartFence()
    private var isProposing = false
    private var waiting: [Waiter] = []
    /// The number of the question to the leader that is under way.
    var question = 0

    /// Somebody who waits for what lies before an offset to be committed.
    private struct Waiter {
        var end: Offset
        var tell: (Commitment) -> Void
    }

    /// What becomes of an append.
    enum Commitment {
        case committed
        /// Nobody knows, and too few replicas are in sync.
        case notNow
        /// Nobody knows, and another leads, or may.
        case notLeader
    }

    init(_ partition: Int, on member: SimulatedMember) {
        self.partition = partition
        self.member = member
        log = Self.newLog(in: member.world)
    }

    private static func newLog(in world: World) -> any ReplicaLog {
        world.hasStoredLogs ? StoredLog() : ModelLog()
    }

    var world: World { member.world }
    /// Whether logs are not compared, by a built-in flaw.
    var isBlind: Bool {
        world.has(.skipsTruncation) || world.has(.truncatesToHighWatermark)
    }
    /// Up to where the log counts as kept.
    private var ownEnd: Offset { world.has(.countsUnsynced) ? log.logEnd : log.syncedEnd }

    // MARK: Life

    func start() {
        role = .none
        epoch = .none
        revision = .absent
        fence = RestartFence()
        isProposing = false
        isLeaving = false
        lostLog = nil
        waiting = []
        question += 1
        log.start()
    }

    func crash() {
        log.crash(&world.random)
        role = .none
    }

    /// What the disk has is gone, with the process down.
    func loseLog() {
        log = Self.newLog(in: world)
        isLost = true
    }

    func tick() {
        if log.hasFailed { return member.diskFails() }
        if case .leader(var leader) = role {
            leader.tick(member.localNow)
            leader.change(next, now: member.localNow)
            role = .leader(leader)
            pump()
        }
        if world.chance(0.1) { log.storeHighWatermark() }
        sync()
    }

    /// What a leader asks for by itself: the end of a move; now and then, that the preferred leader
    /// lead.
    private func next(after state: PartitionState) -> PartitionState? {
        let election = Election(live: Set(member.news.members.keys))
        if let next = Reassignment.finish(state, live: election.live) { return next }
        if let next = election.answering(state) { return next }
        return !world.isHealed && world.chance(0.002) ? election.preferring(state) : nil
    }

    func sync() {
        let end = log.logEnd
        guard end > log.syncedEnd else { return }
        member.after(member.syncMilliseconds) { [self] in
            guard log.sync(to: end) else { return member.diskFails() }
            guard case .leader(var leader) = role else { return }
            leader.noteOwn(logEnd: log.logEnd, ownEnd: ownEnd, now: member.localNow)
            role = .leader(leader)
            pump()
        }
    }

    // MARK: Roles

    /// Whether nobody counts on what was lost here.
    var permitsRegistration: Bool { lostLog?.permitsRegistration ?? true }

    /// Hears what the store holds, and heeds it once what was lost here is settled.
    func hear(_ known: ClusterNews.Partition) {
        if isLost, !world.has(.countsLostDisks) {
            let step = LostLog(
                of: member.process, in: known.state,
                registered: member.news.members[member.id]?.incarnation, hasLog: false)
            lostLog = step
            if step == .leaves { leave(known) }
            guard step == .begins || !LostLog.isPossible(member.id, known.state) else { return }
        }
        isLost = false
        lostLog = nil
        heed(known)
    }

    /// Hears who is registered.
    func noteLive(_ live: Set<ReplicaID>) {
        guard case .leader(var leader) = role else { return }
        leader.noteLive(live, now: member.localNow)
        role = .leader(leader)
        pump()
    }

    private func leave(_ known: ClusterNews.Partition) {
        let election = Election(live: Set(member.news.members.keys))
        guard !isLeaving, let next = election.losing(member.id, known.state) else { return }
        isLeaving = true
        member.change(partition, to: next, from: known.revision) { [self] _ in isLeaving = false }
    }

    /// Hears what the store holds of the partition.
    func heed(_ known: ClusterNews.Partition) {
        let state = known.state
        let mayLead = fence.permits(state.leaderEpoch) || world.has(.resumesEpoch)
        if state.leaderEpoch > epoch {
            if state.leader == member.id, !mayLead {
                return member.renewLeadership(of: partition, known)
            }
            tellAll(.notLeader)
            epoch = state.leaderEpoch
            revision = known.revision
            isProposing = false
            question += 1
            take(state)
        } else if state.leaderEpoch == epoch, known.revision > revision {
            revision = known.revision
            guard case .leader(var leader) = role else { return joinLate(state) }
            leader.adopt(state, now: member.localNow)
            role = .leader(leader)
            pump()
        }
    }

    /// Comes to keep a replica, or no more, while the leader stays.
    private func joinLate(_ state: PartitionState) {
        switch role {
        case .none where state.replicas.contains(member.id) && state.leader != nil: take(state)
        case .follower where !state.replicas.contains(member.id): role = .none
        default: break
        }
    }

    private func take(_ state: PartitionState) {
        log.follow()
        if state.leader != member.id { member.resign(partition, next: epoch) }
        guard state.replicas.contains(member.id) else {
            role = .none
            return
        }
        switch state.leader {
        case member.id:
            world.history.leaderCount += 1
            world.trace("\(member.id) leads \(partition) in \(epoch), \(state.inSyncReplicas)")
            role = .leader(
                PartitionLeader(
                    member.id, state: state, logEnd: log.logEnd, ownEnd: ownEnd,
                    highWatermark: log.highWatermark, configuration: world.configuration,
                    now: member.localNow))
            log.lead(in: epoch)
            pump()
            member.lead(partition, in: epoch)
        case let leader?:
            world.trace("\(member.id) follows \(leader) for \(partition) in \(epoch)")
            role = .follower(PartitionFollower(leader, in: epoch))
            if world.has(.truncatesToHighWatermark) { log.truncate(to: log.highWatermark) }
            askLeader()
        case nil:
            role = .none
        }
    }

    // MARK: Leading

    /// Does what the leader's state calls for, after each change of it.
    func pump() {
        guard case .leader(let leader) = role else { return }
        log.raiseHighWatermark(to: leader.highWatermark)
        settle(leader)
        if let proposal = leader.proposal { send(proposal) }
    }

    private func settle(_ leader: PartitionLeader) {
        guard !waiting.isEmpty else { return }
        guard member.isServing, !leader.isHandingOver else { return tellAll(.notLeader) }
        let pending = waiting
        waiting = []
        for waiter in pending {
            do {
                if try leader.isCommitted(before: waiter.end) {
                    checkAnswer()
                    waiter.tell(.committed)
                } else {
                    waiting.append(waiter)
                }
            } catch {
                waiter.tell(.notNow)
            }
        }
    }

    /// Whoever answers leads, by what the store holds at that moment, though it may not have heard
    /// of that.
    func checkAnswer() {
        guard let state = world.state(of: partition), state.leaderEpoch != epoch else { return }
        world.history.violate(
            .leaseHolds, "\(member.id) answers for \(partition) in \(epoch), and \(state) is so")
    }

    private func tellAll(_ commitment: Commitment) {
        let pending = waiting
        waiting = []
        for waiter in pending { waiter.tell(commitment) }
    }

    /// Tells when everything before an offset is committed that was appended in an epoch.
    func whenCommitted(
        before end: Offset, in appended: LeaderEpoch, _ tell: @escaping (Commitment) -> Void
    ) {
        guard case .leader = role, member.isServing, appended == epoch else {
            return tell(.notLeader)
        }
        waiting.append(Waiter(end: end, tell: tell))
        pump()
    }

    private func send(_ proposal: PartitionState) {
        if world.has(.trustsProposal), case .leader(var leader) = role {
            leader.adopt(proposal, now: member.localNow)
            role = .leader(leader)
        }
        guard !isProposing, case .leader(var leader) = role,
            revision == member.news.partitions[partition]?.revision
        else { return }
        var registration: [CoordinationCondition] = []
        if let joining = leader.joining {
            let known = member.news.members[joining.id]
            guard let known, known.incarnation == joining.incarnation else {
                leader.giveUp(proposal, now: member.localNow)
                role = .leader(leader)
                return
            }
            registration = [
                .modified(key: Keys.member(joining.id), revision: known.revision)
            ]
        }
        isProposing = true
        let begun = epoch
        member.change(partition, to: proposal, from: revision, registration) { [self] result in
            // The news will tell, and the next tick tries again.
            guard epoch == begun else { return }
            isProposing = false
            note(result, of: proposal)
        }
    }

    /// What became of a proposal, before the news tell.
    private func note(
        _ result: Result<CoordinationOutcome, any Error>, of proposal: PartitionState
    ) {
        guard case .leader(var leader) = role else { return }
        switch result {
        case .success(.conflict), .failure(CoordinationError.unavailable):
            leader.noteRefused(proposal)
        // Done, perhaps: the news will tell.
        case .success(.success), .failure: leader.noteUnknown(proposal)
        }
        role = .leader(leader)
    }

    /// Appends something as the leader, for `acks=all`; it may still be lost. Returns its offset.
    func append(
        _ record: SimulatedRecord, verification: TransactionStanding? = nil
    ) throws(AppendRefusal) -> Offset {
        try append { (log, isChecked) throws(AppendRefusal) in
            try log.append(record, verification: verification, isChecked: isChecked)
        }
    }

    /// Appends the end of a transaction, in the same way.
    func append(_ marker: TransactionMarker) throws(AppendRefusal) -> Offset {
        var marker = marker
        if world.has(.writesLateMarkers) { marker.order = nil }
        return try append { (log, isChecked) throws(AppendRefusal) in
            try log.append(marker, isChecked: isChecked)
        }
    }

    private func append(
        _ body: (any ReplicaLog, _ isChecked: Bool) throws(AppendRefusal) -> Offset
    ) throws(AppendRefusal) -> Offset {
        guard case .leader(var leader) = role, member.isServing else { throw .notLeader }
        do throws(ReplicationError) { try leader.checkAppend() } catch {
            throw error == .handingOver ? .notLeader : .notNow
        }
        let offset = try body(log, !world.has(.forgetsProducers))
        leader.noteOwn(logEnd: log.logEnd, ownEnd: ownEnd, now: member.localNow)
        role = .leader(leader)
        sync()
        return offset
    }
}
