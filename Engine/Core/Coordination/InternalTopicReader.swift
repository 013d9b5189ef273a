import TallyGroups
import TallyLog
import TallyRecords
import TallyTransactions

/// Reads a partition of an internal topic from its log start to its log end: whoever leads it from
/// now on takes nothing of that back. Blocks.
struct InternalTopicReader {
    let log: PartitionLog

    /// What was found.
    struct Outcome<Content: Sendable>: Sendable {
        var content: Content
        /// How far it was read.
        var end: Offset
        /// Records of a kind that is not known.
        var unknownCount: Int
    }

    /// The groups of a partition of `__consumer_offsets`.
    ///
    /// - Throws: where anything cannot be read or understood; the error says where.
    func groups(
        isCurrent: @escaping @Sendable (_ topic: String, _ topicID: [UInt8]) -> Bool
    ) throws -> Outcome<[StoredGroup]> {
        var replay = OffsetsTopicReplay(isCurrent: isCurrent)
        let end = try read { step in
            switch step {
            case .record(let record, let offset, let producer):
                try replay.read(record, at: offset, in: producer)
            case .marker(let producerID, let didCommit):
                replay.endTransaction(ofProducer: producerID, isCommitted: didCommit)
            }
        }
        return Outcome(content: replay.groups, end: end, unknownCount: replay.unknownCount)
    }

    /// The transactional ids of a partition of `__transaction_state`.
    ///
    /// - Throws: where anything cannot be read or understood; the error says where.
    func transactions() throws -> Outcome<[TransactionRecord]> {
        var replay = TransactionTopicReplay()
        let end = try read { step in
            if case .record(let record, _, _) = step { try replay.read(record) }
        }
        return Outcome(content: replay.records, end: end, unknownCount: replay.unknownCount)
    }

    private enum Step {
        case record(CoordinatorRecord, Offset, in: BatchProducer?)
        case marker(producerID: Int64, didCommit: Bool)
    }

    /// Walks all records in order; returns the log end it came to.
    private func read(_ body: (Step) throws -> Void) throws -> Offset {
        let end = log.logEnd
        var next = log.logStart
        var decoder = RecordDecoder()
        while next < end {
            let slice = try log.read(from: next, bytesMax: 1 << 20, bound: .logEnd)
            guard let slice else { break }
            let bytes = slice.content.all
            var at = 0
            while at < bytes.byteCount {
                do {
                    let batch = try RecordBatch(bytes, at: at)
                    try batch.verifyChecksum()
                    try read(batch, &decoder, body)
                    at += batch.header.sizeInBytes
                } catch {
                    throw LogError.corruption(
                        Corruption(
                            file: slice.file, position: slice.position.advanced(by: at),
                            reason: "\(error)"))
                }
            }
            next = slice.nextOffset
        }
        return end
    }

    private func read(
        _ batch: borrowing RecordBatch, _ decoder: inout RecordDecoder,
        _ body: (Step) throws -> Void
    ) throws {
        let header = batch.header
        let isTransactional = header.attributes.isTransactional
        let producer =
            isTransactional
            ? BatchProducer(
                id: header.producerID, epoch: header.producerEpoch, baseSequence: -1) : nil
        try decoder.forEachRecord(in: batch) { record in
            if header.attributes.isControl {
                let kind = try ControlRecord(decoding: record).kind
                guard kind == .commit || kind == .abort else { return }
                return try body(
                    .marker(producerID: header.producerID, didCommit: kind == .commit))
            }
            guard let key = record.key else {
                throw UnreadableRecord(offset: record.offset, reason: "it has no key")
            }
            do {
                var value: [UInt8]?
                if let bytes = record.value { value = Array(copying: bytes) }
                try body(
                    .record(
                        CoordinatorRecord(key: Array(copying: key), value: value), record.offset,
                        in: producer))
            } catch let error as CoordinatorRecordError {
                throw UnreadableRecord(offset: record.offset, reason: "\(error)")
            }
        }
    }
}

/// A record of an internal topic that cannot be understood.
struct UnreadableRecord: Error, CustomStringConvertible {
    var offset: Offset
    var reason: String

    var description: String { "the record at offset \(offset) cannot be understood: \(reason)" }
}

extension Array where Element == UInt8 {
    fileprivate init(copying bytes: RawSpan) {
        self = []
        append(bytes)
    }
}
