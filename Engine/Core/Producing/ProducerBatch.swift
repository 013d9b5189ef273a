import Synchronization
import TallyLog
import TallyRecords

/// One batch on its way: records being encoded, and whom to tell when it has arrived.
///
/// Thread rule: any thread; guarded by locks of its own, which are taken inside the accumulator's.
final class ProducerBatch: Sendable {
    /// Told where the batch's records went, or why they did not.
    typealias Outcome = Result<AppendResult, any Error>

    /// Told of one record: where it went, or why it did not.
    typealias Tell = @Sendable (Result<RecordMetadata, any Error>) -> Void

    private let id: TopicPartition
    /// When the first record was taken.
    let openedAt = ContinuousClock.now
    /// Held while the batch is written, which may take long.
    private let content: Mutex<Content>
    /// Whom to tell: may be told while the batch is being written, that it took too long.
    private let audience = Mutex(Audience())

    private struct Content: ~Copyable {
        var builder: RecordBatchBuilder
        var round = 0
    }

    private struct Audience {
        var waiters: [Waiter] = []
        var tokens: [(index: Int, token: UInt64)] = []
        /// How many records somebody waits, or waited, for.
        var attendedCount = 0
        /// Waits for the end of the linger.
        var linger: Task<Void, Never>?
        var isComplete = false
    }

    /// Somebody who waits for one record of the batch.
    private struct Waiter {
        var index: Int
        var timestamp: Timestamp
        var tell: Tell
    }

    init(
        for id: TopicPartition, codec: Codec, capacity: Int, byteCountMax: Int
    ) throws(RecordError) {
        self.id = id
        let builder = try RecordBatchBuilder(
            codec: codec, capacity: capacity, byteCountMax: byteCountMax)
        content = Mutex(Content(builder: builder))
    }

    /// Bytes of the batch so far, uncompressed.
    var byteCount: Int { content.withLock { $0.builder.estimatedByteCount } }

    /// Bytes that its records were charged for: without the header.
    var chargedByteCount: Int { byteCount - RecordBatchHeader.byteCount }

    /// Records so far.
    var recordCount: Int { content.withLock { $0.builder.recordCount } }

    /// The producer's round it was opened in; see ``ProducerAccount/open()``.
    var round: Int {
        get { content.withLock { $0.round } }
        set { content.withLock { $0.round = newValue } }
    }

    /// Whether nobody waits for some record: a failure of it is for the next flush to tell.
    var hasUnattended: Bool { audience.withLock { $0.attendedCount } < recordCount }

    /// Who wants to hear of a record.
    struct Interest {
        /// Told of the record's outcome, once.
        var tell: Tell?
        /// What a delivery report says of the record.
        var token: UInt64?
    }

    /// Encodes a record. Returns the bytes it took.
    func append(
        key: RawSpan?, value: RawSpan?, timestamp: Timestamp, headers: [RecordHeader],
        interest: Interest
    ) throws(RecordError) -> Int {
        let (byteCount, index) = try content.withLock {
            (content) throws(RecordError) -> (Int, Int) in
            let before = content.builder.estimatedByteCount
            try content.builder.append(
                key: key, value: value, timestamp: timestamp, headers: headers)
            return (
                content.builder.estimatedByteCount - before, content.builder.recordCount - 1
            )
        }
        guard interest.tell != nil || interest.token != nil else { return byteCount }
        audience.withLock { audience in
            if let tell = interest.tell {
                audience.waiters.append(Waiter(index: index, timestamp: timestamp, tell: tell))
                audience.attendedCount += 1
            }
            if let token = interest.token { audience.tokens.append((index, token)) }
        }
        return byteCount
    }

    /// Finishes the batch and appends it to the log. Blocks.
    func write(
        to log: PartitionLog, as producer: BatchProducer, isTransactional: Bool = false,
        now: Timestamp
    ) throws -> AppendResult {
        try content.withLock { content in
            var bytes = try content.builder.finishMutable(
                producer: producer, isTransactional: isTransactional)
            return try log.append(&bytes, from: .ownEncoder, now: now)
        }
    }

    /// Finishes the batch and copies it, for whoever sends it elsewhere; again, under other
    /// numbers, where that is asked for.
    func encoded(
        as producer: BatchProducer, isTransactional: Bool = false
    ) throws -> [UInt8] {
        try content.withLock { content in
            var bytes: [UInt8] = []
            bytes.append(
                try content.builder.finish(producer: producer, isTransactional: isTransactional))
            return bytes
        }
    }

    /// Takes the task that waits for the end of the linger. It holds the batch and, with the
    /// accumulator, the engine, and so is ended once the batch has arrived.
    func linger(_ task: Task<Void, Never>) {
        let isComplete = audience.withLock { audience in
            audience.linger = task
            return audience.isComplete
        }
        if isComplete { endLinger() }
    }

    private func endLinger() {
        audience.withLock { $0.linger.take() }?.cancel()
    }

    /// Tells everybody who waits, once.
    func complete(_ outcome: Outcome) {
        let waiters = audience.withLock { audience in
            defer { audience.waiters = [] }
            audience.isComplete = true
            return audience.waiters
        }
        endLinger()
        for waiter in waiters { waiter.tell(outcome.map { metadata(of: waiter, $0) }) }
    }

    private func metadata(of waiter: Waiter, _ result: AppendResult) -> RecordMetadata {
        RecordMetadata(
            topic: id.topic, partition: id.partition,
            offset: result.baseOffset.advanced(by: Int64(waiter.index)),
            timestamp: result.logAppendTime ?? waiter.timestamp)
    }

    /// What a delivery report says of it.
    func report(_ outcome: Outcome) -> DeliveryReport {
        let tokens = audience.withLock { $0.tokens }
        var report = DeliveryReport(
            topic: id.topic, partition: id.partition, baseOffset: nil,
            recordCount: recordCount, records: [], error: nil)
        switch outcome {
        case .success(let result): report.baseOffset = result.baseOffset
        case .failure(let error): report.error = error
        }
        report.records = tokens.map { index, token in
            DeliveryReport.Record(
                token: token, offset: report.baseOffset?.advanced(by: Int64(index)))
        }
        return report
    }
}
