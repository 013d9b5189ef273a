import Glibc
import TallyFiles
import TallyLog
import TallyRecords
import TallyReplication
import TallyTestSupport

/// A partition's real log, on a file system in memory that loses what was not synced with the
/// power, tears writes, fills up and fails to sync.
///
/// What an engine keeps beside the logs, its checkpoint files, is kept here as values that are
/// written whole or not at all.
final class StoredLog: ReplicaLog {
    private static let directory = "/data/t-0"
    private var fileSystem = SimulatedFileSystem(directories: ["/data", directory])
    private var log: PartitionLog?
    private var checkpoint = PartitionCheckpoint(isClean: false, recoveryPoint: .zero)
    private var builder: RecordBatchBuilder
    /// Why the log cannot be used; nil while it can.
    private(set) var failure: String?

    init() {
        fileSystem.supportsReserving = false
        do { builder = try RecordBatchBuilder() } catch { fatalError("\(error)") }
    }

    var hasFailed: Bool { failure != nil || log?.stopReason != nil }

    private static var configuration: LogConfiguration {
        var configuration = LogConfiguration()
        configuration.isReplicated = true
        configuration.segmentBytesMax = 8192
        configuration.segmentIndexBytesMax = 1024
        configuration.indexIntervalBytes = 512
        configuration.fileDeleteDelayMilliseconds = 0
        return configuration
    }

    // MARK: Life

    func start() {
        failure = nil
        do {
            let environment = LogEnvironment(
                fileSystem: fileSystem, openFilesMax: 64, readMode: .copied)
            log = try PartitionLog.open(
                Self.directory, environment: environment, configuration: Self.configuration,
                checkpoint: checkpoint)
        } catch {
            log = nil
            failure = "\(error)"
        }
    }

    func crash(_ random: inout SeededGenerator) {
        log = nil
        let capacity = fileSystem.capacityBytes
        fileSystem =
            Bool.random(using: &random)
            ? fileSystem.crash(choose: &random) : fileSystem.processCrash()
        fileSystem.capacityBytes = capacity
    }

    func setFull(_ isFull: Bool) {
        fileSystem.capacityBytes = isFull ? fileSystem.usedBytes : nil
    }

    func failNextSync() { fileSystem.failNext(.sync, code: EIO) }

    func mend() {
        fileSystem.clearFaults()
        fileSystem.capacityBytes = nil
    }

    // MARK: Where it is

    var logStart: Offset { log?.logStart ?? .zero }
    var logEnd: Offset { log?.logEnd ?? .zero }
    var syncedEnd: Offset { log?.syncedEnd ?? .zero }
    var highWatermark: Offset { log?.highWatermark ?? .zero }
    var latestEpoch: LeaderEpoch? { log?.latestEpoch }

    func end(ofEpoch epoch: LeaderEpoch) -> EpochEnd? {
        log?.endOffset(forEpoch: epoch).map {
            EpochEnd(epoch: $0.epoch, endOffset: $0.endOffset)
        }
    }

    // MARK: Appending

    func append(
        _ record: SimulatedRecord, verification: TransactionStanding?, isChecked: Bool
    ) throws(AppendRefusal) -> Offset {
        guard let log else { throw .notNow }
        do throws(LogError) {
            var batch = encoded(record, at: .zero)
            var origin = BatchOrigin.outside
            if case .state = record.content { origin = .coordinator(in: nil) }
            var span = batch.mutableSpan
            var bytes = span.mutableBytes
            return try log.append(
                &bytes, from: origin, now: SimulatedRecord.time, verification: verification
            ).baseOffset
        } catch {
            throw AppendRefusal(error)
        }
    }

    func append(_ marker: TransactionMarker, isChecked: Bool) throws(AppendRefusal) -> Offset {
        guard let log else { throw .notNow }
        do throws(LogError) {
            return try log.append(marker, now: SimulatedRecord.time).baseOffset
        } catch {
            throw AppendRefusal(error)
        }
    }

    private func encoded(_ record: SimulatedRecord, at offset: Offset) -> [UInt8] {
        do { return try record.encoded(at: offset, &builder) } catch { fatalError("\(error)") }
    }

