import Glibc
import TallyFiles
package import TallyRecords

extension PartitionSnapshot {
    private var view: LogView? {
        let segments = segments
        guard !segments.isEmpty else { return nil }
        return LogView(partition: name, segments: segments, logStart: logStart, end: logEnd)
    }

    /// Whole batches from the one that holds `offset` on: as many as fit `bytesMax` but at least
    /// one, all of one segment. The first may begin before `offset`: readers skip. Nil when
    /// `offset` is the end. The checksums are not looked at.
    ///
    /// - Parameter near: where an earlier read ended, to save the lookup.
    /// Throws ``LogError/offsetOutOfRange(_:)``, ``LogError/corruption(_:)`` and
    /// ``LogError/file(_:)``; where ``LogError/isOfChangingFiles`` holds, `refresh()` and try once
    /// more.
    package func read(
        from offset: Offset, bytesMax: Int, near: ReadPosition? = nil
    ) throws(LogError) -> LogSlice? {
        guard let view else {
            guard offset == logEnd else {
                throw .offsetOutOfRange(
                    OffsetOutOfRange(
                        partition: name, requested: offset, logStart: logStart, logEnd: logEnd))
            }
            return nil
        }
        guard let slice = try view.read(from: offset, bytesMax: bytesMax, near: near) else {
            return nil
        }
        // Offsets that do not rise would send a reader round in circles.
        guard slice.nextOffset > offset else {
            throw .corruption(
                Corruption(
                    file: slice.file, position: slice.position,
                    reason: "the batches from here on end before offset \(offset)"))
        }
        return slice
    }

    /// A walk over all the bytes that a segment's file has now, whatever they are: also those
    /// behind the last sound batch.
    ///
    /// Throws ``LogError/file(_:)``.
    package func walk(_ segment: Segment) throws(LogError) -> BatchWalk {
        do throws(FileError) {
            let byteCount = Int(clamping: try segment.logFile.byteCount())
            return BatchWalk(segment, to: FilePosition(byteCount))
        } catch {
            throw .file(error)
        }
    }

    /// The offset of the first record whose timestamp is `timestamp` or later, with its
    /// timestamp; nil when there is none.
    ///
    /// Where a codec cannot be read, the answer is the first offset and the largest timestamp of
    /// the batch. Throws as ``read(from:bytesMax:near:)``.
    package func offset(
        forTimestamp timestamp: Timestamp
    ) throws(LogError) -> (offset: Offset, timestamp: Timestamp)? {
        var decoder = RecordDecoder()
        for (index, segment) in segments.enumerated() {
            let isLast = index == segments.count - 1
            if !isLast, try endsBefore(timestamp, segment) { continue }
            let limit = FilePosition(segment.byteCount)
            guard let found = try segment.batch(reaching: timestamp, end: limit) else { continue }
            var walk = BatchWalk(segment, from: found.position, to: limit)
            while case .batch(let batch) = try walk.next() {
                guard batch.header.maxTimestamp >= timestamp, batch.header.lastOffset >= logStart
                else { continue }
                if let record = try record(
                    reaching: timestamp, in: batch, of: segment, &decoder)
                {
                    return record
                }
            }
        }
        return nil
    }

    /// Whether the time index of a closed segment says that all of it is earlier.
    private func endsBefore(
        _ timestamp: Timestamp, _ segment: Segment
    ) throws(LogError) -> Bool {
        let found = try segment.readIndexFiles()
        guard found.problem == nil, let last = found.times.last else { return false }
        return last.timestamp < timestamp
    }

    private func record(
        reaching timestamp: Timestamp, in found: BatchHandle, of segment: Segment,
        _ decoder: inout RecordDecoder
    ) throws(LogError) -> (offset: Offset, timestamp: Timestamp)? {
        do throws(RecordError) {
            let batch = try RecordBatch(found.bytes)
            var cursor = try decoder.records(of: batch)
            while let record = try cursor.next() {
                if record.timestamp >= timestamp, record.offset >= logStart {
                    return (record.offset, record.timestamp)
                }
            }
            return nil
        } catch {
            guard error.isCorruption else {
                return (max(found.header.baseOffset, logStart), found.header.maxTimestamp)
            }
            throw segment.corruption(at: found.position.rawValue, "\(error)")
        }
    }
}

extension FileError {
    /// True where a path leads to another file than before, or the file is shorter (ESTALE).
    var isStale: Bool { code == ESTALE }
}
