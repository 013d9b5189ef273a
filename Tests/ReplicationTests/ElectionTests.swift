import TallyRecords
import TallyReplication
import Testing

@Suite("Who leads next") struct ElectionTests {
    private func ids(_ numbers: [Int32]) -> [ReplicaID] { numbers.map { ReplicaID($0) } }

    private func state(
        _ replicas: [Int32], inSync: [Int32], leader: Int32?, target: [Int32]? = nil
    ) -> PartitionState {
        PartitionState(
            replicas: ids(replicas), inSyncReplicas: ids(inSync),
            leader: leader.map { ReplicaID($0) }, leaderEpoch: LeaderEpoch(4), version: 7,
            target: target.map(ids))
    }

    private func elect(
        _ state: PartitionState, live: [Int32], unclean: Bool = false
    ) -> PartitionState? {
        Election(live: Set(ids(live)), isUncleanAllowed: unclean).next(after: state)
    }

    @Test("as long as the leader lives nothing changes")
    func alive() {
        #expect(elect(state([1, 2, 3], inSync: [1, 2], leader: 1), live: [1, 2]) == nil)
    }

    @Test("the first replica that is in sync and lives leads, in the next epoch; the dead leave")
    func dead() throws {
        let next = try #require(
            elect(state([1, 2, 3], inSync: [1, 3, 2], leader: 1), live: [2, 3]))
        #expect(next.leader == ReplicaID(2))
        #expect(next.inSyncReplicas == ids([3, 2]))
        #expect(next.leaderEpoch == LeaderEpoch(5))
        #expect(next.version == 8)
    }

    @Test("nobody leads where none that is in sync lives; the in-sync set stays")
    func nobody() throws {
        let offline = try #require(
            elect(state([1, 2, 3], inSync: [1], leader: 1), live: [2, 3]))
        #expect(offline.leader == nil)
        #expect(offline.inSyncReplicas == ids([1]))
        #expect(elect(offline, live: [2, 3]) == nil)
        let back = try #require(elect(offline, live: [1, 2, 3]))
        #expect(back.leader == ReplicaID(1))
        #expect(back.leaderEpoch == LeaderEpoch(6))
    }

    @Test("another leads only where unclean elections are allowed, and is alone in sync then")
    func unclean() throws {
        let next = try #require(
            elect(state([1, 2, 3], inSync: [1], leader: 1), live: [3], unclean: true))
        #expect(next.leader == ReplicaID(3))
        #expect(next.inSyncReplicas == ids([3]))
    }

    @Test("the preferred leader takes over only when it lives and is in sync")
    func preferred() {
        let election = Election(live: Set(ids([1, 2])))
        let taken = election.preferring(state([1, 2], inSync: [1, 2], leader: 2))
        #expect(taken?.leader == ReplicaID(1))
        #expect(taken?.leaderEpoch == LeaderEpoch(5))
        #expect(election.preferring(state([1, 2], inSync: [2], leader: 2)) == nil)
        #expect(election.preferring(state([3, 2], inSync: [3, 2], leader: 2)) == nil)
        #expect(election.preferring(state([2, 1], inSync: [1, 2], leader: 2)) == nil)
    }

    @Test("a move ends when all who are to have it are in sync; a leader that goes is followed")
    func moving() throws {
        let begun = try #require(
            Reassignment.begin(state([1, 2, 3], inSync: [1, 2, 3], leader: 1), to: ids([4, 2])))
        #expect(begun.replicas == ids([4, 2, 1, 3]))
        #expect(begun.target == ids([4, 2]))
        #expect(begun.leaderEpoch == LeaderEpoch(4))
        let live = Set(ids([1, 2, 3, 4]))
        #expect(Reassignment.finish(begun, live: live) == nil)
        let ready = begun.replacing(inSyncReplicas: ids([1, 2, 3, 4]))
        let done = try #require(Reassignment.finish(ready, live: live))
        #expect(done.replicas == ids([4, 2]))
        #expect(done.inSyncReplicas == ids([4, 2]))
        #expect(done.leader == ReplicaID(4))
        #expect(done.leaderEpoch == LeaderEpoch(5))
        #expect(done.target == nil)
        #expect(Reassignment.begin(done, to: ids([4, 2])) == nil)
        #expect(Reassignment.begin(done, to: []) == nil)
        #expect(Reassignment.begin(done, to: ids([3, 3])) == nil)
    }

    @Test("after a move the preferred one leads; where it is gone, who did, else the next")
    func leadingAfterwards() throws {
        let moved = state([2, 3, 1], inSync: [1, 2, 3], leader: 1, target: [2, 3])
        func leader(_ state: PartitionState, live: [Int32]) -> Int32? {
            Reassignment.finish(state, live: Set(ids(live)))?.leader?.rawValue
        }
        #expect(leader(moved, live: [1, 2, 3]) == 2)
        #expect(leader(moved, live: [1, 3]) == 3)
        #expect(leader(moved, live: [1]) == nil)
        // Who is to come is waited for, though nobody is to go.
        let grows = state([2, 1, 3], inSync: [1, 2], leader: 1, target: [2, 1, 3])
        #expect(leader(grows, live: [1, 2, 3]) == nil)
        let grown = state([2, 1, 3], inSync: [1, 2, 3], leader: 1, target: [2, 1, 3])
        #expect(leader(grown, live: [1, 3]) == 1)
        let stays = state([1, 3, 2], inSync: [1, 2, 3], leader: 1, target: [1, 3])
        let done = try #require(Reassignment.finish(stays, live: Set(ids([1, 2, 3]))))
        #expect(done.leader == ReplicaID(1) && done.leaderEpoch == stays.leaderEpoch)
    }

    @Test("a leader is asked for the preferred one, and answers, whoever else is in sync")
    func asking() throws {
        let all = Election(live: Set(ids([1, 2, 3])))
        let led = state([1, 2, 3], inSync: [1, 2], leader: 2)
        let asked = try #require(all.asking(led))
        #expect(asked.wantsPreferredLeader && asked.leader == ReplicaID(2))
        #expect(all.asking(asked) == nil)
        #expect(all.asking(state([1, 2], inSync: [1, 2], leader: 1)) == nil)
        #expect(all.asking(state([1, 2], inSync: [2], leader: 2)) == nil)
        #expect(all.asking(state([1, 2, 3], inSync: [1, 2], leader: 2, target: [1, 2])) == nil)
        // The controller leaves that to the leader.
        #expect(all.next(after: asked) == nil)
        let done = try #require(all.answering(asked))
        #expect(done.leader == ReplicaID(1) && !done.wantsPreferredLeader)
        #expect(done.inSyncReplicas == ids([1, 2]) && done.leaderEpoch == LeaderEpoch(5))
        #expect(all.answering(done) == nil)
        // It has gone meanwhile: nobody asks for it any more.
        let alone = try #require(Election(live: Set(ids([2]))).answering(asked))
        #expect(alone.leader == ReplicaID(2) && !alone.wantsPreferredLeader)
        #expect(alone.leaderEpoch == asked.leaderEpoch)
        let moving = try #require(Reassignment.begin(asked, to: ids([2, 3])))
        #expect(!moving.wantsPreferredLeader)
    }

    @Test("a move that is turned keeps who is in sync until the new ones are")
    func turned() throws {
        let moving = state([4, 2, 1], inSync: [1, 2], leader: 1, target: [4, 2])
        let turned = try #require(Reassignment.begin(moving, to: ids([3])))
        #expect(turned.replicas == ids([3, 2, 1]))
        #expect(turned.inSyncReplicas == ids([1, 2]))
    }
}

