import TallyFiles

/// Somebody who waits for one answer, from whichever of two comes first.
///
/// Thread rule: any thread; it begins once.
package final class WaitingAnswer<Answer: Sendable>: Sendable {
    private let state = UnfairLock(State())

    private struct State: Sendable {
        var continuation: CheckedContinuation<Answer, Never>?
        /// What came before anybody waited.
        var early: Answer?
        var isTold = false
    }

    /// Nobody waits yet.
    package init() {}

    /// Waits from now on.
    package func begin(_ continuation: CheckedContinuation<Answer, Never>) {
        let early = state.withLock { state in
            if state.early == nil { state.continuation = continuation }
            return state.early
        }
        if let early { continuation.resume(returning: early) }
    }

    /// Gives the answer; later ones are for nobody.
    package func tell(_ answer: Answer) {
        let continuation = state.withLock { state in
            guard !state.isTold else { return nil as CheckedContinuation<Answer, Never>? }
            state.isTold = true
            if state.continuation == nil { state.early = answer }
            return state.continuation.take()
        }
        continuation?.resume(returning: answer)
    }
}
