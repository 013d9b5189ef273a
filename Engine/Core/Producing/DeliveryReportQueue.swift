import TallyFiles
import TallyRecords

/// Reports of delivered batches on their way to whoever asked for them.
///
/// Thread rule: any thread.
final class DeliveryReportQueue: Sendable {
    private let account: ProducerAccount
    private let arrival = Arrival()
    private let state = UnfairLock(State())

    private struct State: Sendable {
        /// How many sequences of reports there are.
        var readerCount = 0
        var reports: [DeliveryReport] = []
        /// Bytes of the batches that are reported.
        var byteCount = 0
    }

    init(account: ProducerAccount) { self.account = account }

    /// Reports a batch where somebody wants to hear of it; whether that is so.
    func add(_ batch: ProducerBatch, _ outcome: ProducerBatch.Outcome) -> Bool {
        guard state.withLock({ $0.readerCount }) > 0 else { return false }
        let report = batch.report(outcome)
        let byteCount = batch.chargedByteCount
        let isTaken = state.withLock { state in
            guard state.readerCount > 0 else { return false }
            state.reports.append(report)
            state.byteCount += byteCount
            return true
        }
        if isTaken { arrival.signal() }
        return isTaken
    }

    func addReader() { state.withLock { $0.readerCount += 1 } }

    /// With the last reader go the reports that nobody took.
    func removeReader() {
        let byteCount = state.withLock { state in
            state.readerCount -= 1
            guard state.readerCount == 0 else { return 0 }
            defer { (state.reports, state.byteCount) = ([], 0) }
            return state.byteCount
        }
        account.free(byteCount)
    }

    /// All reports there are, waited for where there are none. Throws `CancellationError`.
    func next() async throws -> [DeliveryReport] {
        while true {
            try Task.checkCancellation()
            let seen = arrival.count
            let (reports, byteCount) = state.withLock { state in
                defer { (state.reports, state.byteCount) = ([], 0) }
                return (state.reports, state.byteCount)
            }
            account.free(byteCount)
            if !reports.isEmpty { return reports }
            try await arrival.wait(after: seen)
        }
    }
}
