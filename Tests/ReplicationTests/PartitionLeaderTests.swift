import TallyRecords
import TallyReplication
import Testing

@Suite("A leader counts who is in sync") struct PartitionLeaderTests {
    private let configuration = ReplicationConfiguration(
        inSyncReplicasMin: 2, lagMillisecondsMax: 1000)

    private func at(_ milliseconds: Int64) -> CoordinationInstant {
        CoordinationInstant(milliseconds: milliseconds)
    }

    private func state(inSync: [Int32] = [1, 2, 3], version: Int32 = 5) -> PartitionState {
        PartitionState(
            replicas: [1, 2, 3].map { ReplicaID($0) },
            inSyncReplicas: inSync.map { ReplicaID($0) }, leader: ReplicaID(1),
            leaderEpoch: LeaderEpoch(4), version: version)
    }

    private func leader(
        inSync: [Int32] = [1, 2, 3], end: Int64 = 10, highWatermark: Int64 = 10
    ) -> PartitionLeader {
        PartitionLeader(
            ReplicaID(1), state: state(inSync: inSync), logEnd: Offset(end), ownEnd: Offset(end),
            highWatermark: Offset(highWatermark), configuration: configuration, now: at(0))
    }

    private func fetch(
        _ leader: inout PartitionLeader, _ follower: Int32, at offset: Int64, epoch: Int32 = 4,
        now: Int64 = 0, incarnation: UInt64 = 7, registered: UInt64? = 7
    ) throws {
        try leader.noteFetch(
            from: MemberProcess(ReplicaID(follower), incarnation: incarnation),
            registered: registered, in: LeaderEpoch(epoch), at: Offset(offset), now: at(now))
    }

    @Test("the high watermark is the least end of all in sync, and of the leader what is safe")
    func least() throws {
        var leader = leader()
        leader.noteOwn(logEnd: Offset(20), ownEnd: Offset(18), now: at(1))
        #expect(leader.highWatermark == Offset(10))
        try fetch(&leader, 2, at: 20)
        #expect(leader.highWatermark == Offset(10))
        try fetch(&leader, 3, at: 15)
        #expect(leader.highWatermark == Offset(15))
        try fetch(&leader, 3, at: 20)
        #expect(leader.highWatermark == Offset(18))
        leader.noteOwn(logEnd: Offset(20), ownEnd: Offset(20), now: at(2))
        #expect(leader.highWatermark == Offset(20))
        #expect(try leader.isCommitted(before: Offset(20)))
        #expect(try !leader.isCommitted(before: Offset(21)))
    }

