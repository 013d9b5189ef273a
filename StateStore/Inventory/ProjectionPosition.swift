public import Tally

/// Where a projection stands in one partition: everything below `next` is in its rows.
public struct ProjectionPosition: Hashable, Sendable {
    /// The partition, counted from 0.
    public var partition: Int32
    /// The offset of the next record to apply.
    public var next: Offset
    /// The leader epoch of the last record applied, -1 where none is known. The position is good
    /// as long as the log's end for this epoch does not lie below `next`.
    public var leaderEpoch: LeaderEpoch
}

/// What became of a record that was handed to a projection.
public enum ApplyOutcome: Hashable, Sendable {
    /// Its effect is in the pending state.
    case applied
    /// It lies below the position and was applied long ago; nothing was done.
    case ignored
    /// Its event id was applied before, within the window; only the position moved.
    case duplicate
    /// It is malformed, of an unknown type, or its result would not fit; it became a dead letter.
    case deadLetter
}

/// A projection's progress in one partition: what the database has, and what the next commit adds.
struct PartitionProgress {
    var partition: Int32
    /// The position in the database, nil while it has none.
    var committedNext: Int64?
    var next: Int64 = 0
    var leaderEpoch: Int32 = LeaderEpoch.none.rawValue
    var stockEvents: Int64 = 0
    var availabilityEvents: Int64 = 0
    var auditEvents: Int64 = 0
    var duplicates: Int64 = 0
    var deadLetters: Int64 = 0
    /// The `recordedAt` of the last event applied.
    var lastRecordedAt: Int64?
    /// Whether anything here has changed since the last commit.
    var isTouched = false

    /// Event ids at lower offsets were deleted; 0 when it is not known.
    var prunedBelow: Int64 = 0

    init(partition: Int32) { self.partition = partition }

    /// Below this offset, an event id applied has no duplicate any more.
    func horizon(_ window: Int64) -> Int64 {
        let (horizon, overflow) = next.subtractingReportingOverflow(window)
        return overflow ? 0 : max(0, horizon)
    }

    /// Whether so many ids are out of reach that looking through all of them is worth while.
    func mustPrune(_ window: Int64) -> Bool {
        isTouched && horizon(window) - prunedBelow >= max(1, window / 8)
    }
}
