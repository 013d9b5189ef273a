import TallyRecords

/// Holds a segment's time index against its batches as they come by.
///
/// An entry says: up to this offset, the largest timestamp is this one. When a segment is closed,
/// a last entry is written for the largest of all, unless the index has it already.
struct TimeIndexCheck {
    let path: String
    /// How many entries the file has; nil where there is none.
    let fileEntryCount: Int?
    private let baseOffset: Offset
    private let isLast: Bool
    private let entries: [TimeIndexEntry]
    private var cursor = 0
    private var maxTimestamp = Timestamp.none

    init(
        reading path: String, _ baseOffset: Offset, _ isLast: Bool,
        _ verifier: inout LogVerifier
    ) throws(LogError) {
        self.path = path
        self.baseOffset = baseOffset
        self.isLast = isLast
        let found = try verifier.entries(reading: path, isLast: isLast, as: TimeIndexEntry.self)
        entries = found.sound
        fileEntryCount = found.fileCount
    }

    private func offset(of entry: TimeIndexEntry) -> Offset {
        baseOffset.advanced(by: Int64(entry.relativeOffset))
    }

    /// Looks at the entries whose offsets this batch reaches.
    mutating func note(
        _ batch: BatchHandle, _ state: borrowing SegmentCheck, _ verifier: inout LogVerifier
    ) {
        let maxTimestampBefore = maxTimestamp
        maxTimestamp = max(maxTimestamp, batch.header.maxTimestamp)
        while cursor < entries.count, offset(of: entries[cursor]) <= batch.header.lastOffset {
            let entry = entries[cursor]
            // An entry in front of the batch does not speak of it. (Where the base offset of the
            // last batch is wrong, which no checksum covers, this may be all that tells.)
            let isInFront = offset(of: entry) < batch.header.baseOffset
            let largest = isInFront ? maxTimestampBefore : maxTimestamp
            // Batches that could not be read may have had later timestamps, and the entry may
            // speak of one of those.
            if state.isIncomplete, isInFront {
                cursor += 1
                continue
            }
            let isLie =
                state.isIncomplete ? entry.timestamp < largest : entry.timestamp != largest
            if isLie {
                verifier.note(
                    .mendable, path, at: cursor * TimeIndexEntry.byteCount,
                    "the entry says that \(entry.timestamp) is the largest timestamp up to offset "
                        + "\(offset(of: entry)), but it is \(largest)")
            }
            cursor += 1
        }
    }

    /// Looks at what is left when the segment's batches have come by.
    mutating func finish(_ state: borrowing SegmentCheck, _ verifier: inout LogVerifier) {
        guard !state.isIncomplete else { return }
        while cursor < entries.count {
            verifier.note(
                .mendable, path, at: cursor * TimeIndexEntry.byteCount,
                "the entry is for offset \(offset(of: entries[cursor])), but the segment ends at "
                    + "\(state.report.nextOffset.advanced(by: -1))")
            cursor += 1
        }
        // The last segment gets its final entry when it is closed.
        guard !isLast, fileEntryCount == entries.count,
            maxTimestamp > entries.last?.timestamp ?? .none
        else { return }
        verifier.note(
            .mendable, path, at: entries.count * TimeIndexEntry.byteCount,
            "the final entry is missing: the largest timestamp of the segment is \(maxTimestamp), "
                + "that of its time index \(entries.last?.timestamp.description ?? "none")")
    }
}
