import TallyRecords

/// What the check of one segment carries from batch to batch.
struct SegmentCheck {
    let segment: Segment
    let isLast: Bool
    var report: SegmentReport
    /// The last offset of the batch before; nil at the first.
    var previousLast: Offset?
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
private struct RecordSurvey {
    /// What the batch would take without compression.
    var unpackedByteCount = RecordBatchHeader.byteCount
    var control: ControlRecord?
}

extension LogVerifier {
    /// Checks a batch, and enters it into the report. Returns why its bytes cannot be trusted;
    /// nil where they can.
    mutating func checkBatch(
        _ found: BatchHandle, _ state: inout SegmentCheck
    ) -> String? {
        let header = found.header
        var survey: RecordSurvey?
        do throws(RecordError) {
            let batch = try RecordBatch(found.bytes)
            try batch.verifyChecksum()
            survey = header.codec.isSupported ? try Self.survey(batch, &decoder) : nil
        } catch {
            var error = error
            if !error.isInDecompressedRecords { error.position += found.position.rawValue }
            return "the batch of \(header.sizeInBytes) bytes is damaged: \(error)"
        }
        checkOrder(found, state)
        checkEpoch(found, state)
        report.transactions.note(header, control: survey?.control)
        if survey?.control?.kind == .abort {
            state.abortMarkers[header.lastOffset] = header.producerID
        }
        count(header, survey, &state.report)
        return nil
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
            let isHorizon = header.attributes.hasDeleteHorizon
            let first =
                isHorizon || header.baseTimestamp <= .none
                ? header.maxTimestamp : header.baseTimestamp
            report.firstTimestamp = min(report.firstTimestamp ?? first, first)
        }
        guard let survey else { return }
        report.readByteCount += header.sizeInBytes
        report.unpackedByteCount += survey.unpackedByteCount
    }

    /// Offsets rise from batch to batch, and lie in the range of their segment.
    private mutating func checkOrder(_ found: BatchHandle, _ state: borrowing SegmentCheck) {
        let header = found.header
        let file = state.segment.path
        let position = found.position.rawValue
        if let next = progress.nextOffset, header.baseOffset < next {
            note(
                .damage, file, at: position,
                "the batch begins at offset \(header.baseOffset), but the one before it ends at "
                    + "\(next.advanced(by: -1)): one of them is twice there, out of place, or "
                    + "has a wrong base offset")
        } else if header.baseOffset < state.segment.baseOffset {
            note(
                .damage, file, at: position,
                "the batch begins at offset \(header.baseOffset), before the segment's "
                    + "\(state.segment.baseOffset)")
        } else if header.lastOffset.rawValue - state.segment.baseOffset.rawValue > Int32.max {
            note(
                .damage, file, at: position,
                "the batch ends at offset \(header.lastOffset), too far from the segment's "
                    + "\(state.segment.baseOffset) for an index")
        }
        let isDense = Int64(header.recordCount) == Int64(header.lastOffsetDelta) + 1
        if !isDense || header.baseOffset > progress.nextOffset ?? state.segment.baseOffset {
            progress.hasGaps = true
        }
        // Not the largest so far: one misplaced batch shall be one problem.
        progress.nextOffset = header.nextOffset
    }

    /// Leader epochs never fall.
    private mutating func checkEpoch(_ found: BatchHandle, _ state: borrowing SegmentCheck) {
        let header = found.header
        let epoch = header.partitionLeaderEpoch
        guard epoch > .none else { return }
        if let last = epochRuns.last, epoch <= last.epoch {
            epochRuns[epochRuns.count - 1].last = max(last.last, header.lastOffset)
            guard epoch < last.epoch else { return }
            note(
                .damage, state.segment.path, at: found.position.rawValue,
                "the batch has leader epoch \(epoch), but one before it has \(last.epoch)")
            return
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
