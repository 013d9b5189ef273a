import TallyLog
import TallyRecords
import TallyReplication
import TallyTestSupport

/// A partition's log on a simulated disk: what was synced survives a crash, and of the rest as
/// much as chance will have it, from the front. What it knows of producers is the log's own type.
final class ModelLog: ReplicaLog {
    private var records: [SimulatedRecord] = []
    private var syncedCount = 0
    /// What is known of the high watermark, and what the disk knows of it.
    private(set) var highWatermark = Offset.zero
    private var storedHighWatermark = Offset.zero
    /// The epoch of what is appended.
    private var epoch = LeaderEpoch.none
    /// What is known of producers, up to some offset; and what was aborted up to there.
    private var producers = ProducerStates(nextOffset: .zero)
    private var abortedTransactions: [AbortedTransaction] = []
    private var markerCount: UInt64 = 0
    private var isFull = false
    private var failsNextSync = false

    var logStart: Offset { .zero }
    var logEnd: Offset { Offset(Int64(records.count)) }
    var syncedEnd: Offset { Offset(Int64(syncedCount)) }
    var latestEpoch: LeaderEpoch? { records.last?.epoch }

    func end(ofEpoch epoch: LeaderEpoch) -> EpochEnd? {
        guard let index = records.lastIndex(where: { $0.epoch <= epoch }) else { return nil }
        return EpochEnd(epoch: records[index].epoch, endOffset: Offset(Int64(index) + 1))
    }

    // MARK: Appending

    func append(
        _ record: SimulatedRecord, verification: TransactionStanding?, isChecked: Bool
    ) throws(AppendRefusal) -> Offset {
        let offset = logEnd
        var record = record
        record.epoch = epoch
        if isChecked, record.producer.id >= 0 {
            if let known = try check(record, at: offset) { return known }
            if let verification, verification.markerCount != markerCount {
                throw .producer(.verificationOutdated)
            }
        }
        if isFull { throw .notNow }
        records.append(record)
        return offset
    }

    func append(_ marker: TransactionMarker, isChecked: Bool) throws(AppendRefusal) -> Offset {
        let offset = logEnd
        if let leaderEpoch = marker.order?.leaderEpoch, leaderEpoch != epoch { throw .notLeader }
        noteProducers()
        if isChecked, let reason = producers.refusal(of: marker) { throw .producer(reason) }
        if isFull { throw .notNow }
        var record = SimulatedRecord(marker)
        record.epoch = epoch
        records.append(record)
        markerCount += 1
        noteProducers()
        producers.noteOrder(of: marker)
        return offset
    }

    /// Where it is already; nil where it may be appended.
    private func check(
        _ record: SimulatedRecord, at offset: Offset
    ) throws(AppendRefusal) -> Offset? {
        noteProducers()
        var hasSequences = true
        if case .state = record.content { hasSequences = false }
        switch producers.verdict(on: record.header(at: offset), hasSequences: hasSequences) {
        case .append: return nil
        case .duplicate(let batch): return batch.firstOffset
        case .refuse(let reason): throw .producer(reason)
        }
    }

    func appendReplica(_ more: [SimulatedRecord]) throws(AppendRefusal) {
        if isFull { throw .notNow }
        for record in more where record.marker != nil { markerCount += 1 }
        records += more
    }

    func records(
        from offset: Offset, before end: Offset, countMax: Int
    ) -> [SimulatedRecord] {
        let range = Int(offset.rawValue)..<max(Int(end.rawValue), Int(offset.rawValue))
        return Array(records[range.clamped(to: 0..<records.count)].prefix(countMax))
    }

    func lead(in epoch: LeaderEpoch) { self.epoch = epoch }
    func follow() {}

    func truncate(to end: Offset) {
        records.removeLast(max(records.count - Int(end.rawValue), 0))
        syncedCount = min(syncedCount, records.count)
        highWatermark = min(highWatermark, logEnd)
        storedHighWatermark = min(storedHighWatermark, logEnd)
        forgetProducers()
    }

    // MARK: Producers

    /// Takes in what was appended since; only leaders ask, so that followers need not.
    private func noteProducers() {
        for index in Int(producers.nextOffset.rawValue)..<records.count {
            let record = records[index]
            let header = record.header(at: Offset(Int64(index)))
            let ended = producers.note(header, control: record.marker)
            if let ended, !ended.didCommit {
                abortedTransactions.append(producers.aborted(ended))
            }
        }
    }

    private func forgetProducers() {
        guard producers.nextOffset > logEnd else { return }
        producers = ProducerStates(nextOffset: .zero)
        abortedTransactions = []
    }

    func standing(of producer: BatchProducer) -> TransactionStanding {
        noteProducers()
        let known = producers.producers[producer.id]
        return TransactionStanding(
            isOpen: known?.transactionStart != nil && known?.epoch == producer.epoch,
            markerCount: markerCount)
    }

    func lastStableOffset() -> Offset {
        noteProducers()
        return producers.lastStableOffset(highWatermark: highWatermark)
    }

    func aborted(in range: Range<Offset>) -> [AbortedTransaction] {
        abortedTransactions.filter {
            $0.firstOffset < range.upperBound && $0.lastOffset >= range.lowerBound
        }
    }

    func openTransactions() -> [ProducerState] {
        noteProducers()
        return producers.openTransactions
    }

    // MARK: The disk

    var hasFailed: Bool { false }
    func setFull(_ isFull: Bool) { self.isFull = isFull }
    func failNextSync() { failsNextSync = true }

    func mend() {
        isFull = false
        failsNextSync = false
    }

    func sync(to end: Offset) -> Bool {
        if failsNextSync {
            failsNextSync = false
            return false
        }
        syncedCount = max(syncedCount, min(Int(end.rawValue), records.count))
        return true
    }

    func raiseHighWatermark(to offset: Offset) { highWatermark = max(highWatermark, offset) }
    func storeHighWatermark() { storedHighWatermark = highWatermark }

    func crash(_ random: inout SeededGenerator) {
        let share = Double.random(in: 0...1, using: &random)
        let kept = syncedCount + Int(Double(records.count - syncedCount) * share)
        records.removeLast(records.count - kept)
        syncedCount = kept
        highWatermark = min(storedHighWatermark, logEnd)
        storedHighWatermark = highWatermark
        forgetProducers()
    }

    func start() {}
}
