import TallyRecords
import TallyReplication
import Testing

@Suite("What a member does that may have lost a log") struct LostLogTests {
    private let process = MemberProcess(ReplicaID(1), incarnation: 7)

    private func state(inSync: [Int32], leader: Int32? = 2, epoch: Int32 = 4) -> PartitionState {
        PartitionState(
            replicas: [1, 2, 3].map { ReplicaID($0) },
            inSyncReplicas: inSync.map { ReplicaID($0) }, leader: leader.map { ReplicaID($0) },
            leaderEpoch: LeaderEpoch(epoch), version: 9)
    }

    private func step(
        inSync: [Int32], registered: UInt64?, hasLog: Bool = false
    ) -> LostLog {
        LostLog(
            of: process, in: state(inSync: inSync), registered: registered, hasLog: hasLog)
    }

    @Test("as long as the process before is registered nothing is done", arguments: [[], [1], [2]])
    func before(_ others: [Int32]) {
        #expect(step(inSync: [1] + others, registered: 6) == .waits)
        #expect(!step(inSync: [2], registered: 6).permitsRegistration)
    }

    @Test("it leaves where others are in sync, is registered then, and begins")
    func order() {
        #expect(step(inSync: [1, 2], registered: nil) == .leaves)
        #expect(!step(inSync: [1, 2], registered: nil).permitsRegistration)
        #expect(step(inSync: [2], registered: nil) == .registers)
        #expect(step(inSync: [2], registered: nil).permitsRegistration)
        #expect(step(inSync: [2], registered: 7) == .begins)
        #expect(step(inSync: [1, 2], registered: 7) == .leaves)
    }

    @Test("the only one in sync stays away without a log, and goes on with what is left of one")
    func alone() {
        #expect(step(inSync: [1], registered: nil) == .registers)
        #expect(step(inSync: [1], registered: 7) == .stays)
        #expect(step(inSync: [1], registered: 7, hasLog: true) == .begins)
    }

    @Test("what was never led cannot be lost, nor what others keep")
    func possible() {
        #expect(LostLog.isPossible(ReplicaID(1), state(inSync: [2])))
        #expect(!LostLog.isPossible(ReplicaID(1), state(inSync: [1, 2], epoch: 0)))
        #expect(!LostLog.isPossible(ReplicaID(4), state(inSync: [1, 2])))
    }

    @Test("who leaves with a loss leaves all others in sync, alive or not")
    func losing() throws {
        let election = Election(live: [ReplicaID(3)])
        let following = try #require(election.losing(ReplicaID(1), state(inSync: [1, 2, 3])))
        #expect(following.inSyncReplicas == [2, 3].map { ReplicaID($0) })
        #expect(following.leader == ReplicaID(2) && following.leaderEpoch == LeaderEpoch(4))
        #expect(following.version == 10)
        let led = try #require(election.losing(ReplicaID(1), state(inSync: [1, 2, 3], leader: 1)))
        #expect(led.inSyncReplicas == [2, 3].map { ReplicaID($0) })
        #expect(led.leader == ReplicaID(3) && led.leaderEpoch == LeaderEpoch(5))
        let waiting = try #require(election.losing(ReplicaID(1), state(inSync: [1, 2], leader: 1)))
        #expect(waiting.inSyncReplicas == [ReplicaID(2)] && waiting.leader == nil)
        #expect(election.losing(ReplicaID(1), state(inSync: [1])) == nil)
        #expect(election.losing(ReplicaID(1), state(inSync: [2, 3])) == nil)
    }
}
