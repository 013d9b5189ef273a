package import TallyLog
package import TallyRecords

/// Cleans one log once: of each key the newest record stays.
///
/// Two walks: the keys of the dirty part are gathered in bounded memory, then the segments are
/// rewritten, a group at a time, and each group takes its place before the next one is begun. So
/// what is older always goes before what makes it old. Runs beside appends and reads. Memory: the
/// keys, one window, one buffer, and one unpacked batch.
package struct LogCleaner: Sendable {
    private let log: PartitionLog
    private let dedupeByteCountMax: Int
    private let pace: Pace

    /// - Parameter dedupeByteCountMax: `log.cleaner.dedupe.buffer.size`: memory for keys. More of
    ///   them than fit are cleaned in several goes.
    package init(_ log: PartitionLog, dedupeByteCountMax: Int, pace: Pace) {
        self.log = log
        self.dedupeByteCountMax = dedupeByteCountMax
        self.pace = pace
    }

    /// Cleans what can be cleaned now.
    ///
    /// - Parameters:
    ///   - now: what `min.compaction.lag.ms` and delete horizons are compared with.
    ///   - traffic: what is read and written is added, also where the cleaning fails.
    /// Blocks, for as long as it takes to read and write the log. Throws
    /// ``LogError/corruption(_:)``, ``LogError/notCleanable(partition:reason:)``,
    /// ``LogError/file(_:)``, ``LogError/closed(partition:)``; what was cleaned before stays so.
    package func clean(
        now: Timestamp, counting traffic: inout CleaningTraffic
    ) throws(LogError) -> CleaningReport {
        try log.withCleaning { () throws(LogError) in
            try clean(try log.cleaningScope(now: now), now: now, &traffic)
        }
    }

    /// The same where nobody asks what was read and written.
    package func clean(now: Timestamp) throws(LogError) -> CleaningReport {
        var traffic = CleaningTraffic()
        return try clean(now: now, counting: &traffic)
    }

    private func clean(
        _ scope: CleaningScope, now: Timestamp, _ traffic: inout CleaningTraffic
    ) throws(LogError) -> CleaningReport {
        var report = CleaningReport()
        report.firstDirty = scope.firstDirty
        report.cleanedEnd = scope.firstDirty
        guard !scope.segments.isEmpty else { return report }
        let keys: DirtyKeys
        do throws(LogError) {
            keys = try DirtyKeysReader(
                scope, of: log, byteCountMax: dedupeByteCountMax, pace: pace
            ).read(counting: &traffic.readByteCount)
        } catch {
            if isOfGone(scope.segments[...], error) { return report }
            throw error
        }
        let end = keys.end
        report.keyCount = keys.count
        report.isPartial = end < scope.end
        var cleaner = SegmentCleaner(
            scope, of: log, keys: keys, now: now,
            deleteRetentionMilliseconds: log.deleteRetentionMilliseconds, report: report,
            pace: pace)
        defer { traffic.add(cleaner.traffic) }
        for group in log.groups(of: scope, before: end) {
            let new: [CleanedSegment]?
            do throws(LogError) {
                new = try cleaner.clean(group)
            } catch {
                if isOfGone(group, error) { return cleaner.report }
                throw error
            }
            guard let new else { continue }
            // Taken by retention or truncated meanwhile: the rest is looked at again next time.
            guard try log.replace(Array(group), with: new) else { return cleaner.report }
            cleaner.noteReplaced(group, new)
        }
        log.noteCleaned(upTo: end)
        report = cleaner.report
        report.cleanedEnd = end
        return report
    }

    /// Whether an error is one of files that are not the log's any more, since retention took them
    /// or a truncation did: what is left is looked at again next time.
    private func isOfGone(_ segments: ArraySlice<Segment>, _ error: LogError) -> Bool {
        switch error {
        case .file, .corruption: !log.holds(segments)
        default: false
        }
    }
}
