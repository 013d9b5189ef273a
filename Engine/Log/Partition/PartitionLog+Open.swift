import Synchronization
import TallyFiles
package import TallyRecords

/// What the data directory's checkpoints say of a partition.
package struct PartitionCheckpoint: Hashable, Sendable {
    /// Whether the engine was closed in order: then the log ends at ``recoveryPoint``.
    package var isClean: Bool
    /// Everything before it was on stable storage.
    package var recoveryPoint: Offset
    /// The first offset that may be read; the first segment's base offset where it is smaller.
    package var logStart: Offset
    /// Where the last cleaning ended (`cleaner-offset-checkpoint`); zero where there was none.
    package var cleanedEnd: Offset
    /// What was known of the high watermark (`replication-offset-checkpoint`); for replicas, which
    /// do not know it by themselves.
    package var highWatermark: Offset

    package init(
        isClean: Bool, recoveryPoint: Offset, logStart: Offset = .zero, cleanedEnd: Offset = .zero,
        highWatermark: Offset = .zero
    ) {
        self.highWatermark = highWatermark
        self.cleanedEnd = cleanedEnd
        self.isClean = isClean
        self.recoveryPoint = recoveryPoint
        self.logStart = logStart
    }
}

extension PartitionLog {
    /// Opens the log of a partition directory, or starts an empty one.
    ///
    /// After a clean stop only the end of the last segment is read. Otherwise every batch from
    /// the recovery point on is checked, the log ends before the first that is not sound, what is
    /// cut is kept in a side file, and a new leader epoch begins.
    ///
    /// Throws ``LogError/corruption(_:)`` where bytes below the recovery point are damaged or
    /// missing: they were on stable storage once. Nothing is changed then.
    package static func open(
        _ directory: String, environment: LogEnvironment, configuration: LogConfiguration,
        checkpoint: PartitionCheckpoint
    ) throws(LogError) -> PartitionLog {
        let opening = LogOpening(
            directory: directory, environment: environment, configuration: configuration,
            checkpoint: checkpoint)
        return try opening.open()
    }
}

/// One opening of a partition: finds the segments, decides how to trust them, mends what a crash
/// left, and makes the log. Used by one thread, once.
struct LogOpening {
    let directory: String
    let environment: LogEnvironment
    let configuration: LogConfiguration
    let checkpoint: PartitionCheckpoint

    var name: String { lastPathComponent(directory) }
    var fileSystem: any FileSystem { environment.fileSystem }

    func open() throws(LogError) -> PartitionLog {
        invariant(!environment.isReadOnly, "\(name) cannot be opened for appending: read-only")
        let swap = UnfinishedSwap(directory: directory, environment: environment)
        try swap.finish(try withFiles { () throws(FileError) in try fileSystem.list(directory) })
        let names = try withFiles { () throws(FileError) in try fileSystem.list(directory) }
        let bases = SegmentName.baseOffsets(among: names)
        let isInDoubt = names.contains(SyncDoubt.fileName)
        let epochs = try LeaderEpochs.read(from: directory, on: fileSystem)
        var segments: [Segment]
        var end: LogEnd?
        if bases.isEmpty {
            segments = [try firstSegment()]
            end = try startOfNewLog(segments[0], epochs)
        } else {
            segments = try bases.map { base throws(LogError) in try segment(at: base) }
            let isClean = checkpoint.isClean && !isInDoubt
            if isClean { end = try endAfterCleanStop(segments, epochs) }
        }
        if end == nil {
            end = try recover(&segments, epochs, isInDoubt: isInDoubt)
            try mendTransactionState(segments, end, names)
        }
        guard let end else { invariantFailure("a log that was recovered has an end") }
        try sweepLeftOvers(names)
        try sweepSnapshots(names, segments, upTo: end.nextOffset)
        return try log(of: segments, end)
    }

