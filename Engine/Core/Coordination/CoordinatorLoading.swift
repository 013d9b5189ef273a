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

    /// Returns why it cannot be served; nil where it is, or is led elsewhere by now.
    func run() async -> (any Error)? {
        do {
            switch topic {
            case .consumerOffsets: try await loadGroups()
            case .transactionState: try await loadTransactions()
            }
            return nil
        } catch {
            engine.configuration.logger.error("\(name) cannot be served: \(error)")
            switch topic {
            case .consumerOffsets: await engine.groups.fail(partition, epoch: epoch, "\(error)")
            case .transactionState:
                await engine.transactions.fail(partition, epoch: epoch, "\(error)")
            }
            return error
        }
    }

    private func loadGroups() async throws {
        let found = try await read { [engine] reader in
            try reader.groups { topic, id in
                engine.identity(of: topic).map { $0.bytes == id } ?? true
            }
        }
        let groups = found ?? []
        let count = engine.groups.partitionCount ?? 1
        let store = engine.stateOfEngine.offsets
        await engine.coordination?.offsets.replace { [partition] in
            try store.replaceGroups(
                where: { InternalTopic.partition(of: $0, count: count) == partition },
                with: groups)
        }
        _ = await engine.groups.serve(groups, of: partition, epoch: epoch)
    }

    private func loadTransactions() async throws {
        let found = try await read { reader in try reader.transactions() }
        let records = found ?? []
        let count = engine.partitionCount(of: .transactionState) ?? 1
        let store = engine.stateOfEngine.transactions
        await engine.coordination?.transactions.replace { [partition] in
            try store.replaceTransactions(
                where: { InternalTopic.partition(of: $0, count: count) == partition },
                with: records)
        }
        let areGone = isOpening && !engine.configuration.transactions.areProducersRemote
        _ = try await engine.transactions.serve(
            records, of: partition, epoch: epoch,
            earlierProducers: areGone ? .areGone : .mayBeAlive)
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
            if await log.isCommitted(end, within: .seconds(1)) { return }
            try Task.checkCancellation()
            if let reason = log.stopReason {
                throw LogError.stopped(partition: name, reason: reason)
            }
            // What was read is of no use to anybody then, and is served to nobody.
            guard await isLedStill() else { return }
        }
    }

    private func isLedStill() async -> Bool {
        switch topic {
        case .consumerOffsets: await engine.groups.led(partition)?.epoch == epoch
        case .transactionState: await engine.transactions.led(partition)?.epoch == epoch
        }
    }
}
