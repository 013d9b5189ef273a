import TallyRecords

/// What the check of one segment carries from batch to batch.
struct SegmentCheck {
    let segment: Segment
    let isLast: Bool
    var report: SegmentReport
    /// The last offset of the batch before; nil at the first.
    var previousLast: Offset?
    /// What the records of the batch told that is looked at; nil where they cannot be read.
    var survey: RecordSurvey?
    /// Whether some bytes of the segment could not be taken for batches.
    var isIncomplete = false
    /// How often the check still follows a file that grows under it.
    var growthsLeft = 8
    /// Abort markers of this segment and whose they are; and transactions aborted before it.
    var abortMarkers: [Offset: Int64] = [:]
    var abortedCountBefore = 0

    init(_ segment: Segment, isLast: Bool) {
        self.segment = segment
        self.isLast = isLast
        report = SegmentReport(file: segment.path, baseOffset: segment.baseOffset)
    }
}

/// What the records of a batch told.
struct RecordSurvey {
    /// What the batch would take without compression.
    var unpackedByteCount = RecordBatchHeader.byteCount
    var control: ControlRecord?
}

extension LogVerifier {
    /// Checks a batch's bytes and records. Returns why they cannot be trusted; nil where they can.
    mutating func checkBytes(_ found: BatchHandle, _ state: inout SegmentCheck) -> String? {
        do throws(RecordError) {
            let batch = try RecordBatch(found.bytes)
            try batch.verifyChecksum()
            let isReadable = found.header.codec.isSupported
            state.survey = isReadable ? try Self.survey(batch, &decoder) : nil
            return nil
        } catch {
            var error = error
            if !error.isInDecompressedRecords { error.position += found.position.rawValue }
            return "the batch of \(found.header.sizeInBytes) bytes is damaged: \(error)"
        }
    }

    /// Why a sound batch is in the wrong place; nil where it follows what came before. The base
    /// offset lies outside the checksum, so it may be what is wrong.
    func misplacement(
        of found: BatchHandle, _ walk: BatchWalk, _ state: borrowing SegmentCheck
    ) throws(LogError) -> String? {
        let header = found.header
        let base = state.segment.baseOffset
        let least = progress.nextOffset ?? base
        if header.baseOffset < least {
            return "the batch begins at offset \(header.baseOffset), but those before it reach to "
                + "\(least.advanced(by: -1)): it is there twice, out of place, or has a wrong base "
                + "offset"
        }
        if header.baseOffset < base {
            return "the batch begins at offset \(header.baseOffset), before its segment's \(base)"
        }
        if header.baseOffset > least {
            // Compaction leaves gaps; but then the next batch goes on behind this one.
            var ahead = walk
            if case .batch(let next) = try ahead.next(), next.header.baseOffset >= least,
                next.header.baseOffset < header.nextOffset
            {
                return "the batch begins at offset \(header.baseOffset), but the one behind it at "
                    + "\(next.header.baseOffset): one of them is out of place, or this one has a "
                    + "wrong base offset"
            }
        }
        if header.lastOffset.rawValue - base.rawValue > Int64(Int32.max) {
            return "the batch ends at offset \(header.lastOffset), too far from its segment's "
                + "\(base) for an index"
        }
        return nil
    }

    /// Enters a batch that is sound and in its place.
    mutating func enter(_ found: BatchHandle, _ state: inout SegmentCheck) {
        let header = found.header
        let control = state.survey?.control
        let isDense = Int64(header.recordCount) == Int64(header.lastOffsetDelta) + 1
        if !isDense || header.baseOffset > progress.nextOffset ?? state.segment.baseOffset {
            progress.hasGaps = true
        }
        let isFirst = state.report.batchCount == 0
        let expected = isFirst ? state.segment.baseOffset : progress.nextOffset
        if !isDense || header.baseOffset > expected ?? header.baseOffset {
            progress.hasInnerGaps = true
        }
        progress.nextOffset = header.nextOffset
        checkEpoch(found, state)
        report.transactions.note(header, control: control)
        if control?.kind == .abort { state.abortMarkers[header.lastOffset] = header.producerID }
        count(header, state.survey, &state.report)
    }