    /// After a crash: what the log does not reach any more is forgotten, and transaction indexes
    /// say what the log says.
    private func mendTransactionState(
        _ segments: [Segment], _ end: LogEnd?, _ names: [String]
    ) throws(LogError) {
        guard let end else { return }
        let behind = ProducerSnapshot.offsets(among: names).filter { $0 > end.nextOffset }
        try ProducerSnapshot.remove(behind, in: directory, on: fileSystem)
        let hasIndexes = names.contains { SegmentName.baseOffset(of: $0, .transactionIndex) != nil }
        guard end.hasTransactions || hasIndexes else { return }
        let found = try ProducerStateLoader(
            directory: directory, environment: environment, segments: segments,
            limit: checkpoint.recoveryPoint
        ).load()
        for (index, segment) in segments.enumerated() {
            let nextBase =
                index + 1 < segments.count ? segments[index + 1].baseOffset : Offset(.max)
            guard nextBase > found.snapshotOffset else { continue }
            let aborted = try aborted(in: segment, before: found.snapshotOffset, segments)
            try segment.setTransactionIndex(
                aborted + found.aborted(in: segment, upTo: nextBase))
        }
    }

    /// The aborted transactions whose markers lie in a segment and before a snapshot, behind
    /// which the log was read: from the index file, which was complete up to there on stable
    /// storage, or from the log where what came later left that file torn.
    private func aborted(
        in segment: Segment, before snapshotOffset: Offset, _ segments: [Segment]
    ) throws(LogError) -> [AbortedTransaction] {
        guard segment.baseOffset < snapshotOffset else { return [] }
        var aborted: [AbortedTransaction]
        do {
            let next = segments.first { $0.baseOffset > segment.baseOffset }
            aborted = try segment.abortedTransactions(below: next?.baseOffset ?? Offset(.max))
        } catch {
            guard case .corruption = error else { throw error }
            aborted = try ProducerStateLoader(
                directory: directory, environment: environment,
                segments: segments.filter { $0.baseOffset <= segment.baseOffset },
                limit: segment.baseOffset
            ).load().aborted
        }
        return aborted.filter {
            $0.lastOffset >= segment.baseOffset && $0.lastOffset < snapshotOffset
        }
    }

    /// Keeps the snapshots at which segments begin, and the newest.
    private func sweepSnapshots(
        _ names: [String], _ segments: [Segment], upTo end: Offset
    ) throws(LogError) {
        let bases = Set(segments.map(\.baseOffset))
        let offsets = ProducerSnapshot.offsets(among: names).filter { $0 <= end }
        let stray = offsets.dropLast().filter { !bases.contains($0) }
        try ProducerSnapshot.remove(stray, in: directory, on: fileSystem)
    }

    /// What is known of syncs that failed.
    var doubt: SyncDoubt { SyncDoubt(in: directory, on: fileSystem) }

    private func recover(
        _ segments: inout [Segment], _ epochs: LeaderEpochs, isInDoubt: Bool
    ) throws(LogError) -> LogEnd {
        do {
            var recovery = LogRecovery(self, epochs: epochs, isInDoubt: isInDoubt)
            return try recovery.recover(&segments)
        } catch {
            if case .file(let cause) = error, cause.leavesDoubt { doubt.mark() }
            throw error
        }
    }

    // MARK: A new log

    /// Creates the file of the first segment, unless there ought to be one.
    private func firstSegment() throws(LogError) -> Segment {
        guard checkpoint.recoveryPoint <= checkpoint.logStart else {
            throw missing(
                directory, 0,
                "there is no segment, but offsets up to "
                    + "\(checkpoint.recoveryPoint) were on stable storage")
        }
        return try Segment.create(
            at: max(checkpoint.logStart, .zero), in: directory, environment: environment,
            configuration: configuration)
    }

    private func startOfNewLog(
        _ segment: Segment, _ epochs: LeaderEpochs
    ) throws(LogError) -> LogEnd {
        // Index files that outlived their log would seem to belong to what is written now.
        try ResumedSegment(segment, below: .zero).apply()
        try segment.setTransactionIndex([])
        var end = LogEnd(
            nextOffset: segment.baseOffset, position: .start, epochs: epochs,
            epoch: (epochs.latest ?? .none).next)
        end.epochs.truncate(to: segment.baseOffset)
        end.isDirectoryDirty = true
        return end
    }

