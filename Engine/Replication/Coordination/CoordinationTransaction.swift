/// What must hold for a transaction to be made.
public enum CoordinationCondition: Hashable, Sendable {
    /// The revision that wrote the key last is this one; ``CoordinationRevision/absent`` (0) where
    /// the key must not be there.
    case modified(key: String, revision: CoordinationRevision)
    /// The key is there.
    case exists(key: String)

    /// The key must not be there.
    public static func absent(key: String) -> CoordinationCondition {
        .modified(key: key, revision: .absent)
    }

    /// The key that it looks at.
    public var key: String {
        switch self {
        case .modified(let key, _), .exists(let key): key
        }
    }
}

/// One thing that a transaction does.
public enum CoordinationOperation: Hashable, Sendable {
    /// Writes a key. From then on it goes with this lease, or with none, whatever it went with
    /// before.
    case put(key: String, value: [UInt8], lease: LeaseID? = nil)
    /// Removes a key; nothing where it is not there.
    case delete(key: String)

    /// The key that it changes.
    public var key: String {
        switch self {
        case .put(let key, _, _), .delete(let key): key
        }
    }
}

/// What became of a transaction.
public enum CoordinationOutcome: Hashable, Sendable {
    /// All was done. The revision is the store's behind it: that of the keys that were put. Where
    /// there was nothing to change it is the one the conditions held at.
    case success(CoordinationRevision)
    /// A condition did not hold; nothing was done. Read anew, and decide again.
    case conflict
}

/// Conditions and operations, all or nothing. Checked when it is made, so that all stores refuse
/// the same.
public struct CoordinationTransaction: Hashable, Sendable {
    /// All must hold.
    public let conditions: [CoordinationCondition]
    /// Done in one revision. No two of them have the same key.
    public let operations: [CoordinationOperation]

    /// A transaction.
    ///
    /// Errors: `tooManyOperations` (conditions count by themselves), `invalidKey`, `duplicateKey`
    /// among the operations, `keyTooLarge`, `valueTooLarge`, `transactionTooLarge`.
    public init(
        conditions: [CoordinationCondition] = [], operations: [CoordinationOperation]
    ) throws(CoordinationError) {
        let count = max(conditions.count, operations.count)
        guard count <= CoordinationLimits.operationsMax else {
            throw .tooManyOperations(count: count, limit: CoordinationLimits.operationsMax)
        }
        var byteCount = 0
        for condition in conditions {
            try CoordinationLimits.check(key: condition.key)
            byteCount += condition.key.utf8.count
        }
        var written: Set<String> = []
        for operation in operations {
            let key = operation.key
            try CoordinationLimits.check(key: key)
            guard written.insert(key).inserted else { throw .duplicateKey(key) }
            byteCount += key.utf8.count
            if case .put(_, let value, _) = operation {
                guard value.count <= CoordinationLimits.valueBytesMax else {
                    throw .valueTooLarge(
                        key: key, byteCount: value.count, limit: CoordinationLimits.valueBytesMax)
                }
                byteCount += value.count
            }
        }
        guard byteCount <= CoordinationLimits.transactionBytesMax else {
            throw .transactionTooLarge(
                byteCount: byteCount, limit: CoordinationLimits.transactionBytesMax)
        }
        self.conditions = conditions
        self.operations = operations
    }
}
