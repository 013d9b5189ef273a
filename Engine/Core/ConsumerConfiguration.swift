public import TallyRecords

/// Where a consumer begins, or goes to.
public enum StartingPosition: Hashable, Sendable {
    /// The first offset the log holds.
    case earliest
    /// Behind the last record there is now.
    case latest
    /// This offset.
    case offset(Offset)
    /// The first record with this timestamp or a later one; the end where there is none.
    case time(Timestamp)
}

/// When a consumer's sequence ends.
public enum StoppingPosition: Hashable, Sendable {
    /// Never: at the end of the log it waits for more.
    case never
    /// At the end that each partition has when the consumer first reads it.
    case currentEnd
}

/// How a consumer reads. Names and defaults are Kafka's, where Kafka has them.
public struct ConsumerConfiguration: Hashable, Sendable {
    /// Where partitions begin that were not sought otherwise.
    public var start = StartingPosition.earliest
    /// Where the sequence ends.
    public var end = StoppingPosition.never
    /// `max.partition.fetch.bytes`: bytes of batches per element at most, but at least one batch.
    public var fetchBytesMax = 1 << 20
    /// `check.crcs`: whether the checksum of each batch is computed before it is handed out.
    public var isCheckingChecksums = true

    /// From the earliest record on, for ever, unless it is said otherwise.
    public init(start: StartingPosition = .earliest, end: StoppingPosition = .never) {
        self.start = start
        self.end = end
    }
}