    private func log(
        of segments: [Segment], _ end: LogEnd
    ) throws(LogError) -> PartitionLog {
        let active = segments[segments.count - 1]
        active.publish(byteCount: end.position.rawValue)
        let logStart = min(max(checkpoint.logStart, segments[0].baseOffset), end.nextOffset)
        return PartitionLog(
            name: name, directory: directory, environment: environment,
            configuration: configuration, segments: segments, logStart: logStart,
            writer: PartitionLog.Writer(
                active: active, position: end.position.rawValue, nextOffset: end.nextOffset,
                epochs: end.epochs, epoch: end.epoch,
                firstTimestamp: try firstTimestamp(of: active),
                rollAfter: configuration.rollAfter(), unsealed: end.unsealed,
                isDirectoryDirty: end.isDirectoryDirty),
            syncedEnd: end.nextOffset,
            highWatermark: configuration.isReplicated
                ? max(min(checkpoint.highWatermark, end.nextOffset), logStart) : end.nextOffset,
            cleanedEnd: checkpoint.cleanedEnd, recovery: end.report)
    }

    private func segment(at base: Offset) throws(LogError) -> Segment {
        let path = joinPath(directory, SegmentName.file(base, .log))
        let found = try withFiles { () throws(FileError) in try fileSystem.information(path) }
        guard let found else { throw missing(path, 0, "the file has vanished") }
        return Segment(
            baseOffset: base, directory: directory, environment: environment,
            byteCount: Int(found.byteCount), byteCountMax: configuration.segmentBytesMax,
            indexIntervalBytes: configuration.indexIntervalBytes)
    }

    /// The largest timestamp of the segment's first batch, from which `segment.ms` counts.
    private func firstTimestamp(of segment: Segment) throws(LogError) -> Timestamp? {
        guard segment.byteCount >= RecordBatchHeader.byteCount else { return nil }
        let head = try segment.load(0..<RecordBatchHeader.byteCount)
        return try? RecordBatchHeader(decoding: head.all).maxTimestamp
    }

    // MARK: A clean stop

    /// The end of a log that was closed in order: the batches behind the last index entry are
    /// checked and must end where the checkpoint says. Indexes that are not sound are mended, which
    /// takes a walk over the whole active segment. Nil when the log is not as the checkpoint says;
    /// it is then treated as after a crash.
    private func endAfterCleanStop(
        _ segments: [Segment], _ epochs: LeaderEpochs
    ) throws(LogError) -> LogEnd? {
        let active = segments[segments.count - 1]
        var end = LogEnd(
            nextOffset: active.baseOffset, position: .start, epochs: epochs,
            epoch: LeaderEpoch(0))
        let resumed = try ResumedSegment(active, below: nil)
        let scanned = try resumed.scan(to: FilePosition(active.byteCount)) { header in
            end.epochs.assign(header.partitionLeaderEpoch, startingAt: header.baseOffset)
        }
        guard scanned.damage == nil, scanned.nextOffset == checkpoint.recoveryPoint else {
            return nil
        }
        try resumed.apply(isWhole: true)
        end.nextOffset = scanned.nextOffset
        end.position = scanned.position
        end.epoch = max(end.epochs.latest ?? .none, LeaderEpoch(0))
        return end
    }

    // MARK: Left-overs

    /// Removes what an interrupted deletion, cleaning or replacement left: last of all, since a
    /// log that is damaged stays as it was found.
    private func sweepLeftOvers(_ names: [String]) throws(LogError) {
        let left = names.filter { name in
            [".deleted", ".cleaned", ".tmp"].contains { name.hasSuffix($0) }
        }
        try withFiles { () throws(FileError) in
            for name in left {
                let path = joinPath(directory, name)
                if try fileSystem.information(path) != nil { try fileSystem.remove(path) }
            }
        }
    }

    // MARK: Errors

    func withFiles<R>(_ body: () throws(FileError) -> R) throws(LogError) -> R {
        do { return try body() } catch { throw .file(error) }
    }

    func missing(_ file: String, _ position: Int, _ reason: String) -> LogError {
        .corruption(Corruption(file: file, position: FilePosition(position), reason: reason))
    }
}

/// Where a log ends, and the epochs that wrote it.
struct LogEnd {
    var nextOffset: Offset
    var position: FilePosition
    var epochs: LeaderEpochs
    /// The epoch of what is appended from now on.
    var epoch: LeaderEpoch
    var isDirectoryDirty = false
    /// Segments whose index files could not be written yet.
    var unsealed: [Segment] = []
    /// Batches of transactions were met.
    var hasTransactions = false
    var report = RecoveryReport()
}
