import Synchronization

/// Producer ids out of blocks that somebody else fetches, from where the members of a cluster take
/// them: no member has one of another's. What is left is lost with the process.
///
/// It asks for the next block when half of the last one is used, so that nobody waits for it; and
/// says `unavailable`, which clients try again, where it has none left.
///
/// Thread rule: any thread; `refill` is called on the thread that takes an id, and must not block.
public final class ProducerIDPool: ProducerIDGenerator {
    private let state = Mutex(State())
    private let refill: @Sendable () -> Void

    private struct State {
        var blocks: [Range<Int64>] = []
        /// Whether a block was asked for and has not come.
        var isAsking = false
        var left: Int64 { blocks.reduce(0) { $0 + Int64($1.count) } }
        /// How many ids the last block had.
        var lastCount: Int64 = 0
    }

    /// - Parameter refill: has a block fetched, some time soon, and ``add(_:)`` called with it, or
    ///   ``refillFailed()``. Not called again before one of these was.
    public init(refill: @escaping @Sendable () -> Void) { self.refill = refill }

    /// A block has come that nobody else was given, or will be.
    public func add(_ block: Range<Int64>) {
        state.withLock { state in
            state.isAsking = false
            guard block.lowerBound >= 0, !block.isEmpty else { return }
            state.blocks.append(block)
            state.lastCount = Int64(block.count)
        }
    }

    /// No block could be had; the next taker has one asked for again.
    public func refillFailed() { state.withLock { $0.isAsking = false } }

    /// Takes an id.
    ///
    /// - Throws: `unavailable` where none is left yet.
    public func next() throws(TransactionStoreError) -> Int64 {
        let (id, asks) = state.withLock { state -> (Int64?, Bool) in
            let id = state.blocks.first?.first
            if let id, let block = state.blocks.first {
                if block.count == 1 {
                    state.blocks.removeFirst()
                } else {
                    state.blocks[0] = (id + 1)..<block.upperBound
                }
            }
            let asks = !state.isAsking && state.left * 2 <= state.lastCount
            if asks { state.isAsking = true }
            return (id, asks)
        }
        if asks { refill() }
        guard let id else {
            throw .unavailable(reason: "the next block of producer ids has not come yet")
        }
        return id
    }
}
