/// The record of a control batch: the log's own mark in a partition, such as a transaction's end.
///
/// ```
/// key    version int16 | type int16         type 0: abort, 1: commit
/// value  version int16 | coordinator epoch int32
/// ```
public struct ControlRecord: Hashable, Sendable {
    /// What the record marks.
    public enum Kind: Hashable, Sendable {
        /// The producer's transaction was committed.
        case commit
        /// The producer's transaction was aborted.
        case abort
        /// Something that this build has no use for, by Kafka's number for it.
        case unknown(type: Int16)
    }

    /// What the record marks.
    public var kind: Kind
    /// The epoch of the coordinator that ended the transaction; -1 for other kinds.
    public var coordinatorEpoch: Int32

    /// A record that marks the end of a transaction, or something else.
    public init(_ kind: Kind, coordinatorEpoch: Int32) {
        self.kind = kind
        self.coordinatorEpoch = coordinatorEpoch
    }

    /// The meaning of a control batch's record. Later versions of key and value, which may only
    /// add to them, are read as far as they are known.
    ///
    /// - Throws: `badControlRecord` where key or value are missing, too short or of a negative
    ///   version.
    public init(decoding record: borrowing RecordView) throws(RecordError) {
        let malformed = RecordError(.badControlRecord, position: 0)
        guard let key = record.key, key.byteCount >= 4, key.bigEndian(at: 0, as: Int16.self) >= 0
        else { throw malformed }
        let type = key.bigEndian(at: 2, as: Int16.self)
        guard type == Self.abortType || type == Self.commitType else {
            self.init(.unknown(type: type), coordinatorEpoch: -1)
            return
        }
        guard let value = record.value, value.byteCount >= 6,
            value.bigEndian(at: 0, as: Int16.self) >= 0
        else { throw malformed }
        self.init(
            type == Self.commitType ? .commit : .abort,
            coordinatorEpoch: value.bigEndian(at: 2, as: Int32.self))
    }

    private static let abortType: Int16 = 0
    private static let commitType: Int16 = 1

    /// A whole control batch, which ends the transaction of `producerID`.
    ///
    /// - Parameter didCommit: whether the transaction was committed and not aborted.
    package static func encodeBatch(
        didCommit: Bool, coordinatorEpoch: Int32, producerID: Int64, producerEpoch: Int16,
        timestamp: Timestamp, baseOffset: Offset = .zero, leaderEpoch: LeaderEpoch = .none
    ) throws(RecordError) -> [UInt8] {
        let type = didCommit ? commitType : abortType
        let key = [0, 0, UInt8(type >> 8), UInt8(type & 0xff)]
        let epoch = UInt32(bitPattern: coordinatorEpoch)
        let value = [0, 0] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: epoch >> $0) }
        var builder = try RecordBatchBuilder(capacity: 32)
        unsafe try builder.append(
            key: key.span.bytes, value: value.span.bytes, timestamp: timestamp)
        let batch = try builder.finish(
            baseOffset: baseOffset, leaderEpoch: leaderEpoch,
            producer: BatchProducer(id: producerID, epoch: producerEpoch, baseSequence: -1),
            isTransactional: true, isControl: true)
        return (0..<batch.byteCount).map { batch.bigEndian(at: $0, as: UInt8.self) }
    }
}
