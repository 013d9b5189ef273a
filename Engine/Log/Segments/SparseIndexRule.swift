import TallyRecords

/// Decides which batches of a segment get index entries, exactly as Kafka's log segment does
/// (`LogSegment.append`): an entry for the first batch that starts more than
/// `index.interval.bytes` after the last indexed one, and with it a time entry if the largest
/// timestamp has risen since the last time entry.
///
/// Appending, recovery and rebuilding all feed this one rule, so their indexes cannot differ.
/// A value type owned by whoever writes the segment.
struct SparseIndexRule: Sendable {
    let baseOffset: Offset
    let intervalBytes: Int
    /// Bytes of batches since the last indexed one began, that one included.
    private(set) var bytesSinceEntry = 0
    /// The largest timestamp in the segment so far.
    private(set) var maxTimestamp = Timestamp.none
    /// The last offset of the batch that has it.
    private(set) var offsetOfMaxTimestamp: Offset
    private var lastTimeEntry: TimeIndexEntry?

    init(baseOffset: Offset, intervalBytes: Int) {
        self.baseOffset = baseOffset
        self.intervalBytes = intervalBytes
        self.offsetOfMaxTimestamp = baseOffset
    }

    /// Goes on from a segment whose indexes are already filled up to some position.
    mutating func resume(after entry: TimeIndexEntry?) {
        bytesSinceEntry = 0
        lastTimeEntry = entry
        guard let entry else { return }
        maxTimestamp = entry.timestamp
        offsetOfMaxTimestamp = baseOffset.advanced(by: Int64(entry.relativeOffset))
    }

    /// The entries that are due because `batch` was appended at `position`.
    mutating func note(
        _ batch: RecordBatchHeader, at position: FilePosition
    ) -> (offset: OffsetIndexEntry?, time: TimeIndexEntry?) {
        noteTimestamp(of: batch)
        var due: (offset: OffsetIndexEntry?, time: TimeIndexEntry?) = (nil, nil)
        // Positions beyond 2 GiB do not fit an entry; no segment that Tally writes has them.
        if bytesSinceEntry > intervalBytes, let place = Int32(exactly: position.rawValue) {
            due.offset = OffsetIndexEntry(
                relativeOffset: relative(batch.lastOffset), position: place)
            due.time = timeEntry()
            bytesSinceEntry = 0
        }
        bytesSinceEntry += batch.sizeInBytes
        return due
    }

    /// Accounts for a batch that already has its index entries.
    mutating func noteIndexed(_ batch: RecordBatchHeader) {
        noteTimestamp(of: batch)
        bytesSinceEntry += batch.sizeInBytes
    }

    /// The time entry due now, if the largest timestamp rose since the last one: with an offset
    /// entry, and once more when the segment is rolled or closed.
    mutating func timeEntry() -> TimeIndexEntry? {
        guard maxTimestamp > (lastTimeEntry?.timestamp ?? .none) else { return nil }
        let entry = TimeIndexEntry(
            timestamp: maxTimestamp, relativeOffset: relative(offsetOfMaxTimestamp))
        lastTimeEntry = entry
        return entry
    }

    private mutating func noteTimestamp(of batch: RecordBatchHeader) {
        guard batch.maxTimestamp > maxTimestamp else { return }
        maxTimestamp = batch.maxTimestamp
        offsetOfMaxTimestamp = batch.lastOffset
    }

    private func relative(_ offset: Offset) -> Int32 {
        Int32(clamping: offset.rawValue - baseOffset.rawValue)
    }
}
