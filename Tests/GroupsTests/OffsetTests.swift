import TallyGroups
import TallyRecords
import Testing

@Suite("Offsets of groups")
struct OffsetTests {
    static let partition = TopicPartition(topic: "t", partition: 0)

    @Test("commits are fenced by member, generation and state")
    func fencing() throws {
        let groups = try CoordinatorHarness()
        let stranger = GroupCaller(memberID: "m", generation: 1)
        #expect(groups.commit(1, caller: stranger)?.code == 22)
        #expect(groups.commit(1) == nil)
        let ids = try groups.stable(2)
        let member = GroupCaller(memberID: ids[0], generation: 2)
        #expect(groups.commit(2) == .unknownMemberID(""))
        #expect(groups.commit(2, caller: member) == nil)
        #expect(
            groups.commit(3, caller: GroupCaller(memberID: ids[0], generation: 1))
                == .illegalGeneration(given: 1, current: 2))
        #expect(groups.commit(3, caller: GroupCaller(memberID: "who", generation: 2))?.code == 25)
        // While a rebalance is prepared, what was read can be committed; behind that it cannot.
        let waiting = try groups.join(ids[1], topics: ["u"])
        #expect(groups.commit(4, caller: member) == nil)
        try groups.join(ids[0])
        #expect(groups.answer(waiting)?.generation == 3)
        #expect(groups.commit(5, caller: member)?.code == 22)
        let next = GroupCaller(memberID: ids[0], generation: 3)
        #expect(groups.commit(5, caller: next) == .rebalanceInProgress)
        #expect(groups.fetch() == .success(4))
    }

    @Test("metadata that is too long and negative numbers are refused, alone")
    func refused() throws {
        let groups = try CoordinatorHarness { $0.offsetMetadataBytesMax = 3 }
        #expect(groups.commit(1, metadata: "ééé")?.code == 12)
        #expect(groups.commit(-1)?.code == 42)
        #expect(groups.commit(1, partition: -1)?.code == 42)
        #expect(groups.fetch() == nil)
        #expect(groups.commit(1, metadata: "abc") == nil)
    }

    @Test("what is committed outlives the coordinator, and a zombie of before cannot commit")
    func restart() throws {
        let memberIDs = MemberIDs()
        let before = try CoordinatorHarness(memberIDs: memberIDs)
        let ids = try before.stable(2)
        let zombie = GroupCaller(memberID: ids[0], generation: 2)
        #expect(before.commit(7, caller: zombie) == nil)
        let after = try CoordinatorHarness(store: before.store, memberIDs: memberIDs)
        #expect(after.fetch() == .success(7))
        #expect(after.generation == 2)
        #expect(after.commit(8, caller: zombie) == .unknownMemberID(ids[0]))
        let new = try after.stable(1)
        #expect(after.generation == 3)
        #expect(after.commit(8, caller: zombie) == .unknownMemberID(ids[0]))
        #expect(after.commit(8, caller: GroupCaller(memberID: new[0], generation: 2))?.code == 22)
        #expect(after.fetch() == .success(7))
    }

    @Test("a store that fails fails the commit, and nothing has changed")
    func storeFails() throws {
        let store = FailingStore()
        let groups = try CoordinatorHarness(store: store)
        #expect(groups.commit(1) == nil)
        store.isFailing = true
        #expect(groups.commit(2)?.code == 15)
        #expect(groups.fetch() == .success(1))
        #expect(
            groupError { () throws(GroupError) in try groups.box.machine.deleteGroup("g") }
                == .coordinatorNotAvailable(reason: "the disk is full"))
        #expect(groups.fetch() == .success(1))
    }

    @Test("offsets expire with their group's emptiness, and those of a simple group by themselves")
    func expiry() throws {
        let groups = try CoordinatorHarness {
            $0.offsetsRetentionMilliseconds = 100_000
            $0.offsetsRetentionCheckMilliseconds = 1000
        }
        let ids = try groups.stable(1)
        let member = GroupCaller(memberID: ids[0], generation: 1)
        #expect(groups.commit(1, caller: member) == nil)
        for _ in 0..<50 {
            groups.pass(milliseconds: 5000)
            #expect(groups.heartbeat(ids[0], 1) == nil)
        }
        groups.leave(ids[0])
        groups.pass(milliseconds: 99_000)
        #expect(groups.fetch() == .success(1))
        // One that is committed later stays longer.
        #expect(groups.commit(2, partition: 1) == nil)
        groups.pass(milliseconds: 1000)
        #expect(groups.fetch() == nil)
        #expect(groups.fetch(1) == .success(2))
        groups.pass(milliseconds: 99_000)
        #expect(groups.state == nil)
        #expect(try groups.store.loadGroups() == [])
    }

    @Test("groups and offsets are deleted only where nobody reads them")
    func deletion() throws {
        let groups = try CoordinatorHarness()
        #expect(
            groupError { () throws(GroupError) in try groups.box.machine.deleteGroup("g") }
                == .groupIDNotFound("g"))
        #expect(groups.commit(1) == nil)
        let ids = try groups.stable(1)
        #expect(
            groupError { () throws(GroupError) in try groups.box.machine.deleteGroup("g") }
                == .nonEmptyGroup("g"))
        let other = TopicPartition(topic: "old", partition: 0)
        let refused = try groups.box.machine.deleteOffsets(
            group: "g", partitions: [Self.partition, other], at: groups.time)
        #expect(refused == [Self.partition: .groupSubscribedToTopic("t")])
        groups.leave(ids[0])
        try groups.box.machine.deleteOffsets(
            group: "g", partitions: [Self.partition], at: groups.time
        ).forEach { Issue.record("\($0)") }
        #expect(groups.fetch() == nil)
        try groups.box.machine.deleteGroup("g")
        #expect(groups.box.machine.list() == [])
    }

    static func pend(
        _ groups: CoordinatorHarness, _ offset: Int64, producer: Int64 = 9, epoch: Int16 = 0
    ) -> GroupError? {
        groupError { () throws(GroupError) in
            _ = try groups.box.machine.commitInTransaction(
                OffsetCommitRequest(
                    group: "g", caller: .outside,
                    offsets: [partition: .init(offset: Offset(offset))]),
                producerID: producer, producerEpoch: epoch, at: groups.time)
        }
    }

    static func end(
        _ groups: CoordinatorHarness, _ isCommitted: Bool, epoch: Int16 = 0
    ) -> GroupError? {
        groupError { () throws(GroupError) in
            try groups.box.machine.endTransaction(
                producerID: 9, producerEpoch: epoch, isCommitted: isCommitted, at: groups.time)
        }
    }

    @Test("a transaction's offsets are seen when it commits, and never when it aborts")
    func transactions() throws {
        let groups = try CoordinatorHarness()
        #expect(groups.commit(1) == nil)
        #expect(Self.pend(groups, 5) == nil)
        #expect(groups.fetch() == .success(1))
        #expect(groups.fetch(stable: true) == .failure(.unstableOffsetCommit))
        // Also behind a restart.
        let after = try CoordinatorHarness(store: groups.store)
        #expect(after.fetch(stable: true) == .failure(.unstableOffsetCommit))
        #expect(Self.end(after, true) == nil)
        #expect(after.fetch(stable: true) == .success(5))
        #expect(Self.pend(after, 6, epoch: 1) == nil)
        #expect(Self.end(after, false, epoch: 1) == nil)
        #expect(after.fetch(stable: true) == .success(5))
        #expect(Self.end(after, true, epoch: 1) == nil)
        #expect(after.fetch() == .success(5))
    }

    @Test("a commit behind a transaction's counts, however late the transaction ends")
    func transactionIsOlder() throws {
        let groups = try CoordinatorHarness()
        #expect(Self.pend(groups, 5) == nil)
        #expect(groups.commit(9) == nil)
        let after = try CoordinatorHarness(store: groups.store)
        #expect(Self.end(after, true) == nil)
        #expect(after.fetch(stable: true) == .success(9))
    }

    @Test("old epochs are refused, and two transactions of a producer never mix")
    func transactionEpochs() throws {
        let groups = try CoordinatorHarness()
        #expect(Self.pend(groups, 5, epoch: 3) == nil)
        #expect(Self.pend(groups, 6, epoch: 2)?.code == 47)
        #expect(Self.pend(groups, 6, epoch: 4) == .concurrentTransactions)
        #expect(Self.end(groups, true, epoch: 2)?.code == 47)
        #expect(Self.end(groups, false, epoch: 4) == nil)
        #expect(groups.fetch() == nil)
        #expect(Self.pend(groups, 6, epoch: 4) == nil)
    }

    @Test("a topic that is deleted takes its offsets along, pending ones too")
    func topicDeleted() throws {
        let groups = try CoordinatorHarness()
        #expect(groups.commit(1) == nil)
        #expect(Self.pend(groups, 5) == nil)
        try groups.box.machine.topicDeleted("t")
        #expect(groups.fetch(stable: true) == nil)
        let stored = try groups.store.loadGroups().first
        #expect(stored?.offsets == [:] && stored?.pendingOffsets == [])
    }
}
