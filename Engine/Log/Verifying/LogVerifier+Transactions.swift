import TallyRecords

extension LogVerifier {
    /// Holds a segment's transaction index against the abort markers in the segment.
    ///
    /// Compaction and retention remove records of aborted transactions and leave the entries: an
    /// entry may begin earlier than what is left tells. Each abort marker whose records are still
    /// there has an entry.
    mutating func check(transactionIndex bytes: [UInt8]?, of state: inout SegmentCheck) {
        let file = path(state.segment.baseOffset, .transactionIndex)
        let found = Array(report.transactions.aborted.dropFirst(state.abortedCountBefore))
        guard let bytes else {
            guard let first = found.first else { return }
            note(
                .mendable, file,
                "the file is missing: the segment has \(found.count) abort markers of "
                    + "transactions with records, the first at offset \(first.lastOffset)")
            return
        }
        state.report.transactionIndexEntryCount = bytes.count / TransactionIndexEntry.byteCount
        var known: Set<Offset> = []
        var previous: Offset?
        var position = 0
        while position + TransactionIndexEntry.byteCount <= bytes.count {
            let entry = TransactionIndexEntry(decoding: bytes.rawSpan, at: position)
            if let lie = lie(of: entry, after: previous, found, state) {
                note(.mendable, file, at: position, lie)
            }
            known.insert(entry.transaction.lastOffset)
            previous = entry.transaction.lastOffset
            position += TransactionIndexEntry.byteCount
        }
        if position < bytes.count {
            note(
                .mendable, file, at: position,
                "the last \(bytes.count - position) bytes are no whole entry")
        }
        for missing in found where !known.contains(missing.lastOffset) {
            note(
                .mendable, file, at: bytes.count,
                "the entry for the transaction of producer \(missing.producerID) that was aborted "
                    + "at offset \(missing.lastOffset) is missing")
        }
    }

    /// What is wrong with an entry; nil where it is sound.
    private func lie(
        of entry: TransactionIndexEntry, after previous: Offset?, _ found: [AbortedTransaction],
        _ state: borrowing SegmentCheck
    ) -> String? {
        let said = entry.transaction
        guard entry.version == TransactionIndexEntry.currentVersion else {
            return "the entry has version \(entry.version), not 0"
        }
        if let previous, said.lastOffset <= previous {
            return "the entry for offset \(said.lastOffset) does not rise above the one before it"
        }
        guard .zero <= said.firstOffset, said.firstOffset <= said.lastOffset else {
            return "no transaction reaches from offset \(said.firstOffset) to \(said.lastOffset)"
        }
        if state.isIncomplete || progress.isIncomplete { return nil }
        guard state.abortMarkers[said.lastOffset] == said.producerID else {
            return "the segment has no abort marker of producer \(said.producerID) at offset "
                + "\(said.lastOffset)"
        }
        guard let actual = found.first(where: { $0.lastOffset == said.lastOffset }) else {
            return nil
        }
        let logStart = report.segments.first?.baseOffset ?? state.segment.baseOffset
        let mayBeginEarlier = progress.hasGaps || said.firstOffset < logStart
        guard
            said.firstOffset == actual.firstOffset
                || said.firstOffset < actual.firstOffset && mayBeginEarlier
        else {
            return "the transaction aborted at offset \(said.lastOffset) begins at "
                + "\(actual.firstOffset), not at \(said.firstOffset)"
        }
        guard
            said.lastStableOffset == actual.lastStableOffset || mayBeginEarlier || logStart > .zero
        else {
            return "the last stable offset behind the marker at \(said.lastOffset) was "
                + "\(actual.lastStableOffset), not \(said.lastStableOffset)"
        }
        return nil
    }
}
