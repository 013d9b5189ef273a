import TallyRecords
import TallyReplication
import Testing

/// Traps that others have fallen into, each with the name of its story.
@Suite("Known traps of replication") struct ReplicationTrapTests {
    private func at(_ milliseconds: Int64) -> CoordinationInstant {
        CoordinationInstant(milliseconds: milliseconds)
    }

    @Test("KIP-279: after fast failovers each log has epochs that the other never heard of")
    func fastFailovers() {
        // Both had epoch 0. One led in 1 and 3, the other in 2 and 4, and nobody fetched.
        var deposed = EpochLog([0, 0, 1, 1, 3])
        let leader = EpochLog([0, 0, 2, 2, 4, 4])
        #expect(deposed.agree(with: leader) <= 3)
        #expect(deposed == EpochLog([0, 0]))

        // The follower's newest epoch is unknown to the leader, and the leader's answer to it is
        // unknown to the follower: asking once would keep [0, 0, 1].
        var behind = EpochLog([0, 0, 1, 4])
        #expect(behind.agree(with: EpochLog([0, 2, 2, 3, 5])) >= 2)
        #expect(behind == EpochLog([0]))
    }

    @Test("KIP-101: the high watermark does not rise before what parts from the leader is gone")
    func watermarkBeforeTruncation() throws {
        // Three records of an old epoch that the leader does not have; its own end at 5.
        var log = EpochLog([0, 0, 1, 1, 1])
        let leader = EpochLog([0, 0, 2, 2, 2])
        var follower = PartitionFollower(ReplicaID(0), in: LeaderEpoch(2))
        #expect(follower.highWatermark(leaders: Offset(5), log) == nil)
        // A fetch instead of the question, as by a follower that forgot to ask.
        let end = try #require(leader.divergence(at: Offset(5), after: LeaderEpoch(1)))
        let cut = follower.diverged(end, log)
        log.truncate(to: try #require(cut))
        #expect(log == EpochLog([0, 0]))
        #expect(follower.highWatermark(leaders: Offset(5), log) == Offset(2))
    }

    @Test("a follower that was cut to nothing goes on from the beginning")
    func truncatedToNothing() {
        var log = EpochLog([1, 1])
        _ = log.agree(with: EpochLog([2, 2, 2]))
        #expect(log == EpochLog([]))
        let follower = PartitionFollower(ReplicaID(0), in: LeaderEpoch(3))
        #expect(follower.request(log) == .fetch(from: .zero, lastEpoch: .none))
        #expect(follower.hasAgreed(log))
        #expect(follower.highWatermark(leaders: Offset(3), log) == .zero)
        // The leader has nothing to object to a log without records.
        #expect(EpochLog([2, 2, 2]).divergence(at: .zero, after: .none) == nil)
    }

    @Test("a leader that has led without writing asks nobody to cut what it has itself")
    func epochWithoutData() {
        // It leads in 3, and its last record is of 1.
        let leader = EpochLog([0, 1, 1])
        #expect(leader.divergence(at: Offset(3), after: LeaderEpoch(1)) == nil)
        var follower = EpochLog([0, 1, 1])
        #expect(follower.agree(with: leader) == 1)
        #expect(follower == EpochLog([0, 1, 1]))
        // Another one led in 2 without writing either, and this one heard of it by nothing.
        var ahead = EpochLog([0, 1, 1, 1])
        #expect(ahead.agree(with: leader) == 1)
        #expect(ahead == EpochLog([0, 1, 1]))
    }

    @Test("a controller that was paused for longer than its lease changes nothing any more")
    func pausedController() throws {
        var store = CoordinationLedger()
        let state = PartitionState(newWith: [ReplicaID(1), ReplicaID(2)])
        let old = try store.grant(seconds: 1, now: at(0))
        let elected = try store.commit(
            CoordinationTransaction(operations: [
                .put(key: "controller", value: [1], lease: old.id),
                .put(key: "partitions/0", value: [0]),
            ]))
        guard case .success(let revision) = elected else {
            Issue.record("the first controller")
            return
        }
        let decided = Election(live: [ReplicaID(2)]).next(after: state)
        #expect(decided?.leader == ReplicaID(2))
        // It sleeps on what it decided; its lease ends, and somebody else is elected.
        store.expire(now: at(1000))
        let new = try store.grant(seconds: 1, now: at(1001))
        _ = try store.commit(
            CoordinationTransaction(
                conditions: [.absent(key: "controller")],
                operations: [.put(key: "controller", value: [2], lease: new.id)]))
        let late = try store.commit(
            CoordinationTransaction(
                conditions: [
                    .modified(key: "controller", revision: revision),
                    .modified(key: "partitions/0", revision: revision),
                ],
                operations: [.put(key: "partitions/0", value: [9])]))
        #expect(late == .conflict)
        #expect(store.entry(of: "partitions/0")?.value == [0])
        // Nor does it think itself that its lease is valid, by a clock that runs a tenth slow.
        #expect(!LeaseTerm(old, asked: at(0)).isValid(at: at(900)))
    }

    @Test("a leader that is cut off and drops all others acknowledges nothing by it")
    func shrinkingWhileCutOff() throws {
        let configuration = ReplicationConfiguration(lagMillisecondsMax: 100)
        var state = PartitionState(newWith: [ReplicaID(1), ReplicaID(2), ReplicaID(3)])
        var leader = PartitionLeader(
            ReplicaID(1), state: state, logEnd: .zero, ownEnd: .zero, highWatermark: .zero,
            configuration: configuration, now: at(0))
        leader.noteOwn(logEnd: Offset(5), ownEnd: Offset(5), now: at(1))
        leader.tick(at(1000))
        #expect(leader.proposal?.inSyncReplicas == [ReplicaID(1)])
        // The store cannot be reached: however long it takes, nothing is committed.
        for time in stride(from: Int64(1100), to: 60_000, by: 100) { leader.tick(at(time)) }
        #expect(leader.highWatermark == .zero)
        #expect(try !leader.isCommitted(before: Offset(1)))
        // Meanwhile another was elected; what the leader asked for comes too late and is of
        // another epoch than what it hears then.
        state = try #require(
            Election(live: [ReplicaID(2), ReplicaID(3)]).next(after: state))
        #expect(state.leader == ReplicaID(2))
        leader.adopt(state, now: at(60_000))
        #expect(leader.highWatermark == .zero)
        #expect(throws: ReplicationError.self) { try leader.check(state.leaderEpoch) }
    }

    @Test("a leader that was started anew leads in an epoch of its own, whatever wrote the state")
    func restartedLeader() {
        var fence = RestartFence()
        // It led in 3 before. The in-sync set may change behind its start, the epoch stays.
        let answers = [3, 3, 4, 2].map { fence.permits(LeaderEpoch($0)) }
        #expect(answers == [false, false, true, false])
        let state = PartitionState(newWith: [ReplicaID(1), ReplicaID(2)])
        let renewed = Election.renewing(state)
        #expect(renewed.leader == ReplicaID(1))
        #expect(renewed.leaderEpoch == LeaderEpoch(1))
        #expect(renewed.inSyncReplicas == state.inSyncReplicas)
        // Two records that it had not synced are at a follower only; it writes others in their
        // place, and the follower finds out.
        var follower = EpochLog([0, 0, 0])
        #expect(follower.agree(with: EpochLog([0, 1, 1])) == 1)
        #expect(follower == EpochLog([0]))
    }
}
