package import Logging
import Synchronization
package import Tally
package import TallyReplication

/// What is known of the cluster, kept up to date by a watch of the coordination store.
///
/// Thread rule: any thread and task; the watch runs in one task.
package final class ClusterNews: Sendable {
    private let store: any CoordinationStore
    private let logger: Logger
    private let state = Mutex(ClusterImage())
    /// Signals each change.
    package let arrival = Arrival()

    package init(_ store: any CoordinationStore, logger: Logger) {
        self.store = store
        self.logger = logger
    }

    /// What is known now.
    package var image: ClusterImage { state.withLock { $0 } }

    /// Looks at what is known, without a copy.
    package func look<Result: Sendable>(_ body: (borrowing ClusterImage) -> Result) -> Result {
        state.withLock { body($0) }
    }

    /// Reads, and watches, until the task is cancelled.
    ///
    /// - Parameter told: what has changed, in order; at the beginning, and where the history is
    ///   gone, everything. The next change waits until it returns.
    package func run(told: (ClusterImage, ClusterImage.News?) async -> Void) async {
        while !Task.isCancelled {
            do {
                let snapshot = try await store.read(prefix: "")
                let image = try ClusterImage(snapshot)
                state.withLock { $0 = image }
                arrival.signal()
                await told(image, nil)
                try await watch(told)
            } catch CoordinationError.compacted {
                continue
            } catch {
                if Task.isCancelled { return }
                logger.warning("The state of the cluster cannot be read: \(error)")
            }
            guard (try? await Task.sleep(for: .milliseconds(200))) != nil else { return }
        }
    }

    private func watch(_ told: (ClusterImage, ClusterImage.News?) async -> Void) async throws {
        for try await changes in store.watch(prefix: "", after: look { $0.revision }) {
            let (image, news) = try state.withLock { state in
                let news = try state.learn(changes)
                return (state, news)
            }
            arrival.signal()
            await told(image, news)
        }
        try Task.checkCancellation()
    }

    /// Waits until everything up to a revision is known, or so much time has passed.
    package func wait(for revision: CoordinationRevision, milliseconds: Int64 = 2000) async {
        let deadline = ContinuousClock.now + .milliseconds(milliseconds)
        while look({ $0.revision < revision }), ContinuousClock.now < deadline, !Task.isCancelled {
            await waitForChange(milliseconds: 50)
        }
    }

    /// Waits for the next change, or for so much time.
    package func waitForChange(milliseconds: Int64) async {
        await arrival.wait(after: arrival.count, milliseconds: milliseconds)
    }
}

extension Arrival {
    /// Waits for a signal behind those that were seen, or for so much time.
    func wait(after seen: Int, milliseconds: Int64) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await self.wait(after: seen) }
            group.addTask { try? await Task.sleep(for: .milliseconds(milliseconds)) }
            await group.next()
            group.cancelAll()
        }
    }
}
