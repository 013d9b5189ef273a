import TallyFiles
package import TallyRecords

/// Some whole batches of one segment, as they lie in the log.
///
/// A copyable handle: the bytes stay valid, and stay the same, for as long as a copy of it lives,
/// whatever retention, compaction or truncation do meanwhile. Safe to share between threads.
package struct LogSlice: Sendable {
    /// The batches, one behind the other. The first may begin before the offset asked for.
    package let content: SegmentBytes
    /// The offset to read from next.
    package let nextOffset: Offset
    /// Where to read next without a lookup.
    package let end: ReadPosition
    /// The file the batches come from, for messages.
    package let file: String

    /// A descriptor of the file with the batches, for the system to send them from; the caller
    /// closes it. Nil where there is none to be had: the bytes are in ``content`` as well.
    package func duplicateDescriptor() -> Int32? { (try? end.segment.logFile.duplicate()) ?? nil }

    /// Bytes of all batches together.
    package var byteCount: Int { content.range.count }

    /// The position of the first batch in ``file``.
    package var position: FilePosition { FilePosition(content.range.lowerBound) }
}

/// A place in the log that is reached without a lookup: the batch at `position` of `segment` is
/// the first that reaches `offset`. A hint; a reader that finds it stale looks the offset up.
package struct ReadPosition: Sendable {
    package let offset: Offset
    let segment: Segment
    let position: FilePosition
}
