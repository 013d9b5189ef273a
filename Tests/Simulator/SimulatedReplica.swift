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
    let log = SimulatedLog()
    private(set) var role = Role.none
    /// The epoch that it knows of; none since the process was started.
    private var epoch = LeaderEpoch.none
    /// The revision of the state that it knows.
    private var revision = CoordinationRevision.absent
    private var fence = RestartFence()
    private var isProposing = false
    private var waiting: [WaitingProducer] = []
    /// The number of the question to the leader that is under way.
    private var question = 0

    struct WaitingProducer {
        var end: Offset
        var answer: (ProduceAnswer) -> Void
    }

    init(_ partition: Int, on member: SimulatedMember) {
        self.partition = partition
        self.member = member
    }

    var world: World { member.world }
    /// Whether logs are not compared, by a built-in flaw.
    private var isBlind: Bool {
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
        waiting = []
        question += 1
    }

    func crash() {
        log.crash(keeping: Double.random(in: 0...1, using: &world.random))
        role = .none
    }

    func tick() {
        if case .leader(var leader) = role {
            leader.tick(member.localNow)
            role = .leader(leader)
            pump()
        }
        if world.chance(0.1) { log.storeHighWatermark() }
        sync()
    }

    private func sync() {
        let end = log.logEnd
        guard end > log.syncedEnd else { return }
        member.after(member.syncMilliseconds) { [self] in
            log.noteSynced(to: end)
            guard case .leader(var leader) = role else { return }
            leader.noteOwn(logEnd: log.logEnd, ownEnd: ownEnd, now: member.localNow)
            role = .leader(leader)
            pump()
        }
    }

    // MARK: Roles

    /// Hears what the store holds of the partition.
    func heed(_ known: ClusterNews.Partition) {
        let state = known.state
        let mayLead = fence.permits(state.leaderEpoch) || world.has(.resumesEpoch)
        if state.leaderEpoch > epoch {
            if state.leader == member.id, !mayLead {
                return member.renewLeadership(of: partition, known)
            }
            refuseAll(.notLeader)
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
            pump()
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
    private func pump() {
        guard case .leader(let leader) = role else { return }
        log.raiseHighWatermark(to: leader.highWatermark)
        settle(leader)
        if let proposal = leader.proposal { send(proposal) }
    }

    private func settle(_ leader: PartitionLeader) {
        guard !waiting.isEmpty else { return }
        guard member.isServing else { return refuseAll(.notLeader) }
        let pending = waiting
        waiting = []
        for producer in pending {
            do {
                if try leader.isCommitted(before: producer.end) {
                    producer.answer(.stored(Offset(producer.end.rawValue - 1), leader.epoch))
                } else {
                    waiting.append(producer)
                }
            } catch {
                producer.answer(.refused)
            }
        }
    }

    private func refuseAll(_ answer: ProduceAnswer) {
        let pending = waiting
        waiting = []
        for producer in pending { producer.answer(answer) }
    }

    private func send(_ proposal: PartitionState) {
        if world.has(.trustsProposal), case .leader(var leader) = role {
            leader.adopt(proposal, now: member.localNow)
            role = .leader(leader)
        }
        guard !isProposing else { return }
        isProposing = true
        let begun = epoch
        member.change(partition, to: proposal, from: revision) { [self] result in
            guard epoch == begun else { return }
            isProposing = false
            if case .success(.success(let revision)) = result {
                heed(ClusterNews.Partition(state: proposal, revision: revision))
            }
            // Otherwise the news will tell, and the next tick tries again.
        }
    }

    /// A producer's record, for `acks=all`.
    func produce(
        _ sequence: Int, from producer: Int, answer: @escaping (ProduceAnswer) -> Void
    ) {
        guard case .leader(var leader) = role, member.isServing else { return answer(.notLeader) }
        do { try leader.checkAppend() } catch { return answer(.refused) }
        if !world.has(.forgetsProducers), let known = log.offset(of: sequence, from: producer) {
            waiting.append(WaitingProducer(end: known.advanced(by: 1), answer: answer))
            return pump()
        }
        if member.isDiskFull { return answer(.refused) }
        log.append([SimulatedRecord(epoch: epoch, producer: producer, sequence: sequence)])
        leader.noteOwn(logEnd: log.logEnd, ownEnd: ownEnd, now: member.localNow)
        role = .leader(leader)
        if world.has(.acknowledgesAlone) {
            return answer(.stored(log.logEnd.advanced(by: -1), epoch))
        }
        waiting.append(WaitingProducer(end: log.logEnd, answer: answer))
        sync()
        pump()
    }

    /// What a consumer may see from an offset on.
    func consume(from offset: Offset, in senderEpoch: LeaderEpoch) -> ConsumeAnswer {
        guard case .leader(let leader) = role, member.isServing else { return .notLeader }
        do {
            if senderEpoch > leader.epoch { try leader.check(senderEpoch) }
            let end =
                world.has(.tellsEarly)
                ? leader.highWatermark : try leader.highWatermarkForConsumers()
            let range = Int(offset.rawValue)..<max(Int(end.rawValue), Int(offset.rawValue))
            return .records(
                Array(log.records[range.clamped(to: 0..<log.records.count)].prefix(20)),
                highWatermark: end, epoch: leader.epoch)
        } catch {
            return .later
        }
    }

    // MARK: Answering followers

    func answer(
        _ request: PartitionFollower.Request, from follower: ReplicaID, in sender: LeaderEpoch
    ) -> FollowAnswer {
        guard case .leader(var leader) = role else { return .refused }
        do {
            if !world.has(.countsDeposed) { try leader.check(sender) }
            switch request {
            case .epochEnd(let asked): return .epochEnd(log.end(ofEpoch: asked), asked: asked)
            case .fetch(let offset, let lastEpoch):
                if !isBlind, !world.has(.countsDeposed),
                    let end = log.divergence(at: offset, after: lastEpoch)
                {
                    return .diverged(end)
                }
                try leader.noteFetch(
                    from: follower, in: leader.epoch, at: offset, now: member.localNow)
                role = .leader(leader)
                pump()
                return batch(from: offset, leader)
            }
        } catch {
            return .refused
        }
    }

    private func batch(from offset: Offset, _ leader: PartitionLeader) -> FollowAnswer {
        let first = min(Int(offset.rawValue), log.records.count)
        return .records(
            Array(log.records[first...].prefix(50)), at: Offset(Int64(first)),
            highWatermark: leader.highWatermark)
    }

    // MARK: Following

    private func askLeader() {
        guard case .follower(let follower) = role else { return }
        question += 1
        let number = question
        let request =
            isBlind
            ? .fetch(from: log.logEnd, lastEpoch: .none) : follower.request(log)
        let (sender, place) = (member.id, partition)
        let epoch = follower.epoch
        member.send(to: follower.leader) { leader in
            let answer = leader.replicas[place].answer(request, from: sender, in: epoch)
            leader.send(to: sender) { [self] _ in
                if question == number { hear(answer) }
            }
        }
        // Lost, or the leader is gone: asked again.
        member.after(150) { [self] in if question == number { askLeader() } }
    }

    private func hear(_ answer: FollowAnswer) {
        guard case .follower(var follower) = role else { return }
        question += 1
        var pause: Int64 = 10
        switch answer {
        case .refused: pause = 50
        case .epochEnd(let end, let asked):
            if let cut = follower.answered(epochEnd: end, to: asked, log) { truncate(to: cut) }
            pause = 0
        case .diverged(let end):
            if let cut = follower.diverged(end, log) { truncate(to: cut) }
            pause = 0
        case .records(let records, let offset, let highWatermark):
            take(records, at: offset, follower, highWatermark)
        }
        role = .follower(follower)
        // Only what is synced is told: the next question comes behind the sync.
        let isWaiting = log.logEnd > log.syncedEnd && !world.has(.countsUnsynced)
        if isWaiting { sync() }
        let number = question
        member.after(pause + (isWaiting ? member.syncMilliseconds : 0)) { [self] in
            if question == number { askLeader() }
        }
    }

    private func truncate(to end: Offset) {
        world.trace("\(member.id) cuts \(partition) from \(log.logEnd) to \(end)")
        log.truncate(to: end)
    }

    private func take(
        _ records: [SimulatedRecord], at offset: Offset, _ follower: PartitionFollower,
        _ leadersHighWatermark: Offset
    ) {
        guard offset == log.logEnd, isBlind || follower.hasAgreed(log), !member.isDiskFull else {
            return
        }
        log.append(records)
        let mark =
            isBlind
            ? min(leadersHighWatermark, log.logEnd)
            : follower.highWatermark(leaders: leadersHighWatermark, log)
        if let mark { log.raiseHighWatermark(to: mark) }
    }
}
