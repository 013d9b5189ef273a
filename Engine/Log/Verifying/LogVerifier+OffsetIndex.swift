import TallyFiles
import TallyRecords

extension LogVerifier {
    /// From this many zero bytes at the end of the last segment's index on, they are taken for
    /// what a running Kafka has reserved; it makes index files of 10 MiB and cuts them later.
    private static var reservedByteCountMin: Int { 64 << 10 }

    /// The entries at the start of an index file that rise, and how many the file has; notes what
    /// is wrong with the rest.
    mutating func entries<Entry: IndexEntry>(
        reading path: String, isLast: Bool, as type: Entry.Type
    ) throws(LogError) -> (sound: [Entry], fileCount: Int?) {
        guard
            let bytes = try contents(of: path, byteCountMax: Segment.indexFileByteCountMax)
        else {
            note(
                isLast ? .note : .mendable, path,
                isLast
                    ? "the file is missing: it is made when the segment has entries for it"
                    : "the file is missing: Kafka has one for each closed segment")
            return ([], nil)
        }
        var sound: [Entry] = []
        var position = 0
        while position + Entry.byteCount <= bytes.count {
            let entry = Entry(decoding: bytes.rawSpan, at: position)
            if let last = sound.last {
                guard last.precedes(entry) else { break }
            } else if Entry.self == OffsetIndexEntry.self, isZero(bytes, from: position) {
                break
            }
            sound.append(entry)
            position += Entry.byteCount
        }
        let rest = bytes.count - position
        let fileCount = bytes.count / Entry.byteCount
        guard rest > 0 else { return (sound, fileCount) }
        if isZero(bytes, from: position) {
            let isReserved = isLast && rest >= Self.reservedByteCountMin
            note(
                isReserved ? .note : .mendable, path, at: position,
                isReserved
                    ? "\(rest) zero bytes follow the entries, as in a directory Kafka has open"
                    : "\(rest) zero bytes stand where entries should")
            return (sound, isReserved ? sound.count : fileCount)
        }
        if rest < Entry.byteCount {
            note(.mendable, path, at: position, "the last \(rest) bytes are no whole entry")
        } else {
            note(
                .mendable, path, at: position,
                "entry \(sound.count) does not rise above the one before it; it and what follows "
                    + "(\(rest) bytes) cannot be used")
        }
        return (sound, fileCount)
    }

    private func isZero(_ bytes: [UInt8], from position: Int) -> Bool {
        bytes[position...].allSatisfy { $0 == 0 }
    }
}

/// Holds a segment's offset index against its batches as they come by.
///
/// An entry is sound where a batch begins at its position, the batch before that one ends below
/// the entry's offset, and the batch does not begin above it. The offset is the batch's last, or a
/// later one: that of the last batch of several written at once, or one that compaction removed.
struct OffsetIndexCheck {
    let path: String
    /// How many entries the file has; nil where there is none.
    let fileEntryCount: Int?
    private let baseOffset: Offset
    private let entries: [OffsetIndexEntry]
    private var cursor = 0
    /// The offset of the last entry that led to a batch, until its batch has come by.
    private var awaited: (offset: Offset, position: Int)?
    /// The end of the last batch.
    private var walkedEnd = 0

    init(
        reading path: String, _ baseOffset: Offset, _ isLast: Bool,
        _ verifier: inout LogVerifier
    ) throws(LogError) {
        self.path = path
        self.baseOffset = baseOffset
        let found = try verifier.entries(
            reading: path, isLast: isLast, as: OffsetIndexEntry.self)
        entries = found.sound
        fileEntryCount = found.fileCount
    }

    private func offset(of entry: OffsetIndexEntry) -> Offset {
        baseOffset.advanced(by: Int64(entry.relativeOffset))
    }

    private func filePosition(_ index: Int) -> Int { index * OffsetIndexEntry.byteCount }

    /// Looks at the entries that lead to this batch or before it.
    mutating func note(
        _ batch: BatchHandle, _ state: borrowing SegmentCheck, _ verifier: inout LogVerifier
    ) {
        let start = batch.position.rawValue
        while cursor < entries.count, Int(entries[cursor].position) < start {
            // In bytes that could not be walked nothing is known.
            if Int(entries[cursor].position) < walkedEnd {
                verifier.note(
                    .mendable, path, at: filePosition(cursor),
                    "the entry for offset \(offset(of: entries[cursor])) leads to byte "
                        + "\(entries[cursor].position), where no batch begins")
            }
            cursor += 1
        }
        walkedEnd = start + batch.header.sizeInBytes
        if cursor < entries.count, Int(entries[cursor].position) == start {
            check(entries[cursor], leadingTo: batch.header, state, &verifier)
            cursor += 1
        }
        checkAwaited(batch.header, verifier: &verifier)
    }

    private mutating func check(
        _ entry: OffsetIndexEntry, leadingTo header: RecordBatchHeader,
        _ state: borrowing SegmentCheck, _ verifier: inout LogVerifier
    ) {
        let offset = offset(of: entry)
        if let previous = state.previousLast, previous >= offset {
            verifier.note(
                .mendable, path, at: filePosition(cursor),
                "the entry for offset \(offset) leads to byte \(entry.position), behind that "
                    + "offset: the batch before ends at \(previous)")
        } else if header.baseOffset > offset {
            verifier.note(
                .mendable, path, at: filePosition(cursor),
                "the entry for offset \(offset) leads to byte \(entry.position), where the batch "
                    + "begins at offset \(header.baseOffset)")
        } else {
            awaited = (offset, filePosition(cursor))
        }
    }

    /// In a log without gaps an entry names the last offset of a batch.
    private mutating func checkAwaited(
        _ header: RecordBatchHeader, verifier: inout LogVerifier
    ) {
        guard let (offset, position) = awaited, offset <= header.lastOffset else { return }
        awaited = nil
        guard offset != header.lastOffset, !verifier.progress.hasGaps else { return }
        verifier.note(
            .mendable, path, at: position,
            "the entry names offset \(offset), but the batch ends at \(header.lastOffset)")
    }

    /// Looks at what is left when the segment's batches have come by.
    mutating func finish(_ state: borrowing SegmentCheck, _ verifier: inout LogVerifier) {
        if let (offset, position) = awaited, !state.isIncomplete {
            verifier.note(
                .mendable, path, at: position,
                "the entry names offset \(offset), but the segment ends at "
                    + "\(state.report.nextOffset.advanced(by: -1))")
        }
        while cursor < entries.count {
            let target = Int(entries[cursor].position)
            if target < walkedEnd || target >= state.report.byteCount {
                verifier.note(
                    .mendable, path, at: filePosition(cursor),
                    "the entry for offset \(offset(of: entries[cursor])) leads to byte \(target), "
                        + (target < walkedEnd ? "where no batch begins" : "behind the log's end"))
            }
            cursor += 1
        }
    }
}
