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
    /// The producer had sent the batch before: it is in the log once, at these offsets.
    package var isDuplicate = false
}

extension AppendResult {
    /// What a broker tells of a batch that it has appended: not the epoch.
    package init(baseOffset: Offset, recordCount: Int, logAppendTime: Timestamp?) {
        self.init(
            baseOffset: baseOffset, nextOffset: baseOffset.advanced(by: Int64(recordCount)),
            leaderEpoch: .none, logAppendTime: logAppendTime)
    }
}

/// Who made the batches that are appended.
package enum BatchOrigin: Hashable, Sendable {
    /// This process's own encoder, a moment ago: the checksum was just computed.
    case ownEncoder
    /// A coordinator of this process that records its own state, which it read in an epoch (nil:
    /// there was nothing to read): as ``ownEncoder``, and offsets of a producer's transaction have
    /// no sequence to be checked, as in Kafka. In another epoch somebody else may have written
    /// since, and it must not.
    case coordinator(in: LeaderEpoch?)
    /// Anybody else: everything is checked first.
    case outside
}

/// What an append needs to know of its batches before it takes the lock.
private struct BatchSurvey {
    var extent = BatchExtent()
    /// The first batch, which mostly is the only one: decoded once.
    var first: RecordBatchHeader
    /// What the batch says where it is a marker.
    var marker: TransactionMarker?
    /// When the coordinator was asked about its transaction.
    var verification: TransactionStanding?
    /// Whether sequences are looked at.
    var hasSequences = true
    /// The only epoch in which it is to be appended; nil for any.
    var epoch: LeaderEpoch?
}

extension PartitionLog {
    /// Appends one or more whole batches, lying one behind the other, with one write.
    ///
    /// Assigns offsets and the leader epoch in place, or in a copy where batches from outside get
    /// the codec that the topic names (`compression.type`). On return the log end has moved;
    /// whether the high watermark has depends on the durability (see ``flush()``). All of the
    /// batches go to one segment. A batch that is refused, and a lack of space, leave the log as it
    /// was. Blocks while the kernel takes the bytes.
    ///
    /// - Parameters:
    ///   - batches: at least one batch. A refusal leaves it as it was; after other errors its
    ///     contents are undefined.
    ///   - now: the time for `LogAppendTime` topics.
    ///   - verification: what ``transactionStanding(of:)`` said when the coordinator was asked
    ///     about the transaction that the batches begin here; nil where there was nothing to ask.
    /// Throws ``LogError/invalidBatch(_:)``, ``LogError/batchTooLarge(byteCount:limit:setting:)``,
    /// ``LogError/producer(_:)``, with `verificationOutdated` where a transaction has ended here
    /// since; ``LogError/follows(partition:source:)``, ``LogError/file(_:)``,
    /// ``LogError/stopped(partition:reason:)``,
    /// ``LogError/closed(partition:)``.
    package func append(
        _ batches: inout MutableRawSpan, from origin: BatchOrigin, now: Timestamp,
        verification: TransactionStanding? = nil
    ) throws(LogError) -> AppendResult {
        var survey = try survey(batches.bytes, origin, now)
        survey.verification = verification
        if case .coordinator(let epoch) = origin {
            survey.hasSequences = false
            survey.epoch = epoch
        }
        guard origin == .outside, var recoded = try recoded(batches.bytes) else {
            return try append(&batches, surveyed: survey, now: now)
        }
        var recodedSurvey = try self.survey(recoded.rawSpan, .ownEncoder, now)
        recodedSurvey.verification = verification
        return try recoded.withMutableRawSpan { (bytes) throws(LogError) in
            try append(&bytes, surveyed: recodedSurvey, now: now)
        }
    }

    /// The batches with the codec that the topic names; nil where there is nothing to change.
    private func recoded(_ bytes: RawSpan) throws(LogError) -> [UInt8]? {
        guard let codec = configuration.compression else { return nil }
        var recoded: [UInt8] = []
        var recoder = BatchRecoder()
        var isChanged = false
        var at = 0
        do throws(RecordError) {
            while at < bytes.byteCount {
                let batch = try RecordBatch(bytes, at: at)
                if batch.header.codec == codec {
                    recoded.append(batch.bytes)
                } else {
                    try recoder.recode(batch, with: codec, behind: &recoded)
                    isChanged = true
                }
                at += batch.header.sizeInBytes
            }
        } catch {
            throw .invalidBatch(error)
        }
        return isChanged ? recoded : nil
    }

    /// Appends one control batch that was just encoded.
    func append(
        _ batch: inout [UInt8], _ marker: TransactionMarker, now: Timestamp
    ) throws(LogError) -> AppendResult {
        var survey = try survey(batch.rawSpan, .ownEncoder, now)
        survey.marker = marker
        survey.epoch = marker.order?.leaderEpoch
        return try batch.withMutableRawSpan { (bytes) throws(LogError) in
            try append(&bytes, surveyed: survey, now: now)
        }
    }

