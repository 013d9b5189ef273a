import TallyLog
import TallyRecords

/// Writes what stays of some segments into new ones. Used by one thread.
///
/// After Kafka's `Cleaner.cleanInto`. What becomes of a batch:
///
/// - from the end of the dirty part on: it stays as it is;
/// - aborted: its records go;
/// - a marker of a transaction of which nothing is left: it gets a delete horizon, and goes when
///   that is over;
/// - otherwise its newest records stay; tombstones among them get a delete horizon, and go when
///   that is over;
/// - without records it goes, but for its header where a producer's sequences go on from it.
struct SegmentCleaner: ~Copyable {
    private let scope: CleaningScope
    private let now: Timestamp
    /// What tombstones and markers get that are seen for the first time.
    private let newHorizon: Timestamp
    private let log: PartitionLog
    private let pace: Pace
    private var keys: DirtyKeys
    private var transactions: TransactionFilter
    private var decoder = RecordDecoder()
    private var filter = BatchFilter()
    private(set) var report: CleaningReport
    private(set) var traffic = CleaningTraffic()

    init(
        _ scope: CleaningScope, of log: PartitionLog, keys: consuming DirtyKeys, now: Timestamp,
        deleteRetentionMilliseconds: Int64, report: CleaningReport, pace: Pace
    ) {
        self.scope = scope
        self.log = log
        self.keys = keys
        self.now = now
        self.pace = pace
        self.report = report
        let horizon = now.rawValue.addingReportingOverflow(deleteRetentionMilliseconds)
        newHorizon = Timestamp(rawValue: horizon.overflow ? .max : horizon.partialValue)
        transactions = TransactionFilter(scope.aborted)
    }

    /// Cleans segments that lie one behind the other; groups come in the order of the log.
    ///
    /// - Returns: the new segments, which are on stable storage and not in the log yet; nil where
    ///   nothing of the one segment changes.
    mutating func clean(
        _ group: ArraySlice<Segment>
    ) throws(LogError) -> [CleanedSegment]? {
        var writer = try CleanedSegmentWriter(for: log, at: group[group.startIndex].baseOffset)
        do throws(LogError) {
            var outcome = GroupOutcome()
            for segment in group { try clean(segment, into: &writer, &outcome) }
            if group.count == 1, !outcome.isChanged {
                writer.discard()
                return nil
            }
            // The last offset stays, so that no offsets are missing between segments.
            if let last = outcome.last, writer.nextOffset < last.nextOffset {
                try write(last.placeholder.encodedAlone().rawSpan, to: &writer)
            }
            return try writer.finish(aborted: transactions.met, besides: Array(group))
        } catch {
            writer.discard()
            throw error
        }
    }

    /// Notes that new segments have taken the place of others.
    mutating func noteReplaced(_ old: ArraySlice<Segment>, _ new: [CleanedSegment]) {
        report.oldSegmentCount += old.count
        report.newSegmentCount += new.count
        report.oldByteCount += old.reduce(0) { $0 + $1.byteCount }
        report.newByteCount += new.reduce(0) { $0 + $1.byteCount }
    }

    /// What was found in the segments of a group so far.
    private struct GroupOutcome {
        var isChanged = false
        /// The last batch.
        var last: RecordBatchHeader?
    }

    private mutating func clean(
        _ segment: Segment, into writer: inout CleanedSegmentWriter, _ outcome: inout GroupOutcome
    ) throws(LogError) {
        let limit = FilePosition(segment.byteCount)
        let scanned = try segment.walk(to: limit, expecting: segment.baseOffset) {
            (header, position, bytes) throws(LogError) -> ScanStep in
            try pace.moved(header.sizeInBytes, of: log)
            traffic.readByteCount += header.sizeInBytes
            let isChanged: Bool
            do throws(CleaningFailure) {
                isChanged = try clean(bytes, into: &writer)
            } catch {
                switch error {
                case .record(let error): throw segment.notReadable(at: position, error)
                case .log(let error): throw error
                }
            }
            if isChanged { outcome.isChanged = true }
            outcome.last = header
            return .goOn
        }
        if let damage = scanned.damage { throw segment.corrupted(at: scanned.position, damage) }
    }

    private enum CleaningFailure: Error {
        case record(RecordError)
        case log(LogError)
    }

    /// Returns whether the batch does not stay as it is.
    private mutating func clean(
        _ bytes: RawSpan, into writer: inout CleanedSegmentWriter
    ) throws(CleaningFailure) -> Bool {
        let change: Change
        let header: RecordBatchHeader
        do throws(RecordError) {
            let batch = try RecordBatch(bytes)
            header = batch.header
            change = try choose(batch)
        } catch {
            throw .record(error)
        }
        do throws(LogError) {
            switch change {
            case .none:
                noteHorizon(of: header)
                try write(bytes, to: &writer)
            case .removed: break
            case .emptied: try write(header.emptied.encodedAlone().rawSpan, to: &writer)
            case .filtered(let selection, let horizon):
                noteHorizon(of: header)
                try write(selection, horizon, of: bytes, to: &writer)
            }
        } catch {
            throw .log(error)
        }
        if case .none = change { return false }
        return true
    }

