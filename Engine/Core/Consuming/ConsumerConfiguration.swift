public import TallyLog
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

/// What a consumer does where its position is not in the log (`auto.offset.reset`): retired, taken
/// back, or never stored.
public enum OffsetReset: Hashable, Sendable {
    /// Nothing: an error with the position and the log's bounds, and the choice is the caller's.
    case none
    /// Goes on at the first offset the log holds.
    case earliest
    /// Goes on behind the last record there is; what lies between is not seen.
    case latest
    /// Goes on at the end of the log that is nearer: at its start where the position was retired,
    /// behind its last record where the log ends before it. Without a position: at its start.
    case nearest
    /// Goes on at the first record that is at most so many milliseconds old.
    case duration(milliseconds: Int64)

    /// Where to go on; nil where that is not this policy's to say.
    func target(
        of position: Offset?, logStart: Offset, logEnd: Offset
    ) -> StartingPosition? {
        switch self {
        case .none: nil
        case .earliest: .earliest
        case .latest: .latest
        case .nearest: (position ?? .zero) > logEnd ? .latest : .earliest
        case .duration(let milliseconds):
            .time(
                Timestamp(
                    milliseconds: max(
                        Timestamp.now.rawValue.subtractingReportingOverflow(milliseconds)
                            .partialValue, 0)))
        }
    }
}

/// How a consumer reads. Names and defaults are Kafka's, where Kafka has them.
public struct ConsumerConfiguration: Hashable, Sendable {
    /// Where partitions begin that were not sought otherwise.
    public var start = StartingPosition.earliest
    /// Where the sequence ends.
    public var end = StoppingPosition.never
    /// `auto.offset.reset`: what to do where the position is not in the log.
    public var reset = OffsetReset.none
    /// `isolation.level`: whether records of transactions are seen before these are committed.
    public var isolation = IsolationLevel.readUncommitted
    /// `max.partition.fetch.bytes`: bytes of batches per element at most, but at least one batch.
    public var fetchBytesMax = 1 << 20
    /// `check.crcs`: whether the checksum of each batch is computed before it is handed out.
    public var isCheckingChecksums = true

    /// From the earliest record on, for ever, unless it is said otherwise.
    public init(start: StartingPosition = .earliest, end: StoppingPosition = .never) {
        self.start = start
        self.end = end
    }

    /// Throws ``EngineError/invalidSetting(name:reason:)``.
    func check() throws(EngineError) {
        guard fetchBytesMax > 0 else {
            throw .invalidSetting(
                name: "max.partition.fetch.bytes", reason: "give a positive number")
        }
    }
}
