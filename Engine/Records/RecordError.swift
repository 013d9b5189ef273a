/// Bytes that are no valid record batch, or a request that no batch can hold.
///
/// Says what is wrong and where. Positions count from the first byte of what was handed to the
/// call that threw; for a batch's own methods and for cursors that is the batch's first byte, or,
/// with `isInDecompressedRecords`, the first byte of the decompressed records.
public struct RecordError: Error, Hashable, Sendable {
    /// What is wrong.
    public enum Kind: Hashable, Sendable {
        /// The bytes end too early.
        case truncated(needed: Int, available: Int)
        /// Neither record batch v2 nor anything this build reads.
        case wrongMagic(UInt8)
        /// The CRC-32C in the header is not that of the bytes.
        case checksumMismatch(stored: UInt32, computed: UInt32)
        /// A length or size that no valid batch has.
        case badLength(Int)
        /// A number of records or headers that no valid batch has.
        case badCount(Int)
        /// A base offset that is negative or leaves no room for the batch's records.
        case badOffset(Int64)
        /// The batch's offset range does not fit its number of records.
        case badOffsetRange(lastOffsetDelta: Int32, recordCount: Int32)
        /// Attribute bits that are not defined, or not allowed where the batch is.
        case badAttributes(Int16)
        /// A timestamp below -1.
        case badTimestamp(Int64)
        /// Producer id, epoch and sequence that do not fit each other.
        case badProducer(id: Int64, epoch: Int16, sequence: Int32)
        /// A variable-length integer that does not end, or exceeds its type.
        case malformedVarint
        /// A record, key, value or header that reaches beyond what holds it.
        case recordOutOfBounds(length: Int, available: Int)
        /// A record's offset is not above the one before it, or beyond the batch's last.
        case offsetDeltaOutOfOrder(delta: Int32, previous: Int32, last: Int32)
        /// Bytes are left over where there should be none.
        case trailingBytes(Int)
        /// The records are compressed in a way this build cannot undo; ``Codec/trait`` is what it
        /// was built without.
        case codecNotSupported(Codec)
        /// The records unpack to more than the limit; unpacking was stopped there.
        case decompressedTooLarge(limit: Int)
        /// The compressed bytes are no complete frame of their codec.
        case malformedCompressedData
        /// The batch is larger than is allowed where it should go.
        case batchTooLarge(bytes: Int, limit: Int)
        /// A control record whose key or value is not what Kafka defines.
        case badControlRecord
        /// A record without a key, where keys are what records are kept by.
        case missingKey
        /// A record's time is too far from the time of its append.
        case timestampOutOfRange(Int64, earliest: Int64, latest: Int64)
        /// A client handed in a control batch; only the log writes those.
        case controlBatchNotAllowed
    }

    /// What is wrong.
    public var kind: Kind
    /// Where: a byte offset, see the type's description. 0 where no place can be named.
    public var position: Int
    /// Whether `position` counts in the decompressed records instead of the batch.
    public var isInDecompressedRecords: Bool

    /// An error of one kind at one place.
    public init(_ kind: Kind, position: Int, isInDecompressedRecords: Bool = false) {
        self.kind = kind
        self.position = position
        self.isInDecompressedRecords = isInDecompressedRecords
    }

    /// Whether the bytes are damaged or were never valid; false where the bytes may be fine and
    /// this build, or a limit, is what stands in the way.
    public var isCorruption: Bool {
        switch kind {
        case .codecNotSupported, .batchTooLarge, .controlBatchNotAllowed, .decompressedTooLarge,
            .missingKey, .timestampOutOfRange:
            false
        default:
            true
        }
    }
}

extension RecordError: CustomStringConvertible {
    /// What is wrong, where and why, in one line.
    public var description: String {
        switch kind {
        case .codecNotSupported, .batchTooLarge, .controlBatchNotAllowed, .missingKey,
            .timestampOutOfRange:
            reason
        default:
            isInDecompressedRecords
                ? "\(reason), at byte \(position) of the decompressed records"
                : "\(reason), at byte \(position)"
        }
    }

    private var reason: String {
        switch kind {
        case .truncated(let needed, let available):
            "truncated: \(needed) bytes needed, \(available) there"
        case .wrongMagic(let magic):
            "wrong magic \(magic): only record batches of magic 2 are read"
        case .checksumMismatch(let stored, let computed):
            "checksum mismatch: \(stored) stored, \(computed) computed"
        case .badLength(let length):
            "length \(length) is not possible here"
        case .badCount(let count):
            "count \(count) is not possible here"
        case .badOffset(let offset):
            "base offset \(offset) is not possible here"
        case .badOffsetRange(let lastOffsetDelta, let recordCount):
            "last offset delta \(lastOffsetDelta) does not fit \(recordCount) records"
        case .badAttributes(let attributes):
            "attributes \(attributes) are not known or not allowed"
        case .badTimestamp(let timestamp):
            "timestamp \(timestamp) is below -1"
        case .badProducer(let id, let epoch, let sequence):
            "producer id \(id), epoch \(epoch) and sequence \(sequence) do not fit together"
        case .malformedVarint:
            "variable-length integer without an end or too large"
        case .recordOutOfBounds(let length, let available):
            "length \(length) reaches beyond the \(available) bytes that are left"
        case .offsetDeltaOutOfOrder(let delta, let previous, let last):
            "offset delta \(delta) is not above \(previous) and at most \(last)"
        case .trailingBytes(let count):
            "\(count) bytes left over"
        case .codecNotSupported(let codec):
            codec.advice
        case .decompressedTooLarge(let limit):
            "records unpack to more than \(limit) bytes"
        case .malformedCompressedData:
            "compressed records are damaged or incomplete"
        case .batchTooLarge(let bytes, let limit):
            "batch of \(bytes) bytes is larger than the \(limit) allowed"
        case .badControlRecord:
            "control record with a malformed key or value"
        case .missingKey:
            "a record without a key in a compacted topic, which keeps records by their keys"
        case .timestampOutOfRange(let timestamp, let earliest, let latest):
            "timestamp \(timestamp) is not between \(earliest) and \(latest), as "
                + "message.timestamp.before.max.ms and message.timestamp.after.max.ms want it now"
        case .controlBatchNotAllowed:
            "control batches are written by the log alone"
        }
    }
}
