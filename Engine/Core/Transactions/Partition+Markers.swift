import TallyLog
import TallyRecords
import TallyTransactions

extension Partition {
    /// Writes the marker that ends a transaction here, and syncs it: when all were told the
    /// coordinator forgets who they were, and a marker that is lost then is written by nobody.
    func write(_ work: TransactionWork) -> TransactionWorkOutcome {
        do {
            let log = try log
            let appended = try log.append(TransactionMarker(work), now: .now)
            try log.flush(reaching: appended.nextOffset)
            return .done
        } catch {
            return TransactionWorkOutcome(error)
        }
    }
}

extension TransactionWorkOutcome {
    /// What it means that a marker could not be appended.
    package init(_ error: any Error) {
        switch error {
        // Whether the later one is committed only its own answer says.
        case LogError.producer(let refusal) where refusal.reason == .markerOutdated: self = .failed
        case LogError.producer: self = .refused
        default: self = .failed
        }
    }
}
