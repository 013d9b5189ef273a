import TallyFiles
import TallyRecords

/// A batch in a segment: where it is, and its header.
struct FoundBatch {
    var position: FilePosition
    var header: RecordBatchHeader
}

/// What is at the place that an index entry leads to.
enum Landing {
    /// A whole batch with a right checksum, and the bytes from there on that were looked at.
    case batch(RecordBatchHeader, SegmentBytes)
    /// Something else; says what.
    case misled(String)
}

extension Segment {
    /// Bytes loaded to walk from an index entry to the batch that is looked for.
    private var stepByteCount: Int { 32 << 10 }

    /// Walks from batch to batch, looking at headers only, until a condition holds.
    ///
    /// - Parameters:
    ///   - start: where a batch begins.
    ///   - end: where a batch ends; the walk ends there.
    ///   - loaded: bytes from `start` on that are at hand already.
    /// Throws ``LogError/corruption(_:)`` where something is no header, or offsets do not rise.
    func firstBatch(
        from start: FilePosition, to end: FilePosition, loaded: SegmentBytes? = nil,
        where isWanted: (RecordBatchHeader, FilePosition) -> Bool
    ) throws(LogError) -> FoundBatch? {
        var position = start.rawValue
        var leastOffset = baseOffset
        while position < end.rawValue {
            let window = try window(at: position, end, loaded)
            let bytes = window.all
            var at = 0
            while at + RecordBatchHeader.byteCount <= bytes.byteCount {
                let header = try header(in: bytes, at: at, position: position + at)
                guard header.baseOffset >= leastOffset else {
                    throw corruption(
                        at: position + at,
                        "the batch has base offset \(header.baseOffset), but \(leastOffset) or "
                            + "more must follow")
                }
                guard header.sizeInBytes <= end.rawValue - position - at else {
                    throw corruption(
                        at: position + at,
                        "the batch claims \(header.sizeInBytes) bytes, more than the file holds")
                }
                let place = FilePosition(position + at)
                if isWanted(header, place) { return FoundBatch(position: place, header: header) }
                leastOffset = header.nextOffset
                at += header.sizeInBytes
            }
            if at == 0 {
                throw corruption(
                    at: position, "\(bytes.byteCount) bytes are no whole batch header")
            }
            position += at
        }
        return nil
    }

    private func window(
        at position: Int, _ end: FilePosition, _ loaded: SegmentBytes? = nil
    ) throws(LogError) -> SegmentBytes {
        if let loaded, loaded.range.lowerBound == position { return loaded }
        return try load(position..<min(position + stepByteCount, end.rawValue))
    }

    private func header(
        in bytes: RawSpan, at: Int, position: Int
    ) throws(LogError) -> RecordBatchHeader {
        do {
            return try RecordBatchHeader(decoding: bytes, at: at)
        } catch {
            throw corruption(at: position, "\(error)")
        }
    }

    /// Checks that a sound batch begins at a place that an index named: the whole batch, with its
    /// checksum.
    func landing(
        at position: FilePosition, before end: FilePosition
    ) throws(LogError) -> Landing {
        let start = position.rawValue
        guard start < end.rawValue else { return .misled("an entry leads behind the log's end") }
        let window = try window(at: start, end)
        do {
            let header = try RecordBatchHeader(decoding: window.all)
            guard header.sizeInBytes <= end.rawValue - start else {
                return .misled("an entry leads into the middle of a batch")
            }
            if header.sizeInBytes <= window.range.count {
                try RecordBatch(window.all).verifyChecksum()
            } else {
                let whole = try load(start..<start + header.sizeInBytes)
                try RecordBatch(whole.all).verifyChecksum()
            }
            return .batch(header, window)
        } catch let error as LogError {
            throw error
        } catch {
            return .misled("the entry for byte \(position) does not lead to a batch: \(error)")
        }
    }
}
