import TallyRecords

extension LogView {
    /// The first record with a timestamp of `timestamp` or later; nil when there is none.
    func offset(
        forTimestamp timestamp: Timestamp
    ) throws(LogError) -> (offset: Offset, timestamp: Timestamp)? {
        var offset = logStart
        for segment in segments[segmentIndex(for: logStart)...] {
            guard try segment.mayReach(timestamp) else { continue }
            let limit = FilePosition(segment.byteCount)
            // A batch may have the timestamp in a record that lies before the log start, or that
            // compaction took away: then a later batch has it.
            while let found = try segment.batch(reaching: timestamp, from: offset, end: limit) {
                guard found.header.lastOffset < end else { return nil }
                if let record = try firstRecord(reaching: timestamp, in: found, of: segment) {
                    return record
                }
                offset = found.header.nextOffset
            }
        }
        return nil
    }

    private func firstRecord(
        reaching timestamp: Timestamp, in found: FoundBatch, of segment: Segment
    ) throws(LogError) -> (offset: Offset, timestamp: Timestamp)? {
        let start = found.position.rawValue
        let whole = try segment.load(start..<start + found.header.sizeInBytes)
        var first: (offset: Offset, timestamp: Timestamp)?
        do {
            let batch = try RecordBatch(whole.all)
            var decoder = RecordDecoder()
            var records = try decoder.records(of: batch)
            while first == nil, let record = try records.next() {
                if record.timestamp >= timestamp, record.offset >= logStart {
                    first = (record.offset, record.timestamp)
                }
            }
        } catch {
            if error.isCorruption { throw segment.corruption(at: start, "\(error)") }
            // A codec that is not supported: the batch is as near as one can tell.
            return (max(found.header.baseOffset, logStart), found.header.maxTimestamp)
        }
        return first
    }
}
