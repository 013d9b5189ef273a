import Synchronization
import TallyFiles
import TallyRecords

/// What batches take of a segment: bytes, offsets, and time.
struct BatchExtent {
    var byteCount = 0
    /// Offsets from where the batches are to lie to behind the last of them.
    var offsetCount: Int64 = 0
    var maxTimestamp = Timestamp.none

    /// Adds a batch that lies so many offsets behind the beginning.
    mutating func add(_ header: RecordBatchHeader, at start: Int64) {
        byteCount += header.sizeInBytes
        offsetCount = start + Int64(header.lastOffsetDelta) + 1
        maxTimestamp = max(maxTimestamp, header.maxTimestamp)
    }
}

extension PartitionLog {
    /// Whether batches must go to a new segment: size, time, a full index, or an offset too far
    /// from the base offset for four bytes.
    ///
    /// - Parameter first: the first timestamp of an empty segment that others are to go to before
    ///   them; nil where nothing is.
    func mustRoll(
        for extent: BatchExtent, behind first: Timestamp? = nil, _ writer: borrowing Writer
    ) -> Bool {
        if writer.isRolling { return true }
        guard writer.position > 0 || first != nil else { return false }
        if writer.position + extent.byteCount > configuration.segmentBytesMax { return true }
        let last = writer.nextOffset.rawValue + extent.offsetCount - 1
        if last - writer.active.baseOffset.rawValue > Int64(Int32.max) { return true }
        let timestamp = extent.maxTimestamp
        if let first = writer.firstTimestamp ?? first, timestamp > .none, first > .none,
            timestamp.rawValue - first.rawValue > writer.rollAfter
        {
            return true
        }
        return writer.active.indexes.withLock { indexes in
            let bytesMax = configuration.segmentIndexBytesMax
            return indexes.offsets.count >= bytesMax / OffsetIndexEntry.byteCount
                || indexes.times.count >= bytesMax / TimeIndexEntry.byteCount - 1
        }
    }

    /// Starts a new segment at the log end. The old one is sealed off the append path, by the
    /// next ``flush()``.
    func roll(_ writer: inout Writer) throws(LogError) {
        // Where this fails the file may exist already: the next append must begin there.
        writer.isRolling = true
        let segment = try Segment.create(
            at: writer.nextOffset, in: directory, environment: environment,
            configuration: configuration)
        writer.isRolling = false
        takeSnapshot(&writer)
        writer.unsealed.append(writer.active)
        writer.active = segment
        writer.position = 0
        writer.firstTimestamp = nil
        writer.rollAfter = configuration.rollAfter()
        writer.reservation.reset()
        writer.isDirectoryDirty = true
        addSegment(segment)
    }

    /// Starts a new segment now, unless the active one is empty.
    package func roll() throws(LogError) {
        var rolledAt: Offset?
        do {
            try writer.withLock { writer throws(LogError) in
                try checkOpen(writer)
                guard writer.position > 0 || writer.isRolling else { return }
                try stoppingWhenInDoubt(&writer) { (writer) throws(LogError) in
                    try roll(&writer)
                    rolledAt = writer.nextOffset
                }
            }
        } catch {
            noteFailure(error)
            throw error
        }
        if let rolledAt { environment.report(.rolled(partition: name, baseOffset: rolledAt)) }
    }
}
