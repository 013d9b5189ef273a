import TallyLog
import TallyRecords
import TallyTransactions

extension Partition {
    /// Writes the marker that ends a transaction here, and syncs it: when all were told the
    /// coordinator forgets who they were, and a marker that is lost then is written by nobody.
    func write(_ work: TransactionWork) -> TransactionWorkOutcome {
        do {
            let log = try log
            let appended = try log.appendMarker(
                didCommit: work.decision == .commit, producerID: work.producer.id,
                producerEpoch: work.producer.epoch, coordinatorEpoch: work.coordinatorEpoch,
                now: .now)
            try log.flush(reaching: appended.nextOffset)
            return .done
        } catch LogError.producer {
            return .refused
        } catch {
            return .failed
        }
    }
}
