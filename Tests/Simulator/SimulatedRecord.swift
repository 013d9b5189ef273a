import TallyGroups
import TallyLog
import TallyRecords

/// What lies at one offset of a log: a batch, as far as the simulation needs it.
struct SimulatedRecord: Hashable {
    /// What a batch says.
    enum Content: Hashable {
        /// What a client sent: the number of its transaction, or of the client.
        case data(Int)
        /// How a transaction ended.
        case marker(didCommit: Bool, coordinatorEpoch: Int32)
        /// What a coordinator has decided.
        case state([CoordinatorRecord])
    }

    /// The leader epoch in which it was written; set by the log of the leader.
    var epoch = LeaderEpoch.none
    /// Whose it is; `.none` for what no client sent.
    var producer = BatchProducer.none
    var isTransactional = false
    var content: Content

    var marker: ControlRecord? {
        guard case .marker(let didCommit, let coordinatorEpoch) = content else { return nil }
        return ControlRecord(didCommit ? .commit : .abort, coordinatorEpoch: coordinatorEpoch)
    }

    /// The header of the batch, as those that look at producers want it.
    func header(at offset: Offset) -> RecordBatchHeader {
        RecordBatchHeader(
            baseOffset: offset, sizeInBytes: RecordBatchHeader.byteCount,
            partitionLeaderEpoch: epoch,
            attributes: BatchAttributes(
                isTransactional: isTransactional, isControl: marker != nil),
            lastOffsetDelta: 0, baseTimestamp: .none, maxTimestamp: .none,
            producerID: producer.id, producerEpoch: producer.epoch,
            baseSequence: producer.baseSequence, recordCount: 1)
    }
}

extension SimulatedRecord: CustomStringConvertible {
    var description: String {
        let whose = "producer \(producer.id)/\(producer.epoch) number \(producer.baseSequence)"
        return switch content {
        case .data(let number): "\(whose), data \(number), epoch \(epoch)"
        case .marker(let didCommit, _): "\(whose), committed: \(didCommit), epoch \(epoch)"
        case .state(let records): "\(whose), \(records.count) of state, epoch \(epoch)"
        }
    }
}
