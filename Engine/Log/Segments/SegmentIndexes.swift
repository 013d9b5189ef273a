import Synchronization
import TallyFiles
import TallyRecords

/// What is known of a segment's two indexes: entries not yet written, how many are in the files,
/// and whether the files were looked at. Guarded by the segment's index lock.
struct SegmentIndexes: Sendable {
    /// False until the files of a segment found on disk were checked for soundness.
    var isChecked = false
    /// False until the time entries were compared with the log; see `Segment.checkTimes`.
    var areTimesChecked = false
    /// The entries stand for a part of the segment only: the log is damaged, or the files are not
    /// sound and may not be changed. What has no entry is found by walking.
    var isPartial = false
    var offsets = IndexTail<OffsetIndexEntry>()
    var times = IndexTail<TimeIndexEntry>()
    /// Set while the segment is appended to.
    var rule: SparseIndexRule?
    /// While the segment is appended to: every batch before it was noted here, whether or not
    /// readers see it yet. Building the indexes again goes exactly that far.
    var notedEnd = FilePosition.start

    init() {}

    /// The indexes of a new, empty segment.
    init(emptyAt baseOffset: Offset, intervalBytes: Int) {
        isChecked = true
        areTimesChecked = true
        rule = SparseIndexRule(baseOffset: baseOffset, intervalBytes: intervalBytes)
    }

    /// Adds what is due for a batch that was just appended.
    mutating func note(_ batch: RecordBatchHeader, at position: FilePosition) {
        notedEnd = position.advanced(by: batch.sizeInBytes)
        guard let due = rule?.note(batch, at: position) else { return }
        if let entry = due.offset { offsets.append(entry) }
        if let entry = due.time { times.append(entry) }
    }

    /// Accounts for a batch that has its index entries already.
    mutating func noteIndexed(_ batch: RecordBatchHeader, at position: FilePosition) {
        notedEnd = position.advanced(by: batch.sizeInBytes)
        rule?.noteIndexed(batch)
    }

    /// Adds the last time entry, which a roll and a close write.
    mutating func finish() {
        if let entry = rule?.timeEntry() { times.append(entry) }
    }

    /// Whether the entries in memory should be written.
    var isDue: Bool { offsets.isDue || times.isDue }

    /// Whether some batch may have this timestamp or a later one.
    func mayReach(_ timestamp: Timestamp) -> Bool {
        isPartial || rule?.maxTimestamp ?? times.last?.timestamp ?? .none >= timestamp
    }
}

extension Segment {
    /// Notes an appended batch in the indexes; writes them out when a page of entries is full.
    ///
    /// Throws only what stops a partition: an index that cannot be written for another reason
    /// stays in memory.
    func noteAppended(
        _ batch: RecordBatchHeader, at position: FilePosition
    ) throws(LogError) {
        try indexes.withLock { indexes throws(LogError) in
            indexes.note(batch, at: position)
            if indexes.isDue { _ = try write(&indexes) }
        }
    }

    /// Writes the entries gathered in memory to the index files; false where that has to wait,
    /// for space or for somebody to put a vanished file back.
    private func write(_ indexes: inout SegmentIndexes) throws(LogError) -> Bool {
        do throws(FileError) {
            try indexes.offsets.write(to: offsetIndexFile)
            try indexes.times.write(to: timeIndexFile)
            return true
        } catch {
            if error.leavesDoubtInIndex { throw .file(error) }
            return false
        }
    }

    /// Writes the entries in memory to the index files, where that is possible now.
    func writeIndexEntries() throws(LogError) {
        try indexes.withLock { indexes throws(LogError) in
            guard indexes.rule != nil else { return }
            _ = try write(&indexes)
        }
    }

    /// Gives back reserved space and syncs the log file. The segment is not appended to any more.
    func sealLog() throws(LogError) {
        do {
            try logFile.truncate(to: Int64(byteCount))
            try logFile.sync()
        } catch {
            throw .file(error)
        }
    }

    /// Writes the last time entry and all of the indexes, and cuts the files to their entries;
    /// creates those that are empty, since Kafka has both for every segment.
    ///
    /// - Parameter isSynced: whether the files are synced. Where they are not, a power loss may
    ///   cost the next opening a walk over the segment.
    /// Returns false where writing has to wait: the indexes are complete in memory then.
    func sealIndexes(syncing isSynced: Bool = true) throws(LogError) -> Bool {
        try indexes.withLock { indexes throws(LogError) in
            indexes.finish()
            guard try write(&indexes) else { return false }
            do throws(FileError) {
                let offsetBytes = indexes.offsets.count * OffsetIndexEntry.byteCount
                try offsetIndexFile.truncate(to: Int64(offsetBytes))
                if isSynced { try offsetIndexFile.sync() }
                let timeBytes = indexes.times.count * TimeIndexEntry.byteCount
                try timeIndexFile.truncate(to: Int64(timeBytes))
                if isSynced { try timeIndexFile.sync() }
                indexes.rule = nil
                return true
            } catch {
                if error.leavesDoubtInIndex { throw .file(error) }
                return false
            }
        }
    }
}

extension FileError {
    /// Whether this error of a partition's file leaves in doubt what the disk holds, so that the
    /// partition may take no appends until it is rescanned: a device error, a failed sync, and
    /// whatever is not known to have changed nothing.
    var leavesDoubt: Bool {
        isFailedSync || !(isNoSpace || isTooManyOpenFiles || isOutOfMemory)
    }

    /// Whether what failed changed nothing and may succeed later: there was no room, no descriptor,
    /// no memory.
    package var leavesNoTrace: Bool { !leavesDoubt }

    /// The same for an index file, which is no evidence: one that somebody removed or replaced
    /// is built again.
    var leavesDoubtInIndex: Bool { leavesDoubt && !isAbsent && !isReplaced }
}
