import Logging
import TallyGroups
import TallyLog
import TallyRecords
import TallyTransactions

/// Reading one partition of an internal topic, by whoever leads it from now on, and serving it. A
/// value.
struct CoordinatorLoading: Sendable {
    let engine: Engine
    let topic: InternalTopic
    let partition: Int32
    let epoch: LeaderEpoch
    /// Whether nobody can have gone on since the process began.
    let isOpening: Bool

    private var name: String { "\(topic.rawValue)-\(partition)" }

    /// Says why it cannot be served.
    func fail(_ error: any Error) async {
        engine.configuration.logger.error("\(name) cannot be served: \(error)")
        switch topic {
        case .consumerOffsets: await engine.groups.fail(partition, epoch: epoch, "\(error)")
        case .transactionState: await engine.transactions.fail(partition, epoch: epoch, "\(error)")
        }
    }

    /// The groups of the partition; nil where it is led elsewhere by now.
    func groups() async throws -> [StoredGroup]? {
        let found = try await read { [engine] reader in
            try reader.groups { topic, id in
                engine.identity(of: topic).map { $0.bytes == id } ?? true
            }
        }
        return await isLedStill() ? found ?? [] : nil
    }

    /// The transactional ids of the partition; nil where it is led elsewhere by now.
    func transactions() async throws -> [TransactionRecord]? {
        let found = try await read { reader in try reader.transactions() }
        return await isLedStill() ? found ?? [] : nil
    }

    /// Reads the log, and waits until what was read is committed: it might be taken back from a
    /// leader that nobody follows yet. Nil where there is no topic yet.
    private func read<Content: Sendable>(
        _ body:
            @escaping @Sendable (InternalTopicReader) throws -> InternalTopicReader.Outcome<Content>
    ) async throws -> Content? {
        guard let log = try log() else { return nil }
        let found = try await engine.longWorkers.run {
            if log.durability == .synced { try log.flush() }
            return try body(InternalTopicReader(log: log))
        }
        try await waitUntilCommitted(found.end, in: log)
        if found.unknownCount > 0 {
            engine.configuration.logger.warning(
                "\(name): \(found.unknownCount) records of kinds that only newer programs know")
        }
        return found.content
    }

    /// Tells the journal, before anybody is served, that it is led here.
    func noteLed() {
        guard let log = try? log() else { return }
        switch topic {
        case .consumerOffsets: engine.coordination?.offsetsJournal.lead(partition, log, in: epoch)
        case .transactionState:
            engine.coordination?.transactionsJournal.journal.lead(partition, log, in: epoch)
        }
    }

    private func log() throws(EngineError) -> PartitionLog? {
        do throws(EngineError) {
            return try engine.partition(partition, of: topic.rawValue).log
        } catch {
            if case .unknownTopic = error, isOpening { return nil }
            throw error
        }
    }

    private func waitUntilCommitted(_ end: Offset, in log: PartitionLog) async throws {
        while true {
            if await log.isCommitted(end, in: epoch, within: .seconds(1)) { return }
            try Task.checkCancellation()
            if let reason = log.stopReason {
                throw LogError.stopped(partition: name, reason: reason)
            }
            // What was read is of no use to anybody then, and is served to nobody.
            guard await isLedStill() else { return }
        }
    }

    /// What the log says counts too: news that it leads no more, or in another epoch, come to the
    /// coordinator behind this.
    private func isLedStill() async -> Bool {
        if let log = try? log(), !log.leads(in: epoch) { return false }
        return switch topic {
        case .consumerOffsets: await engine.groups.led(partition)?.epoch == epoch
        case .transactionState: await engine.transactions.led(partition)?.epoch == epoch
        }
    }
}
