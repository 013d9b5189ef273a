import Synchronization
import TallyLog
public import TallyRecords

/// A transaction that was neither committed nor aborted yet, as one partition has it.
///
/// Readers of committed records wait at the first of them that began, however far the log goes on.
public struct OpenTransaction: Hashable, Sendable {
    /// The topic it wrote to.
    public var topic: String
    /// The partition it wrote to.
    public var partition: Int32
    /// Whose transaction it is.
    public var producerID: Int64
    /// The newest epoch of the producer that wrote.
    public var producerEpoch: Int16
    /// Its first record.
    public var firstOffset: Offset
    /// Its last record so far.
    public var lastOffset: Offset
    /// The timestamp of its first batch, mostly by the producer's own clock; nil where the batch
    /// has none, or was deleted.
    public var startedAt: Timestamp?
}

/// What aborting a transaction did.
public struct TransactionAbort: Hashable, Sendable {
    /// The transaction as it was before.
    public var transaction: OpenTransaction
    /// The offset of the abort marker.
    public var markerOffset: Offset
    /// Where readers of committed records end now: below the marker while another transaction is
    /// open.
    public var lastStableOffset: Offset
}

extension Engine {
    /// The transactions that are open in a topic, by partition and first offset.
    ///
    /// Throws ``EngineError/unknownTopic(name:known:)``, ``EngineError/closed``,
    /// ``EngineError/partitionOffline(partition:reason:)`` where one of the partitions is, and
    /// ``LogError`` where the batches that tell cannot be read.
    public func openTransactions(of topic: String) async throws -> [OpenTransaction] {
        try await workers.run { [self] in
            try partitions(of: topic).flatMap { try $0.openTransactions() }
        }
    }

    /// Ends a transaction that its producer left open: appends an abort marker in this partition
    /// and syncs it. Other partitions that the transaction wrote to are not touched.
    ///
    /// Meant for a person who knows that the producer is gone. One that is not may go on: what it
    /// sends next begins a new transaction.
    ///
    /// - Parameter producerEpoch: refuses to abort where the producer has written with another
    ///   epoch by now; nil takes the one that there is.
    /// Throws ``EngineError/noOpenTransaction(partition:producerID:producerEpoch:open:)``,
    /// ``EngineError/unknownTopic(name:known:)``,
    /// ``EngineError/unknownPartition(topic:partition:count:)``, ``EngineError/closed``,
    /// ``EngineError/partitionOffline(partition:reason:)``, and ``LogError``; after an error of
    /// the sync the marker may or may not be there at the next opening.
    @discardableResult
    public func abortTransaction(
        topic: String, partition index: Int32, producerID: Int64, producerEpoch: Int16? = nil
    ) async throws -> TransactionAbort {
        try requireNotInternal(topic)
        return try await workers.run { [self] in
            let partition = try partition(index, of: topic)
            // What takes long, reading the producers, comes before the lock.
            _ = try partition.log.producerStates()
            // Of two who abort one transaction the second finds it gone.
            let (transaction, appended) = try changing.withLock { _ in
                try partition.abort(producerID, epoch: producerEpoch)
            }
            try partition.log.flush(reaching: appended.nextOffset)
            return TransactionAbort(
                transaction: transaction, markerOffset: appended.baseOffset,
                lastStableOffset: try partition.log.lastStableOffset())
        }
    }
}

extension Partition {
    /// The open transactions, by first offset.
    fileprivate func openTransactions() throws -> [OpenTransaction] {
        let log = try log
        return try log.producerStates().compactMap { try openTransaction(of: $0, in: log) }
            .sorted { $0.firstOffset < $1.firstOffset }
    }

    private func openTransaction(
        of state: ProducerState, in log: PartitionLog
    ) throws -> OpenTransaction? {
        guard let first = state.transactionStart else { return nil }
        return OpenTransaction(
            topic: topic, partition: index, producerID: state.producerID,
            producerEpoch: state.epoch, firstOffset: first,
            lastOffset: max(first, state.batches.last?.lastOffset ?? first),
            startedAt: try firstTimestamp(at: first, in: log))
    }

    /// When the batch at an offset began; nil where it says nothing, or is gone.
    private func firstTimestamp(at offset: Offset, in log: PartitionLog) throws -> Timestamp? {
        do {
            // Up to the log end: a transaction whose first batch is not synced yet is open too.
            let slice = try log.read(from: offset, bytesMax: 1, bound: .logEnd)
            guard let slice else { return nil }
            return try RecordBatch(slice.content.all).header.firstTimestamp
        } catch LogError.offsetOutOfRange {
            return nil
        }
    }

    /// Appends an abort marker, where there is something to abort. One caller at a time.
    fileprivate func abort(
        _ producerID: Int64, epoch: Int16?
    ) throws -> (transaction: OpenTransaction, appended: AppendResult) {
        let log = try log
        let state = try log.producerStates().first { $0.producerID == producerID }
        guard let state, epoch == nil || epoch == state.epoch,
            let transaction = try openTransaction(of: state, in: log)
        else {
            throw EngineError.noOpenTransaction(
                partition: name, producerID: producerID, producerEpoch: epoch,
                open: try openTransactions())
        }
        // No coordinator decided this: the last one's word is taken, so that it is not fenced.
        let marker = TransactionMarker(
            didCommit: false, producerID: producerID, producerEpoch: state.epoch,
            coordinatorEpoch: max(state.coordinatorEpoch, 0))
        let appended = try log.append(marker, now: .now)
        return (transaction, appended)
    }
}
