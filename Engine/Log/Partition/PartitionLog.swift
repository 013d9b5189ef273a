import Synchronization
import TallyFiles
package import TallyRecords

/// One partition: segments, indexes, and two published numbers.
///
/// Thread rule: any thread may call anything. Appends are serialised by the writer lock; readers
/// use the published numbers and an immutable list of segments and never take that lock; syncs
/// are serialised by a lock of their own, so that callers who wait share one.
package final class PartitionLog: Sendable {
    /// Topic and partition as the directory is named: `inventory-events-3`.
    package let name: String
    /// The partition's directory.
    package let directory: String
    let environment: LogEnvironment
    /// What is configured now; see ``adopt(_:)``.
    private let configurationValue: Mutex<LogConfiguration>
    let writer: Mutex<Writer>
    let syncing: Mutex<SyncedState>
    private let segmentList: Mutex<[Segment]>
    /// Held while segments leave the log; what has left it and still has files.
    let retiring = Mutex(Retired())
    /// Held while the log is cleaned.
    let cleaning = Mutex(())
    /// Where the last cleaning ended.
    let cleanedEndValue: Atomic<Int64>
    /// Set when the log is being closed.
    let closingValue = Atomic<Bool>(false)
    /// Whether somebody else says who leads; see ``LogConfiguration/isReplicated``.
    package let isReplicated: Bool
    /// Everything before it is on stable storage.
    let syncedEndValue: Atomic<Int64>
    private let logStartValue: Atomic<Int64>
    /// What the last opening found and did.
    package let recovery: RecoveryReport
    /// The offset the next record will get.
    let logEndMark: Watermark
    /// What readers may see.
    let highWatermarkMark: Watermark

    /// What only the writer touches, under its lock.
    struct Writer: ~Copyable {
        var active: Segment
        /// Bytes of the active segment that are written.
        var position: Int
        var nextOffset: Offset
        var epochs: LeaderEpochs
        /// The epoch of new batches. It is noted in the checkpoint before its first batch.
        var epoch: LeaderEpoch
        var reservation = SpaceReservation()
        /// The first timestamp in the active segment: `segment.ms` counts from it.
        var firstTimestamp: Timestamp?
        /// The time that the active segment's records may span, in milliseconds.
        var rollAfter: Int64
        /// Something was written since the log was opened.
        var wasAppendedTo = false
        /// Rolled segments that are not sealed yet.
        var unsealed: [Segment] = []
        /// A file was created since the directory was last synced.
        var isDirectoryDirty: Bool
        /// A new segment was begun at the next offset but could not be put to use.
        var isRolling = false
        /// What is known of producers; nil until somebody needs it.
        var producers: ProducerStates?
        /// Markers written since the log was opened: whoever asked a coordinator about a
        /// transaction sees by it whether one has ended since.
        var markerCount: UInt64 = 0
        /// Snapshots of it that the next sync writes.
        var snapshots: [PendingSnapshot] = []
        /// Whom the log tells of what it has while it leads replicas; nil while it follows, and
        /// where there are none.
        var replication: (any LogReplication)?
        var stopReason: String?
        /// The disk had no room for the last append.
        var lacksSpace = false
        /// Whether those who wait were told that the log has stopped.
        var isStopTold = false
        var isClosed = false
        /// Closed in order; nothing is left to do.
        var isSealed = false
    }

    /// What only the one who syncs touches.
    struct SyncedState {
        /// Everything before it is on stable storage.
        var end: Offset
        /// What lies behind it is about to be taken back.
        var limit: Offset?

        /// What a checkpoint may say.
        var recoveryPoint: Offset { min(end, limit ?? end) }
    }

    init(
        name: String, directory: String, environment: LogEnvironment,
        configuration: LogConfiguration, segments: [Segment], logStart: Offset,
        writer: consuming sending Writer, syncedEnd: Offset, highWatermark: Offset,
        cleanedEnd: Offset, recovery: RecoveryReport
    ) {
        self.name = name
        self.directory = directory
        self.environment = environment
        configurationValue = Mutex(configuration)
        self.recovery = recovery
        logEndMark = Watermark(writer.nextOffset)
        highWatermarkMark = Watermark(highWatermark)
        isReplicated = configuration.isReplicated
        syncedEndValue = Atomic(syncedEnd.rawValue)
        self.writer = Mutex(writer)
        syncing = Mutex(SyncedState(end: syncedEnd))
        segmentList = Mutex(segments)
        logStartValue = Atomic(logStart.rawValue)
        cleanedEndValue = Atomic(min(cleanedEnd, logEndMark.offset).rawValue)
    }

    deinit {
        // A log that was not closed in order holds no place in the cache of maps.
        environment.maps.remove(segments)
    }

    /// What is configured now.
    var configuration: LogConfiguration { configurationValue.withLock { $0 } }

    /// Only with both the sync lock and the writer lock held: neither sees a change half-way.
    func replaceConfiguration(with next: LogConfiguration) {
        configurationValue.withLock { $0 = next }
    }

    // MARK: Published numbers

    /// The first offset that can be read.
    package var logStart: Offset { Offset(logStartValue.load(ordering: .acquiring)) }
    /// The offset the next record will get.
    package var logEnd: Offset { logEndMark.offset }
    /// Readers see what lies before it: the synced end under `.synced`, else the log end; of
    /// replicas, what their leader says.
    package var highWatermark: Offset { highWatermarkMark.offset }
    /// The log end as something to wait for.
    package var logEndWatermark: Watermark { logEndMark }
    /// The high watermark as something to wait for.
    package var highWatermarkWatermark: Watermark { highWatermarkMark }
    /// Everything before it is on stable storage; takes the sync lock.
    package var recoveryPoint: Offset { syncing.withLock { $0.recoveryPoint } }
    /// The epoch that new batches get.
    package var leaderEpoch: LeaderEpoch { writer.withLock { $0.epoch } }
    /// Why the partition takes no appends; nil while it does.
    package var stopReason: String? { writer.withLock { $0.stopReason } }

    /// Whether appends fail now: the log has stopped, or the disk had no room for the last of them.
    package var refusesAppends: Bool {
        writer.withLock { $0.stopReason != nil || $0.lacksSpace }
    }

    /// The segments now, rising.
    package var segments: [Segment] { segmentList.withLock { $0 } }

    /// Bytes in all segments.
    package var byteCount: Int { segments.reduce(0) { $0 + $1.byteCount } }

    func addSegment(_ segment: Segment) { segmentList.withLock { $0.append(segment) } }

    /// Takes segments from the front of the list.
    func removeSegments(_ count: Int) { segmentList.withLock { $0.removeFirst(count) } }

    /// Puts one segment in the place of another and of all that follow.
    func replaceSegments(from index: Int, with segment: Segment) {
        segmentList.withLock { $0.replaceSubrange(index..., with: [segment]) }
    }

    /// Puts segments in the place of others that hold the same offsets.
    func replaceSegments(_ range: Range<Int>, with segments: [Segment]) {
        segmentList.withLock { $0.replaceSubrange(range, with: segments) }
    }

    /// Publishes a larger log start; a smaller one changes nothing.
    func advanceLogStart(to offset: Offset) {
        _ = logStartValue.max(offset.rawValue, ordering: .acquiringAndReleasing)
    }

    /// Sets the log start of a log that begins anew.
    func resetLogStart(to offset: Offset) {
        logStartValue.store(offset.rawValue, ordering: .releasing)
    }

    /// Where the records of an epoch end; see ``LeaderEpochs/endOffset(forEpoch:logEnd:)``.
    package func endOffset(
        forEpoch epoch: LeaderEpoch
    ) -> (epoch: LeaderEpoch, endOffset: Offset)? {
        writer.withLock { writer in
            writer.epochs.endOffset(forEpoch: epoch, logEnd: writer.nextOffset)
        }
    }

    /// The epoch of the record at an offset, or of the one that would come there; nil before the
    /// first epoch that is known.
    package func epoch(at offset: Offset) -> LeaderEpoch? {
        writer.withLock { writer in
            offset >= writer.nextOffset
                ? writer.epoch : writer.epochs.entries.last { $0.startOffset <= offset }?.epoch
        }
    }

    // MARK: Reading

    /// How far a reader may see.
    package enum ReadBound: Hashable, Sendable {
        case highWatermark
        case logEnd
        /// For readers of committed transactions; see ``PartitionLog/lastStableOffset()``.
        case lastStableOffset
    }

    private func view(_ bound: ReadBound) throws(LogError) -> LogView {
        // The end is loaded before the segments: what lies before it is in them.
        let end =
            switch bound {
            case .highWatermark: highWatermark
            case .logEnd: logEnd
            case .lastStableOffset: try lastStableOffset()
            }
        return LogView(partition: name, segments: segments, logStart: logStart, end: end)
    }

    /// Whole batches from the one that holds `offset` on: as many as fit `bytesMax` but at least
    /// one, all of one segment. The first may begin before `offset`: readers skip. Nil when
    /// `offset` is the end.
    ///
    /// - Parameter near: where an earlier read ended, to save the lookup.
    /// Throws ``LogError/offsetOutOfRange(_:)``, ``LogError/corruption(_:)``,
    /// ``LogError/file(_:)``.
    package func read(
        from offset: Offset, bytesMax: Int, bound: ReadBound = .highWatermark,
        near: ReadPosition? = nil
    ) throws(LogError) -> LogSlice? {
        try look(bound) { (view) throws(LogError) in
            do throws(LogError) {
                return try view.read(from: offset, bytesMax: bytesMax, near: near)
            } catch {
                // Retired meanwhile: what the files say of it is of no interest.
                if offset < logStart { throw outOfRange(offset) }
                throw error
            }
        }
    }

    /// Looks at the log; again where it failed and the log was retired from, truncated or cleaned
    /// meanwhile: what was looked at is not the log's any more, and its files may be gone.
    private func look<Result>(
        _ bound: ReadBound, _ body: (LogView) throws(LogError) -> Result
    ) throws(LogError) -> Result {
        while true {
            let view = try view(bound)
            do throws(LogError) {
                return try body(view)
            } catch {
                if view.segments.elementsEqual(segments, by: ===) { throw error }
            }
        }
    }

    func outOfRange(_ offset: Offset) -> LogError {
        .offsetOutOfRange(
            OffsetOutOfRange(
                partition: name, requested: offset, logStart: logStart, logEnd: highWatermark))
    }

    /// The offset of the first record whose timestamp is `timestamp` or later, with its
    /// timestamp; nil when there is none below the high watermark.
    ///
    /// Records are looked at; where their codec cannot be read, the answer is the first offset
    /// and the largest timestamp of their batch.
    package func offset(
        forTimestamp timestamp: Timestamp
    ) throws(LogError) -> (offset: Offset, timestamp: Timestamp)? {
        try look(.highWatermark) { (view) throws(LogError) in
            try view.offset(forTimestamp: timestamp)
        }
    }

    /// The first record with the largest timestamp of all, with that; nil where no record has one
    /// below the high watermark.
    package func offsetOfMaxTimestamp() throws(LogError) -> (
        offset: Offset, timestamp: Timestamp
    )? {
        var largest: Timestamp?
        for segment in segments {
            guard let found = try segment.largestTimestamp() else { continue }
            largest = max(largest ?? found, found)
        }
        guard let largest else { return nil }
        return try offset(forTimestamp: largest)
    }
}

/// What opening a partition found and did.
package struct RecoveryReport: Hashable, Sendable {
    /// Whether the log was opened from its checkpoints, without a scan.
    package var wasClean = true
    /// Bytes that were checked batch by batch.
    package var scannedByteCount = 0
    /// Bytes that were cut off because they held no whole batches.
    package var cutByteCount = 0
    /// Segments that were looked at.
    package var scannedSegmentCount = 0

    /// A clean opening.
    package init() {}
}
