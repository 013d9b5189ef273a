import Synchronization

/// The outcomes of records that were sent together, waited for as a whole.
///
/// Thread rule: any thread; each outcome is set once, and one task waits.
final class GatheredOutcomes: Sendable {
    typealias Outcome = Result<RecordMetadata, any Error>

    private let state: Mutex<State>

    private struct State {
        var outcomes: [Outcome?]
        var missingCount: Int
        var waiter: CheckedContinuation<Void, Never>?
    }

    init(count: Int) {
        state = Mutex(State(outcomes: Array(repeating: nil, count: count), missingCount: count))
    }

    func set(_ outcome: Outcome, at index: Int) {
        let waiter = state.withLock { state in
            state.outcomes[index] = outcome
            state.missingCount -= 1
            return state.missingCount == 0 ? state.waiter.take() : nil
        }
        waiter?.resume()
    }

    /// All of them, in order, once the last has come.
    func all() async -> [Outcome] {
        await withCheckedContinuation { continuation in
            let isComplete = state.withLock { state in
                if state.missingCount > 0 { state.waiter = continuation }
                return state.missingCount == 0
            }
            if isComplete { continuation.resume() }
        }
        return state.withLock { $0.outcomes.compactMap(\.self) }
    }
}
