import Synchronization
import TallyFiles
import TallyRecords

extension Segment {
    /// The first batch whose last offset is `offset` or more, before `end`.
    func batch(
        reaching offset: Offset, end: FilePosition
    ) throws(LogError) -> FoundBatch? {
        let start = try start(forWalkTo: offset, end: end)
        return try firstBatch(from: start.position, to: end, loaded: start.loaded) { (header, _) in
            header.lastOffset >= offset
        }
    }

    /// The first batch that has a timestamp of `timestamp` or later and reaches `offset`, before
    /// `end`.
    func batch(
        reaching timestamp: Timestamp, from offset: Offset, end: FilePosition
    ) throws(LogError) -> FoundBatch? {
        let entry = try timeEntry(before: timestamp, end: end)
        let named = baseOffset.advanced(by: Int64(entry?.relativeOffset ?? 0))
        let start = try start(forWalkTo: max(named, offset), end: end)
        return try firstBatch(from: start.position, to: end, loaded: start.loaded) { (header, _) in
            header.maxTimestamp >= timestamp && header.lastOffset >= offset
        }
    }

    /// The last batch before a position, at which a batch begins or the segment ends.
    ///
    /// - Parameter offset: the first that the batch at the position may have.
    func lastBatch(
        before position: FilePosition, _ offset: Offset
    ) throws(LogError) -> RecordBatchHeader? {
        let limit = FilePosition(byteCount)
        if let found = try batch(reaching: offset.advanced(by: -1), end: limit),
            found.position < position
        {
            return found.header
        }
        // Offsets are missing before the position: only a walk finds what is before them.
        var last: RecordBatchHeader?
        _ = try firstBatch(from: .start, to: position) { (header, _) in
            last = header
            return false
        }
        return last
    }

    /// Whether some batch may have this timestamp or a later one.
    func mayReach(_ timestamp: Timestamp) throws(LogError) -> Bool {
        try withIndexes(checkingTimes: true) { $0.mayReach(timestamp) }
    }

    // MARK: Entries as hints

    /// A batch at or before the one that reaches an offset, from where to walk.
    ///
    /// The index entry is a hint: the batch it leads to is checked with its checksum and must not
    /// lie behind what is looked for; otherwise the indexes are built again.
    private func start(
        forWalkTo offset: Offset, end: FilePosition
    ) throws(LogError) -> (position: FilePosition, loaded: SegmentBytes?) {
        let hint = try hint(for: offset)
        if hint == .start { return (hint, nil) }
        var reason = "an entry leads behind the offset it stands for"
        switch try landing(at: hint, before: end) {
        case .misled(let found): reason = found
        case .batch(let header, let loaded):
            if header.baseOffset <= offset, header.baseOffset >= baseOffset {
                return (hint, loaded)
            }
        }
        try rebuildIndexes(because: reason)
        return (environment.isReadOnly ? .start : try self.hint(for: offset), nil)
    }

    /// The position in the offset index that is nearest before an offset.
    private func hint(for offset: Offset) throws(LogError) -> FilePosition {
        let relative = offset.rawValue - baseOffset.rawValue
        let entry = try search { (entry: OffsetIndexEntry) in
            Int64(entry.relativeOffset) <= relative
        }
        return entry.map { FilePosition(Int($0.position)) } ?? .start
    }

    /// The last time entry with an earlier timestamp: everything up to its offset is earlier, so
    /// that the batch which is looked for comes after it. Checked to be true of the batch it names.
    private func timeEntry(
        before timestamp: Timestamp, end: FilePosition
    ) throws(LogError) -> TimeIndexEntry? {
        func search() throws(LogError) -> TimeIndexEntry? {
            try self.search { (entry: TimeIndexEntry) in entry.timestamp < timestamp }
        }
        guard let entry = try search() else { return nil }
        let named = baseOffset.advanced(by: Int64(entry.relativeOffset))
        let batch = try batch(reaching: named, end: end)
        if let header = batch?.header, header.baseOffset <= named,
            header.maxTimestamp == entry.timestamp
        {
            return entry
        }
        try rebuildIndexes(because: "a time entry is not true of the batch it names")
        return environment.isReadOnly ? nil : try search()
    }

    /// The last entry of an index for which a condition holds, in memory or in the file. An index
    /// file that cannot be read, because somebody removed it or cut it, is built again.
    private func search<Entry: IndexEntry>(
        where isBefore: (Entry) -> Bool
    ) throws(LogError) -> Entry? {
        var problem: String?
        defer { if let problem { reportRebuilt(because: problem) } }
        return try withIndexes(checkingTimes: Entry.self == TimeIndexEntry.self) {
            (indexes) throws(LogError) in
            do throws(FileError) {
                return try lastEntry(in: Entry.tail(in: indexes), where: isBefore)
            } catch {
                if environment.isReadOnly { return nil }
                try rebuild(&indexes)
                problem = "\(error)"
            }
            do throws(FileError) {
                return try lastEntry(in: Entry.tail(in: indexes), where: isBefore)
            } catch {
                throw .file(error)
            }
        }
    }

    /// The last entry of an index for which a condition holds that holds for a prefix of them.
    func lastEntry<Entry: IndexEntry>(
        in tail: IndexTail<Entry>, where isBefore: (Entry) -> Bool
    ) throws(FileError) -> Entry? {
        if let recent = tail.lastEntry(where: isBefore) { return recent }
        guard tail.writtenCount > 0 else { return nil }
        let byteCount = tail.writtenCount * Entry.byteCount
        let map = try indexMap(Entry.slot, byteCount: byteCount)
        return TallyLog.lastEntry(
            in: map.bytes(0..<byteCount), count: tail.writtenCount, where: isBefore)
    }
}
