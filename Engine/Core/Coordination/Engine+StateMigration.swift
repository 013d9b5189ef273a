import TallyGroups
import TallyRecords
import TallyTransactions

extension Engine {
    /// What the state has of groups is recorded when internal topics are turned on, so that it is
    /// not lost; transactional ids begin anew, with new producer ids.
    ///
    /// Throws ``EngineError/transaction(_:)`` where transactions are under way, which have to be
    /// ended first: those who take part would not believe a coordinator whose epochs begin anew.
    func migrateState(_ coordination: Coordination) async throws {
        let (offsets, transactions) = (stateOfEngine.offsets, stateOfEngine.transactions)
        let hasTopic = { [self] (topic: InternalTopic) in
            (try? partitions(of: topic.rawValue)) != nil
        }
        let (hasOffsets, hasTransactions) = (
            hasTopic(.consumerOffsets), hasTopic(.transactionState)
        )
        guard !hasOffsets || !hasTransactions else { return }
        try await lane.outcome {
            let underWay =
                hasTransactions
                ? nil : try transactions.loadTransactions().first { $0.startedAt != nil }
            if let underWay {
                throw EngineError.transaction(
                    .coordinatorNotAvailable(
                        reason: """
                            the transaction of '\(underWay.transactionalID)' is under way: open \
                            the directory without internal topics once, so that it is ended
                            """))
            }
            guard !hasOffsets else { return }
            for group in try offsets.loadGroups() {
                var settled = group
                settled.pendingOffsets = []
                try coordination.offsetsStore.apply(settled.changes)
            }
        }.get()
    }
}
