package import TallyRecords

/// How far the timestamps that producers set may lie from the time of the append.
package struct TimestampLimits: Hashable, Sendable {
    /// `message.timestamp.before.max.ms`: how much earlier, at most.
    package var beforeMillisecondsMax = Int64.max
    /// `message.timestamp.after.max.ms`: how much later, at most.
    package var afterMillisecondsMax = Int64.max

    /// No limits.
    package init() {}

    /// The timestamps that are allowed at a time. A record without a timestamp (-1) is as old as
    /// can be.
    package func range(at now: Timestamp) -> ClosedRange<Int64> {
        let earliest = now.rawValue.subtractingReportingOverflow(beforeMillisecondsMax)
        let latest = now.rawValue.addingReportingOverflow(afterMillisecondsMax)
        let lower = earliest.overflow ? Int64.min : earliest.partialValue
        return lower...max(lower, latest.overflow ? .max : latest.partialValue)
    }

    /// Throws `timestampOutOfRange` where a timestamp is not allowed.
    package func check(_ timestamp: Timestamp, at now: Timestamp) throws(RecordError) {
        let range = range(at: now)
        guard !range.contains(timestamp.rawValue) else { return }
        throw RecordError(
            .timestampOutOfRange(
                timestamp.rawValue, earliest: range.lowerBound, latest: range.upperBound),
            position: 0)
    }
}

extension LogConfiguration {
    /// Checks what a topic wants of each record of a batch that somebody else encoded: a key where
    /// it is compacted, a time near enough to now.
    ///
    /// Throws `missingKey`, `timestampOutOfRange`, and what decoding the records throws. Records
    /// of a codec that is not supported are refused only where their keys matter.
    func checkRecords(
        of batch: borrowing RecordBatch, _ decoder: inout RecordDecoder, now: Timestamp
    ) throws(RecordError) {
        let checksTimes = timestampType == .createTime
        if checksTimes { try timestampLimits.check(batch.header.maxTimestamp, at: now) }
        let checksEarly = checksTimes && timestampLimits.beforeMillisecondsMax < .max
        guard isCompacting || checksEarly, isCompacting || batch.header.codec.isSupported else {
            return
        }
        var cursor = try decoder.records(of: batch)
        while let record = try cursor.next() {
            if isCompacting, record.key == nil { throw RecordError(.missingKey, position: 0) }
            if checksEarly { try timestampLimits.check(record.timestamp, at: now) }
        }
    }
}
