import Synchronization
import TallyFiles
package import TallyRecords

/// Where an append put its batches.
package struct AppendResult: Hashable, Sendable {
    /// The offset of the first record.
    package var baseOffset: Offset
    /// The offset behind the last record: what to wait for.
    package var nextOffset: Offset
    /// The epoch the batches got.
    package var leaderEpoch: LeaderEpoch
    /// The time that was set on all records; nil where producers set the timestamps.
    package var logAppendTime: Timestamp?
}

/// Who made the batches that are appended.
package enum BatchOrigin: Hashable, Sendable {
    /// This process's own encoder, a moment ago: the checksum was just computed.
    case ownEncoder
    /// Anybody else: everything is checked first.
    case outside
}

/// What an append needs to know of its batches before it takes the lock.
private struct BatchSurvey {
    var byteCount = 0
    var offsetCount: Int64 = 0
    var maxTimestamp = Timestamp.none
    var firstTimestamp = Timestamp.none
}

extension PartitionLog {
    /// Appends one or more whole batches, lying one behind the other, with one write.
    ///
    /// Assigns offsets and the leader epoch in place. On return the log end has moved; whether
    /// the high watermark has depends on the durability (see ``flush()``). All of the batches go
    /// to one segment. A batch that is refused, and a lack of space, leave the log as it was.
    ///
    /// - Parameters:
    ///   - now: the time for `LogAppendTime` topics.
    package func append(
        _ batches: inout MutableRawSpan, from origin: BatchOrigin, now: Timestamp
    ) throws(LogError) -> AppendResult {
        let survey = try survey(batches.bytes, origin)
        do {
            return try writer.withLock { writer throws(LogError) in
                try self.append(&batches, survey, now: now, &writer)
            }
        } catch {
            noteFailure(error)
            throw error
        }
    }

    /// Checks the batches, outside the lock.
    private func survey(
        _ bytes: RawSpan, _ origin: BatchOrigin
    ) throws(LogError) -> BatchSurvey {
        var survey = BatchSurvey()
        let limit = min(configuration.batchBytesMax, configuration.segmentBytesMax)
        do {
            while survey.byteCount < bytes.byteCount {
                let batch = try RecordBatch(bytes, at: survey.byteCount)
                let header = batch.header
                guard header.sizeInBytes <= limit else { throw tooLarge(header.sizeInBytes) }
                if origin == .outside {
                    try batch.validate(bytesMax: limit)
                }
                if survey.byteCount == 0 { survey.firstTimestamp = header.maxTimestamp }
                survey.byteCount += header.sizeInBytes
                survey.offsetCount += Int64(header.lastOffsetDelta) + 1
                survey.maxTimestamp = max(survey.maxTimestamp, header.maxTimestamp)
            }
        } catch let error as RecordError {
            throw .invalidBatch(error)
        } catch let error as LogError {
            throw error
        } catch {
            invariantFailure("an error of an unknown kind: \(error)")
        }
        guard survey.byteCount <= configuration.segmentBytesMax else {
            throw .batchTooLarge(
                byteCount: survey.byteCount, limit: configuration.segmentBytesMax,
                setting: "segment.bytes")
        }
        return survey
    }

    private func tooLarge(_ byteCount: Int) -> LogError {
        if byteCount > configuration.batchBytesMax {
            return .batchTooLarge(
                byteCount: byteCount, limit: configuration.batchBytesMax,
                setting: "max.message.bytes")
        }
        return .batchTooLarge(
            byteCount: byteCount, limit: configuration.segmentBytesMax, setting: "segment.bytes")
    }

    private func append(
        _ batches: inout MutableRawSpan, _ survey: BatchSurvey, now: Timestamp,
        _ writer: inout Writer
    ) throws(LogError) -> AppendResult {
        try checkOpen(writer)
        let isStamped = configuration.timestampType == .logAppendTime
        let baseOffset = writer.nextOffset
        var result = AppendResult(
            baseOffset: baseOffset, nextOffset: baseOffset.advanced(by: survey.offsetCount),
            leaderEpoch: writer.epoch, logAppendTime: isStamped ? now : nil)
        guard survey.byteCount > 0 else { return result }
        try noteEpoch(&writer)
        if mustRoll(survey, isStamped ? now : survey.maxTimestamp, writer) { try roll(&writer) }
        result.leaderEpoch = writer.epoch
        assignOffsets(&batches, from: baseOffset, writer.epoch, stamp: result.logAppendTime)
        try write(batches.bytes, &writer)
        if writer.firstTimestamp == nil {
            writer.firstTimestamp = isStamped ? now : survey.firstTimestamp
        }
        try noteWritten(batches.bytes, &writer)
        writer.nextOffset = result.nextOffset
        writer.active.publish(byteCount: writer.position)
        logEndMark.advance(to: writer.nextOffset)
        if configuration.durability != .synced { highWatermarkMark.advance(to: writer.nextOffset) }
        return result
    }

    /// Throws when the log takes no appends.
    func checkOpen(_ writer: borrowing Writer) throws(LogError) {
        if let reason = writer.stopReason { throw .stopped(partition: name, reason: reason) }
        if writer.isClosed { throw .closed(partition: name) }
    }

    /// Notes the current epoch in the checkpoint, on stable storage, before its first batch.
    private func noteEpoch(_ writer: inout Writer) throws(LogError) {
        guard writer.epochs.latest != writer.epoch else { return }
        var epochs = writer.epochs
        epochs.assign(writer.epoch, startingAt: writer.nextOffset)
        try epochs.write(to: directory, on: environment.fileSystem)
        writer.epochs = epochs
    }

