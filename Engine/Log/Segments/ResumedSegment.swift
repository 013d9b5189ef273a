import Synchronization
import TallyFiles
import TallyRecords

/// A segment found on disk that will be appended to, or must be checked from some offset on: the
/// sound part of its indexes, and the place from which its batches have to be walked.
///
/// Looks only; ``apply()`` is what changes something. Used by one thread while a log is opened.
final class ResumedSegment {
    let segment: Segment
    private var indexes: SegmentIndexes
    private var start = FilePosition.start
    private var startOffset: Offset

    /// - Parameter limit: index entries are used up to this offset only; nil for all. Zero makes
    ///   the walk begin at the start of the segment.
    init(_ segment: Segment, below limit: Offset?) throws(LogError) {
        self.segment = segment
        indexes = SegmentIndexes(
            emptyAt: segment.baseOffset, intervalBytes: segment.indexIntervalBytes)
        startOffset = segment.baseOffset
        if let limit, limit <= segment.baseOffset { return }
        let found = try segment.readIndexFiles()
        let offsets = try kept(found.offsets, in: segment.offsetIndexFile) { entry in
            guard let limit else { return true }
            return segment.baseOffset.advanced(by: Int64(entry.relativeOffset)) < limit
        }
        guard let entry = offsets.last, let header = try batch(for: entry) else { return }
        let times = try kept(found.times, in: segment.timeIndexFile) { time in
            time.relativeOffset <= entry.relativeOffset
        }
        let position = FilePosition(Int(entry.position))
        guard try isSound(times, offsets, upTo: position.advanced(by: header.sizeInBytes)) else {
            return
        }
        indexes.offsets = offsets
        indexes.times = times
        indexes.rule?.resume(after: times.last)
        start = position
        startOffset = header.baseOffset
    }

    /// The batch that the last usable index entry leads to, when it is sound and the one that the
    /// entry stands for.
    private func batch(for entry: OffsetIndexEntry) throws(LogError) -> RecordBatchHeader? {
        let position = FilePosition(Int(entry.position))
        let end = FilePosition(segment.byteCount)
        guard case .batch(let header, _) = try segment.landing(at: position, before: end),
            header.baseOffset >= segment.baseOffset,
            header.lastOffset.rawValue - segment.baseOffset.rawValue
                == Int64(entry.relativeOffset)
        else { return nil }
        return header
    }

    private func isSound(
        _ times: IndexTail<TimeIndexEntry>, _ offsets: IndexTail<OffsetIndexEntry>,
        upTo end: FilePosition
    ) throws(LogError) -> Bool {
        do {
            return try segment.problem(with: times, offsets, upTo: end) == nil
        } catch .corruption {
            return false
        }
    }

    /// The entries at the start of an index file for which a condition holds.
    private func kept<Entry: IndexEntry>(
        _ tail: IndexTail<Entry>, in file: PooledFile, while isKept: (Entry) -> Bool
    ) throws(LogError) -> IndexTail<Entry> {
        guard let last = tail.last, !isKept(last) else { return tail }
        do {
            let byteCount = tail.writtenCount * Entry.byteCount
            let bytes = try file.read(byteCount: byteCount, at: 0)
            let sound = soundPrefix(of: bytes.rawSpan, accept: isKept)
            return IndexTail(writtenCount: sound.count, last: sound.last)
        } catch {
            throw .file(error)
        }
    }

    /// Bytes of the segment that need not be walked.
    var skippedByteCount: Int { start.rawValue }

    /// Walks the batches from the landing place on, gathering index entries.
    func scan(
        to end: FilePosition, visit: (RecordBatchHeader) -> Void
    ) throws(LogError) -> ScanEnd {
        let start = start
        let hasLanding = start > .start
        var indexes = self.indexes
        let result = try segment.scan(from: start, to: end, expecting: startOffset) {
            (header, position, _) in
            if hasLanding, position == start {
                indexes.noteIndexed(header, at: position)
            } else {
                indexes.note(header, at: position)
            }
            visit(header)
        }
        self.indexes = indexes
        return result
    }

    /// Makes the gathered indexes those of the segment, and cuts index files that hold more than
    /// what was kept of them. Not synced: an index is no evidence.
    ///
    /// - Parameter isWhole: nothing of the log was cut, so that the last time entry, which a clean
    ///   stop writes, stays true. It is left there, to be written over by the next: cutting it off
    ///   took most of the time in which thousands of partitions were opened.
    func apply(isWhole: Bool = false) throws(LogError) {
        let indexes = self.indexes
        segment.indexes.withLock { $0 = indexes }
        do {
            try cut(
                segment.offsetIndexFile,
                to: indexes.offsets.writtenCount * OffsetIndexEntry.byteCount)
            try cut(
                segment.timeIndexFile, to: indexes.times.writtenCount * TimeIndexEntry.byteCount,
                sparing: isWhole ? TimeIndexEntry.byteCount : 0)
        } catch {
            throw .file(error)
        }
    }

    /// - Parameter spared: how much more may be there without being cut.
    private func cut(
        _ file: PooledFile, to byteCount: Int, sparing spared: Int = 0
    ) throws(FileError) {
        let found = try segment.environment.fileSystem.information(file.path)
        guard let found, found.byteCount > byteCount + spared else { return }
        try file.truncate(to: Int64(byteCount))
    }
}