    private func append(
        _ batches: inout MutableRawSpan, surveyed survey: BatchSurvey, now: Timestamp
    ) throws(LogError) -> AppendResult {
        var rolledAt: Offset?
        let result: AppendResult
        do {
            result = try writer.withLock { writer throws(LogError) in
                try self.append(&batches, survey, now: now, &writer, &rolledAt)
            }
        } catch {
            noteFailure(error)
            throw error
        }
        // Without the lock: whoever waits may call us back.
        logEndMark.wake()
        highWatermarkMark.wake()
        tellReplication()
        if let rolledAt { environment.report(.rolled(partition: name, baseOffset: rolledAt)) }
        return result
    }

    /// Checks the batches, outside the lock.
    private func survey(
        _ bytes: RawSpan, _ origin: BatchOrigin, _ now: Timestamp
    ) throws(LogError) -> BatchSurvey {
        let limit = min(configuration.batchBytesMax, configuration.segmentBytesMax)
        var survey: BatchSurvey?
        var decoder = RecordDecoder()
        var at = 0
        do throws(RecordError) {
            repeat {
                let batch = try RecordBatch(bytes, at: at)
                let header = batch.header
                guard header.sizeInBytes <= limit else { break }
                if origin == .outside {
                    try batch.validate(bytesMax: limit)
                    try configuration.checkRecords(of: batch, &decoder, now: now)
                }
                survey = (survey ?? BatchSurvey(first: header)).adding(header)
                at += header.sizeInBytes
                // As in Kafka: sequences are looked at batch by batch.
                guard header.producerID < 0 || at == bytes.byteCount && survey?.first == header
                else { throw RecordError(.trailingBytes(bytes.byteCount - at), position: at) }
                // Index entries hold offsets relative to the segment's first in 32 bits.
                guard let survey, survey.extent.offsetCount <= Int64(Int32.max) else {
                    throw RecordError(.badCount(Int(header.recordCount)), position: at)
                }
            } while at < bytes.byteCount
        } catch {
            throw .invalidBatch(error)
        }
        guard at == bytes.byteCount, let survey else { throw tooLarge(in: bytes, at: at) }
        guard survey.extent.byteCount <= configuration.segmentBytesMax else {
            throw .batchTooLarge(
                byteCount: survey.extent.byteCount, limit: configuration.segmentBytesMax,
                setting: "segment.bytes")
        }
        return survey
    }

    private func tooLarge(in bytes: RawSpan, at position: Int) -> LogError {
        let byteCount = RecordBatchHeader.sizeInBytes(peeking: bytes, at: position) ?? 0
        if byteCount > configuration.batchBytesMax {
            return .batchTooLarge(
                byteCount: byteCount, limit: configuration.batchBytesMax,
                setting: "max.message.bytes")
        }
        return .batchTooLarge(
            byteCount: byteCount, limit: configuration.segmentBytesMax, setting: "segment.bytes")
    }

    private func append(
        _ batches: inout MutableRawSpan, _ survey: consuming BatchSurvey, now: Timestamp,
        _ writer: inout Writer, _ rolledAt: inout Offset?
    ) throws(LogError) -> AppendResult {
        try checkOpen(writer)
        try checkLeads(writer, in: survey.epoch)
        if !writer.wasAppendedTo { loadProducersAtOnce(&writer) }
        if let marker = survey.marker {
            try check(marker, &writer)
            writer.markerCount += 1
        } else if let known = try checkProducer(
            of: survey.first, hasSequences: survey.hasSequences, &writer)
        {
            return AppendResult(
                baseOffset: known.firstOffset, nextOffset: known.lastOffset.advanced(by: 1),
                leaderEpoch: writer.epoch,
                logAppendTime: configuration.timestampType == .logAppendTime
                    ? known.timestamp : nil, isDuplicate: true)
        }
        try check(survey.verification, of: survey.first, writer)
        let baseOffset = writer.nextOffset
        guard baseOffset.rawValue <= Int64.max - survey.extent.offsetCount else {
            throw .invalidBatch(RecordError(.badOffset(baseOffset.rawValue), position: 0))
        }
        let stamp = configuration.timestampType == .logAppendTime ? now : nil
        if let stamp {
            survey.extent.maxTimestamp = stamp
            survey.first.maxTimestamp = stamp
        }
        survey.first.baseOffset = baseOffset
        let result = AppendResult(
            baseOffset: baseOffset, nextOffset: baseOffset.advanced(by: survey.extent.offsetCount),
            leaderEpoch: writer.epoch, logAppendTime: stamp)
        try stoppingWhenInDoubt(&writer) { (writer) throws(LogError) in
            try noteEpoch(&writer)
            if mustRoll(for: survey.extent, writer) {
                try roll(&writer)
                rolledAt = baseOffset
            }
        }
        assignOffsets(&batches, survey, writer.epoch, stamp: stamp)
        writer.wasAppendedTo = true
        try write(batches.bytes, &writer)
        try noteWritten(batches.bytes, survey, &writer)
        writer.nextOffset = result.nextOffset
        writer.active.publish(byteCount: writer.position)
        logEndMark.publish(writer.nextOffset)
        if movesHighWatermark(.appended) { highWatermarkMark.publish(writer.nextOffset) }
        return result
    }