    func appendReplica(_ records: [SimulatedRecord]) throws(AppendRefusal) {
        guard let log else { throw .notNow }
        var bytes: [UInt8] = []
        var offset = logEnd
        for record in records {
            bytes += encoded(record, at: offset)
            offset = offset.advanced(by: 1)
        }
        do throws(LogError) {
            try log.appendReplica(bytes.span.bytes)
        } catch {
            throw AppendRefusal(error)
        }
    }

    // MARK: Reading

    func records(
        from offset: Offset, before end: Offset, countMax: Int
    ) -> [SimulatedRecord] {
        guard let log else { return [] }
        var found: [SimulatedRecord] = []
        var next = offset
        var decoder = RecordDecoder()
        let end = min(end, log.logEnd)
        do {
            while next < end, found.count < countMax,
                let slice = try log.read(from: next, bytesMax: 4096, bound: .logEnd)
            {
                let bytes = slice.content.all
                var position = 0
                while position < bytes.byteCount, found.count < countMax, next < end {
                    let batch = try RecordBatch(bytes, at: position)
                    try batch.verifyChecksum()
                    position += batch.header.sizeInBytes
                    guard batch.header.baseOffset >= next else { continue }
                    found.append(try Self.record(batch, &decoder))
                    next = batch.header.nextOffset
                }
            }
        } catch {
            failure = "\(error)"
        }
        return found
    }

    private static func record(
        _ batch: borrowing RecordBatch, _ decoder: inout RecordDecoder
    ) throws -> SimulatedRecord {
        let control = try decoder.controlRecord(of: batch)
        var value: [UInt8] = []
        if control == nil {
            try decoder.forEachRecord(in: batch) { record in
                if let bytes = record.value { value = bytes.withUnsafeBytes { Array($0) } }
            }
        }
        return SimulatedRecord(batch.header, control: control, value: value)
    }

    // MARK: Producers

    func standing(of producer: BatchProducer) -> TransactionStanding {
        attempt(TransactionStanding(isOpen: false, markerCount: 0)) { (log) throws(LogError) in
            try log.transactionStanding(of: producer.id, epoch: producer.epoch)
        }
    }

    func lastStableOffset() -> Offset {
        attempt(.zero) { (log) throws(LogError) in try log.lastStableOffset() }
    }

    func aborted(in range: Range<Offset>) -> [AbortedTransaction] {
        attempt([]) { (log) throws(LogError) in try log.abortedTransactions(in: range) }
    }

    func openTransactions() -> [ProducerState] {
        attempt([]) { (log) throws(LogError) in
            try log.producerStates().filter { $0.transactionStart != nil }
        }
    }

    private func attempt<Result>(
        _ other: Result, _ body: (PartitionLog) throws(LogError) -> Result
    ) -> Result {
        guard let log else { return other }
        do throws(LogError) { return try body(log) } catch {
            failure = "\(error)"
            return other
        }
    }

    // MARK: Roles, and the disk

    func lead(in epoch: LeaderEpoch) {
        attempt(()) { (log) throws(LogError) in
            try log.lead(in: epoch, replication: UncountedReplicas())
        }
    }

    func follow() { log?.follow() }

    func truncate(to end: Offset) {
        checkpoint.highWatermark = min(checkpoint.highWatermark, end)
        attempt(()) { (log) throws(LogError) in
            try log.truncate(to: end) { checkpoint.recoveryPoint = log.recoveryPoint }
        }
    }

    func sync(to end: Offset) -> Bool {
        guard let log else { return false }
        // A disk without room is no broken one: the next sync tries again.
        try? log.flush()
        return log.stopReason == nil
    }

    func raiseHighWatermark(to offset: Offset) { log?.raiseHighWatermark(to: offset) }

    func storeHighWatermark() {
        guard let log else { return }
        checkpoint.highWatermark = log.highWatermark
        checkpoint.recoveryPoint = log.recoveryPoint
    }
}

/// The simulated replica counts replicas itself, behind each append and sync.
private final class UncountedReplicas: LogReplication {
    func logHasMore() {}
    func checkAppend(forAll: Bool) {}
    func isCommitted(before end: Offset, in epoch: LeaderEpoch) -> Bool { false }
}

extension AppendRefusal {
    fileprivate init(_ error: LogError) {
        switch error {
        case .producer(let refusal): self = .producer(refusal.reason)
        case .notLeader: self = .notLeader
        default: self = .notNow
        }
    }
}
