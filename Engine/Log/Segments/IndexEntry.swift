import TallyRecords

/// An entry of a sparse index file: fixed size, big-endian, rising. See FORMAT.md.
///
/// Offsets in an index are relative to the segment's base offset, so that four bytes do.
protocol IndexEntry: Sendable, Hashable {
    /// Bytes an entry takes in the file.
    static var byteCount: Int { get }
    /// Reads the entry that starts at `position`; the caller has checked that it is whole.
    init(decoding bytes: RawSpan, at position: Int)
    /// Appends the entry's bytes.
    func encode(into bytes: inout [UInt8])
    /// Whether `next` may follow this entry in a sound index.
    func precedes(_ next: Self) -> Bool
    /// The entries of this kind of a segment.
    static func tail(in indexes: SegmentIndexes) -> IndexTail<Self>
    /// Which of a segment's maps shows the file with these entries.
    static var slot: Segment.MapSlot { get }
}

/// `.index`: the last offset of the batch that starts at a position.
struct OffsetIndexEntry: IndexEntry {
    var relativeOffset: Int32
    var position: Int32

    static var byteCount: Int { 8 }

    init(relativeOffset: Int32, position: Int32) {
        self.relativeOffset = relativeOffset
        self.position = position
    }

    init(decoding bytes: RawSpan, at position: Int) {
        relativeOffset = bytes.bigEndian(at: position, as: Int32.self)
        self.position = bytes.bigEndian(at: position + 4, as: Int32.self)
    }

    func encode(into bytes: inout [UInt8]) {
        bytes.appendBigEndian(relativeOffset)
        bytes.appendBigEndian(position)
    }

    func precedes(_ next: OffsetIndexEntry) -> Bool {
        relativeOffset < next.relativeOffset && position < next.position
    }

    static func tail(in indexes: SegmentIndexes) -> IndexTail<OffsetIndexEntry> { indexes.offsets }
    static var slot: Segment.MapSlot { .offsetIndex }
}

/// `.timeindex`: the largest timestamp so far and the last offset of the batch that has it.
struct TimeIndexEntry: IndexEntry {
    var timestamp: Timestamp
    var relativeOffset: Int32

    static var byteCount: Int { 12 }

    init(timestamp: Timestamp, relativeOffset: Int32) {
        self.timestamp = timestamp
        self.relativeOffset = relativeOffset
    }

    init(decoding bytes: RawSpan, at position: Int) {
        timestamp = Timestamp(milliseconds: bytes.bigEndian(at: position, as: Int64.self))
        relativeOffset = bytes.bigEndian(at: position + 8, as: Int32.self)
    }

    func encode(into bytes: inout [UInt8]) {
        bytes.appendBigEndian(timestamp.rawValue)
        bytes.appendBigEndian(relativeOffset)
    }

    func precedes(_ next: TimeIndexEntry) -> Bool {
        timestamp < next.timestamp && relativeOffset <= next.relativeOffset
    }

    static func tail(in indexes: SegmentIndexes) -> IndexTail<TimeIndexEntry> { indexes.times }
    static var slot: Segment.MapSlot { .timeIndex }
}

extension Array where Element == UInt8 {
    mutating func appendBigEndian<Number: FixedWidthInteger>(_ number: Number) {
        for shift in stride(from: Number.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: number >> Number(shift)))
        }
    }
}
