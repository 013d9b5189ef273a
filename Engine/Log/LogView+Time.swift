import TallyRecords

extension LogView {
    /// The first record with a timestamp of `timestamp` or later; nil when there is none.
    func offset(
        forTimestamp timestamp: Timestamp
    ) throws(LogError) -> (offset: Offset, timestamp: Timestamp)? {
        guard let found = try batch(reaching: timestamp), found.header.baseOffset < end else {
            return nil
        }
        let start = found.position.rawValue
        let whole = try found.segment.load(start..<start + found.header.sizeInBytes)
        var first: (offset: Offset, timestamp: Timestamp)?
        do {
            let batch = try RecordBatch(whole.all)
            var decoder = RecordDecoder()
            try decoder.forEachRecord(in: batch) { record in
                if first == nil, record.timestamp >= timestamp, record.offset >= logStart {
                    first = (record.offset, record.timestamp)
                }
            }
        } catch let error as RecordError where !error.isCorruption {
            // A codec that is not supported: the batch is as near as one can tell.
            return (max(found.header.baseOffset, logStart), found.header.maxTimestamp)
        } catch {
            throw found.segment.corruption(at: start, "\(error)")
        }
        return first
    }
}
