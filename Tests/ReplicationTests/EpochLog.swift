import TallyRecords
import TallyReplication

/// A log of which nothing is known but which epoch wrote which offset.
struct EpochLog: EpochHistory, Equatable {
    var logStart = Offset.zero
    var epochs: [Int32]

    init(_ epochs: [Int32], from logStart: Int64 = 0) {
        self.epochs = epochs
        self.logStart = Offset(logStart)
    }

    var logEnd: Offset { logStart.advanced(by: Int64(epochs.count)) }
    var latestEpoch: LeaderEpoch? { epochs.last.map { LeaderEpoch($0) } }

    func end(ofEpoch epoch: LeaderEpoch) -> EpochEnd? {
        guard let index = epochs.lastIndex(where: { $0 <= epoch.rawValue }) else { return nil }
        return EpochEnd(
            epoch: LeaderEpoch(epochs[index]),
            endOffset: logStart.advanced(by: Int64(index) + 1))
    }

    mutating func truncate(to end: Offset) {
        epochs.removeLast(Int(logEnd.rawValue - end.rawValue))
    }

    /// Lets a follower with this log make it agree with a leader's. Returns how many questions it
    /// took.
    mutating func agree(with leader: EpochLog, in epoch: Int32 = 9) -> Int {
        var follower = PartitionFollower(ReplicaID(0), in: LeaderEpoch(epoch))
        for count in 0..<100 {
            guard case .epochEnd(let asked) = follower.request(self) else { return count }
            let answer = leader.end(ofEpoch: asked)
            if let cut = follower.answered(epochEnd: answer, to: asked, self) {
                truncate(to: cut)
            }
        }
        return 100
    }
}
