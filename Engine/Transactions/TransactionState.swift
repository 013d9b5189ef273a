/// How a transaction ends.
public enum TransactionDecision: String, Hashable, Sendable {
    /// Its records count.
    case commit
    /// Its records do not count.
    case abort
}

/// What a transactional id is doing, by Kafka's names.
///
/// ```
/// Empty ──> Ongoing ──> PrepareCommit ──> CompleteCommit ──┐
///   ^          ├──────> PrepareAbort ───> CompleteAbort ───┤
///   │          └─> PrepareEpochFence ─^                    │
///   └────────────── a producer begins anew ────────────────┘ (or the next transaction: Ongoing)
/// ```
public enum TransactionState: String, Hashable, Sendable, CaseIterable {
    /// A producer id was given, and nothing was written since.
    case empty = "Empty"
    /// Partitions or groups take part, and nothing is decided.
    case ongoing = "Ongoing"
    /// Commit is decided, and not all have been told.
    case prepareCommit = "PrepareCommit"
    /// Abort is decided, and not all have been told.
    case prepareAbort = "PrepareAbort"
    /// All have been told of the commit.
    case completeCommit = "CompleteCommit"
    /// All have been told of the abort.
    case completeAbort = "CompleteAbort"
    /// The producer is to be fenced and its transaction aborted, and that could not be stored yet.
    /// Never stored itself.
    case prepareEpochFence = "PrepareEpochFence"
    /// The id is about to be forgotten. Never stored.
    case dead = "Dead"

    /// What was decided, where anything was.
    var decision: TransactionDecision? {
        switch self {
        case .prepareCommit, .completeCommit: .commit
        case .prepareAbort, .completeAbort: .abort
        case .empty, .ongoing, .prepareEpochFence, .dead: nil
        }
    }

    /// Whether a decision is on its way to those who take part.
    var isPrepared: Bool { self == .prepareCommit || self == .prepareAbort }

    /// Whether nothing is under way.
    var isIdle: Bool { self == .empty || self == .completeCommit || self == .completeAbort }
}
