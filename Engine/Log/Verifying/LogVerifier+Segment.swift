import TallyFiles
import TallyRecords

extension LogVerifier {
    /// Checks one segment's batches, and its index files against them.
    mutating func check(segmentAt base: Offset, isLast: Bool) throws(LogError) {
        // The indexes are read before the log: what they speak of is in the log by then.
        var offsets = try OffsetIndexCheck(reading: path(base, .offsetIndex), base, isLast, &self)
        var times = try TimeIndexCheck(reading: path(base, .timeIndex), base, isLast, &self)
        let transactions = try contents(
            of: path(base, .transactionIndex), byteCountMax: Segment.indexFileByteCountMax)
        guard let found = try information(path(base, .log)) else { return }
        let byteCount = Int(clamping: found.byteCount)
        let segment = Segment(
            baseOffset: base, directory: directory, environment: environment,
            byteCount: byteCount, byteCountMax: byteCount,
            indexIntervalBytes: LogConfiguration().indexIntervalBytes)
        var state = SegmentCheck(segment, isLast: isLast)
        state.report.byteCount = byteCount
        state.abortedCountBefore = report.transactions.aborted.count
        state.report.offsetIndexEntryCount = offsets.fileEntryCount
        state.report.timeIndexEntryCount = times.fileEntryCount
        checkStart(of: state)
        do throws(LogError) {
            try walk(&state, &offsets, &times)
        } catch .corruption(let shortened) {
            note(
                .damage, shortened.file, at: shortened.position.rawValue,
                "\(shortened.reason); somebody cut the file during the check")
            state.isIncomplete = true
        }
        if state.isIncomplete { progress.isIncomplete = true }
        offsets.finish(state, &self)
        times.finish(state, &self)
        check(transactionIndex: transactions, of: &state)
        report.segments.append(state.report)
    }

    private mutating func checkStart(of state: borrowing SegmentCheck) {
        if let next = progress.nextOffset, state.segment.baseOffset > next,
            let before = report.segments.last?.baseOffset
        {
            progress.holes.append((before, state.segment.baseOffset, next))
        }
        guard let next = progress.nextOffset, state.segment.baseOffset < next else { return }
        note(
            .damage, state.segment.path,
            "the segment is named for offset \(state.segment.baseOffset), but the one before it "
                + "reaches to \(next.advanced(by: -1))")
    }

    /// Where no cleaner has been, no offsets are missing between segments. (A cleaner leaves gaps
    /// within them, too.)
    mutating func checkHoles() throws(LogError) {
        guard !progress.hasInnerGaps, !progress.isIncomplete else { return }
        for hole in progress.holes {
            // Retired while we looked: then so was what lay between.
            guard try information(path(hole.before, .log)) != nil else { continue }
            note(
                .damage, path(hole.nextOffset, .log),
                "the file is missing: offsets \(hole.nextOffset) to "
                    + "\(hole.after.advanced(by: -1)) are in no segment. Restore it from a copy")
        }
    }

    private mutating func walk(
        _ state: inout SegmentCheck, _ offsets: inout OffsetIndexCheck,
        _ times: inout TimeIndexCheck
    ) throws(LogError) {
        var walk = BatchWalk(state.segment)
        var toldPosition = 0
        while true {
            switch try walk.next() {
            case .end:
                tellChecked(byteCount: walk.position.rawValue - toldPosition)
                return
            case .damage(let damage):
                guard try goOn(behind: damage, &walk, &state) else { return }
            case .batch(let batch):
                if let damage = checkBytes(batch, &state) {
                    state.isIncomplete = true
                    note(.damage, state.segment.path, at: batch.position.rawValue, damage)
                    try resynchronize(&walk, behind: batch, state)
                } else if let reason = try misplacement(of: batch, walk, state) {
                    state.isIncomplete = true
                    note(.damage, state.segment.path, at: batch.position.rawValue, reason)
                } else {
                    enter(batch, &state)
                    offsets.note(batch, state, &self)
                    times.note(batch, state, &self)
                    state.previousLast = batch.header.lastOffset
                }
            }
            if walk.position.rawValue - toldPosition > 4 << 20 {
                tellChecked(byteCount: walk.position.rawValue - toldPosition)
                toldPosition = walk.position.rawValue
            }
        }
    }

