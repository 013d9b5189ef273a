import TallyRecords
import TallyReplication
import TallyTestSupport
import Testing

@Suite("A follower makes its log agree") struct PartitionFollowerTests {
    @Test("the same log is not cut, and takes one question")
    func same() {
        var log = EpochLog([0, 0, 1])
        #expect(log.agree(with: EpochLog([0, 0, 1, 1, 2])) == 1)
        #expect(log == EpochLog([0, 0, 1]))
    }

    @Test("what the leader's epoch has less of is cut")
    func shorter() {
        var log = EpochLog([0, 0, 0, 0])
        #expect(log.agree(with: EpochLog([0, 0, 2, 2, 2])) == 1)
        #expect(log == EpochLog([0, 0]))
    }

    @Test("an empty log asks for nothing")
    func empty() {
        var log = EpochLog([])
        #expect(log.agree(with: EpochLog([3, 3])) == 0)
    }

    @Test("a leader whose log begins later, in later epochs, leaves nothing of it")
    func leaderBeginsLater() {
        var log = EpochLog([0, 1, 1])
        _ = log.agree(with: EpochLog([4, 4], from: 20))
        #expect(log == EpochLog([]))
    }

    @Test("before the logs agree nothing may be appended and no high watermark published")
    func highWatermark() {
        let log = EpochLog([0, 0, 1])
        var follower = PartitionFollower(ReplicaID(0), in: LeaderEpoch(2))
        #expect(!follower.hasAgreed(log))
        #expect(follower.highWatermark(leaders: Offset(3), log) == nil)
        let cut = follower.answered(
            epochEnd: EpochEnd(epoch: LeaderEpoch(1), endOffset: Offset(3)),
            to: LeaderEpoch(1), log)
        #expect(cut == nil)
        #expect(follower.hasAgreed(log))
        #expect(follower.highWatermark(leaders: Offset(9), log) == Offset(3))
        #expect(follower.highWatermark(leaders: Offset(2), log) == Offset(2))
    }

    @Test("an answer to another question than the one of now changes nothing")
    func lateAnswer() {
        let log = EpochLog([0, 0, 1])
        var follower = PartitionFollower(ReplicaID(0), in: LeaderEpoch(2))
        let cut = follower.answered(
            epochEnd: EpochEnd(epoch: LeaderEpoch(0), endOffset: Offset(1)),
            to: LeaderEpoch(0), log)
        #expect(cut == nil)
        #expect(!follower.hasAgreed(log))
    }

    @Test("a leader that finds another history in a fetch has the follower cut its log")
    func diverged() throws {
        var log = EpochLog([0, 0, 1, 1])
        let leader = EpochLog([0, 0, 1, 2, 2])
        let end = try #require(leader.divergence(at: Offset(4), after: LeaderEpoch(1)))
        #expect(end == EpochEnd(epoch: LeaderEpoch(1), endOffset: Offset(3)))
        var follower = PartitionFollower(ReplicaID(0), in: LeaderEpoch(2))
        let cut = follower.diverged(end, log)
        log.truncate(to: try #require(cut))
        #expect(log == EpochLog([0, 0, 1]))
        #expect(follower.hasAgreed(log))
        #expect(leader.divergence(at: Offset(3), after: LeaderEpoch(1)) == nil)
    }

    @Test("from any two histories the follower comes to the longest that both share")
    func anyHistories() {
        var random = SeededGenerator.fromEnvironment()
        for _ in 0..<20_000 {
            // Epochs are given out once: each is written by one of two replicas, or was shared.
            let shared = (0..<Int.random(in: 0...4, using: &random)).map { _ in
                Int32.random(in: 0...2, using: &random)
            }.sorted()
            var (mine, leaders) = (shared, shared)
            for epoch in Int32(3)...Int32.random(in: 3...9, using: &random) {
                let count = Int.random(in: 0...2, using: &random)
                let more = Array(repeating: epoch, count: count)
                if Bool.random(using: &random) { mine += more } else { leaders += more }
            }
            var log = EpochLog(mine)
            let questions = log.agree(with: EpochLog(leaders), in: 10)
            #expect(log == EpochLog(shared), "\(mine) after \(leaders)")
            #expect(questions <= 8)
        }
    }
}
