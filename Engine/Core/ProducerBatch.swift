import Synchronization
import TallyLog
import TallyRecords

/// One batch on its way: records being encoded, and whom to tell when it has arrived.
///
/// Thread rule: any thread; guarded by its own lock, which is taken inside the accumulator's.
final class ProducerBatch: Sendable {
    /// Told where the batch's records went, or why they did not.
    typealias Outcome = Result<AppendResult, any Error>

    private let content: Mutex<Content>

    private struct Content: ~Copyable {
        var builder: RecordBatchBuilder
        var waiters: [Waiter] = []
        var round = 0
        /// Waits for the end of the linger.
        var linger: Task<Void, Never>?
        var isComplete = false
    }

    /// Somebody who waits for one record of the batch.
    private struct Waiter {
        var index: Int
        var timestamp: Timestamp
        var tell: @Sendable (Int, Timestamp, Outcome) -> Void
    }

    init(codec: Codec, capacity: Int, byteCountMax: Int) throws(RecordError) {
        let builder = try RecordBatchBuilder(
            codec: codec, capacity: capacity, byteCountMax: byteCountMax)
        content = Mutex(Content(builder: builder))
    }

    /// Bytes of the batch so far, uncompressed.
    var byteCount: Int { content.withLock { $0.builder.estimatedByteCount } }

    /// Records so far.
    var recordCount: Int { content.withLock { $0.builder.recordCount } }

    /// The producer's round it was opened in; see ``ProducerAccount/open()``.
    var round: Int {
        get { content.withLock { $0.round } }
        set { content.withLock { $0.round = newValue } }
    }

    /// Whether nobody waits for some record: a failure of it is for the next flush to tell.
    var hasUnattended: Bool {
        content.withLock { $0.waiters.count < $0.builder.recordCount }
    }

    /// Encodes a record. Returns the bytes it took.
    func append(
        key: RawSpan?, value: RawSpan?, timestamp: Timestamp, headers: [RecordHeader],
        tell: (@Sendable (Int, Timestamp, Outcome) -> Void)?
    ) throws(RecordError) -> Int {
        try content.withLock { content throws(RecordError) in
            let before = content.builder.estimatedByteCount
            try content.builder.append(
                key: key, value: value, timestamp: timestamp, headers: headers)
            if let tell {
                content.waiters.append(
                    Waiter(
                        index: content.builder.recordCount - 1, timestamp: timestamp, tell: tell))
            }
            return content.builder.estimatedByteCount - before
        }
    }

    /// Finishes the batch and appends it to the log. Blocks.
    func write(to log: PartitionLog, now: Timestamp) throws -> AppendResult {
        try content.withLock { content in
            var bytes = try content.builder.finishMutable()
            return try log.append(&bytes, from: .ownEncoder, now: now)
        }
    }

    /// Takes the task that waits for the end of the linger. It holds the batch and, with the
    /// accumulator, the engine, and so is ended once the batch has arrived.
    func linger(_ task: Task<Void, Never>) {
        let isComplete = content.withLock { content in
            content.linger = task
            return content.isComplete
        }
        if isComplete { endLinger() }
    }

    private func endLinger() {
        content.withLock { $0.linger.take() }?.cancel()
    }

    /// Tells everybody who waits, once.
    func complete(_ outcome: Outcome) {
        let waiters = content.withLock { content in
            defer { content.waiters = [] }
            content.isComplete = true
            return content.waiters
        }
        endLinger()
        for waiter in waiters { waiter.tell(waiter.index, waiter.timestamp, outcome) }
    }
}
