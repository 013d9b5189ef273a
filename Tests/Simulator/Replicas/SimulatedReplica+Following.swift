import TallyRecords
import TallyReplication

extension SimulatedReplica {
    // MARK: Answering followers

    func answer(
        _ request: PartitionFollower.Request, from follower: MemberProcess,
        in sender: LeaderEpoch
    ) -> FollowAnswer {
        guard case .leader(var leader) = role else { return .refused }
        let registered = member.news.members[follower.id]?.incarnation
        do {
            if !world.has(.countsDeposed) { try leader.check(sender) }
            switch request {
            case .epochEnd(let asked): return .epochEnd(log.end(ofEpoch: asked), asked: asked)
            case .fetch(let offset, let lastEpoch):
                try leader.check(follower, registered: registered)
                if !isBlind, !world.has(.countsDeposed),
                    let end = log.divergence(at: offset, after: lastEpoch)
                {
                    return .diverged(end)
                }
                try leader.noteFetch(
                    from: follower, registered: registered, in: leader.epoch, at: offset,
                    now: member.localNow)
                role = .leader(leader)
                pump()
                return batch(from: offset, leader)
            }
        } catch {
            return .refused
        }
    }

    private func batch(from offset: Offset, _ leader: PartitionLeader) -> FollowAnswer {
        let first = min(offset, log.logEnd)
        return .records(
            log.records(from: first, before: log.logEnd, countMax: 50), at: first,
            highWatermark: leader.highWatermark)
    }

    // MARK: Following

    func askLeader() {
        guard case .follower(let follower) = role else { return }
        question += 1
        let number = question
        let request =
            isBlind
            ? .fetch(from: log.logEnd, lastEpoch: .none) : follower.request(log)
        let (sender, place) = (member.process, partition)
        let epoch = follower.epoch
        member.send(to: follower.leader) { leader in
            let answer = leader.replicas[place].answer(request, from: sender, in: epoch)
            leader.send(to: sender.id) { [self] _ in
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
        guard offset == log.logEnd, isBlind || follower.hasAgreed(log) else { return }
        guard (try? log.appendReplica(records)) != nil else { return }
        let mark =
            isBlind
            ? min(leadersHighWatermark, log.logEnd)
            : follower.highWatermark(leaders: leadersHighWatermark, log)
        if let mark { log.raiseHighWatermark(to: mark) }
    }
}