    @Test("a fetch of a process that is not the registered one counts for nothing")
    func stale() throws {
        var leader = leader(inSync: [1, 2])
        leader.noteOwn(logEnd: Offset(20), ownEnd: Offset(20), now: at(1))
        let before = leader
        for (follower, registered) in [(2, 8), (2, nil), (3, 8), (3, nil)] as [(Int32, UInt64?)] {
            #expect(throws: ReplicationError.staleProcess(ReplicaID(follower))) {
                try fetch(&leader, follower, at: 20, registered: registered)
            }
        }
        #expect(leader == before)
        try fetch(&leader, 3, at: 20)
        #expect(leader.joining == MemberProcess(ReplicaID(3), incarnation: 7))
    }

    @Test("who joined as a process that is gone is waited for no more once that is certain")
    func givingUp() throws {
        var leader = leader(inSync: [1, 2])
        leader.noteOwn(logEnd: Offset(20), ownEnd: Offset(20), now: at(1))
        try fetch(&leader, 3, at: 20)
        let proposal = try #require(leader.proposal)
        try fetch(&leader, 2, at: 20)
        // Another process of the member, which has less.
        leader.noteOwn(logEnd: Offset(30), ownEnd: Offset(30), now: at(2))
        try fetch(&leader, 2, at: 30)
        try fetch(&leader, 3, at: 0, incarnation: 8, registered: 8)
        #expect(leader.highWatermark == Offset(20))
        #expect(leader.proposal == proposal && leader.joining?.incarnation == 7)
        leader.giveUp(proposal, now: at(3))
        #expect(leader.proposal == nil && leader.joining == nil)
        #expect(leader.highWatermark == Offset(30))
        // A proposal that takes in nobody stands.
        leader.noteOwn(logEnd: Offset(40), ownEnd: Offset(40), now: at(4))
        leader.tick(at(5000))
        let shrinking = try #require(leader.proposal)
        leader.giveUp(shrinking, now: at(5000))
        #expect(leader.proposal == shrinking)
    }

    @Test("a fetch in another epoch, or of nobody's replica, counts for nothing")
    func deposed() throws {
        var leader = leader()
        leader.noteOwn(logEnd: Offset(20), ownEnd: Offset(20), now: at(1))
        let before = leader
        #expect(
            throws: ReplicationError.fencedLeaderEpoch(
                sender: LeaderEpoch(3), leader: LeaderEpoch(4))
        ) { try fetch(&leader, 2, at: 20, epoch: 3) }
        #expect(
            throws: ReplicationError.unknownLeaderEpoch(
                sender: LeaderEpoch(5), leader: LeaderEpoch(4))
        ) { try fetch(&leader, 2, at: 20, epoch: 5) }
        #expect(throws: ReplicationError.notReplica(ReplicaID(7))) {
            try fetch(&leader, 7, at: 20)
        }
        #expect(throws: ReplicationError.notReplica(ReplicaID(1))) {
            try fetch(&leader, 1, at: 20)
        }
        #expect(leader == before)
    }

    @Test("until the store has confirmed that somebody leaves, what is committed is in theirs too")
    func leaving() throws {
        var leader = leader()
        try fetch(&leader, 2, at: 10, now: 1)
        try fetch(&leader, 3, at: 10, now: 1)
        leader.noteOwn(logEnd: Offset(20), ownEnd: Offset(20), now: at(2))
        try fetch(&leader, 2, at: 20, now: 1002)
        leader.tick(at(1002))
        let proposal = try #require(leader.proposal)
        #expect(proposal.inSyncReplicas == [ReplicaID(1), ReplicaID(2)])
        #expect(proposal.version == 6)
        #expect(leader.highWatermark == Offset(10))
        leader.adopt(proposal, now: at(1003))
        #expect(leader.proposal == nil)
        #expect(leader.highWatermark == Offset(20))
    }

    @Test("somebody who comes counts from the moment that the store is asked")
    func joining() throws {
        var leader = leader(inSync: [1, 2])
        try fetch(&leader, 2, at: 10, now: 1)
        try fetch(&leader, 3, at: 9, now: 1)
        #expect(leader.proposal == nil)
        try fetch(&leader, 3, at: 10, now: 2)
        #expect(leader.proposal?.inSyncReplicas == [1, 2, 3].map { ReplicaID($0) })
        leader.noteOwn(logEnd: Offset(20), ownEnd: Offset(20), now: at(3))
        try fetch(&leader, 2, at: 20, now: 4)
        #expect(leader.highWatermark == Offset(10))
        try fetch(&leader, 3, at: 20, now: 5)
        #expect(leader.highWatermark == Offset(20))
    }

    @Test("who keeps up and is not in sync yet is waited for, and no longer than it keeps up")
    func keepingUp() throws {
        var leader = leader(inSync: [1, 2])
        leader.noteOwn(logEnd: Offset(20), ownEnd: Offset(20), now: at(1))
        try fetch(&leader, 3, at: 9, now: 1)
        try fetch(&leader, 2, at: 20, now: 2)
        #expect(leader.highWatermark == Offset(10))
        leader.tick(at(1001))
        #expect(leader.highWatermark == Offset(20))
    }

    @Test("a proposal stands until the store has gone on from what it was based on")
    func unanswered() throws {
        var leader = leader(inSync: [1, 2])
        try fetch(&leader, 3, at: 10, now: 1)
        let proposal = leader.proposal
        #expect(proposal != nil)
        leader.adopt(state(inSync: [1, 2], version: 5), now: at(2))
        #expect(leader.proposal == proposal)
        leader.tick(at(5000))
        #expect(leader.proposal == proposal)
        leader.adopt(state(inSync: [1, 2], version: 6), now: at(5001))
        #expect(leader.proposal != proposal)
    }

    @Test("too few in sync: refused before the append, told apart behind it")
    func tooFew() throws {
        var alone = leader(inSync: [1])
        #expect(throws: ReplicationError.notEnoughReplicas(inSync: 1, min: 2)) {
            try alone.checkAppend()
        }
        alone.noteOwn(logEnd: Offset(11), ownEnd: Offset(11), now: at(1))
        #expect(alone.highWatermark == Offset(11))
        #expect(throws: ReplicationError.notEnoughReplicasAfterAppend(inSync: 1, min: 2)) {
            try alone.isCommitted(before: Offset(11))
        }
        try leader().checkAppend()
    }

    @Test("a new leader tells of no high watermark below what was there when it began")
    func uncertain() throws {
        var leader = leader(end: 10, highWatermark: 7)
        #expect(throws: ReplicationError.offsetNotAvailable) {
            try leader.highWatermarkForConsumers()
        }
        try fetch(&leader, 2, at: 10)
        try fetch(&leader, 3, at: 8)
        #expect(throws: ReplicationError.offsetNotAvailable) {
            try leader.highWatermarkForConsumers()
        }
        try fetch(&leader, 3, at: 10)
        #expect(try leader.highWatermarkForConsumers() == Offset(10))
    }

    @Test("who kept up and is gone, and is not in sync, is not waited for")
    func gone() throws {
        var other = leader(inSync: [1, 2])
        other.change({ $0.replacing(inSyncReplicas: $0.inSyncReplicas) }, now: at(1))
        // Something else is under way: it is counted, and does not join.
        try fetch(&other, 3, at: 10, now: 2)
        other.noteOwn(logEnd: Offset(20), ownEnd: Offset(20), now: at(3))
        try fetch(&other, 2, at: 20, now: 4)
        #expect(other.highWatermark == Offset(10), "it keeps up")
        other.noteLive([ReplicaID(1), ReplicaID(2)], now: at(5))
        #expect(other.highWatermark == Offset(20))
        // Who is in sync is, until the store has it otherwise.
        var third = leader(inSync: [1, 2])
        third.noteOwn(logEnd: Offset(20), ownEnd: Offset(20), now: at(3))
        third.noteLive([ReplicaID(1)], now: at(5))
        #expect(third.highWatermark == Offset(10))
    }

    /// The state in which member 2 leads.
    private func handedOver(_ state: PartitionState) -> PartitionState {
        var next = state.replacing(inSyncReplicas: state.inSyncReplicas)
        next.leader = ReplicaID(2)
        next.leaderEpoch = state.leaderEpoch.next
        return next
    }

    @Test("who has asked for another leader answers nobody, until the store has gone on")
    func handingOver() throws {
        var leader = leader()
        leader.change(handedOver, now: at(1))
        #expect(leader.isHandingOver && leader.proposal == handedOver(state()))
        #expect(throws: ReplicationError.handingOver) { try leader.checkAppend() }
        #expect(throws: ReplicationError.handingOver) { try leader.isCommitted(before: Offset(1)) }
        #expect(throws: ReplicationError.handingOver) { try leader.highWatermarkForConsumers() }
        // It may be carried out late: nothing that happens meanwhile takes it back.
        let asked = leader.proposal
        try fetch(&leader, 2, at: 10, now: 5000)
        leader.tick(at(5000))
        leader.change({ $0.replacing(inSyncReplicas: [ReplicaID(1)]) }, now: at(5000))
        #expect(leader.proposal == asked && leader.isHandingOver)
        // Somebody else came first: it never will be.
        leader.adopt(state(inSync: [1, 2], version: 6), now: at(5001))
        #expect(!leader.isHandingOver)
        try leader.checkAppend()
        #expect(try leader.highWatermarkForConsumers() == Offset(10))
    }

    @Test("a leader that was refused leads on, unless another attempt may be carried out late")
    func refused() throws {
        var leader = leader()
        leader.change(handedOver, now: at(1))
        let asked = try #require(leader.proposal)
        leader.noteRefused(asked)
        #expect(!leader.isHandingOver && leader.proposal == nil)
        try leader.checkAppend()
        leader.change(handedOver, now: at(2))
        leader.noteUnknown(asked)
        leader.noteRefused(asked)
        #expect(leader.isHandingOver)
        // The store has gone on, and the next attempt begins anew.
        leader.adopt(state(version: 6), now: at(3))
        leader.change(handedOver, now: at(3))
        let next = try #require(leader.proposal)
        leader.noteUnknown(asked)
        leader.noteRefused(next)
        #expect(!leader.isHandingOver)
        // What leaves the leader where it is stands until the store has gone on.
        leader.tick(at(9000))
        let shrunk = try #require(leader.proposal)
        leader.noteRefused(shrunk)
        #expect(leader.proposal == shrunk)
    }

    @Test("nothing is asked for beside something else that is under way")
    func oneAtATime() throws {
        var leader = leader()
        leader.tick(at(5000))
        let asked = try #require(leader.proposal)
        leader.change(handedOver, now: at(5000))
        #expect(leader.proposal == asked && !leader.isHandingOver)
        // A change that leaves the leader where it is stops nothing.
        var other = self.leader()
        other.change({ $0.replacing(inSyncReplicas: $0.inSyncReplicas) }, now: at(1))
        #expect(other.proposal != nil && !other.isHandingOver)
        try other.checkAppend()
    }

    @Test("under steady appends who reached the end of a moment ago keeps up")
    func steady() throws {
        var leader = leader(inSync: [1, 2, 3])
        for step in Int64(1)...40 {
            leader.noteOwn(
                logEnd: Offset(10 + step), ownEnd: Offset(10 + step), now: at(100 * step))
            try fetch(&leader, 2, at: 10 + step, now: 100 * step)
            try fetch(&leader, 3, at: 9 + step, now: 100 * step)
            leader.tick(at(100 * step))
            #expect(leader.proposal == nil)
        }
    }
}
