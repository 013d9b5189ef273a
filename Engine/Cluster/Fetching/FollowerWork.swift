import Logging
import Tally
import TallyClient
import TallyLog
import TallyRecords
import TallyReplication
import TallyWire

/// Does to a replica's log what its leader's answers call for.
///
/// Thread rule: any thread that may block. Functions return how long the partition is to be left
/// alone where the leader had nothing for it, and throw ``LogError`` where the log refuses.
struct FollowerWork: Sendable {
    let leader: ReplicaID
    let engine: Engine
    let logger: Logger

    // MARK: Agreeing

    /// The leader says where an epoch ends.
    func agree(
        with end: OffsetForLeaderEpochResponse.EpochEnd?, _ item: FollowerPlan.Item
    ) throws -> Duration? {
        guard let end, end.errorCode == .none else { return .milliseconds(50) }
        guard case .epochEnd(let asked) = item.request else { return nil }
        let known = epochEnd(end.leaderEpoch, end.endOffset)
        _ = try item.replica.whileFollowing(in: item.epoch) { follower, history in
            if let cut = follower.answered(epochEnd: known, to: asked, history) {
                try truncate(item.replica, to: cut)
            }
        }
        return nil
    }

    private func epochEnd(_ epoch: Int32, _ endOffset: Int64) -> EpochEnd? {
        guard epoch >= 0 else { return nil }
        return EpochEnd(epoch: LeaderEpoch(epoch), endOffset: Offset(endOffset))
    }

    private func truncate(_ replica: Replica, to offset: Offset) throws {
        logger.info(
            """
            \(replica.partition.name) is cut from \(replica.log.logEnd) to \(offset), where it \
            parts from that of member \(leader).
            """)
        try engine.truncateReplica(replica.log, to: offset)
    }

    // MARK: Fetching

    /// The leader has something behind the end of the log, or nothing.
    func take(
        _ answer: FetchResponse.Partition, _ item: FollowerPlan.Item
    ) throws -> Duration? {
        let replica = item.replica
        guard case .fetch(let offset, let lastEpoch) = item.request else { return nil }
        if answer.errorCode == .offsetOutOfRange {
            return try restart(replica, item.epoch, at: Offset(answer.logStartOffset))
        }
        guard answer.errorCode == .none else { return .milliseconds(50) }
        _ = try replica.whileFollowing(in: item.epoch) { follower, history in
            // What was asked for on two lanes is answered twice. The second answer is about a log
            // that is another by now: to cut what came since would take back what this member has
            // said that it keeps.
            guard history.logEnd == offset, (history.latestEpoch ?? .none) == lastEpoch else {
                return
            }
            let end = answer.divergingEpoch
            if end.endOffset >= 0 || end.epoch >= 0 {
                let known = epochEnd(end.epoch, end.endOffset)
                if let cut = follower.diverged(known, history) { try truncate(replica, to: cut) }
                return
            }
            guard follower.hasAgreed(history) else { return }
            try append(answer, to: replica, at: offset)
            let leaders = Offset(max(answer.highWatermark, 0))
            if let mark = follower.highWatermark(leaders: leaders, history) {
                replica.log.raiseHighWatermark(to: mark)
            }
            if answer.logStartOffset > replica.log.logStart.rawValue {
                let start = min(Offset(answer.logStartOffset), replica.log.highWatermark)
                _ = try replica.log.deleteRecords(before: start)
            }
        }
        return nil
    }

    private func append(
        _ answer: FetchResponse.Partition, to replica: Replica, at offset: Offset
    ) throws {
        guard let records = answer.records, !records.isEmpty else { return }
        let fetched = try FetchedPartition(answer, of: replica.place, from: offset)
        let batches = fetched.batches
        try replica.log.appendReplica(batches.rawSpan)
        try replica.storeWhatIsHere()
    }

    /// The leader has nothing that goes on where this log ends: begins where the leader's begins.
    private func restart(
        _ replica: Replica, _ epoch: LeaderEpoch, at start: Offset
    ) throws -> Duration? {
        guard start > replica.log.logEnd else { return .milliseconds(200) }
        _ = try replica.whileFollowing(in: epoch) { _, history in
            guard start > history.logEnd else { return }
            logger.warning(
                """
                \(replica.partition.name) ends at \(history.logEnd), and member \(leader) has \
                nothing before \(start): the replica begins anew there.
                """)
            try engine.restartReplica(replica.log, at: start)
        }
        return nil
    }
}
