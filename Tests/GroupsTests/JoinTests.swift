import TallyGroups
import TallyRecords
import Testing

@Suite("Joining a group")
struct JoinTests {
    @Test("a new member first gets an id where its client knows that, and joins with it")
    func memberIDRequired() throws {
        let groups = try CoordinatorHarness()
        let first = try groups.join(knownID: true)
        guard case .memberIDRequired(let id)? = groups.joinError(first) else {
            Issue.record("no id was given")
            return
        }
        #expect(id.hasPrefix("c-"))
        #expect(groups.state == .empty)
        let second = try groups.join(id, knownID: true)
        #expect(groups.answer(second)?.generation == 1)
        #expect(groups.answer(second)?.isLeader == true)
        #expect(groups.answer(second)?.members.map(\.memberID) == [id])
        #expect(groups.state == .completingRebalance)
    }

    @Test("an id that is not used before the session timeout is worth nothing")
    func pendingExpires() throws {
        let groups = try CoordinatorHarness()
        guard case .memberIDRequired(let id)? = groups.joinError(try groups.join(knownID: true))
        else { return }
        groups.pass(milliseconds: 10_000)
        let late = try groups.join(id, knownID: true)
        #expect(groups.joinError(late) == .unknownMemberID(id))
    }

    @Test("a rebalance waits for members that have an id and have not joined yet")
    func pendingIsWaitedFor() throws {
        let groups = try CoordinatorHarness()
        let ids = try groups.stable(1)
        guard case .memberIDRequired(let id)? = groups.joinError(try groups.join(knownID: true))
        else { return }
        let again = try groups.join(ids[0])
        #expect(groups.answer(again) == nil)
        let other = try groups.join(id)
        #expect(groups.answer(again)?.members.count == 2)
        #expect(groups.answer(other)?.leaderID == ids[0])
        #expect(groups.answer(other)?.members == [])
    }

    @Test(
        "the first rebalance waits the initial delay, longer while members come, but not for ever")
    func initialDelay() throws {
        let groups = try CoordinatorHarness { $0.initialRebalanceDelayMilliseconds = 3000 }
        let first = try groups.join(rebalance: 7000)
        groups.pass(milliseconds: 2000)
        let second = try groups.join(rebalance: 7000)
        groups.pass(milliseconds: 1000)
        #expect(groups.joins.isEmpty)
        groups.pass(milliseconds: 2000)
        let third = try groups.join(rebalance: 7000)
        groups.pass(milliseconds: 1000)
        #expect(groups.joins.isEmpty)
        groups.pass(milliseconds: 1000)
        #expect(groups.answer(first)?.members.count == 3)
        #expect(groups.answer(second) != nil && groups.answer(third) != nil)
    }

    @Test("a member that does not join again in the longest rebalance timeout is out")
    func rebalanceTimeout() throws {
        let groups = try CoordinatorHarness()
        let ids = try groups.stable(2)
        let third = try groups.join(rebalance: 20_000)
        let again = try groups.join(ids[0])
        // The silent one keeps its session with heartbeats, which tell it to join.
        for _ in 0..<11 {
            groups.pass(milliseconds: 5000)
            #expect(groups.heartbeat(ids[1], 2) == .rebalanceInProgress)
        }
        #expect(groups.answer(third) == nil)
        groups.pass(milliseconds: 5000)
        #expect(groups.answer(third)?.generation == 3)
        #expect(groups.answer(again)?.members.count == 2)
        #expect(groups.heartbeat(ids[1], 2) == .unknownMemberID(ids[1]))
    }

    @Test("a member whose session ends is out, and the others share its partitions")
    func sessionTimeout() throws {
        let groups = try CoordinatorHarness()
        let ids = try groups.stable(2)
        groups.pass(milliseconds: 6000)
        #expect(groups.heartbeat(ids[0], 2) == nil)
        groups.pass(milliseconds: 4000)
        #expect(groups.memberIDs == [ids[0]])
        #expect(groups.heartbeat(ids[0], 2) == .rebalanceInProgress)
        #expect(groups.heartbeat(ids[1], 2) == .unknownMemberID(ids[1]))
        let again = try groups.join(ids[0])
        #expect(groups.answer(again)?.generation == 3)
    }

