import TallyLog
import TallyRecords
import TallyReplication

/// What the state machines of replication ask of a log.
struct LogHistory: EpochHistory {
    let log: PartitionLog

    var logStart: Offset { log.logStart }
    /// What is not kept yet does not count: it may be gone after a loss of power.
    var logEnd: Offset { log.logEnd }
    var latestEpoch: LeaderEpoch? { log.latestEpoch }

    func end(ofEpoch epoch: LeaderEpoch) -> EpochEnd? {
        log.endOffset(forEpoch: epoch).map { EpochEnd(epoch: $0.epoch, endOffset: $0.endOffset) }
    }
}
