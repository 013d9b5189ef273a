import Synchronization
import TallyRecords

/// An immutable view of a log's segments, and reading through it.
///
/// Readers take a view (one atomic snapshot), and never the writer's lock. Thread rule: a value;
/// any thread.
struct LogView: Sendable {
    let partition: String
    /// Rising by base offset; never empty.
    let segments: [Segment]
    /// The first offset that may be read.
    let logStart: Offset
    /// Reads stop before this offset.
    let end: Offset

    /// The index of the segment that holds an offset, or would.
    func segmentIndex(for offset: Offset) -> Int {
        var low = 0
        var high = segments.count
        while low < high {
            let middle = (low + high) / 2
            if segments[middle].baseOffset <= offset { low = middle + 1 } else { high = middle }
        }
        return max(low - 1, 0)
    }

    /// Whole batches from the one that holds `offset` on, as many as fit `bytesMax`, at least
    /// one, all of one segment; nil when `offset` is the end.
    ///
    /// - Parameter near: where an earlier read ended, to save the lookup.
    func read(
        from offset: Offset, bytesMax: Int, near: ReadPosition?
    ) throws(LogError) -> LogSlice? {
        guard offset >= logStart, offset <= end else {
            throw .offsetOutOfRange(
                OffsetOutOfRange(
                    partition: partition, requested: offset, logStart: logStart, logEnd: end))
        }
        guard offset < end else { return nil }
        var index = segmentIndex(for: offset)
        var start: FilePosition?
        if let near, near.offset == offset, near.segment === segments[index] {
            start = near.position
        }
        // Compaction leaves offsets that no batch holds: they may end a segment.
        while index < segments.count {
            let segment = segments[index]
            let limit = FilePosition(segment.byteCount)
            if start == nil {
                start = try segment.batch(reaching: offset, end: limit)?.position
            }
            if let start, start < limit {
                return try slice(of: segment, from: start, limit: limit, offset, bytesMax)
            }
            index += 1
            start = nil
        }
        return nil
    }

    /// Walks headers from `start` until `bytesMax` or the end of the view.
    private func slice(
        of segment: Segment, from start: FilePosition, limit: FilePosition,
        _ offset: Offset, _ bytesMax: Int
    ) throws(LogError) -> LogSlice {
        let from = start.rawValue
        let available = limit.rawValue - from
        var wanted = max(bytesMax, RecordBatchHeader.byteCount)
        while true {
            let content = try segment.load(from..<(from + min(wanted, available)))
            let walked = try walk(content, of: segment, offset)
            if walked.byteCount > 0 {
                let range = from..<(from + walked.byteCount)
                return LogSlice(
                    content: content.narrowed(to: range), nextOffset: walked.nextOffset,
                    end: ReadPosition(
                        offset: walked.nextOffset, segment: segment,
                        position: FilePosition(range.upperBound)),
                    file: segment.path)
            }
            guard walked.firstSize > content.range.count, walked.firstSize <= available else {
                throw segment.corruption(
                    at: from,
                    "the batch claims \(walked.firstSize) bytes, more than the file holds")
            }
            wanted = walked.firstSize
        }
    }

    /// The bytes of the whole batches at the start of `content` that lie before the end of the
    /// view, and the size of the first batch, whole or not.
    private func walk(
        _ content: SegmentBytes, of segment: Segment, _ offset: Offset
    ) throws(LogError) -> (byteCount: Int, nextOffset: Offset, firstSize: Int) {
        let bytes = content.all
        var at = 0
        var nextOffset = offset
        var firstSize = 0
        while at + RecordBatchHeader.byteCount <= bytes.byteCount {
            let header: RecordBatchHeader
            do {
                header = try RecordBatchHeader(decoding: bytes, at: at)
            } catch {
                // What is sound is handed out first; the damage is met by the next read.
                if at > 0 { break }
                throw segment.corruption(at: content.range.lowerBound + at, "\(error)")
            }
            let isFirst = at == 0
            if isFirst { firstSize = header.sizeInBytes }
            guard isInPlace(header, isFirst: isFirst, nextOffset) else {
                if !isFirst { break }
                throw segment.corruption(
                    at: content.range.lowerBound,
                    "the batch has offsets \(header.baseOffset) to \(header.lastOffset), which do "
                        + "not belong here: \(offset) to \(end) were to be read")
            }
            guard header.lastOffset < end, at + header.sizeInBytes <= bytes.byteCount else { break }
            at += header.sizeInBytes
            nextOffset = header.nextOffset
        }
        return (at, nextOffset, firstSize)
    }

    /// Whether a batch's offsets, which no checksum covers, fit what was read before: the first
    /// reaches the offset asked for before the view ends, the others follow.
    private func isInPlace(
        _ header: RecordBatchHeader, isFirst: Bool, _ nextOffset: Offset
    ) -> Bool {
        isFirst
            ? header.lastOffset >= nextOffset && header.lastOffset < end
            : header.baseOffset >= nextOffset
    }
}

extension SegmentBytes {
    /// The same memory, fewer bytes of it.
    func narrowed(to range: Range<Int>) -> SegmentBytes {
        SegmentBytes(memory: memory, memoryStart: memoryStart, range: range)
    }
}