@Suite("Where replicas go") struct PlacementTests {
    private func members(_ racks: [String?]) -> [Placement.Member] {
        racks.enumerated().map { Placement.Member(ReplicaID(Int32($0.offset)), rack: $0.element) }
    }

    @Test("leaders and replicas are spread evenly", arguments: [3, 4, 5, 7])
    func even(_ count: Int) throws {
        let placement = Placement(on: members(Array(repeating: nil, count: count)))
        let partitions = try #require(
            placement.replicas(partitions: 60 * count, replicationFactor: 3))
        var leaders: [ReplicaID: Int] = [:]
        var all: [ReplicaID: Int] = [:]
        for replicas in partitions {
            #expect(Set(replicas).count == 3)
            leaders[replicas[0], default: 0] += 1
            for replica in replicas { all[replica, default: 0] += 1 }
        }
        #expect(leaders.values.allSatisfy { $0 == 60 })
        #expect(all.values.allSatisfy { $0 == 180 })
    }

    @Test("no rack has two replicas as long as there are racks for all")
    func racks() throws {
        let placement = Placement(on: members(["a", "a", "b", "b", "c", "c"]))
        let partitions = try #require(placement.replicas(partitions: 100, replicationFactor: 3))
        for replicas in partitions {
            #expect(Set(replicas.map { $0.rawValue / 2 }).count == 3)
        }
        let four = try #require(placement.replicas(partitions: 100, replicationFactor: 4))
        for replicas in four {
            #expect(Set(replicas).count == 4)
            #expect(Set(replicas.map { $0.rawValue / 2 }).count == 3)
        }
    }

    @Test("more replicas than members, or none, cannot be placed")
    func impossible() {
        let placement = Placement(on: members([nil, nil]))
        #expect(placement.replicas(partitions: 1, replicationFactor: 3) == nil)
        #expect(placement.replicas(partitions: 1, replicationFactor: 0) == nil)
        #expect(Placement(on: []).replicas(partitions: 1, replicationFactor: 1) == nil)
        #expect(placement.replicas(partitions: 0, replicationFactor: 2) == [])
    }
}
