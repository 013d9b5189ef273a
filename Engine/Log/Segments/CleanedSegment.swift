import TallyFiles
package import TallyRecords

/// A segment that a cleaner wrote and that is not in the log yet.
package struct CleanedSegment: Sendable {
    /// Its first offset, by which it is named.
    package let baseOffset: Offset
    /// The offset behind its last batch.
    package internal(set) var nextOffset: Offset
    /// Bytes of its batches.
    package internal(set) var byteCount = 0
    var indexes: SegmentIndexes
    var aborted: [AbortedTransaction] = []
}

/// Writes segments that are to take the place of others: `.cleaned` files, which nobody reads.
///
/// Batches go in as they come, in the order of their offsets; a new segment begins where one more
/// batch would exceed what a segment may hold. Memory: one buffer, and the index entries of the
/// segments. Used by one thread.
package struct CleanedSegmentWriter: ~Copyable {
    /// Bytes gathered before they are written.
    private static let bufferByteCount = 256 << 10
    /// Bytes written before they are synced: one large sync at the end would keep those of the
    /// appends waiting.
    private static let syncByteCount = 8 << 20

    private let directory: String
    private let environment: LogEnvironment
    private let configuration: LogConfiguration
    private var buffer: [UInt8] = []
    private var file: (any File)?
    /// Bytes of the current file that were written, and how many of them were not synced.
    private var writtenByteCount = 0
    private var unsyncedByteCount = 0
    /// The segments so far; the last one is being written.
    package private(set) var segments: [CleanedSegment] = []

    /// - Parameter first: the base offset of the first segment.
    package init(for log: PartitionLog, at first: Offset) throws(LogError) {
        directory = log.directory
        environment = log.environment
        configuration = log.configuration
        buffer.reserveCapacity(Self.bufferByteCount)
        try begin(at: first)
    }

    /// Bytes of all segments.
    package var byteCount: Int { segments.reduce(0) { $0 + $1.byteCount } }

    /// The offset behind the last batch.
    package var nextOffset: Offset { segments[segments.count - 1].nextOffset }

    /// Adds a whole batch, with the checksum it needs.
    ///
    /// Throws ``LogError/file(_:)``.
    package mutating func append(_ batch: RawSpan) throws(LogError) {
        let header: RecordBatchHeader
        do {
            header = try RecordBatchHeader(decoding: batch)
        } catch {
            throw .invalidBatch(error)
        }
        invariant(header.sizeInBytes == batch.byteCount, "a cleaner writes whole batches")
        invariant(header.baseOffset >= nextOffset, "a cleaner writes offsets that rise")
        if mustRoll(header) {
            try finishFile()
            try begin(at: nextOffset)
        }
        let last = segments.count - 1
        segments[last].indexes.note(header, at: FilePosition(segments[last].byteCount))
        segments[last].nextOffset = header.nextOffset
        segments[last].byteCount += batch.byteCount
        if buffer.count + batch.byteCount > Self.bufferByteCount { try writeBuffer() }
        buffer.append(batch)
    }

    /// Writes what is left, and the indexes, to stable storage.
    ///
    /// - Parameter aborted: transactions whose abort markers may lie in the segments.
    package mutating func finish(
        aborted: [AbortedTransaction], besides old: [Segment]
    ) throws(LogError) -> [CleanedSegment] {
        try finishFile()
        let bases = Set(old.map(\.baseOffset))
        for index in segments.indices {
            let range = segments[index].baseOffset..<segments[index].nextOffset
            segments[index].aborted = aborted.filter { range.contains($0.lastOffset) }
            segments[index].indexes.finish()
            segments[index].indexes.rule = nil
            var segment = segments[index]
            try writeIndexes(of: &segment, replacing: bases.contains(segment.baseOffset))
            segments[index] = segment
        }
        return segments
    }

    /// Removes the files.
    package mutating func discard() {
        file = nil
        try? SegmentSwap(
            directory: directory, fileSystem: environment.fileSystem,
            bases: segments.map(\.baseOffset)
        ).discard()
    }

    // MARK: Segments

    private func mustRoll(_ header: RecordBatchHeader) -> Bool {
        let current = segments[segments.count - 1]
        guard current.byteCount > 0 else { return false }
        let bytesMax = configuration.segmentIndexBytesMax
        return current.byteCount + header.sizeInBytes > configuration.segmentBytesMax
            || header.lastOffset.rawValue - current.baseOffset.rawValue > Int64(Int32.max)
            || current.indexes.offsets.count >= bytesMax / OffsetIndexEntry.byteCount
            || current.indexes.times.count >= bytesMax / TimeIndexEntry.byteCount - 1
    }

    private mutating func begin(at baseOffset: Offset) throws(LogError) {
        segments.append(
            CleanedSegment(
                baseOffset: baseOffset, nextOffset: baseOffset,
                indexes: SegmentIndexes(
                    emptyAt: baseOffset, intervalBytes: configuration.indexIntervalBytes)))
        do {
            file = try environment.fileSystem.createEmpty(path(of: baseOffset, .log))
        } catch {
            throw .file(error)
        }
    }

    private func path(of base: Offset, _ ending: SegmentName.Ending) -> String {
        joinPath(directory, SegmentName.file(base, ending) + SegmentName.cleanedSuffix)
    }

    private mutating func writeBuffer() throws(LogError) {
        guard let file, !buffer.isEmpty else { return }
        do {
            try file.write(all: buffer.rawSpan, at: Int64(writtenByteCount))
            writtenByteCount += buffer.count
            unsyncedByteCount += buffer.count
            buffer.removeAll(keepingCapacity: true)
            if unsyncedByteCount >= Self.syncByteCount { try syncFile() }
        } catch {
            throw .file(error)
        }
    }

    private mutating func syncFile() throws(FileError) {
        try file?.sync()
        unsyncedByteCount = 0
    }

    private mutating func finishFile() throws(LogError) {
        try writeBuffer()
        do { try syncFile() } catch { throw .file(error) }
        file = nil
        writtenByteCount = 0
    }

    // MARK: Indexes

    private func writeIndexes(
        of segment: inout CleanedSegment, replacing isReplacing: Bool
    ) throws(LogError) {
        let base = segment.baseOffset
        do {
            try write(&segment.indexes.offsets, to: path(of: base, .offsetIndex))
            try write(&segment.indexes.times, to: path(of: base, .timeIndex))
            // An empty one too, where an old one would stay in its place.
            let old = joinPath(directory, SegmentName.file(base, .transactionIndex))
            var isNeeded = !segment.aborted.isEmpty
            if isReplacing, try environment.fileSystem.information(old) != nil { isNeeded = true }
            if isNeeded {
                let path = path(of: base, .transactionIndex)
                try write(TransactionIndexEntry.encode(segment.aborted[...]), to: path).sync()
            }
        } catch {
            throw .file(error)
        }
    }

    private func write<Entry: IndexEntry>(
        _ tail: inout IndexTail<Entry>, to path: String
    ) throws(FileError) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(tail.count * Entry.byteCount)
        for entry in tail.entries { entry.encode(into: &bytes) }
        // Not synced: an index is no evidence, and one that a power loss took is built again.
        _ = try write(bytes, to: path)
        tail.noteReplaced()
    }

    private func write(_ bytes: [UInt8], to path: String) throws(FileError) -> any File {
        let file = try environment.fileSystem.createEmpty(path)
        try file.write(all: bytes, at: 0)
        return file
    }
}