    /// What becomes of a batch.
    private enum Change {
        case none
        case removed
        case emptied
        case filtered(BatchFilter.Selection, horizon: Timestamp?)
    }

    private mutating func choose(_ batch: borrowing RecordBatch) throws(RecordError) -> Change {
        let header = batch.header
        if header.attributes.isControl { return try choose(marker: batch) }
        let isAborted = transactions.isAborted(header)
        if header.baseOffset >= keys.end { return .none }
        if isAborted || header.recordCount == 0 || keys.isAllOld(header) {
            return removeAll(of: header)
        }
        let hasExpired = header.deleteHorizon.map { $0 <= now } ?? false
        let keysEnd = keys.end
        let selection = try filter.select(from: batch) { record in
            // Behind the dirty part nothing is known: not even that a tombstone may go.
            if record.offset >= keysEnd { return true }
            if hasExpired, record.isTombstone { return false }
            return keys.isLatest(record)
        }
        guard selection.keptCount > 0 else { return removeAll(of: header) }
        report.pendingTombstoneCount += Int(selection.tombstoneCount)
        report.removedRecordCount += Int(selection.removedCount)
        // A batch has one horizon for all of its tombstones: it waits until what is older than
        // any of them is gone.
        let needsHorizon =
            selection.tombstoneCount > 0 && !header.attributes.hasDeleteHorizon
            && header.lastOffset < keysEnd
        if selection.removedCount == 0, !needsHorizon { return .none }
        return .filtered(selection, horizon: needsHorizon ? newHorizon : nil)
    }

    private mutating func choose(
        marker batch: borrowing RecordBatch
    ) throws(RecordError) -> Change {
        let header = batch.header
        let control = try decoder.controlRecord(of: batch)
        let isUnneeded = transactions.isUnneeded(marker: header, control)
        if header.baseOffset >= keys.end || !isUnneeded || isLastOfProducer(header) {
            return .none
        }
        guard control != nil else { return .removed }
        if let horizon = header.deleteHorizon {
            guard horizon <= now else { return .none }
            report.removedRecordCount += 1
            return .removed
        }
        let selection = try filter.select(from: batch) { _ in true }
        return .filtered(selection, horizon: newHorizon)
    }

    private mutating func removeAll(of header: RecordBatchHeader) -> Change {
        report.removedRecordCount += Int(header.recordCount)
        guard isLastOfProducer(header) else { return .removed }
        return header.recordCount == 0 ? .none : .emptied
    }

    /// Notes when what a batch still has may go. A horizon that is over is nothing to wait for: a
    /// batch keeps it for the records beside the tombstones that went, and the log would be
    /// cleaned again and again because of it.
    private mutating func noteHorizon(of header: RecordBatchHeader) {
        guard let horizon = header.deleteHorizon, horizon > now else { return }
        report.note(horizon: horizon)
    }

    /// Whether what is known of a producer comes from this batch.
    private func isLastOfProducer(_ header: RecordBatchHeader) -> Bool {
        guard header.producerID >= 0, let tail = scope.producers[header.producerID] else {
            return false
        }
        guard let last = tail.lastOffset else {
            return header.attributes.isControl && header.producerEpoch == tail.epoch
        }
        return header.lastOffset == last
    }

    // MARK: Writing

    private mutating func write(
        _ selection: BatchFilter.Selection, _ horizon: Timestamp?, of bytes: RawSpan,
        to writer: inout CleanedSegmentWriter
    ) throws(LogError) {
        if let horizon { report.note(horizon: horizon) }
        let byteCount = try Self.write(selection, horizon, of: bytes, by: &filter, to: &writer)
        traffic.writtenByteCount += byteCount
        try pace.moved(byteCount, of: log)
    }

    /// Returns the size of the new batch.
    private static func write(
        _ selection: BatchFilter.Selection, _ horizon: Timestamp?, of bytes: RawSpan,
        by filter: inout BatchFilter, to writer: inout CleanedSegmentWriter
    ) throws(LogError) -> Int {
        let filtered: RawSpan
        do throws(RecordError) {
            filtered = try filter.finish(
                selection, of: try RecordBatch(bytes), deleteHorizon: horizon)
        } catch {
            throw .invalidBatch(error)
        }
        try writer.append(filtered)
        return filtered.byteCount
    }

    private mutating func write(
        _ bytes: RawSpan, to writer: inout CleanedSegmentWriter
    ) throws(LogError) {
        try pace.moved(bytes.byteCount, of: log)
        traffic.writtenByteCount += bytes.byteCount
        try writer.append(bytes)
    }
}
