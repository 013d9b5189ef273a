import Logging
import Synchronization
import TallyReplication
import TallyTransactions

/// Producer ids of a member of a cluster: blocks of them come from the coordination store, so that
/// no two members ever give out the same.
///
/// Thread rule: any thread.
final class ProducerIDBlocks: Sendable {
    private let store: any CoordinationStore
    private let member: ReplicaID
    private let logger: Logger
    private let pool = Mutex<ProducerIDPool?>(nil)

    private init(_ store: any CoordinationStore, _ member: ReplicaID, _ logger: Logger) {
        self.store = store
        self.member = member
        self.logger = logger
    }

    /// A pool with its first block.
    ///
    /// Throws ``CoordinationError``, ``ClusterRecordError``.
    static func pool(
        for configuration: ClusterConfiguration, from store: any CoordinationStore
    ) async throws -> ProducerIDPool {
        let blocks = ProducerIDBlocks(store, configuration.id, configuration.logger)
        let pool = ProducerIDPool { Task { await blocks.refill() } }
        pool.add(try await blocks.take())
        blocks.pool.withLock { $0 = pool }
        return pool
    }

    private func refill() async {
        guard let pool = pool.withLock({ $0 }) else { return }
        do {
            pool.add(try await take())
        } catch {
            logger.warning("No more producer ids could be had, and are asked for again: \(error)")
            pool.refillFailed()
        }
    }

    /// Takes the next block. One whose answer is lost belongs to nobody then.
    private func take() async throws -> Range<Int64> {
        for _ in 0..<50 {
            let entry = try await store.read(prefix: ClusterKeys.producerIDs)
                .entry(of: ClusterKeys.producerIDs)
            let allocation = try ProducerIDsRecord.allocation(by: member, entry: entry)
            guard let allocation else {
                throw CoordinationError.unavailable(reason: "all producer ids are used up")
            }
            do {
                if case .success = try await store.commit(allocation.transaction) {
                    return allocation.block
                }
            } catch CoordinationError.outcomeUnknown {
                continue
            }
        }
        throw CoordinationError.unavailable(reason: "others took producer ids 50 times before")
    }
}
