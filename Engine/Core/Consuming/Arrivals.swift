import Synchronization
package import TallyLog
package import TallyRecords

/// Wakes the consumers of one partition when its high watermark moves.
///
/// However many consumers come and go, the log carries one callback of ours at most: a consumer
/// that gives up on a quiet partition leaves nothing behind. Thread rule: any thread.
package final class Arrivals: Sendable {
    private let state = Mutex(State())

    private struct State {
        var waiting: [ObjectIdentifier: Arrival] = [:]
        /// The log holds our callback, for an offset that nobody here has seen yet.
        var isWatching = false
        var isEnded = false
    }

    /// Signals `arrival` once there is something behind `position`, at once where there is
    /// already, and when the partition ends. Asking again changes nothing.
    package func wake(_ arrival: Arrival, behind position: Offset, of mark: Watermark) {
        let (watch, isEnded) = state.withLock { state -> (Bool, Bool) in
            if state.isEnded { return (false, true) }
            state.waiting[ObjectIdentifier(arrival)] = arrival
            defer { state.isWatching = true }
            return (!state.isWatching, false)
        }
        if isEnded { return arrival.signal() }
        guard watch else {
            // Looked at after joining: the callback that waits finds us, or we see what came.
            if mark.offset > position { arrival.signal() }
            return
        }
        // Never later than the next record there will be: consumers that join wait for that one.
        mark.whenReached(min(position, mark.offset).advanced(by: 1)) { [self] failure in
            // A log that stopped says so at once, each time; its readers wait for other
            // partitions or for the engine's end, and must not spin.
            // What was truncated is another matter: more will come.
            switch failure {
            case nil, .truncated, .notLeader: tellAll()
            default: break
            }
        }
    }

    /// Forgets a consumer.
    package func remove(_ arrival: Arrival) {
        state.withLock { _ = $0.waiting.removeValue(forKey: ObjectIdentifier(arrival)) }
    }

    /// Has everybody who waits look again: something about the topic has changed.
    func nudge() {
        let waiting = state.withLock { Array($0.waiting.values) }
        for arrival in waiting { arrival.signal() }
    }

    /// Nothing arrives any more: the partition was closed or deleted. Wakes everybody.
    func end() {
        state.withLock { $0.isEnded = true }
        tellAll()
    }

    /// Consumers that wait now; for tests.
    package var count: Int { state.withLock { $0.waiting.count } }

    private func tellAll() {
        let waiting = state.withLock { state in
            state.isWatching = false
            defer { state.waiting = [:] }
            return state.waiting
        }
        for arrival in waiting.values { arrival.signal() }
    }
}
