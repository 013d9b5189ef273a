import Synchronization
import TallyFiles
import TallyRecords

/// A segment found on disk that will be appended to, or must be checked from some offset on: the
/// sound part of its indexes, and the place from which its batches have to be walked.
///
/// Used by one thread while a log is opened.
final class ResumedSegment {
    let segment: Segment
    /// What is wrong with the index files; nil when they are sound.
    let indexProblem: String?
    private var indexes: SegmentIndexes
    private var start: FilePosition
    private var startOffset: Offset

    /// - Parameter limit: index entries are used up to this offset only; nil for all.
    init(_ segment: Segment, below limit: Offset?) throws(LogError) {
        self.segment = segment
        let found = try segment.readIndexFiles()
        indexProblem = found.problem
        indexes = SegmentIndexes(
            emptyAt: segment.baseOffset, intervalBytes: segment.indexIntervalBytes)
        start = .start
        startOffset = segment.baseOffset
        guard let landing = try Self.landing(in: segment, found.offsets, below: limit) else {
            return
        }
        let times = try Self.kept(
            found.times, in: segment.timeIndexFile, on: segment) { entry in
                entry.relativeOffset <= landing.entry.relativeOffset
            }
        indexes.offsets = IndexTail(writtenCount: landing.count, last: landing.entry)
        indexes.times = times
        indexes.rule?.resume(after: times.last)
        start = landing.position
        startOffset = landing.baseOffset
    }

    /// Where the last usable index entry leads, when a sound batch is there.
    private static func landing(
        in segment: Segment, _ tail: IndexTail<OffsetIndexEntry>, below limit: Offset?
    ) throws(LogError) -> (
        entry: OffsetIndexEntry, count: Int, position: FilePosition, baseOffset: Offset
    )? {
        let kept = try kept(tail, in: segment.offsetIndexFile, on: segment) { entry in
            guard let limit else { return true }
            return segment.baseOffset.advanced(by: Int64(entry.relativeOffset)) < limit
        }
        guard let entry = kept.last else { return nil }
        let position = Int(entry.position)
        do {
            let head = try segment.load(position..<min(position + 61, segment.byteCount))
            let header = try RecordBatchHeader(decoding: head.all)
            let end = position + header.sizeInBytes
            guard end <= segment.byteCount, header.baseOffset >= segment.baseOffset,
                header.lastOffset.rawValue - segment.baseOffset.rawValue
                    <= Int64(entry.relativeOffset)
            else { return nil }
            let whole = try segment.load(position..<end)
            try RecordBatch(whole.all).verifyChecksum()
            return (entry, kept.writtenCount, FilePosition(position), header.baseOffset)
        } catch let error as LogError {
            throw error
        } catch {
            return nil
        }
    }

    /// The entries at the start of an index file for which a condition holds.
    private static func kept<Entry: IndexEntry>(
        _ tail: IndexTail<Entry>, in file: PooledFile, on segment: Segment,
        while isKept: (Entry) -> Bool
    ) throws(LogError) -> IndexTail<Entry> {
        guard let last = tail.last else { return tail }
        if isKept(last) { return tail }
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
                indexes.rule?.noteIndexed(header)
            } else {
                indexes.note(header, at: position)
            }
            visit(header)
        }
        self.indexes = indexes
        return result
    }

    /// Makes the gathered indexes those of the segment.
    func adopt() {
        let indexes = self.indexes
        segment.indexes.withLock { $0 = indexes }
    }

    /// Cuts index files that hold more than what was kept. Not synced: an index is no evidence.
    func cutIndexFiles() throws(LogError) {
        do {
            try cut(
                segment.offsetIndexFile,
                to: indexes.offsets.writtenCount * OffsetIndexEntry.byteCount)
            try cut(
                segment.timeIndexFile, to: indexes.times.writtenCount * TimeIndexEntry.byteCount)
        } catch {
            throw .file(error)
        }
    }

    private func cut(_ file: PooledFile, to byteCount: Int) throws(FileError) {
        let found = try segment.environment.fileSystem.information(file.path)
        guard let found, found.byteCount > byteCount else { return }
        try file.truncate(to: Int64(byteCount))
    }
}