    @Test("a leader that dies is followed by the first member that has joined")
    func leaderElection() throws {
        let groups = try CoordinatorHarness()
        let ids = try groups.stable(3)
        groups.leave(ids[0])
        let third = try groups.join(ids[2])
        let second = try groups.join(ids[1])
        #expect(groups.answer(third)?.leaderID == ids[1])
        #expect(groups.answer(second)?.members.map(\.memberID) == [ids[1], ids[2]])
    }

    @Test("the protocol that most members like best of those that all know is chosen")
    func vote() throws {
        let groups = try CoordinatorHarness()
        let first = try groups.join(names: ["a", "b", "c"])
        let second = try groups.join(names: ["c", "b"])
        let third = try groups.join(names: ["b", "c", "x"])
        _ = (second, third)
        let id = try #require(groups.answer(first)?.memberID)
        let again = try groups.join(id, names: ["a", "b", "c"])
        #expect(groups.answer(again)?.protocolName == "b")
        let foreign = try groups.join(names: ["a"])
        guard case .inconsistentGroupProtocol? = groups.joinError(foreign) else {
            Issue.record("a member that shares no protocol was let in")
            return
        }
        let other = try groups.join(names: ["b"], type: "connect")
        #expect(groups.joinError(other)?.code == 23)
    }

    @Test("who joins again unchanged disturbs nobody, unless it leads")
    func rejoinUnchanged() throws {
        let groups = try CoordinatorHarness()
        let ids = try groups.stable(2)
        let follower = try groups.join(ids[1])
        #expect(groups.answer(follower)?.generation == 2)
        #expect(groups.state == .stable)
        let changed = try groups.join(ids[1], topics: ["t", "u"])
        #expect(groups.answer(changed) == nil)
        #expect(groups.state == .preparingRebalance)
        try groups.join(ids[0])
        #expect(groups.answer(changed)?.generation == 3)
        // Before the leader has told the assignment, the answer is given again.
        let leader = try groups.join(ids[0])
        #expect(groups.answer(leader)?.generation == 3)
        #expect(groups.answer(leader)?.members.count == 2)
        for id in ids { groups.sync(id, 3) }
        let stableLeader = try groups.join(ids[0])
        #expect(groups.answer(stableLeader) == nil)
        #expect(groups.state == .preparingRebalance)
    }

    @Test("limits: group.max.size, session timeouts, group ids, unknown members")
    func limits() throws {
        let groups = try CoordinatorHarness { $0.groupSizeMax = 2 }
        _ = try groups.stable(2)
        let third = try groups.join()
        #expect(groups.joinError(third) == .groupMaxSizeReached(limit: 2))
        #expect(groups.state == .stable)
        groups.leave(groups.memberIDs[0])
        groups.leave(groups.memberIDs[0])
        #expect(groups.joinError(try groups.join(session: 5999))?.code == 26)
        #expect(groups.joinError(try groups.join(session: 1_800_001))?.code == 26)
        #expect(groups.joinError(try groups.join("who")) == .unknownMemberID("who"))
        #expect(groups.joinError(try groups.join(names: []))?.code == 23)
        #expect(groups.joinError(try groups.join(names: ["a", "a"]))?.code == 42)
        let empty = GroupToken(999)
        groups.box.join(
            JoinRequest(group: "", clientID: "c", protocols: []), token: empty, at: groups.time)
        #expect(
            groups.box.takeEffects() == [.joinAnswered(empty, .failure(.invalidGroupID("")))])
    }

    @Test("a second join of a member answers the first, so that no token is left over")
    func superseded() throws {
        let groups = try CoordinatorHarness()
        let ids = try groups.stable(2)
        let first = try groups.join(ids[0])
        let second = try groups.join(ids[0])
        #expect(groups.joinError(first) == .rebalanceInProgress)
        #expect(groups.joins[second] == nil)
    }

    @Test("a generation that the store does not take is begun later, and nobody hears of it before")
    func storeFails() throws {
        let store = FailingStore()
        let groups = try CoordinatorHarness(store: store)
        let ids = try groups.stable(1)
        store.isFailing = true
        let failed = try groups.join(ids[0])
        #expect(groups.joinError(failed)?.code == 15)
        #expect(groups.generation == 1)
        store.isFailing = false
        let again = try groups.join(ids[0])
        #expect(groups.answer(again)?.generation == 2)
        #expect(groups.box.verify() == nil)
    }
}
