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
        try view?.offset(forTimestamp: timestamp)
    }
}

extension FileError {
    /// True where a path leads to another file than before, or the file is shorter (ESTALE).
    var isStale: Bool { code == ESTALE }
}
