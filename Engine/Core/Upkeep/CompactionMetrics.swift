import Metrics
import TallyCompaction

/// What cleaning tells through swift-metrics, by partition (dimension `partition`).
enum CompactionMetrics {
    private static func dimensions(_ name: String) -> [(String, String)] { [("partition", name)] }

    /// A cleaning ended, well or not.
    static func note(_ traffic: CleaningTraffic, of name: String) {
        let dimensions = dimensions(name)
        Counter(label: "tally_compaction_read_bytes", dimensions: dimensions)
            .increment(by: traffic.readByteCount)
        Counter(label: "tally_compaction_written_bytes", dimensions: dimensions)
            .increment(by: traffic.writtenByteCount)
    }

    /// A cleaning ended well.
    static func note(_ report: CleaningReport, of name: String) {
        let dimensions = dimensions(name)
        Counter(label: "tally_compaction_removed_records", dimensions: dimensions)
            .increment(by: report.removedRecordCount)
        Gauge(label: "tally_compaction_pending_tombstones", dimensions: dimensions)
            .record(report.pendingTombstoneCount)
        Gauge(label: "tally_compaction_failed", dimensions: dimensions).record(0)
    }

    /// A cleaning failed; the log says why.
    static func noteFailure(of name: String) {
        Gauge(label: "tally_compaction_failed", dimensions: dimensions(name)).record(1)
    }

    /// Looked at now and then.
    static func note(_ status: CompactionStatus, at now: Int64) {
        let dimensions = dimensions("\(status.topic)-\(status.partition)")
        Gauge(label: "tally_compaction_dirty_ratio", dimensions: dimensions)
            .record(status.dirtyRatio)
        if let lastRunAt = status.history.lastRunAt {
            Gauge(label: "tally_compaction_seconds_since_last_run", dimensions: dimensions)
                .record(Double(max(now - lastRunAt, 0)) / 1000)
        }
    }
}
