import TallyCompaction
import TallyLog
public import TallyRecords

/// How far the cleaning of a compacted partition has come. A value.
public struct CompactionStatus: Hashable, Sendable {
    /// The topic.
    public let topic: String
    /// The partition.
    public let partition: Int32
    /// Everything before it is clean.
    public internal(set) var firstDirtyOffset = Offset.zero
    /// Bytes of closed segments before ``firstDirtyOffset``.
    public internal(set) var cleanByteCount = 0
    /// Bytes of closed segments from there on, as far as they can be cleaned now; a segment that
    /// lies on both sides counts as dirty.
    public internal(set) var dirtyByteCount = 0
    /// Whether a cleaning is due: more is dirty than `min.cleanable.dirty.ratio` allows, a record
    /// waits longer than `max.compaction.lag.ms`, or tombstones' `delete.retention.ms` is over.
    public internal(set) var isDue = false
    /// Whether it is being cleaned at this moment.
    public internal(set) var isRunning = false
    /// What the cleanings so far have done.
    public internal(set) var history = CompactionHistory()

    init(topic: String, partition: Int32) {
        self.topic = topic
        self.partition = partition
    }

    /// The part of the bytes that is dirty, from 0 to 1; `min.cleanable.dirty.ratio` is what a
    /// cleaning waits for.
    public var dirtyRatio: Double {
        let all = cleanByteCount + dirtyByteCount
        return all == 0 ? 0 : Double(dirtyByteCount) / Double(all)
    }
}

/// What the cleanings of a partition have done, across restarts. A value.
public struct CompactionHistory: Hashable, Sendable, Codable {
    /// How many ended well.
    public internal(set) var runCount = 0
    /// When the last one ended, in milliseconds since 1970; nil where there was none.
    public internal(set) var lastRunAt: Int64?
    /// How long it took, in milliseconds.
    public internal(set) var lastRunMilliseconds: Int64 = 0
    /// Bytes read by all cleanings, those that failed too; what is read twice counts twice.
    public internal(set) var readByteCount = 0
    /// Bytes written to new segments by all cleanings, those that failed too.
    public internal(set) var writtenByteCount = 0
    /// Records and markers that were removed, by all that ended well.
    public internal(set) var removedRecordCount = 0
    /// Tombstones that the last one kept and that go after `delete.retention.ms`.
    public internal(set) var pendingTombstoneCount = 0
    /// When the first of them, or of the markers, may go, in milliseconds since 1970.
    public internal(set) var firstDeleteHorizon: Int64?
    /// Why the last one failed; nil where it did not. A log that failed for another reason than a
    /// lack of space is left alone until the engine is opened again or somebody asks for it.
    public internal(set) var failure: String?
    /// When it failed, in milliseconds since 1970.
    public internal(set) var failedAt: Int64?

    /// Nothing done yet.
    init() {}
}

extension CompactionHistory {
    /// Notes a cleaning that ended well.
    mutating func note(
        _ report: CleaningReport, _ traffic: CleaningTraffic, at now: Timestamp,
        duration: Duration
    ) {
        runCount += 1
        lastRunAt = now.rawValue
        lastRunMilliseconds = Int64(duration / .milliseconds(1))
        add(traffic)
        removedRecordCount += report.removedRecordCount
        pendingTombstoneCount = report.pendingTombstoneCount
        firstDeleteHorizon = report.firstDeleteHorizon?.rawValue
        failure = nil
        failedAt = nil
    }

    /// Notes a cleaning that failed.
    mutating func note(_ error: LogError, _ traffic: CleaningTraffic, at now: Timestamp) {
        add(traffic)
        failure = "\(error)"
        failedAt = now.rawValue
    }

    private mutating func add(_ traffic: CleaningTraffic) {
        readByteCount += traffic.readByteCount
        writtenByteCount += traffic.writtenByteCount
    }

    /// Whether the numbers are such as cleanings leave: what is added to them does not overflow.
    var isSensible: Bool {
        let counts = [
            runCount, readByteCount, writtenByteCount, removedRecordCount, pendingTombstoneCount,
        ]
        // Up to the end of the year 9999.
        let times = [lastRunAt, failedAt].compactMap { $0 }
        return counts.allSatisfy { (0...Int.max / 2).contains($0) } && lastRunMilliseconds >= 0
            && times.allSatisfy { (0...253_402_300_799_999).contains($0) }
    }

    /// Whether tombstones or markers that the last cleaning kept may go now.
    func hasPassedHorizon(_ now: Timestamp) -> Bool {
        firstDeleteHorizon.map { $0 <= now.rawValue } ?? false
    }

    /// Whether the last cleaning failed less than so many milliseconds ago.
    func hasJustFailed(_ now: Timestamp, within milliseconds: Int64) -> Bool {
        guard failure != nil, let failedAt else { return false }
        return (0..<max(milliseconds, 0)).contains(now.rawValue - failedAt)
    }
}
