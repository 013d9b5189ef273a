import Synchronization
import TallyFiles
package import TallyRecords

extension PartitionLog {
    /// Takes back everything from an offset on, so that the log ends there. What is in the middle
    /// of a batch takes back the whole batch.
    ///
    /// The kept part of the segment that is cut becomes a new file, put in place by a rename:
    /// readers who hold slices of the old one keep valid memory, and a crash leaves the log as it
    /// was or as it is to be. Indexes, epochs, transactions, what is known of producers, the high
    /// watermark and the recovery point follow. Who waits for an offset that is taken back gets
    /// ``LogError/truncated(partition:logEnd:)``.
    ///
    /// - Parameters:
    ///   - offset: at least the log start; the log end or more changes nothing.
    ///   - storingRecoveryPoint: puts the recovery point, which has come down already, on stable
    ///     storage before a byte goes; or the next opening would miss what it says was there.
    /// Returns the log end. Blocks, and keeps appends waiting meanwhile. Whoever appends at the
    /// same time may take what comes later at an offset for what was there: let nobody.
    /// Throws ``LogError/offsetOutOfRange(_:)``; after any other error of its own the partition
    /// takes no appends until it is opened again.
    @discardableResult
    package func truncate(
        to offset: Offset, storingRecoveryPoint: () throws(LogError) -> Void
    ) throws(LogError) -> Offset {
        guard offset >= logStart else { throw outOfRange(offset) }
        return try takeBack(storingRecoveryPoint) { () throws(LogError) in offset }
    }

    /// - Parameter target: from where on; asked again once nothing can be appended or
    ///   acknowledged any more.
    func takeBack(
        _ storingRecoveryPoint: () throws(LogError) -> Void,
        from target: () throws(LogError) -> Offset
    ) throws(LogError) -> Offset {
        // One truncation at a time, from the recovery point on.
        let cut = try retiring.withLock { (retired: inout Retired) throws(LogError) in
            try finishSwap(&retired)
            let offset = try target()
            guard offset < logEnd else { return Offset?.none }
            // Appends that are still under way change nothing about it.
            let planned = try self.cut(at: offset)
            syncing.withLock { $0.limit = planned.end }
            defer { syncing.withLock { $0.limit = nil } }
            noteUncleaned(from: planned.end, &retired)
            try storingRecoveryPoint()
            let end = try cutWithLocks(from: target, &retired.segments)
            noteUncleaned(from: end, &retired)
            return end
        }
        guard let end = cut else { return logEnd }
        let failure = LogError.truncated(partition: name, logEnd: end)
        logEndMark.failWaiters(behind: end, failure)
        highWatermarkMark.failWaiters(behind: end, failure)
        return end
    }

    /// Takes back what lies above the high watermark, as ``truncate(to:storingRecoveryPoint:)``.
    ///
    /// - Parameter offset: from here on; the high watermark where it is nil.
    /// Throws ``LogError/offsetOutOfRange(_:)`` for an offset below the high watermark.
    package func truncateUnacknowledged(
        to offset: Offset?, storingRecoveryPoint: () throws(LogError) -> Void
    ) throws(LogError) -> Offset {
        try takeBack(storingRecoveryPoint) { () throws(LogError) in
            // A sync that was under way may acknowledge more at any time.
            let acknowledged = highWatermark
            let target = offset ?? acknowledged
            guard target >= acknowledged else {
                throw .offsetOutOfRange(
                    OffsetOutOfRange(
                        partition: name, requested: target, logStart: acknowledged,
                        logEnd: logEnd))
            }
            return target
        }
    }

    /// Where the log has to be cut so that it ends at an offset.
    private struct Cut {
        var segmentIndex: Int
        var position: FilePosition
        var end: Offset
        /// Stands for the offsets between the last batch that is kept and the end, which
        /// compaction took: or the next opening would find the log to end before them.
        var placeholder: RecordBatchHeader?
    }

    private func cut(at offset: Offset) throws(LogError) -> Cut {
        let list = segments
        let index = list.lastIndex { $0.baseOffset <= offset } ?? 0
        let segment = list[index]
        let limit = FilePosition(segment.byteCount)
        let found = try segment.batch(reaching: offset, end: limit)
        let position = found?.position ?? limit
        // An offset that no batch holds is a fine end, unless it would leave the segment empty.
        let end = min(offset, found?.header.baseOffset ?? offset)
        guard position > .start, let last = try segment.lastBatch(before: position, end) else {
            return Cut(segmentIndex: index, position: .start, end: segment.baseOffset)
        }
        return Cut(
            segmentIndex: index, position: position, end: end,
            placeholder: last.placeholder(upTo: end))
    }

    private func cutWithLocks(
        from target: () throws(LogError) -> Offset, _ retired: inout [RetiredSegment]
    ) throws(LogError) -> Offset {
        var gone: [RetiredSegment] = []
        defer { retired += gone }
        let cut: Result<Offset, LogError> = syncing.withLock { synced in
            let cut = writer.withLock { writer in cutOrStop(from: target, &writer, &gone) }
            if case .success(let end) = cut {
                synced.end = min(synced.end, end)
                syncedEndValue.store(synced.end.rawValue, ordering: .releasing)
            }
            return cut
        }
        if case .failure(let error) = cut { noteFailure(error) }
        return try cut.get()
    }

