import TallyRecords
import TallyReplication

/// A record as the simulation needs it: whose it is, and the epoch it was written in.
struct SimulatedRecord: Hashable {
    var epoch: LeaderEpoch
    var producer: Int
    var sequence: Int
}

/// A partition's log on a simulated disk: what was synced survives a crash, and of the rest as
/// much as chance will have it, from the front.
final class SimulatedLog: EpochHistory {
    private(set) var records: [SimulatedRecord] = []
    private var syncedCount = 0
    /// What is known of the high watermark, and what the disk knows of it.
    private(set) var highWatermark = Offset.zero
    private var storedHighWatermark = Offset.zero

    var logStart: Offset { .zero }
    var logEnd: Offset { Offset(Int64(records.count)) }
    var syncedEnd: Offset { Offset(Int64(syncedCount)) }
    var latestEpoch: LeaderEpoch? { records.last?.epoch }

    func end(ofEpoch epoch: LeaderEpoch) -> EpochEnd? {
        guard let index = records.lastIndex(where: { $0.epoch <= epoch }) else { return nil }
        return EpochEnd(epoch: records[index].epoch, endOffset: Offset(Int64(index) + 1))
    }

    /// The epoch of the record before an offset.
    func epoch(before offset: Offset) -> LeaderEpoch {
        let index = Int(offset.rawValue) - 1
        return records.indices.contains(index) ? records[index].epoch : .none
    }

    func append(_ more: [SimulatedRecord]) { records += more }

    func truncate(to end: Offset) {
        records.removeLast(max(records.count - Int(end.rawValue), 0))
        syncedCount = min(syncedCount, records.count)
        highWatermark = min(highWatermark, logEnd)
        storedHighWatermark = min(storedHighWatermark, logEnd)
    }

    /// What was there when a sync began is on stable storage.
    func noteSynced(to end: Offset) {
        syncedCount = max(syncedCount, min(Int(end.rawValue), records.count))
    }

    func raiseHighWatermark(to offset: Offset) { highWatermark = max(highWatermark, offset) }
    func storeHighWatermark() { storedHighWatermark = highWatermark }

    func crash(keeping share: Double) {
        let kept = syncedCount + Int(Double(records.count - syncedCount) * share)
        records.removeLast(records.count - kept)
        syncedCount = kept
        highWatermark = min(storedHighWatermark, logEnd)
        storedHighWatermark = highWatermark
    }

    /// Where a producer's record is; nil if it is not here.
    func offset(of sequence: Int, from producer: Int) -> Offset? {
        records.lastIndex { $0.producer == producer && $0.sequence == sequence }
            .map { Offset(Int64($0)) }
    }
}
