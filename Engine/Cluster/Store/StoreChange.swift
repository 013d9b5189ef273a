import TallyReplication

/// A change of one key of the coordination store, which goes there with others: one transaction
/// for many.
protocol StoreChange {
    /// What is done.
    var operation: CoordinationOperation { get }
    /// What must be as it was, or nothing is done.
    var conditions: [CoordinationCondition] { get }
}

extension ArraySlice where Element: StoreChange {
    /// As many as go into one transaction: conditions count by themselves, and many changes may
    /// share one.
    ///
    /// - Parameter others: conditions beside those of the changes.
    func fitting(beside others: [CoordinationCondition] = []) -> ArraySlice {
        var conditions = Set(others)
        let candidates = prefix(100)
        let end = candidates.firstIndex { change in
            conditions.formUnion(change.conditions)
            return conditions.count > CoordinationLimits.operationsMax
        }
        return self[..<Swift.max(end ?? candidates.endIndex, startIndex + 1)]
    }

    /// The transaction of all of them. Throws where it has more than a transaction may.
    func transaction(
        beside others: [CoordinationCondition] = []
    ) throws -> CoordinationTransaction {
        try CoordinationTransaction(
            conditions: Set(others + flatMap(\.conditions)).sorted { $0.key < $1.key },
            operations: map(\.operation))
    }
}
