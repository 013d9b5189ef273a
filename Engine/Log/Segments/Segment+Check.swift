import Synchronization
import TallyFiles
import TallyRecords

// An index is never evidence. Before its first use it is looked at, cheaply: it must rise, its
// ends must agree with the log, and nothing may be missing behind them. What that cannot see is
// met by the lookup itself, which checks the batch that an entry leads to.

extension Segment {
    /// Runs a closure on the indexes, having looked at the files of a segment found on disk before
    /// their first use. Unsound files are built again from the log; a lock-free reader makes do
    /// with their sound part.
    ///
    /// - Parameter isCheckingTimes: whether the closure looks at time entries.
    func withIndexes<Result>(
        checkingTimes isCheckingTimes: Bool = false,
        _ body: (inout SegmentIndexes) throws(LogError) -> Result
    ) throws(LogError) -> Result {
        var problem: String?
        // Told outside the lock: whoever hears of it may want to read.
        defer { if let problem { reportRebuilt(because: problem) } }
        return try indexes.withLock { indexes throws(LogError) in
            if !indexes.isChecked { problem = try check(&indexes) }
            if isCheckingTimes, !indexes.areTimesChecked {
                problem = try checkTimes(&indexes) ?? problem
            }
            return try body(&indexes)
        }
    }

    /// Returns why the indexes were built again.
    private func check(_ indexes: inout SegmentIndexes) throws(LogError) -> String? {
        let found = try readIndexFiles()
        indexes.offsets = found.offsets
        indexes.times = found.times
        let end = FilePosition(byteCount)
        var problem = found.problem
        if problem == nil { problem = try self.problem(with: found.offsets, upTo: end) }
        guard problem != nil else {
            indexes.isChecked = true
            return nil
        }
        if environment.isReadOnly {
            indexes.isChecked = true
            indexes.isPartial = true
            return nil
        }
        try rebuild(&indexes)
        return problem
    }

    /// Returns why the indexes were built again.
    private func checkTimes(_ indexes: inout SegmentIndexes) throws(LogError) -> String? {
        let problem: String?
        do {
            let end = FilePosition(byteCount)
            problem = try self.problem(with: indexes.times, indexes.offsets, upTo: end)
        } catch .corruption {
            // Nothing can be said; whoever looks for a time walks until it meets the damage.
            indexes.times = IndexTail()
            indexes.isPartial = true
            problem = nil
        }
        indexes.areTimesChecked = true
        guard let problem else { return nil }
        if environment.isReadOnly {
            indexes.times = IndexTail()
            indexes.isPartial = true
            return nil
        }
        try rebuild(&indexes)
        return problem
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
        let path = file.path
        do {
            let bytes = try environment.fileSystem.readWhole(
                path, byteCountMax: Self.indexFileByteCountMax)
            guard let bytes else { return (IndexTail(), "\(path) is missing") }
            let sound = soundPrefix(of: bytes.rawSpan, accept: accept)
            let tail = IndexTail(writtenCount: sound.count, last: sound.last)
            let soundByteCount = sound.count * Entry.byteCount
            guard soundByteCount == bytes.count else {
                return (tail, "\(path) is not sound from byte \(soundByteCount) on")
            }
            return (tail, nil)
        } catch {
            if error.isTooLarge { return (IndexTail(), "\(path) is larger than any index") }
            throw .file(error)
        }
    }

    /// An index of 2 GiB of log at one entry per byte would be larger than anything sensible;
    /// files beyond this are not read but built again.
    static var indexFileByteCountMax: Int { 1 << 28 }

    // MARK: Comparing with the log

    /// Kafka's cleaner writes many batches at once and gives them one entry; this much may lie
    /// behind the last one.
    private static var bytesWithoutEntryMax: Int { 2 << 20 }

    /// What is wrong with the end of an offset index: its last entry must lead to a sound batch
    /// that reaches no further than the entry says, and not much may lie behind it.
    func problem(
        with offsets: IndexTail<OffsetIndexEntry>, upTo end: FilePosition
    ) throws(LogError) -> String? {
        var start = FilePosition.start
        if let entry = offsets.last {
            start = FilePosition(Int(entry.position))
            switch try landing(at: start, before: end) {
            case .misled(let reason): return reason
            case .batch(let header, _):
                guard stands(entry, for: header) else {
                    return "the entry for byte \(start) names an offset that is not there"
                }
            }
        }
        let byteCount = end.rawValue - start.rawValue
        if byteCount > indexIntervalBytes + Self.bytesWithoutEntryMax {
            return "there is no entry for the last \(byteCount) bytes"
        }
        return nil
    }

    /// Whether an entry may stand for a batch. Compaction makes entries that name a later offset
    /// than the batch's own last.
    private func stands(_ entry: OffsetIndexEntry, for header: RecordBatchHeader) -> Bool {
        header.baseOffset >= baseOffset
            && header.lastOffset.rawValue - baseOffset.rawValue <= Int64(entry.relativeOffset)
    }

    /// What is wrong with the end of a time index: its last entry must be true of the batch it
    /// names, and no batch from there up to `end` may have a later timestamp.
    ///
    /// Where timestamps rise, that looks at a few batches; where an early batch has the largest,
    /// at the headers of all that follow it. Throws ``LogError/corruption(_:)`` where that meets
    /// damage in the log.
    func problem(
        with times: IndexTail<TimeIndexEntry>, _ offsets: IndexTail<OffsetIndexEntry>,
        upTo end: FilePosition
    ) throws(LogError) -> String? {
        let named = baseOffset.advanced(by: Int64(times.last?.relativeOffset ?? 0))
        var start = FilePosition.start
        if let relative = times.last?.relativeOffset {
            let entry: OffsetIndexEntry?
            do {
                entry = try lastEntry(in: offsets) {
                    $0.relativeOffset <= relative
                }
            } catch {
                return "\(error)"
            }
            if let entry {
                start = FilePosition(Int(entry.position))
                guard case .batch(let header, _) = try landing(at: start, before: end),
                    header.baseOffset <= named
                else { return "an entry leads behind the offset it stands for" }
            }
        }
        var isMet = times.last == nil
        let wrong = try firstBatch(from: start, to: end) { (header, _) in
            guard let last = times.last else { return header.maxTimestamp > .none }
            if !isMet, header.lastOffset >= named {
                isMet = true
                return header.baseOffset > named || header.maxTimestamp != last.timestamp
            }
            return header.maxTimestamp > last.timestamp
        }
        if let wrong {
            return "the time entries are not true of the batch at byte \(wrong.position)"
        }
        return isMet ? nil : "a time entry names an offset behind the log's end"
    }
}
