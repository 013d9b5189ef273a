import TallyFiles
package import TallyRecords

/// One whole batch as it lies in a segment: its header and its exact bytes.
///
/// A copyable handle that keeps the bytes alive. The checksum has not been looked at. Safe to
/// share between threads.
package struct BatchHandle: Sendable {
    /// The decoded header.
    package let header: RecordBatchHeader
    /// Where the batch begins in its segment's log file.
    package let position: FilePosition
    private let content: SegmentBytes

    init(_ header: RecordBatchHeader, at position: FilePosition, content: SegmentBytes) {
        self.header = header
        self.position = position
        self.content = content
    }

    /// The batch's bytes, header included.
    package var bytes: RawSpan {
        @_lifetime(borrow self) get { content.all }
    }
}

/// A place where no batch could be made out.
package struct BatchDamage: Hashable, Sendable {
    /// Where a batch should begin.
    package var position: FilePosition
    /// Why there is none; positions count in the log file.
    package var error: RecordError
    /// Whether the bytes may be the beginning of a batch that is not written whole yet: nothing
    /// is wrong with them but that the walk's end comes too early.
    package var isIncomplete: Bool
}

/// Walks over the batches of one segment in file order, header by header, and says where it met
/// something that is none; checksums, order and records are the caller's to look at.
///
/// Reads ahead in windows, so that its memory does not grow with the file (a batch larger than a
/// window is held whole). Terminates for any bytes: each step moves forward or is the last.
/// A value, used by one thread at a time.
package struct BatchWalk: Sendable {
    /// What a step found.
    package enum Step: Sendable {
        case batch(BatchHandle)
        /// No batch begins here; the walk stays until it is told to skip.
        case damage(BatchDamage)
        case end
    }

    /// The segment that is walked over.
    package let segment: Segment
    /// Where the next step looks.
    package private(set) var position: FilePosition
    /// Where the walk ends.
    package private(set) var end: FilePosition
    private var window: SegmentBytes?
    private static let windowByteCount = 256 << 10

    /// A walk from `start`, where a batch should begin, to `end`; to the published end of the
    /// segment where none is given.
    package init(
        _ segment: Segment, from start: FilePosition = .start, to end: FilePosition? = nil
    ) {
        self.segment = segment
        position = start
        self.end = end ?? FilePosition(segment.byteCount)
    }

    /// The next batch, or what stands in its place.
    ///
    /// Throws ``LogError/file(_:)``, and ``LogError/corruption(_:)`` where the file became shorter
    /// than the walk's end.
    package mutating func next() throws(LogError) -> Step {
        guard position < end else { return .end }
        let start = position.rawValue
        let available = end.rawValue - start
        let headerByteCount = RecordBatchHeader.byteCount
        guard available >= headerByteCount else {
            return incomplete(needed: headerByteCount, available)
        }
        let head = try bytes(start..<start + headerByteCount)
        let header: RecordBatchHeader
        do throws(RecordError) {
            header = try RecordBatchHeader(decoding: head.all)
        } catch {
            var error = error
            error.position += start
            return .damage(BatchDamage(position: position, error: error, isIncomplete: false))
        }
        guard header.sizeInBytes <= available else {
            return incomplete(needed: header.sizeInBytes, available)
        }
        let content = try bytes(start..<start + header.sizeInBytes)
        let found = BatchHandle(header, at: position, content: content)
        position = position.advanced(by: header.sizeInBytes)
        return .batch(found)
    }

    /// Goes on at a later position.
    package mutating func skip(to later: FilePosition) {
        invariant(later > position, "a walk goes forward")
        position = later
    }

    /// Goes on to a later end: the file has grown.
    package mutating func extend(to later: FilePosition) {
        end = max(end, later)
    }

    private func incomplete(needed: Int, _ available: Int) -> Step {
        let error = RecordError(
            .truncated(needed: needed, available: available), position: position.rawValue)
        return .damage(BatchDamage(position: position, error: error, isIncomplete: true))
    }

    /// A range of the file, from the window where it holds it.
    private mutating func bytes(_ range: Range<Int>) throws(LogError) -> SegmentBytes {
        if let window, window.range.lowerBound <= range.lowerBound,
            range.upperBound <= window.range.upperBound
        {
            return window.narrowed(to: range)
        }
        let upper = max(
            range.upperBound, min(range.lowerBound + Self.windowByteCount, end.rawValue))
        let loaded = try segment.load(range.lowerBound..<upper)
        window = loaded
        return loaded.narrowed(to: range)
    }
}
