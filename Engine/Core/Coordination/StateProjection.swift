import Logging
import Synchronization
import TallyFiles

/// Writes what is committed in an internal topic into the engine's state, which people look into:
/// some moments later, in order, and in as few steps as it can.
///
/// What cannot be written there is said in the log and left out: the topic is what counts, and the
/// next opening makes the state anew from it. Thread rule: any thread.
final class StateProjection<Change: Sendable>: Sendable {
    private let lane: SerialLane
    private let logger: Logger
    private let apply: @Sendable ([Change]) throws -> Void
    private let waiting = UnfairLock<[Change]>([])

    /// - Parameters:
    ///   - lane: of threads that may block for long.
    ///   - apply: writes changes in one step; blocks.
    init(
        lane: SerialLane, logger: Logger, apply: @escaping @Sendable ([Change]) throws -> Void
    ) {
        self.lane = lane
        self.logger = logger
        self.apply = apply
    }

    /// Writes changes soon, behind those that were added before. Does not block.
    func add(_ changes: [Change]) {
        let isFirst = waiting.withLock { waiting in
            defer { waiting += changes }
            return waiting.isEmpty
        }
        guard isFirst else { return }
        lane.submit { [self] in
            let changes = waiting.withLock { waiting in
                defer { waiting = [] }
                return waiting
            }
            attempt { try apply(changes) }
        }
    }

    /// Writes something else, behind what was added before; returns when it was tried.
    func replace(_ body: @escaping @Sendable () throws -> Void) async {
        await withCheckedContinuation { continuation in
            lane.submit { [self] in
                attempt(body)
                continuation.resume()
            }
        }
    }

    /// Returns when all that was added before is written.
    func finish() async { await replace {} }

    private func attempt(_ body: () throws -> Void) {
        do {
            try body()
        } catch {
            logger.error(
                """
                The state is behind the internal topics until the engine is opened again: \(error)
                """)
        }
    }
}
