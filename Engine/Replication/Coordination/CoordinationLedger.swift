/// A coordination store as a value: what ``CoordinationStore`` promises, without waiting, with time
/// handed in. Tests and the simulator use it as it is, and the other implementations are compared
/// with it.
///
/// As with etcd, a lease does not end by the clock alone: it ends when ``expire(now:)`` is called
/// at or after its deadline, or when it is revoked. Until then its keys are there; but once its
/// deadline has passed it cannot be kept alive any more.
///
/// Two ledgers to which the same was done are equal. Thread rule: a value; one thread at a time.
public struct CoordinationLedger: Hashable, Sendable {
    /// The revision of the last change; 1 in a new ledger, as with etcd.
    public private(set) var revision = CoordinationRevision(1)
    /// Changes up to this revision are gone from the history.
    public private(set) var compactedRevision = CoordinationRevision(1)
    /// How many changes the history keeps at least, where there were as many.
    public let historyCountMax: Int
    /// The least time that is granted, whatever is asked for; in seconds.
    public let leaseSecondsMin: Int64

    private(set) var entries: [String: CoordinationEntry] = [:]
    /// All changes after `compactedRevision`, in order.
    private var history: [CoordinationChange] = []
    var leases: [LeaseID: Lease] = [:]
    var lastLease = LeaseID(0)

    struct Lease: Hashable, Sendable {
        var seconds: Int64
        /// The first moment at which it has ended.
        var deadline: CoordinationInstant
        var keys: Set<String> = []
    }

    /// A ledger with nothing in it.
    ///
    /// - `historyCountMax`: after so many changes watchers that are further behind get `compacted`.
    /// - `leaseSecondsMin`: the least time that is granted.
    public init(historyCountMax: Int = 10_000, leaseSecondsMin: Int64 = 1) {
        self.historyCountMax = max(0, historyCountMax)
        self.leaseSecondsMin = leaseSecondsMin
    }

    /// All entries with the prefix, in the order of their keys. Error: `invalidKey`,
    /// `keyTooLarge`.
    public func read(prefix: String) throws(CoordinationError) -> CoordinationSnapshot {
        try CoordinationLimits.check(prefix: prefix)
        var found: [CoordinationEntry] = []
        for (key, entry) in entries where key.hasPrefix(prefix) { found.append(entry) }
        found.sort { $0.key < $1.key }
        return CoordinationSnapshot(entries: found, revision: revision)
    }

    /// The entry of a key, or nil.
    public func entry(of key: String) -> CoordinationEntry? { entries[key] }

    /// Makes the transaction, or nothing of it. Error: `leaseNotFound`, where the conditions hold
    /// and an operation names a lease that is not there.
    public mutating func commit(
        _ transaction: CoordinationTransaction
    ) throws(CoordinationError) -> CoordinationOutcome {
        guard transaction.conditions.allSatisfy(holds) else { return .conflict }
        for case .put(_, _, let lease?) in transaction.operations where leases[lease] == nil {
            throw .leaseNotFound(lease)
        }
        let next = revision.next
        var changes: [CoordinationChange] = []
        changes.reserveCapacity(transaction.operations.count)
        for operation in transaction.operations {
            switch operation {
            case .put(let key, let value, let lease):
                let entry = CoordinationEntry(
                    key: key, value: value, modificationRevision: next, lease: lease)
                detach(key)
                if let lease { leases[lease]?.keys.insert(key) }
                entries[key] = entry
                changes.append(.put(entry))
            case .delete(let key):
                detach(key)
                guard entries.removeValue(forKey: key) != nil else { continue }
                changes.append(.delete(key: key, revision: next))
            }
        }
        record(changes)
        return .success(revision)
    }

    /// The changes after `after` to keys with the prefix, all that there are. Error: `compacted`,
    /// `invalidKey`, `keyTooLarge`.
    public func changes(
        prefix: String, after: CoordinationRevision
    ) throws(CoordinationError) -> CoordinationChanges {
        try CoordinationLimits.check(prefix: prefix)
        guard after >= compactedRevision else {
            throw .compacted(revision: after, oldest: compactedRevision)
        }
        var begin = history.endIndex
        while begin > history.startIndex, history[begin - 1].revision > after { begin -= 1 }
        return CoordinationChanges(
            changes: history[begin...].filter { $0.key.hasPrefix(prefix) },
            revision: max(after, revision))
    }

    /// Forgets the history up to and with `revision`, as an operator of etcd may; never more than
    /// there is.
    public mutating func compact(through revision: CoordinationRevision) {
        guard revision > compactedRevision, revision <= self.revision else { return }
        compactedRevision = revision
        history.removeAll { $0.revision <= revision }
    }

    private func holds(_ condition: CoordinationCondition) -> Bool {
        switch condition {
        case .modified(let key, let revision):
            (entries[key]?.modificationRevision ?? .absent) == revision
        case .exists(let key):
            entries[key] != nil
        }
    }

    /// Takes the key from the lease it goes with.
    private mutating func detach(_ key: String) {
        if let lease = entries[key]?.lease { leases[lease]?.keys.remove(key) }
    }

    /// Removes keys that go together, in one revision, in their order.
    mutating func remove(_ keys: Set<String>) -> [CoordinationChange] {
        let next = revision.next
        var changes: [CoordinationChange] = []
        for key in keys.sorted() where entries.removeValue(forKey: key) != nil {
            changes.append(.delete(key: key, revision: next))
        }
        record(changes)
        return changes
    }

    /// Takes the next revision for these changes; none where there is no change.
    private mutating func record(_ changes: [CoordinationChange]) {
        guard !changes.isEmpty else { return }
        revision = revision.next
        history += changes
        // Twice as many before the oldest go, so that this is not done at every change.
        guard history.count > 2 * historyCountMax else { return }
        let newestToGo = history[history.count - historyCountMax - 1].revision
        compact(through: min(newestToGo, CoordinationRevision(revision.rawValue - 1)))
    }
}
