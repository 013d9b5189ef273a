import Synchronization

/// The partition that records without a key go to: one until about a batch of bytes went there,
/// then another at random, so that batches fill instead of every partition getting a small one
/// (Kafka's sticky partitioner, KIP-480 and KIP-794).
///
/// Thread rule: any thread.
final class StickyPartition: Sendable {
    private let count: Int32
    private let batchBytes: Int
    private let state: Mutex<(partition: Int32, byteCount: Int)>

    init(count: Int32, batchBytes: Int) {
        self.count = count
        self.batchBytes = batchBytes
        state = Mutex((Int32.random(in: 0..<count), 0))
    }

    /// The partition for a record of so many bytes.
    func next(byteCount: Int) -> Int32 {
        state.withLock { state in
            if state.byteCount >= batchBytes, count > 1 {
                let step = Int32.random(in: 1..<count)
                state = ((state.partition + step) % count, 0)
            }
            state.byteCount += byteCount
            return state.partition
        }
    }
}
