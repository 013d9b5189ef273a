public import Logging
public import TallyGroups
public import TallyLog
public import TallyTransactions

/// How an engine is opened. A value type.
public struct EngineConfiguration: Sendable {
    /// What an acknowledged append promises where a topic does not say (`tally.durability`).
    public var durability = Durability.synced
    /// Whether segments are read through maps or copied.
    public var readMode = ReadMode.mapped
    /// Descriptors kept open at most; those in use at a moment come on top. At least 16, and
    /// never more than half of what the process may have open (`ulimit -n`).
    public var openFilesMax = 512
    /// Threads for file work at most: appends, syncs, and reads of cold pages block there and
    /// never on Swift's own threads. Started when needed. So many syncs of different partitions
    /// are under way at a time, and a disk does many in hardly more time than one.
    public var threadsMax = 64
    /// How often recovery points are written, in milliseconds: what a crash makes the next
    /// opening check again is at most what was appended since.
    public var checkpointIntervalMilliseconds: Int64 = 60_000
    /// How often segments are looked at that `retention.ms` or `retention.bytes` may retire, in
    /// milliseconds (`log.retention.check.interval.ms`).
    public var retentionCheckIntervalMilliseconds: Int64 = 300_000
    /// How long a producer that writes nothing is known by its sequences, in milliseconds
    /// (`producer.id.expiration.ms`). A batch that it sends again later is stored again.
    public var producerExpirationMilliseconds: Int64 = 86_400_000
    /// Whether compacted topics are cleaned in the background (`log.cleaner.enable`).
    public var isCleanerEnabled = true
    /// How many logs are cleaned at a time (`log.cleaner.threads`); at least 1, and no more than
    /// ``threadsMax``, which projections and retention share.
    public var cleanerThreadsMax = 1
    /// Memory for the keys of the logs that are being cleaned, in bytes, for all of them together
    /// (`log.cleaner.dedupe.buffer.size`). About 45 bytes a key; a log with more keys is cleaned
    /// in several goes.
    public var cleanerDedupeBufferBytes = 128 << 20
    /// How many bytes a second cleaning may read and write, all logs together
    /// (`log.cleaner.io.max.bytes.per.second`); nil for no limit.
    public var cleanerBytesPerSecondMax: Int?
    /// How long the cleaner sleeps when there is nothing to clean, in milliseconds
    /// (`log.cleaner.backoff.ms`).
    public var cleanerBackoffMilliseconds: Int64 = 15_000
    /// How often an opening that takes long says how far it is, in milliseconds; at info level.
    /// 0 for never.
    public var openProgressIntervalMilliseconds: Int64 = 5_000
    /// Space of the disk that is kept in a file, in bytes, so that retention, checkpoints and
    /// deletions go on when the disk is full; 0 for none. A megabyte holds the checkpoints of
    /// 4,000 partitions.
    public var spaceReserveBytes = 1 << 20
    /// Where groups and their offsets are kept. Nothing is kept by default: with `TallyStateStore`
    /// say `.sqlite`.
    public var state = EngineStateFactory.inMemory
    /// Limits and times of consumer groups.
    public var groups = GroupConfiguration()
    /// Limits and times of transactions.
    public var transactions = TransactionConfiguration()
    /// Whether groups and transactions are recorded in Kafka's internal topics before they count,
    /// and how; nil for not at all: they are kept in ``state`` alone.
    package var internalTopics: InternalTopicsConfiguration?
    /// Where producer ids come from; nil for ids that are drawn from so many that none comes twice.
    package var producerIDs: (any ProducerIDGenerator)?
    /// Where the engine writes what it did that somebody may ask about later.
    public var logger = Logger(label: "tally", factory: { _ in SwiftLogNoOpLogHandler() })

    /// The defaults: durable, mapped, quiet.
    public init() {}
}
