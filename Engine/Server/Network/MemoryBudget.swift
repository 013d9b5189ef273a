import DequeModule
import TallyFiles

/// Bytes that requests may take together. Who asks for more than is left waits its turn; turns are
/// in the order of asking, so that a large request is not passed over for ever.
///
/// Thread rule: any thread.
final class MemoryBudget: Sendable {
    /// Smaller requests do not count: many connections send them, and they take little.
    static let freeByteCount = 16 << 10

    private let state: UnfairLock<State>

    private struct State: Sendable {
        var left: Int
        var nextID: UInt64 = 0
        var waiting: Deque<Waiter> = []
    }

    private struct Waiter: Sendable {
        var id: UInt64
        var byteCount: Int
        var grant: @Sendable () -> Void
    }

    init(byteCount: Int) { state = UnfairLock(State(left: byteCount)) }

    /// Bytes that nobody has; for tests.
    var left: Int { state.withLock { $0.left } }

    /// Whether somebody waits.
    var isWanted: Bool { state.withLock { !$0.waiting.isEmpty } }

    /// Takes bytes now, or calls back when they were taken.
    ///
    /// - Returns: nil where they were taken now; otherwise what to ``forget(_:)`` the wish by.
    func take(_ byteCount: Int, otherwise grant: @escaping @Sendable () -> Void) -> UInt64? {
        state.withLock { state in
            if state.waiting.isEmpty, state.left >= byteCount {
                state.left -= byteCount
                return nil
            }
            state.nextID += 1
            state.waiting.append(Waiter(id: state.nextID, byteCount: byteCount, grant: grant))
            return state.nextID
        }
    }

    /// Waits no longer.
    ///
    /// - Returns: whether it waited still; otherwise the bytes were taken, and are to be given
    ///   back.
    func forget(_ id: UInt64) -> Bool {
        let (wasWaiting, granted) = state.withLock { state in
            let index = state.waiting.firstIndex { $0.id == id }
            if let index { state.waiting.remove(at: index) }
            return (index != nil, Self.grant(&state))
        }
        for grant in granted { grant() }
        return wasWaiting
    }

    /// Gives bytes back.
    func giveBack(_ byteCount: Int) {
        guard byteCount > 0 else { return }
        let granted = state.withLock { state in
            state.left += byteCount
            return Self.grant(&state)
        }
        for grant in granted { grant() }
    }

    private static func grant(_ state: inout State) -> [@Sendable () -> Void] {
        var granted: [@Sendable () -> Void] = []
        while let first = state.waiting.first, state.left >= first.byteCount {
            state.left -= first.byteCount
            state.waiting.removeFirst()
            granted.append(first.grant)
        }
        return granted
    }
}
