import TallyLog
import TallyRecords
import Testing

/// Batches of producers with sequences, as a client would send them.
enum ProducerBatches {
    /// A batch of records whose value is the sequence of the first.
    static func batch(
        _ sequence: Int32, count: Int, producerID: Int64 = 1, epoch: Int16 = 0,
        isTransactional: Bool = false, timestamp: Int64 = 0
    ) throws -> [UInt8] {
        var builder = try RecordBatchBuilder()
        let value = [UInt8(truncatingIfNeeded: sequence)]
        for _ in 0..<count {
            try builder.append(
                key: nil, value: value.span.bytes, timestamp: Timestamp(milliseconds: timestamp))
        }
        let bytes = try builder.finish(
            producer: BatchProducer(id: producerID, epoch: epoch, baseSequence: sequence),
            isTransactional: isTransactional)
        return (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
    }
}

extension [UInt8] {
    /// Appends the batches that these bytes are.
    @discardableResult
    mutating func append(to log: PartitionLog) throws -> AppendResult {
        try withMutableRawSpan { bytes in
            try log.append(&bytes, from: .outside, now: Timestamp(milliseconds: 0))
        }
    }
}

extension PartitionLog {
    /// Appends a batch of a producer with sequences.
    func send(
        _ sequence: Int32, count: Int = 1, producerID: Int64 = 1, epoch: Int16 = 0,
        isTransactional: Bool = false, timestamp: Int64 = 0
    ) throws -> AppendResult {
        var batch = try ProducerBatches.batch(
            sequence, count: count, producerID: producerID, epoch: epoch,
            isTransactional: isTransactional, timestamp: timestamp)
        return try batch.append(to: self)
    }

    /// Why a batch is refused; nil where it is not.
    func refusal(
        sequence: Int32, count: Int = 1, producerID: Int64 = 1, epoch: Int16 = 0,
        isTransactional: Bool = false
    ) -> ProducerRefusal.Reason? {
        do {
            _ = try send(
                sequence, count: count, producerID: producerID, epoch: epoch,
                isTransactional: isTransactional)
            return nil
        } catch LogError.producer(let refusal) {
            #expect(refusal.producerID == producerID && refusal.sequence == sequence)
            #expect("\(LogError.producer(refusal))".contains(name))
            return refusal.reason
        } catch {
            Issue.record(error)
            return nil
        }
    }

    /// Ends the transaction of a producer.
    @discardableResult
    func end(
        _ producerID: Int64, didCommit: Bool, epoch: Int16 = 0, coordinatorEpoch: Int32 = 0,
        order: TransactionMarker.Order? = nil
    ) throws -> AppendResult {
        try append(
            TransactionMarker(
                didCommit: didCommit, producerID: producerID, producerEpoch: epoch,
                coordinatorEpoch: coordinatorEpoch, order: order),
            now: Timestamp(milliseconds: 0))
    }
}