    private func assignOffsets(
        _ batches: inout MutableRawSpan, from baseOffset: Offset, _ epoch: LeaderEpoch,
        stamp: Timestamp?
    ) {
        var at = 0
        var offset = baseOffset
        while at < batches.byteCount {
            let header = checkedHeader(in: batches.bytes, at: at)
            var batch = batches._mutatingExtracting(at..<at + header.sizeInBytes)
            RecordBatch.assign(baseOffset: offset, leaderEpoch: epoch, in: &batch)
            if let stamp { RecordBatch.stampLogAppendTime(stamp, in: &batch) }
            offset = offset.advanced(by: Int64(header.lastOffsetDelta) + 1)
            at += header.sizeInBytes
        }
    }

    private func checkedHeader(in bytes: RawSpan, at position: Int) -> RecordBatchHeader {
        do {
            return try RecordBatchHeader(decoding: bytes, at: position)
        } catch {
            invariantFailure("a batch that was checked before it was written: \(error)")
        }
    }

    /// Writes behind the published end. What a failed write left there is cut off again.
    private func write(_ bytes: RawSpan, _ writer: inout Writer) throws(LogError) {
        let file = writer.active.logFile
        do {
            try writer.reservation.cover(
                bytes.byteCount, at: writer.position, limit: configuration.segmentBytesMax,
                of: file)
            try file.write(all: bytes, at: Int64(writer.position))
        } catch {
            if error.isNoSpace {
                do {
                    try file.truncate(to: Int64(writer.position))
                    writer.reservation.reset()
                } catch {
                    stop(&writer, because: "\(error)")
                }
            } else if error.operation == "write" || error.operation == "sync" {
                stop(&writer, because: "\(error)")
            }
            throw .file(error)
        }
    }

    /// Enters the written batches in the indexes.
    private func noteWritten(_ bytes: RawSpan, _ writer: inout Writer) throws(LogError) {
        var at = 0
        while at < bytes.byteCount {
            let header = checkedHeader(in: bytes, at: at)
            do {
                try writer.active.noteAppended(header, at: FilePosition(writer.position))
            } catch {
                // The batches are in the file already; only a rescan can tell what counts.
                stop(&writer, because: "\(error)")
                throw error
            }
            writer.position += header.sizeInBytes
            at += header.sizeInBytes
        }
    }

    /// Takes no appends from now on. Called with the writer lock held.
    func stop(_ writer: inout Writer, because reason: String) {
        guard writer.stopReason == nil else { return }
        writer.stopReason = reason
    }

    /// Tells everybody who waits that the log has stopped, outside the lock.
    func noteFailure(_ error: LogError) {
        // Refused because it has stopped: everybody was told when it did.
        if case .stopped = error { return }
        guard let reason = writer.withLock({ $0.stopReason }) else { return }
        let stopped = LogError.stopped(partition: name, reason: reason)
        logEndMark.fail(stopped)
        highWatermarkMark.fail(stopped)
        environment.report(.stopped(partition: name, reason: reason))
    }

    // MARK: Rolling

    /// Whether the batches must go to a new segment: size, time, a full index, or an offset too
    /// far from the base offset for four bytes.
    private func mustRoll(
        _ survey: BatchSurvey, _ timestamp: Timestamp, _ writer: borrowing Writer
    ) -> Bool {
        guard writer.position > 0 else { return false }
        if writer.position + survey.byteCount > configuration.segmentBytesMax { return true }
        let last = writer.nextOffset.rawValue + survey.offsetCount - 1
        if last - writer.active.baseOffset.rawValue > Int64(Int32.max) { return true }
        if let first = writer.firstTimestamp, timestamp > .none, first > .none,
            timestamp.rawValue - first.rawValue > configuration.segmentMillisecondsMax
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
        let segment = try Segment.create(
            at: writer.nextOffset, in: directory, environment: environment,
            configuration: configuration)
        writer.unsealed.append(writer.active)
        writer.active = segment
        writer.position = 0
        writer.firstTimestamp = nil
        writer.reservation.reset()
        writer.isDirectoryDirty = true
        addSegment(segment)
        environment.report(.rolled(partition: name, baseOffset: segment.baseOffset))
    }

    /// Starts a new segment now, unless the active one is empty.
    package func roll() throws(LogError) {
        try writer.withLock { writer throws(LogError) in
            try checkOpen(writer)
            if writer.position > 0 { try roll(&writer) }
        }
    }
}

extension Segment {
    /// Creates the file of an empty segment; it survives a crash once the directory is synced.
    static func create(
        at baseOffset: Offset, in directory: String, environment: LogEnvironment,
        configuration: LogConfiguration
    ) throws(LogError) -> Segment {
        let path = joinPath(directory, SegmentName.file(baseOffset, .log))
        do {
            let file = try environment.fileSystem.open(path, .create)
            guard try file.byteCount() == 0 else {
                throw LogError.corruption(
                    Corruption(
                        file: path, position: .start,
                        reason: "a new segment would take the place of this file"))
            }
        } catch let error as FileError {
            throw .file(error)
        } catch let error as LogError {
            throw error
        } catch {
            invariantFailure("an error of an unknown kind: \(error)")
        }
        return Segment(
            baseOffset: baseOffset, directory: directory, environment: environment, byteCount: 0,
            byteCountMax: configuration.segmentBytesMax,
            indexIntervalBytes: configuration.indexIntervalBytes,
            indexes: SegmentIndexes(
                emptyAt: baseOffset, intervalBytes: configuration.indexIntervalBytes))
    }
}
