import TallyRecords
import TallyReplication
import Testing

/// The controller takes members whose lease has ended out of in-sync sets: acknowledgements wait
/// for them no longer than that, however long `replica.lag.time.max.ms` is.
@Suite("Followers whose member is gone")
struct FencedFollowerTests {
    private func now(_ milliseconds: Int64) -> CoordinationInstant {
        CoordinationInstant(milliseconds: milliseconds)
    }

    @Test("They leave the in-sync set while the leader stays")
    func election() throws {
        let state = PartitionState(newWith: [1, 2, 3].map { ReplicaID($0) })
        let next = try #require(
            Election(live: [ReplicaID(1), ReplicaID(3)]).next(after: state))
        #expect(next.inSyncReplicas == [1, 3].map { ReplicaID($0) })
        #expect(next.leader == ReplicaID(1) && next.leaderEpoch == state.leaderEpoch)
        #expect(next.version == state.version + 1)
        #expect(Election(live: [ReplicaID(1), ReplicaID(3)]).next(after: next) == nil)
    }

    @Test("The leader does not wait for them, though they kept up a moment ago")
    func leader() throws {
        let state = PartitionState(newWith: [1, 2].map { ReplicaID($0) })
        var leader = PartitionLeader(
            ReplicaID(1), state: state, logEnd: Offset(0), ownEnd: Offset(0),
            highWatermark: Offset(0),
            configuration: ReplicationConfiguration(lagMillisecondsMax: 30_000), now: now(0))
        try leader.noteFetch(
            from: MemberProcess(ReplicaID(2), incarnation: 7), registered: 7,
            in: state.leaderEpoch, at: Offset(0), now: now(10))
        leader.noteOwn(logEnd: Offset(5), ownEnd: Offset(5), now: now(20))
        #expect(leader.highWatermark == Offset(0))
        leader.adopt(state.replacing(inSyncReplicas: [ReplicaID(1)]), now: now(30))
        #expect(leader.highWatermark == Offset(5))
        // It comes back: waited for again only when it has asked.
        try leader.noteFetch(
            from: MemberProcess(ReplicaID(2), incarnation: 7), registered: 7,
            in: state.leaderEpoch, at: Offset(5), now: now(40))
        #expect(leader.proposal?.inSyncReplicas == [1, 2].map { ReplicaID($0) })
    }
}
