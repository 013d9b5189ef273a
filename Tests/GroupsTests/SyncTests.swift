import TallyGroups
import TallyRecords
import Testing

@Suite("Syncing, leaving and static members")
struct SyncTests {
    @Test("followers wait for the leader's assignment, and get it again when they ask again")
    func sync() throws {
        let groups = try CoordinatorHarness()
        try groups.join()
        let leader = groups.memberIDs[0]
        try groups.join()
        try groups.join(leader)
        let follower = groups.memberIDs[1]
        let waiting = groups.sync(follower, 2)
        #expect(groups.syncs[waiting] == nil)
        let told = groups.sync(leader, 2, [leader: [1], follower: [2]])
        #expect(try groups.syncs[told]?.get().assignment == [1])
        #expect(try groups.syncs[waiting]?.get().assignment == [2])
        #expect(groups.state == .stable)
        let again = groups.sync(follower, 2)
        #expect(try groups.syncs[again]?.get().assignment == [2])
        #expect(groups.syncError(groups.sync(follower, 1))?.code == 22)
        #expect(groups.syncError(groups.sync("who", 2)) == .unknownMemberID("who"))
    }

    @Test("a rebalance that begins before the leader is done sends those that wait to join again")
    func syncInterrupted() throws {
        let groups = try CoordinatorHarness()
        try groups.join()
        let leader = groups.memberIDs[0]
        try groups.join()
        try groups.join(leader)
        let follower = groups.memberIDs[1]
        let waiting = groups.sync(follower, 2)
        try groups.join()
        #expect(groups.syncError(waiting) == .rebalanceInProgress)
        #expect(groups.syncError(groups.sync(leader, 2)) == .rebalanceInProgress)
    }

    @Test("who has joined and does not sync in the rebalance timeout is out")
    func syncTimeout() throws {
        let groups = try CoordinatorHarness()
        try groups.join(rebalance: 8000)
        let leader = groups.memberIDs[0]
        groups.pass(milliseconds: 7000)
        #expect(groups.heartbeat(leader, 1) == nil)
        groups.pass(milliseconds: 1000)
        #expect(groups.state == .empty)
        #expect(groups.generation == 2)
        #expect(groups.heartbeat(leader, 1) == .unknownMemberID(leader))
    }

    @Test("members leave by id or instance id, and the last one leaves the group empty")
    func leave() throws {
        let groups = try CoordinatorHarness()
        let ids = try groups.stable(2, instances: [nil, "static"])
        #expect(groups.leave("who") == .unknownMemberID("who"))
        #expect(groups.leave("who", instance: "static") == .fencedInstanceID("static"))
        #expect(groups.leave("", instance: "other") == .unknownMemberID(""))
        #expect(groups.state == .stable)
        #expect(groups.leave("", instance: "static") == nil)
        #expect(groups.state == .preparingRebalance)
        #expect(groups.leave(ids[0]) == nil)
        #expect(groups.state == .empty)
        #expect(groups.generation == 3)
    }

    @Test("a member that leaves while its join waits gets an answer, and the others go on")
    func leaveWhileWaiting() throws {
        let groups = try CoordinatorHarness()
        let ids = try groups.stable(2)
        let waiting = try groups.join(ids[0])
        groups.leave(ids[0])
        #expect(groups.joinError(waiting) == .unknownMemberID(ids[0]))
        let other = try groups.join(ids[1])
        #expect(groups.answer(other)?.isLeader == true)
    }

    @Test("a static member that restarts gets its assignment back without a rebalance")
    func staticRestart() throws {
        let groups = try CoordinatorHarness()
        let ids = try groups.stable(2, instances: ["one", "two"])
        groups.pass(milliseconds: 5000)
        let back = try groups.join(instance: "two", topics: ["t"])
        let answer = try #require(groups.answer(back))
        #expect(answer.generation == 2 && answer.memberID != ids[1])
        #expect(groups.state == .stable)
        let synced = groups.sync(answer.memberID, 2, instance: "two")
        #expect(try groups.syncs[synced]?.get().assignment == Array(ids[1].utf8))
        #expect(groups.heartbeat(ids[1], 2, instance: "two") == .fencedInstanceID("two"))
        #expect(groups.heartbeat(ids[0], 2, instance: "one") == nil)
        let old = GroupCaller(memberID: ids[1], instanceID: "two", generation: 2)
        #expect(groups.commit(5, caller: old) == .fencedInstanceID("two"))
        let fenced = try groups.join(ids[1], instance: "two")
        #expect(groups.joinError(fenced) == .fencedInstanceID("two"))
    }

    @Test("what a static member owned does not count as a change of its subscription; topics do")
    func staticSubscription() throws {
        let groups = try CoordinatorHarness()
        let ids = try groups.stable(2, instances: ["one", "two"])
        let owned = [TopicPartitions(topic: "t", partitions: [1])]
        #expect(groups.answer(try groups.join(instance: "two", owned: owned)) != nil)
        let changed = try groups.join(instance: "two", topics: ["t", "u"])
        #expect(groups.answer(changed) == nil)
        #expect(groups.state == .preparingRebalance)
        try groups.join(ids[0], instance: "one")
        #expect(groups.answer(changed)?.generation == 3)
    }

    @Test("a static leader that restarts need not compute anything", arguments: [true, false])
    func staticLeader(skips: Bool) throws {
        let groups = try CoordinatorHarness()
        let ids = try groups.stable(2, instances: ["one", "two"])
        let back = try #require(groups.answer(try groups.join(instance: "one", skips: skips)))
        #expect(back.skipsAssignment == skips)
        #expect(back.isLeader == skips)
        #expect(back.members.count == (skips ? 2 : 0))
        #expect(back.leaderID == (skips ? back.memberID : ids[0]))
        #expect(groups.state == .stable)
    }

    @Test("a duplicate of a static member ends the wait of the first")
    func staticDuplicate() throws {
        let groups = try CoordinatorHarness { $0.initialRebalanceDelayMilliseconds = 3000 }
        let first = try groups.join(instance: "one")
        let second = try groups.join(instance: "one")
        #expect(groups.joinError(first) == .fencedInstanceID("one"))
        groups.pass(milliseconds: 3000)
        #expect(groups.answer(second)?.members.count == 1)
    }

    @Test("a static member that is away keeps its place through rebalances until its session ends")
    func staticAway() throws {
        let groups = try CoordinatorHarness()
        let ids = try groups.stable(2, instances: [nil, "two"])
        let joined = try groups.join(ids[0], topics: ["t", "u"], rebalance: 2000)
        groups.pass(milliseconds: 9999)
        #expect(groups.memberIDs == ids)
        groups.pass(milliseconds: 1)
        #expect(groups.memberIDs == [ids[0]])
        #expect(groups.answer(joined)?.generation == 3)
    }
}
