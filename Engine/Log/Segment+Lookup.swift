import Synchronization
import TallyFiles
import TallyRecords

extension Segment {
    /// Bytes loaded to walk from an index entry to the batch that is looked for.
    private var stepByteCount: Int { 64 << 10 }

    /// Finds the first batch before `end` that satisfies a condition, starting at an index entry.
    ///
    /// The entry is a hint and never evidence: the batch it leads to is checked with its CRC and
    /// must not lie behind what is looked for; otherwise the indexes are built again.
    private func findBatch(
        startingAt hint: FilePosition, end: FilePosition, startIsSound: (RecordBatchHeader) -> Bool,
        where isWanted: (RecordBatchHeader) -> Bool
    ) throws(LogError) -> (FilePosition, RecordBatchHeader)? {
        var start = hint
        if hint > .start, let lie = try lie(at: hint, end: end, startIsSound) {
            if !environment.isReadOnly { try rebuildIndexes(because: lie) }
            start = .start
        }
        var position = start.rawValue
        while position < end.rawValue {
            let window = try load(position..<min(position + stepByteCount, end.rawValue))
            let bytes = window.all
            var at = 0
            while at + RecordBatchHeader.byteCount <= bytes.byteCount {
                let header = try header(in: bytes, at: at, position: position + at)
                if isWanted(header) { return (FilePosition(position + at), header) }
                at += header.sizeInBytes
            }
            invariant(at > 0 || bytes.byteCount < RecordBatchHeader.byteCount, "a step forward")
            if at == 0 { return nil }
            position += at
        }
        return nil
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

    /// What is wrong with the batch that an index entry leads to; nil when it is sound.
    private func lie(
        at hint: FilePosition, end: FilePosition, _ isSound: (RecordBatchHeader) -> Bool
    ) throws(LogError) -> String? {
        guard hint < end else { return "an entry leads behind the log's end" }
        let head = try load(
            hint.rawValue..<min(hint.rawValue + RecordBatchHeader.byteCount, end.rawValue))
        do {
            let header = try RecordBatchHeader(decoding: head.all)
            let whole = hint.rawValue + header.sizeInBytes
            guard whole <= end.rawValue else { return "an entry leads into the middle of a batch" }
            let bytes = try load(hint.rawValue..<whole)
            try RecordBatch(bytes.all).verifyChecksum()
            return isSound(header) ? nil : "an entry leads behind the offset it stands for"
        } catch let error as LogError {
            throw error
        } catch {
            return "an entry at byte \(hint) does not lead to a batch: \(error)"
        }
    }

    /// The first batch whose last offset is `offset` or more, before `end`.
    func batch(
        reaching offset: Offset, end: FilePosition
    ) throws(LogError) -> (position: FilePosition, header: RecordBatchHeader)? {
        let hint = try position(atOrBefore: offset)
        return try findBatch(
            startingAt: hint, end: end,
            startIsSound: { $0.baseOffset <= offset && $0.baseOffset >= baseOffset },
            where: { $0.lastOffset >= offset })
    }

    /// The first batch that has a timestamp of `timestamp` or later, before `end`.
    func batch(
        reaching timestamp: Timestamp, end: FilePosition
    ) throws(LogError) -> (position: FilePosition, header: RecordBatchHeader)? {
        // Entries with an earlier largest timestamp say that everything up to their offset is
        // earlier; the batch that is looked for comes after it.
        let relative = try indexed(timeIndexFile, \.times) { (entry: TimeIndexEntry) in
            entry.timestamp < timestamp
        }?.relativeOffset
        let after = baseOffset.advanced(by: Int64(relative ?? 0))
        let hint = relative == nil ? .start : try position(atOrBefore: after)
        return try findBatch(
            startingAt: hint, end: end,
            startIsSound: { $0.baseOffset <= after && $0.baseOffset >= baseOffset },
            where: { $0.maxTimestamp >= timestamp })
    }

    /// The position of the batch in the offset index that is nearest before an offset.
    private func position(atOrBefore offset: Offset) throws(LogError) -> FilePosition {
        let relative = offset.rawValue - baseOffset.rawValue
        let entry = try indexed(offsetIndexFile, \.offsets) { (entry: OffsetIndexEntry) in
            Int64(entry.relativeOffset) <= relative
        }
        return entry.map { FilePosition(Int($0.position)) } ?? .start
    }

    /// The last entry of an index for which a condition holds, in memory or in the file.
    private func indexed<Entry: IndexEntry>(
        _ file: PooledFile, _ tail: any KeyPath<SegmentIndexes, IndexTail<Entry>> & Sendable,
        where isBefore: (Entry) -> Bool
    ) throws(LogError) -> Entry? {
        try checkIndexes()
        let (recent, writtenCount) = indexes.withLock { indexes -> (Entry?, Int) in
            let tail = indexes[keyPath: tail]
            return (tail.entries.last(where: isBefore), tail.writtenCount)
        }
        if let recent { return recent }
        guard writtenCount > 0 else { return nil }
        do {
            let byteCount = writtenCount * Entry.byteCount
            let map = try indexMap(of: file, byteCount: byteCount)
            return lastEntry(in: map.bytes(0..<byteCount), count: writtenCount, where: isBefore)
        } catch {
            throw .file(error)
        }
    }
}
