package import TallyRecords

/// What an acknowledged append promises; a property of the topic (`tally.durability`).
public enum Durability: Hashable, Sendable {
    /// The batch and the metadata needed to find it are on stable storage. Nothing acknowledged
    /// is lost. Concurrent callers share one sync.
    case synced
    /// The kernel has the batch, and a sync happens at least every so many milliseconds (1 or
    /// more). A crash of the process loses nothing, a power loss the last interval.
    case interval(milliseconds: Int64)
    /// The kernel has the batch. A crash of the process loses nothing, a power loss whatever
    /// the kernel had not written by itself.
    case buffered
}

/// How segments are read.
public enum ReadMode: Hashable, Sendable {
    /// Through read-only memory maps: no copy. A page that the kernel reclaimed and cannot read
    /// back while an application looks at it ends the process (SIGBUS).
    case mapped
    /// With `pread` into memory of our own: one copy, and every I/O error is an error.
    case copied
}

/// The configuration of one partition's log. Names, units and defaults are Kafka's.
package struct LogConfiguration: Hashable, Sendable {
    /// `segment.bytes`: a segment is rolled before it would exceed this.
    package var segmentBytesMax = 1 << 30
    /// `segment.ms`: a segment is rolled when its records span more time than this.
    package var segmentMillisecondsMax: Int64 = 7 * 24 * 3_600_000
    /// `segment.jitter.ms`: up to so much earlier, by chance for each segment, so that many
    /// partitions do not roll at once.
    package var segmentJitterMilliseconds: Int64 = 0
    /// `segment.index.bytes`: a segment is rolled when an index would exceed this.
    package var segmentIndexBytesMax = 10 << 20
    /// `index.interval.bytes`: at most one index entry per this many bytes of log.
    package var indexIntervalBytes = 4096
    /// `max.message.bytes`: the largest batch, as written.
    package var batchBytesMax = 1_048_588
    /// `compression.type`: the codec that batches from outside are stored with; nil for their own.
    package var compression: Codec?
    /// `message.timestamp.type`.
    package var timestampType = TimestampType.createTime
    /// How far producers' timestamps may lie from the time of the append.
    package var timestampLimits = TimestampLimits()
    /// Whether `cleanup.policy` has `delete`.
    package var isDeleting = false
    /// `retention.ms`: segments whose records are all older are retired; nil for no limit.
    package var retentionMilliseconds: Int64?
    /// `retention.bytes`: the oldest segments are retired while what is left has so many bytes;
    /// nil for no limit.
    package var retentionBytes: Int?
    /// Whether `cleanup.policy` has `compact`.
    package var isCompacting = false
    /// `min.cleanable.dirty.ratio`: a log is cleaned when more than this part of it is dirty.
    package var cleanableDirtyRatioMin = 0.5
    /// `min.compaction.lag.ms`: younger records are not looked at.
    package var compactionLagMillisecondsMin: Int64 = 0
    /// `max.compaction.lag.ms`: older records do not wait for the dirty ratio.
    package var compactionLagMillisecondsMax = Int64.max
    /// `delete.retention.ms`: how long tombstones and markers stay after they were cleaned.
    package var deleteRetentionMilliseconds: Int64 = 86_400_000
    /// `file.delete.delay.ms`: how long the files of retired segments stay, for readers that are
    /// at work in them.
    package var fileDeleteDelayMilliseconds: Int64 = 60_000
    /// `producer.id.expiration.ms`: a producer that was silent for so long is forgotten.
    package var producerExpirationMilliseconds: Int64 = 86_400_000
    /// `tally.source`: where the log comes from that this one is a copy of; it then takes no
    /// appends of its own, and begins no leader epoch. Nil for a log of its own.
    package var source: String?
    /// Whether the log is one of several replicas: somebody else says whether it leads, in which
    /// epoch, and how far the high watermark is. It then begins no leader epoch of its own. Does
    /// not change while the log is open.
    package var isReplicated = false
    /// `tally.durability`.
    package var durability = Durability.synced

    /// Kafka's defaults.
    package init() {}
}

extension LogConfiguration {
    /// Whether the log takes over the epochs of others, and offsets that an opening cuts come again
    /// as they were.
    var hasEpochsOfOthers: Bool { source != nil || isReplicated }

    /// How much time the records of a new segment may span.
    func rollAfter() -> Int64 {
        // The active segment is not cleaned: what must be cleaned in time must be rolled in time.
        let lag = isCompacting ? max(compactionLagMillisecondsMax, 1) : .max
        let span = min(segmentMillisecondsMax, lag)
        guard segmentJitterMilliseconds > 0 else { return span }
        let jitter = Int64.random(in: 0..<segmentJitterMilliseconds)
        return span - min(jitter, span)
    }
}