    // MARK: Behind damage

    /// Says what stands where a batch should begin. Whether the walk can go on.
    private mutating func goOn(
        behind damage: BatchDamage, _ walk: inout BatchWalk, _ state: inout SegmentCheck
    ) throws(LogError) -> Bool {
        let file = state.segment.path
        let start = damage.position.rawValue
        if damage.isIncomplete, state.isLast, state.growthsLeft > 0,
            let now = try information(file), now.byteCount > walk.end.rawValue
        {
            // A writer is at work: the rest of the batch may be there now.
            state.growthsLeft -= 1
            let byteCount = Int(clamping: now.byteCount)
            state.segment.publish(byteCount: byteCount)
            state.report.byteCount = byteCount
            walk.extend(to: FilePosition(byteCount))
            return true
        }
        state.isIncomplete = true
        if let next = try nextBatch(behind: start, in: state.segment, to: walk.end.rawValue) {
            note(
                .damage, file, at: start,
                "no batch begins here: \(damage.error); the next sound one begins at byte \(next)")
            walk.skip(to: FilePosition(next))
            return true
        }
        let rest = walk.end.rawValue - start
        if try isZero(state.segment, start..<walk.end.rawValue) {
            note(
                state.isLast ? .mendable : .damage, file, at: start,
                "\(rest) zero bytes follow the last batch")
        } else if damage.isIncomplete, state.isLast {
            note(
                .mendable, file, at: start,
                "the last \(rest) bytes are the beginning of a batch (\(damage.error)): a writer "
                    + "is at work, or a crash left them and opening the log will cut them off")
        } else {
            note(
                .damage, file, at: start,
                "the last \(rest) bytes are no batch: \(damage.error)")
        }
        return false
    }

    /// After a batch with a wrong checksum: its length may be what is wrong.
    private mutating func resynchronize(
        _ walk: inout BatchWalk, behind batch: BatchHandle, _ state: borrowing SegmentCheck
    ) throws(LogError) {
        var ahead = walk
        switch try ahead.next() {
        case .end, .batch: return
        case .damage: break
        }
        let start = batch.position.rawValue
        guard let next = try nextBatch(behind: start, in: state.segment, to: walk.end.rawValue)
        else { return }
        walk = BatchWalk(state.segment, from: FilePosition(next), to: walk.end)
    }

    /// Where the next sound batch begins behind `position`; looked for byte by byte. Only so many
    /// checksums are computed, so that no bytes can make this take forever.
    private func nextBatch(
        behind position: Int, in segment: Segment, to end: Int
    ) throws(LogError) -> Int? {
        var attemptsLeft = 64
        var start = position + 1
        let headerByteCount = RecordBatchHeader.byteCount
        while start + headerByteCount <= end {
            let window = try segment.load(start..<min(start + (256 << 10), end))
            let bytes = window.all
            var at = 0
            while at + headerByteCount <= bytes.byteCount {
                if bytes.bigEndian(at: at + 16, as: UInt8.self) == RecordBatchHeader.currentMagic,
                    let header = try? RecordBatchHeader(decoding: bytes, at: at),
                    header.baseOffset >= segment.baseOffset,
                    header.sizeInBytes <= end - start - at
                {
                    let whole = try segment.load(start + at..<start + at + header.sizeInBytes)
                    if Self.hasSoundChecksum(whole.all) { return start + at }
                    attemptsLeft -= 1
                    if attemptsLeft == 0 { return nil }
                }
                at += 1
            }
            start += at
        }
        return nil
    }

    private static func hasSoundChecksum(_ bytes: RawSpan) -> Bool {
        do throws(RecordError) {
            try RecordBatch(bytes).verifyChecksum()
            return true
        } catch {
            return false
        }
    }

    private func isZero(_ segment: Segment, _ range: Range<Int>) throws(LogError) -> Bool {
        var at = range.lowerBound
        while at < range.upperBound {
            let window = try segment.load(at..<min(at + (1 << 20), range.upperBound))
            guard window.all.isAllZero else { return false }
            at = window.range.upperBound
        }
        return true
    }
}