    /// Throws when the log takes no appends.
    func checkOpen(_ writer: borrowing Writer) throws(LogError) {
        if let reason = writer.stopReason { throw .stopped(partition: name, reason: reason) }
        if writer.isClosed { throw .closed(partition: name) }
    }

    /// Throws where the log takes only what another one has.
    private func checkLeads(
        _ writer: borrowing Writer, in epoch: LeaderEpoch?
    ) throws(LogError) {
        if isReplicated, writer.replication == nil || writer.epoch != epoch ?? writer.epoch {
            throw .notLeader(partition: name)
        }
        if let source = configuration.source { throw .follows(partition: name, source: source) }
    }

    /// Runs a step of an append; the partition stops where its error leaves in doubt what the
    /// disk holds.
    func stoppingWhenInDoubt(
        _ writer: inout Writer, _ step: (inout Writer) throws(LogError) -> Void
    ) throws(LogError) {
        do {
            try step(&writer)
        } catch {
            if case .file(let cause) = error, cause.leavesDoubt {
                stop(&writer, because: "\(cause)")
            }
            throw error
        }
    }

    /// Notes the current epoch in the checkpoint, on stable storage, before its first batch.
    func noteEpoch(_ writer: inout Writer) throws(LogError) {
        guard writer.epochs.latest != writer.epoch else { return }
        var epochs = writer.epochs
        epochs.assign(writer.epoch, startingAt: writer.nextOffset)
        try epochs.write(to: directory, on: environment.fileSystem)
        writer.epochs = epochs
    }

    private func assignOffsets(
        _ batches: inout MutableRawSpan, _ survey: borrowing BatchSurvey, _ epoch: LeaderEpoch,
        stamp: Timestamp?
    ) {
        var at = 0
        var offset = survey.first.baseOffset
        while at < batches.byteCount {
            let header = at == 0 ? survey.first : checkedHeader(in: batches.bytes, at: at)
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

    /// Writes behind the published end. What a failed write left there is cut off again, on stable
    /// storage before the error is told: a power loss must not bring back what was refused.
    func write(_ bytes: RawSpan, _ writer: inout Writer) throws(LogError) {
        let file = writer.active.logFile
        do {
            try writer.reservation.cover(
                bytes.byteCount, at: writer.position, limit: configuration.segmentBytesMax,
                of: file, gate: environment.space)
            try file.write(all: bytes, at: Int64(writer.position))
            writer.lacksSpace = false
        } catch {
            if error.leavesDoubt {
                stop(&writer, because: "\(error)")
                throw .file(error)
            }
            // Without a descriptor nothing was written.
            if error.isTooManyOpenFiles { throw .file(error) }
            do {
                try file.truncate(to: Int64(writer.position))
                try file.sync()
                writer.reservation.reset()
            } catch {
                stop(&writer, because: "\(error)")
            }
            throw .file(error)
        }
    }

    /// Enters the written batches in the indexes.
    private func noteWritten(
        _ bytes: RawSpan, _ survey: borrowing BatchSurvey, _ writer: inout Writer
    ) throws(LogError) {
        if writer.firstTimestamp == nil { writer.firstTimestamp = survey.first.maxTimestamp }
        var at = 0
        while at < bytes.byteCount {
            let header = at == 0 ? survey.first : checkedHeader(in: bytes, at: at)
            do {
                try writer.active.noteAppended(header, at: FilePosition(writer.position))
                try noteProducer(of: header, control: survey.marker?.control, &writer)
                if let marker = survey.marker { writer.producers?.noteOrder(of: marker) }
            } catch {
                // The batches are in the file already; only a rescan can tell what counts.
                stop(&writer, because: "\(error)")
                throw error
            }
            writer.position += header.sizeInBytes
            at += header.sizeInBytes
        }
    }
}

extension BatchSurvey {
    fileprivate func adding(_ header: RecordBatchHeader) -> BatchSurvey {
        var sum = self
        sum.extent.add(header, at: extent.offsetCount)
        return sum
    }
}
