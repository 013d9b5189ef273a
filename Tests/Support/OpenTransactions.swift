import TallyLog
import TallyRecords

extension PartitionLog {
    /// Appends a batch of a transaction, which stays open, as a client's that then went away.
    ///
    /// - Parameter timestamp: of its first record; those that follow come a millisecond later each.
    package func appendTransactional(
        count: Int, producerID: Int64, epoch: Int16 = 0, sequence: Int32 = 0, timestamp: Timestamp
    ) throws {
        var builder = try RecordBatchBuilder()
        for number in 0..<count {
            let value = Array("producer \(producerID), record \(Int(sequence) + number)".utf8)
            try builder.append(
                key: nil, value: value.span.bytes,
                timestamp: Timestamp(milliseconds: timestamp.rawValue + Int64(number)))
        }
        var batch = try builder.finishMutable(
            producer: BatchProducer(id: producerID, epoch: epoch, baseSequence: sequence),
            isTransactional: true)
        _ = try append(&batch, from: .outside, now: timestamp)
        try flush()
    }
}
