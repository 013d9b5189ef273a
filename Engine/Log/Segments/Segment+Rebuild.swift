import Synchronization
import TallyFiles
import TallyRecords

extension Segment {
    /// Builds both indexes again from the log, beside the old files, and puts them in place.
    /// Does nothing for a lock-free reader.
    func rebuildIndexes(because reason: String) throws(LogError) {
        guard !environment.isReadOnly else { return }
        try indexes.withLock { indexes throws(LogError) in try rebuild(&indexes) }
        reportRebuilt(because: reason)
    }

    /// The same with the index lock held. Where the files cannot be written the entries stay in
    /// memory; where the log is damaged they reach up to the damage, and the files are left alone.
    /// Neither keeps anybody from reading.
    func rebuild(_ indexes: inout SegmentIndexes) throws(LogError) {
        var built = SegmentIndexes(emptyAt: baseOffset, intervalBytes: indexIntervalBytes)
        let isAppendedTo = indexes.rule != nil
        // The writer may have noted batches that readers do not see yet.
        let end = isAppendedTo ? indexes.notedEnd : FilePosition(byteCount)
        let scanned = try scan(to: end, expecting: baseOffset) {
            (header, position, _) throws(LogError) in
            built.note(header, at: position)
        }
        if !isAppendedTo {
            built.finish()
            built.rule = nil
        }
        if scanned.damage == nil {
            dropIndexMaps()
            replace(offsetIndexFile, with: &built.offsets)
            replace(timeIndexFile, with: &built.times)
        } else {
            built.isPartial = true
        }
        indexes = built
    }

    /// The bytes of `.index` and `.timeindex` of a closed segment as the log has them; nothing is
    /// written. Throws ``LogError/corruption(_:)`` where the log is damaged.
    func encodedIndexes() throws(LogError) -> (offsets: [UInt8], times: [UInt8]) {
        var built = SegmentIndexes(emptyAt: baseOffset, intervalBytes: indexIntervalBytes)
        let scanned = try scan(to: FilePosition(byteCount), expecting: baseOffset) {
            (header, position, _) in
            built.note(header, at: position)
        }
        if let damage = scanned.damage {
            throw corruption(at: scanned.position.rawValue, damage)
        }
        built.finish()
        var bytes: (offsets: [UInt8], times: [UInt8]) = ([], [])
        for entry in built.offsets.entries { entry.encode(into: &bytes.offsets) }
        for entry in built.times.entries { entry.encode(into: &bytes.times) }
        return bytes
    }

    private func replace<Entry: IndexEntry>(
        _ file: PooledFile, with tail: inout IndexTail<Entry>
    ) {
        invariant(tail.writtenCount == 0, "rebuilt entries are all in memory")
        var bytes: [UInt8] = []
        bytes.reserveCapacity(tail.count * Entry.byteCount)
        for entry in tail.entries { entry.encode(into: &bytes) }
        do throws(FileError) {
            try file.replaceContents(with: bytes)
            tail.noteReplaced()
        } catch {
            // No space, or a disk that fails: the entries in memory serve as well, and whoever
            // opens the log next builds the file again.
        }
    }

    /// Tells that the indexes were built again. Called without locks.
    func reportRebuilt(because reason: String) {
        environment.report(
            .rebuiltIndexes(partition: partitionName, file: path, reason: reason))
    }
}
