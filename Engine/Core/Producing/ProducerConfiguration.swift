public import TallyRecords

/// What must have happened before a record counts as sent (`acks`).
public enum Acknowledgements: Hashable, Sendable {
    /// `acks=0`: nothing. `send` returns once the record is taken, without an offset, and nobody
    /// is told of an error but the metrics.
    case none
    /// `acks=1`: the log has it, which a crash of the process does not undo. Under `.synced` the
    /// sync, and with it the visibility to consumers, comes right after.
    case leader
    /// `acks=all`: what the topic's durability promises; by default, that it is on stable storage.
    case all
}

/// How a producer gathers and sends. Names and defaults are Kafka's, where Kafka has them.
public struct ProducerConfiguration: Sendable {
    /// `batch.size`: a batch of this many bytes of records is sent at once.
    public var batchBytes = 16_384
    /// `linger.ms`: how long a batch that is not full waits for more records. With 0 it waits
    /// only for the batch before it.
    public var lingerMilliseconds: Int64 = 0
    /// `buffer.memory`: bytes of records that may wait to be delivered, or for their reports to be
    /// taken where somebody asked for ``Producer/deliveryReports()``.
    public var bufferBytesMax = 32 << 20
    /// `max.block.ms`: how long ``Producer/send(_:)-(ProducerRecord)`` and
    /// ``Producer/waitForRoom()`` wait for room in a full buffer. With 0 they wait for none, and
    /// what there is no room for is refused at once.
    public var blockMillisecondsMax: Int64 = 60_000
    /// `compression.type`: one of the codecs that the build has (``Codec/isSupported``). A topic
    /// that names a codec overrides it.
    public var compression = Codec.none
    /// `acks`: what must have happened before a record counts as sent.
    public var acknowledgements = Acknowledgements.all
    /// `enable.idempotence`: whether batches carry a producer id and sequence numbers, with which
    /// the log knows a batch that comes again. Nil means: where `acks` is all, which it needs.
    public var isIdempotent: Bool?
    /// `max.request.size`: how large a record may be, uncompressed, in bytes; a topic's
    /// `max.message.bytes` may be lower.
    public var requestBytesMax = 1 << 20
    /// `delivery.timeout.ms`: how long a record may wait until it is sent. One that was not even
    /// begun to be written by then is given up; for one that is being written the error says that
    /// it may be stored. 0 for no limit; nil for two minutes, or half a minute longer than the
    /// linger where that is more.
    public var deliveryTimeoutMilliseconds: Int64?
    /// `retries`: how often a batch is tried again that the log had no room or no descriptor for,
    /// and kept nothing of; any other error is final at once. Later records to the partition wait
    /// behind it, so that their order stays. 0 by default, where Kafka's clients try until
    /// `delivery.timeout.ms` is over: a disk that is full is for the application to know of.
    public var retriesMax = 0
    /// `retry.backoff.ms`: the pause before a batch is tried again.
    public var retryBackoffMilliseconds: Int64 = 100
    /// `partitioner.class`: the partition of records that name none; nil for Kafka's default.
    public var partitioner: Partitioner?

    /// `transactional.id`: who the producer is over restarts of the process; with it, everything
    /// is sent in transactions, after ``Producer/initTransactions()``.
    public var transactionalID: String?
    /// `transaction.timeout.ms`: a transaction that takes longer is aborted, and its producer is
    /// fenced. At most the engine's `transaction.max.timeout.ms`.
    public var transactionTimeoutMilliseconds: Int64 = 60_000

    /// The defaults: idempotent, durable, at once.
    public init() {}

    /// Whether batches carry a producer id.
    var usesIdempotence: Bool { isIdempotent ?? (acknowledgements == .all) }

    /// How long a record may wait, in milliseconds; 0 for no limit.
    var deliveryTimeout: Int64 {
        deliveryTimeoutMilliseconds
            ?? max(120_000, lingerMilliseconds.addingReportingOverflow(30_000).partialValue)
    }

    /// Throws ``EngineError/invalidSetting(name:reason:)``.
    func check() throws(EngineError) {
        guard compression.isSupported else {
            throw .invalidSetting(
                name: "compression.type", reason: compression.advice)
        }
        guard (1...(512 << 20)).contains(batchBytes) else {
            throw .invalidSetting(name: "batch.size", reason: "give 1 to \(512 << 20)")
        }
        guard lingerMilliseconds >= 0, bufferBytesMax > 0 else {
            throw .invalidSetting(
                name: "linger.ms or buffer.memory", reason: "they cannot be negative")
        }
        guard blockMillisecondsMax >= 0 else {
            throw .invalidSetting(name: "max.block.ms", reason: "it cannot be negative")
        }
        guard retriesMax >= 0, retryBackoffMilliseconds >= 0 else {
            throw .invalidSetting(
                name: "retries or retry.backoff.ms", reason: "they cannot be negative")
        }
        guard requestBytesMax > 0 else {
            throw .invalidSetting(name: "max.request.size", reason: "give a positive number")
        }
        guard deliveryTimeout == 0 || deliveryTimeout > lingerMilliseconds else {
            throw .invalidSetting(
                name: "delivery.timeout.ms",
                reason: "it must be above linger.ms (\(lingerMilliseconds)), or 0 for no limit")
        }
        guard transactionalID == nil || usesIdempotence else {
            throw .invalidSetting(
                name: "transactional.id", reason: "it needs enable.idempotence and acks=all")
        }
        guard transactionTimeoutMilliseconds > 0 else {
            throw .invalidSetting(
                name: "transaction.timeout.ms", reason: "give a positive number")
        }
        guard !usesIdempotence || acknowledgements == .all else {
            throw .invalidSetting(
                name: "enable.idempotence", reason: "it needs acks=all, as with Kafka")
        }
    }
}
