import ServiceLifecycle
import Synchronization
import Tally

/// Runs one member of a consumer group until the service group shuts down: what it has in hand is
/// finished first, and a wait for more records is ended.
struct GroupWorker {
    let engine: Engine
    let group: String
    let topic: String
    var configuration = GroupConsumerConfiguration()

    /// A member that begins at the first record and sees what was committed.
    init(_ engine: Engine, group: String, topic: String) {
        self.engine = engine
        self.group = group
        self.topic = topic
        configuration.reading.reset = .earliest
        configuration.reading.isolation = .readCommitted
    }

    /// Calls `body` with each fetch. Ends at a shutdown; throws what `body` and the consumer throw.
    func run(
        _ body: (ConsumedRecords, GroupConsumer) async throws -> Void
    ) async throws {
        let consumer = try engine.consumer(group: group, topics: [topic], configuration)
        let work = WorkInHand()
        try await withGracefulShutdownHandler {
            do {
                for try await records in consumer {
                    guard work.begin() else { break }
                    try await body(records, consumer)
                    if work.end() { break }
                }
            } catch {
                try? await consumer.close()
                throw error
            }
            try await consumer.close()
        } onGracefulShutdown: {
            // Waiting for records that may never come: leaving ends that.
            if work.stop() { Task { try? await consumer.close() } }
        }
    }
}

/// Whether records are being worked on, and whether there shall be no more. Any thread.
private final class WorkInHand: Sendable {
    private let state = Mutex((isWorking: false, isStopping: false))

    /// False where there shall be no more.
    func begin() -> Bool {
        state.withLock { state in
            if !state.isStopping { state.isWorking = true }
            return state.isWorking
        }
    }

    /// True where there shall be no more.
    func end() -> Bool {
        state.withLock { state in
            state.isWorking = false
            return state.isStopping
        }
    }

    /// True where nothing is being worked on.
    func stop() -> Bool {
        state.withLock { state in
            state.isStopping = true
            return !state.isWorking
        }
    }
}
