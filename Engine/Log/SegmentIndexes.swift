import Synchronization
import TallyFiles
import TallyRecords

/// What is known of a segment's two indexes: entries not yet written, how many are in the files,
/// and whether the files were looked at. Guarded by the segment's index lock.
struct SegmentIndexes: Sendable {
    /// False until the files of a segment found on disk were checked for soundness.
    var isChecked = false
    var offsets = IndexTail<OffsetIndexEntry>()
    var times = IndexTail<TimeIndexEntry>()
    /// Set while the segment is appended to.
    var rule: SparseIndexRule?
    /// An index file could not be written; the entries behind were dropped. The files are
    /// built again from the log when the segment is sealed or opened next.
    var isIncomplete = false

    init() {}

    /// The indexes of a new, empty segment.
    init(emptyAt baseOffset: Offset, intervalBytes: Int) {
        isChecked = true
        rule = SparseIndexRule(baseOffset: baseOffset, intervalBytes: intervalBytes)
    }

    /// Adds what is due for a batch that was just appended.
    mutating func note(_ batch: RecordBatchHeader, at position: FilePosition) {
        guard let due = rule?.note(batch, at: position) else { return }
        guard !isIncomplete else { return }
        if let entry = due.offset { offsets.append(entry) }
        if let entry = due.time { times.append(entry) }
    }

    /// Adds the last time entry, which a roll and a close write.
    mutating func finish() {
        if !isIncomplete, let entry = rule?.timeEntry() { times.append(entry) }
    }

    /// The largest timestamp in the segment.
    var maxTimestamp: Timestamp { rule?.maxTimestamp ?? times.last?.timestamp ?? .none }
}

extension Segment {
    /// Notes an appended batch in the indexes; writes them out when a page of entries is full.
    ///
    /// Running out of space for an index fails no append: the index is built again later.
    func noteAppended(_ batch: RecordBatchHeader, at position: FilePosition) throws(LogError) {
        let isDue = indexes.withLock { indexes in
            indexes.note(batch, at: position)
            return indexes.offsets.isDue || indexes.times.isDue
        }
        if isDue { try writeIndexes() }
    }

    /// Writes the entries gathered in memory to the index files.
    func writeIndexes() throws(LogError) {
        try indexes.withLock { indexes throws(LogError) in
            guard !indexes.isIncomplete else { return }
            do throws(FileError) {
                try indexes.offsets.write(to: offsetIndexFile)
                try indexes.times.write(to: timeIndexFile)
            } catch {
                guard error.isNoSpace else { throw .file(error) }
                indexes.isIncomplete = true
            }
        }
    }

    /// Closes the segment for appends: writes the last time entry and all of the indexes, gives
    /// back reserved space, and syncs the three files.
    func seal() throws(LogError) {
        let isIncomplete = indexes.withLock { indexes in
            indexes.finish()
            return indexes.isIncomplete
        }
        do {
            try logFile.truncate(to: Int64(byteCount))
            try logFile.sync()
            guard !isIncomplete else { return }
            try writeIndexes()
            try writeIndexEnds()
        } catch let error as FileError {
            throw .file(error)
        } catch let error as LogError {
            throw error
        } catch {
            invariantFailure("an error of an unknown kind: \(error)")
        }
    }

    /// Cuts the index files to their entries and syncs them; creates those that are empty, since
    /// Kafka has an index for every segment.
    private func writeIndexEnds() throws(FileError) {
        let (offsetCount, timeCount) = indexes.withLock { ($0.offsets.count, $0.times.count) }
        try offsetIndexFile.truncate(to: Int64(offsetCount * OffsetIndexEntry.byteCount))
        try offsetIndexFile.sync()
        try timeIndexFile.truncate(to: Int64(timeCount * TimeIndexEntry.byteCount))
        try timeIndexFile.sync()
    }

    /// Looks at the index files of a segment found on disk once, before their first use.
    ///
    /// Unsound files are built again from the log; a lock-free reader uses their sound part.
    func checkIndexes() throws(LogError) {
        let isChecked = indexes.withLock { $0.isChecked }
        guard !isChecked else { return }
        let found = try readIndexFiles()
        if let reason = found.problem, !environment.isReadOnly {
            try rebuildIndexes(because: reason)
        } else {
            indexes.withLock { indexes in
                guard !indexes.isChecked else { return }
                indexes.offsets = found.offsets
                indexes.times = found.times
                indexes.isChecked = true
            }
        }
    }

    /// The sound part of the index files, and what is wrong with the rest.
    func readIndexFiles() throws(LogError) -> (
        offsets: IndexTail<OffsetIndexEntry>, times: IndexTail<TimeIndexEntry>, problem: String?
    ) {
        let byteCount = byteCount
        let offsets = try readIndex(offsetIndexFile) { (entry: OffsetIndexEntry) in
            entry.relativeOffset >= 0 && entry.position > 0 && Int(entry.position) < byteCount
        }
        let times = try readIndex(timeIndexFile) { (entry: TimeIndexEntry) in
            entry.relativeOffset >= 0 && entry.timestamp > .none
        }
        let problem = offsets.problem ?? times.problem
        return (offsets.tail, times.tail, problem)
    }

    private func readIndex<Entry: IndexEntry>(
        _ file: PooledFile, accept: (Entry) -> Bool
    ) throws(LogError) -> (tail: IndexTail<Entry>, problem: String?) {
        do {
            guard let bytes = try environment.fileSystem.readWhole(
                file.path, byteCountMax: Self.indexFileByteCountMax)
            else { return (IndexTail(), "\(file.path) is missing") }
            let sound = soundPrefix(of: bytes.rawSpan, accept: accept)
            let tail = IndexTail(writtenCount: sound.count, last: sound.last)
            let soundByteCount = sound.count * Entry.byteCount
            guard soundByteCount == bytes.count else {
                return (tail, "\(file.path) is not sound from byte \(soundByteCount) on")
            }
            return (tail, nil)
        } catch {
            throw .file(error)
        }
    }

    /// An index of 2 GiB of log at one entry per byte would be larger than anything sensible;
    /// files beyond this are not read but built again.
    static var indexFileByteCountMax: Int { 1 << 28 }
}
