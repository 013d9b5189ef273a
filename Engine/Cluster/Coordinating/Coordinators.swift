import Logging
import Synchronization
import Tally
import TallyRecords
import TallyReplication

/// Has the engine answer for groups and transactional ids whose partition of an internal topic is
/// led here, and for no others.
///
/// What concerns one partition happens in the order in which it became so. Thread rule: any thread.
final class Coordinators: Sendable {
    private let engine: Engine
    private let logger: Logger
    private let last = Mutex<[TopicPartition: Task<Void, Never>]>([:])

    init(engine: Engine, logger: Logger) {
        self.engine = engine
        self.logger = logger
    }

    /// This member leads a partition from now on; nothing happens where it is none of an internal
    /// topic.
    func lead(_ partition: TopicPartition, in epoch: LeaderEpoch) {
        enqueue(partition) { [engine, logger] in
            do {
                try await engine.becomeCoordinator(of: partition, epoch: epoch)
            } catch {
                logger.error("\(partition) is led here, and its coordinator is not: \(error)")
            }
        }
    }

    /// This member leads a partition no longer.
    func resign(_ partition: TopicPartition, epoch: LeaderEpoch?) {
        enqueue(partition) { [engine] in
            await engine.resignCoordinator(of: partition, epoch: epoch)
        }
    }

    private func enqueue(
        _ partition: TopicPartition, _ body: @escaping @Sendable () async -> Void
    ) {
        guard InternalTopic(rawValue: partition.topic) != nil else { return }
        last.withLock { last in
            let before = last[partition]
            last[partition] = Task {
                await before?.value
                await body()
            }
        }
    }
}
