import Tally
import TallyFiles

/// Syncs logs for what nobody waits for: at most one for a log is waiting its turn, and takes along
/// all that was appended before it begins.
///
/// Thread rule: any thread.
final class BackgroundSyncs: Sendable {
    private let workers: WorkerPool
    private let waiting = UnfairLock<Set<ObjectIdentifier>>([])

    init(on workers: WorkerPool) { self.workers = workers }

    /// Has a log synced soon. An error stops the log, and whoever appends next hears of it.
    func request(_ log: PartitionLog) {
        let id = ObjectIdentifier(log)
        guard waiting.withLock({ $0.insert(id).inserted }) else { return }
        workers.submit { [self] in
            waiting.withLock { _ = $0.remove(id) }
            try? log.flush()
        }
    }
}
