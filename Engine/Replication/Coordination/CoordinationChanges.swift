/// One change to one key.
public enum CoordinationChange: Hashable, Sendable {
    /// The key was written; its modification revision is that of the change.
    case put(CoordinationEntry)
    /// The key was removed, by an operation or with its lease.
    case delete(key: String, revision: CoordinationRevision)

    /// The key.
    public var key: String {
        switch self {
        case .put(let entry): entry.key
        case .delete(let key, _): key
        }
    }

    /// The revision in which it was changed.
    public var revision: CoordinationRevision {
        switch self {
        case .put(let entry): entry.modificationRevision
        case .delete(_, let revision): revision
        }
    }
}

/// Changes in order. All those of one revision are in the same batch.
public struct CoordinationChanges: Hashable, Sendable {
    /// By rising revision, and within one as the transaction named them. May be empty, for a
    /// prefix that nothing happened to.
    public var changes: [CoordinationChange]
    /// Up to here nothing is missing: what to go on watching after.
    public var revision: CoordinationRevision

    /// A batch.
    public init(changes: [CoordinationChange], revision: CoordinationRevision) {
        self.changes = changes
        self.revision = revision
    }
}