    private func cutOrStop(
        from target: () throws(LogError) -> Offset, _ writer: inout Writer,
        _ gone: inout [RetiredSegment]
    ) -> Result<Offset, LogError> {
        let offset: Offset
        do throws(LogError) {
            try checkOpen(writer)
            offset = try target()
            guard offset < writer.nextOffset else { return .success(writer.nextOffset) }
        } catch {
            return .failure(error)
        }
        do throws(LogError) {
            return .success(try cut(at: offset, &writer, &gone))
        } catch {
            stop(&writer, because: "\(error)")
            return .failure(error)
        }
    }

    /// The work, with all locks held.
    private func cut(
        at offset: Offset, _ writer: inout Writer, _ gone: inout [RetiredSegment]
    ) throws(LogError) -> Offset {
        let cut = try self.cut(at: offset)
        let (list, end) = (segments, cut.end)
        let old = list[cut.segmentIndex]
        // Nobody may look behind the new end while it comes to be.
        highWatermarkMark.lower(to: end)
        logEndMark.lower(to: end)
        let aborted = try abortedTransactions(of: old).filter { $0.lastOffset < end }
        let dueAt =
            ContinuousClock.now + .milliseconds(configuration.fileDeleteDelayMilliseconds)
        if writer.isRolling { try removeHalfBegun(at: writer.nextOffset) }
        // Newest first: a crash in between takes no more than is gone already.
        for segment in list[(cut.segmentIndex + 1)...].reversed() {
            try segment.markDeleted()
            gone.append(RetiredSegment(segment: segment, dueAt: dueAt))
        }
        let segment = try replace(old, keeping: cut, &writer)
        try segment.setTransactionIndex(aborted)
        replaceSegments(from: cut.segmentIndex, with: segment)
        old.noteGone()
        try forget(from: end, &writer)
        return end
    }

    /// Removes the file of a segment that could not be put to use: among later segments its name
    /// would stand for a place where no segment begins.
    private func removeHalfBegun(at offset: Offset) throws(LogError) {
        let path = joinPath(directory, SegmentName.file(offset, .log))
        do {
            if try environment.fileSystem.information(path) != nil {
                try environment.fileSystem.remove(path)
            }
        } catch {
            throw .file(error)
        }
    }

    /// Puts a copy of the first bytes of a segment in its place.
    private func replace(
        _ old: Segment, keeping cut: Cut, _ writer: inout Writer
    ) throws(LogError) -> Segment {
        let files = environment.fileSystem
        var end = cut.position
        do {
            // Without a number of its own a left-over of an earlier try is overwritten.
            let copy = old.path + ".tmp"
            try files.copyPrefix(of: old.path, byteCount: Int64(end.rawValue), to: copy)
            if let placeholder = cut.placeholder?.encodedAlone() {
                let file = try files.open(copy, .write)
                try file.write(all: placeholder.rawSpan, at: Int64(end.rawValue))
                try file.sync()
                end = end.advanced(by: placeholder.count)
            }
            for file in [old.offsetIndexFile, old.timeIndexFile] {
                let path = file.path
                if try files.information(path) != nil { try files.remove(path) }
            }
            try files.rename(copy, to: old.path)
            try files.syncDirectory(directory)
        } catch {
            throw .file(error)
        }
        let segment = Segment(
            baseOffset: old.baseOffset, directory: directory, environment: environment,
            byteCount: end.rawValue, byteCountMax: configuration.segmentBytesMax,
            indexIntervalBytes: configuration.indexIntervalBytes)
        let resumed = try ResumedSegment(segment, below: .zero)
        var first: Timestamp?
        let scanned = try resumed.scan(to: end) { header in
            if first == nil { first = header.maxTimestamp }
        }
        if let damage = scanned.damage {
            throw segment.corruption(at: scanned.position.rawValue, damage)
        }
        try resumed.apply()
        writer.active = segment
        writer.position = end.rawValue
        writer.firstTimestamp = first
        writer.reservation.reset()
        writer.isRolling = false
        writer.isDirectoryDirty = true
        writer.wasAppendedTo = true
        return segment
    }

    /// Brings down what was noted about offsets that are gone.
    private func forget(from end: Offset, _ writer: inout Writer) throws(LogError) {
        let kept = Set(segments.map { ObjectIdentifier($0) })
        writer.unsealed.removeAll { !kept.contains(ObjectIdentifier($0)) }
        writer.nextOffset = end
        writer.producers = nil
        writer.snapshots.removeAll { $0.offset > end }
        writer.epochs.truncate(to: end)
        try writer.epochs.write(to: directory, on: environment.fileSystem)
        let names: [String]
        do {
            names = try environment.fileSystem.list(directory)
        } catch {
            throw .file(error)
        }
        let behind = ProducerSnapshot.offsets(among: names).filter { $0 > end }
        try ProducerSnapshot.remove(behind, in: directory, on: environment.fileSystem)
    }
}
