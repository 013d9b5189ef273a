public import TallyRecords

extension TransactionCoordinator {
    /// Does what is due: aborts transactions that took longer than their timeout, tries again what
    /// failed, and forgets ids that were idle for long. Effects may wait to be taken afterwards.
    public mutating func advance(to now: Timestamp) {
        for id in deadlines.takeDue(at: now) {
            guard let entry = entries[id] else { continue }
            switch entry.record.state {
            case .ongoing:
                fence(id, now: now)
            case .prepareEpochFence:
                storeFence(id, now: now)
            case .prepareCommit, .prepareAbort:
                if entry.failed.isEmpty {
                    finishIfTold(id, now: now)
                } else {
                    tell(entry.failed, of: id)
                }
            case .empty, .completeCommit, .completeAbort, .dead:
                forget(id, now: now)
            }
            schedule(id)
        }
    }

    /// Forgets an idle id. Its producers are told later that nobody knows them.
    private mutating func forget(_ transactionalID: String, now: Timestamp) {
        do {
            try store.removeTransaction(transactionalID)
            entries[transactionalID] = nil
        } catch {
            retryLater(transactionalID, now: now)
        }
    }

    /// Has `advance` look at the id again after the pause.
    mutating func retryLater(_ transactionalID: String, now: Timestamp) {
        entries[transactionalID]?.retryAt = now.later(
            by: max(configuration.retryPauseMilliseconds, 1))
        schedule(transactionalID)
    }

    /// Stores a record and then takes it over; without the store, nothing changes.
    mutating func save(_ record: TransactionRecord) throws(TransactionError) {
        do {
            try store.save(record)
        } catch {
            throw .coordinatorNotAvailable(reason: error.description)
        }
        let id = record.transactionalID
        entries[id, default: Entry(record: record)].record = record
        entries[id]?.retryAt = nil
        entries[id]?.isAbandoned = false
        schedule(id)
    }

    /// Notes when the id has to be looked at next.
    mutating func schedule(_ transactionalID: String) {
        guard let entry = entries[transactionalID] else {
            return deadlines.set(transactionalID, to: nil)
        }
        deadlines.set(transactionalID, to: deadline(of: entry))
    }

    private func deadline(of entry: Entry) -> Timestamp? {
        let record = entry.record
        switch record.state {
        case .ongoing:
            if entry.isAbandoned { return Timestamp(milliseconds: .min) }
            return record.startedAt?.later(by: Int64(record.timeoutMilliseconds))
        case .prepareEpochFence, .prepareCommit, .prepareAbort:
            return entry.retryAt
        case .empty, .completeCommit, .completeAbort, .dead:
            return entry.retryAt
                ?? record.updatedAt.later(by: max(configuration.idExpirationMilliseconds, 1))
        }
    }
}