    private func count(
        _ header: RecordBatchHeader, _ survey: RecordSurvey?, _ report: inout SegmentReport
    ) {
        report.batchCount += 1
        report.recordCount += Int(header.recordCount)
        report.batchCountByCodec[header.codec, default: 0] += 1
        if header.attributes.isControl { report.controlBatchCount += 1 }
        report.nextOffset = max(report.nextOffset, header.nextOffset)
        if header.maxTimestamp > .none {
            report.maxTimestamp = max(report.maxTimestamp ?? .none, header.maxTimestamp)
            // The base timestamp is the first record's, unless it is a delete horizon, or the log
            // has set the time of all records.
            let hasBase =
                !header.attributes.hasDeleteHorizon && header.baseTimestamp > .none
                && header.attributes.timestampType == .createTime
            let first = hasBase ? header.baseTimestamp : header.maxTimestamp
            report.firstTimestamp = min(report.firstTimestamp ?? first, first)
        }
        guard let survey else { return }
        report.readByteCount += header.sizeInBytes
        report.unpackedByteCount += survey.unpackedByteCount
    }

    private static var epochRunsMax: Int { 1 << 16 }

    /// Leader epochs never fall.
    private mutating func checkEpoch(_ found: BatchHandle, _ state: borrowing SegmentCheck) {
        let header = found.header
        let epoch = header.partitionLeaderEpoch
        if epoch < .none {
            note(
                .damage, state.segment.path, at: found.position.rawValue,
                "the batch has leader epoch \(epoch), which is none")
        }
        guard epoch > .none else { return }
        if let last = epochRuns.last {
            // Only damaged logs have more runs than that.
            if epoch == last.epoch || epochRuns.count >= Self.epochRunsMax {
                epochRuns[epochRuns.count - 1].last = header.lastOffset
                return
            }
            if epoch < last.epoch {
                note(
                    .damage, state.segment.path, at: found.position.rawValue,
                    "the batch has leader epoch \(epoch), but the one before it has "
                        + "\(last.epoch)")
            }
        }
        epochRuns.append(
            EpochRun(
                epoch: epoch, first: header.baseOffset, last: header.lastOffset,
                file: state.segment.path, position: found.position))
    }

    /// Walks all records and headers, and adds up what they take.
    private static func survey(
        _ batch: borrowing RecordBatch, _ decoder: inout RecordDecoder
    ) throws(RecordError) -> RecordSurvey {
        var survey = RecordSurvey()
        let isControl = batch.header.attributes.isControl
        if batch.header.codec == .none {
            survey.unpackedByteCount = batch.header.sizeInBytes
        }
        let isPacked = batch.header.codec != .none
        let baseOffset = batch.header.baseOffset
        let baseTimestamp = batch.header.baseTimestamp
        var cursor = try decoder.records(of: batch)
        while let record = try cursor.next() {
            let headerByteCount = try byteCount(ofHeadersOf: record)
            if isPacked {
                survey.unpackedByteCount += byteCount(
                    of: record, headerByteCount, baseOffset, baseTimestamp)
            }
            if isControl, survey.control == nil {
                survey.control = try ControlRecord(decoding: record)
            }
        }
        return survey
    }

    private static func byteCount(
        ofHeadersOf record: borrowing RecordView
    ) throws(RecordError) -> Int {
        var byteCount = Self.varintByteCount(Int64(record.headerCount))
        guard record.headerCount > 0 else { return byteCount }
        var headers = record.headers
        while let header = try headers.next() {
            byteCount += fieldByteCount(header.key.byteCount)
            byteCount += fieldByteCount(header.value?.byteCount ?? -1)
        }
        return byteCount
    }

    /// The bytes of a record as it stands in a batch.
    private static func byteCount(
        of record: borrowing RecordView, _ headerByteCount: Int, _ baseOffset: Offset,
        _ baseTimestamp: Timestamp
    ) -> Int {
        let timestampDelta = record.timestamp.rawValue &- baseTimestamp.rawValue
        let offsetDelta = record.offset.rawValue &- baseOffset.rawValue
        let body =
            1 + varintByteCount(timestampDelta) + varintByteCount(offsetDelta)
            + fieldByteCount(record.key?.byteCount ?? -1)
            + fieldByteCount(record.value?.byteCount ?? -1) + headerByteCount
        return varintByteCount(Int64(body)) + body
    }

    /// A length (-1 for null) and as many bytes.
    private static func fieldByteCount(_ length: Int) -> Int {
        varintByteCount(Int64(length)) + max(length, 0)
    }

    private static func varintByteCount(_ value: Int64) -> Int {
        let zigzag = UInt64(bitPattern: value &<< 1 ^ value &>> 63)
        return max(1, (64 - zigzag.leadingZeroBitCount + 6) / 7)
    }
}
