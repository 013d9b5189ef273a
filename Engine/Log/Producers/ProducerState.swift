package import TallyRecords

/// A batch that a producer appended: what it takes to know it again.
package struct ProducerBatchRange: Hashable, Sendable {
    /// Sequence numbers of the first and the last record; they go on at 0 after `Int32.max`.
    package var firstSequence: Int32
    package var lastSequence: Int32
    /// The offset of the last record.
    package var lastOffset: Offset
    /// The offset of the last record less that of the first.
    package var offsetDelta: Int32
    /// The batch's largest timestamp.
    package var timestamp: Timestamp

    /// The offset of the first record.
    package var firstOffset: Offset { lastOffset.advanced(by: -Int64(offsetDelta)) }
}

/// What a partition knows of one producer id: its epoch, its last batches, its open transaction.
///
/// After Kafka's `ProducerStateEntry`. A value, owned by the partition's writer.
package struct ProducerState: Hashable, Sendable {
    /// How many batches are kept to know a duplicate by: as many as a client may have in flight.
    package static let batchesMax = 5

    /// Who it is.
    package let producerID: Int64
    /// The newest epoch that wrote; -1 before the first batch.
    package internal(set) var epoch: Int16 = -1
    /// The last batches of that epoch, oldest first; at most ``batchesMax``.
    package internal(set) var batches: [ProducerBatchRange] = []
    /// When it wrote last, by its batches' own timestamps.
    package internal(set) var lastTimestamp = Timestamp.none
    /// The epoch of the coordinator that wrote the last marker; -1 without one.
    package internal(set) var coordinatorEpoch: Int32 = -1
    /// The last attempt of that coordinator, where this process wrote the marker and was told of
    /// one; not in snapshots: whoever leads next is asked in another leader epoch.
    package internal(set) var markerAttempt: Int64?
    /// When it was first found to have written nothing lately, by our clock; not in snapshots.
    var silentSince: Timestamp?
    /// The first offset of its open transaction; nil without one.
    package internal(set) var transactionStart: Offset?

    /// A producer that has written nothing yet.
    package init(producerID: Int64) { self.producerID = producerID }

    /// The sequence number of the last record; -1 where the epoch has written none.
    package var lastSequence: Int32 { batches.last?.lastSequence ?? -1 }

    /// The batch with the same sequences, when it is one of the last that were appended.
    func duplicate(of header: RecordBatchHeader) -> ProducerBatchRange? {
        guard header.producerEpoch == epoch else { return nil }
        return batches.first {
            $0.firstSequence == header.baseSequence && $0.lastSequence == header.lastSequence
        }
    }

    mutating func note(_ header: RecordBatchHeader) {
        begin(header.producerEpoch)
        // A marker has no sequence, and is no batch that could be sent again.
        if header.baseSequence >= 0, !header.attributes.isControl {
            if batches.count == Self.batchesMax { batches.removeFirst() }
            batches.append(
                ProducerBatchRange(
                    firstSequence: header.baseSequence, lastSequence: header.lastSequence,
                    lastOffset: header.lastOffset, offsetDelta: header.lastOffsetDelta,
                    timestamp: header.maxTimestamp))
        }
        lastTimestamp = header.maxTimestamp
        silentSince = nil
    }

    private mutating func begin(_ newEpoch: Int16) {
        guard newEpoch != epoch else { return }
        epoch = newEpoch
        batches.removeAll()
    }
}

/// Why a batch of an idempotent or transactional producer was refused; nothing was written.
public struct ProducerRefusal: Error, Hashable, Sendable {
    /// What the batch breaks; the names are those of Kafka's errors.
    public enum Reason: Hashable, Sendable {
        /// The first sequence number does not follow the last one: a batch is missing.
        case outOfOrderSequence(expected: Int32)
        /// A newer epoch of the producer has written: this one was fenced.
        case invalidProducerEpoch(current: Int16)
        /// A record outside a transaction, while one is open.
        case invalidTransactionState
        /// A newer coordinator has written a marker.
        case transactionCoordinatorFenced(current: Int32)
        /// A transaction has ended in the partition since the coordinator was asked about the one
        /// that the batch would begin: to be asked again.
        case verificationOutdated
        /// A later marker of the same coordinator was written: this one is late, and may be about
        /// an earlier transaction.
        case markerOutdated
    }

    /// Topic and partition as the directory is named.
    public var partition: String
    /// Whose batch it is.
    public var producerID: Int64
    /// The batch's epoch.
    public var producerEpoch: Int16
    /// The batch's first sequence number; -1 for a marker.
    public var sequence: Int32
    /// What it breaks.
    public var reason: Reason
}

extension ProducerRefusal: CustomStringConvertible {
    /// What happened, where, and what to do about it.
    public var description: String {
        let who = "producer \(producerID), epoch \(producerEpoch)"
        return switch reason {
        case .outOfOrderSequence(let expected):
            """
            \(partition): out of order sequence number of \(who): \(sequence) came where \
            \(expected) must follow. A batch before it was lost; nothing was written.
            """
        case .invalidProducerEpoch(let current):
            """
            \(partition): invalid epoch of \(who): a newer instance of the producer has epoch \
            \(current). This one must stop; nothing was written.
            """
        case .invalidTransactionState:
            """
            \(partition): \(who) has a transaction open and sent a batch outside it. Commit or \
            abort it first; nothing was written.
            """
        case .transactionCoordinatorFenced(let current):
            """
            \(partition): the marker for \(who) comes from an older coordinator than the one \
            with epoch \(current); nothing was written.
            """
        case .verificationOutdated:
            """
            \(partition): a transaction has ended since the coordinator was asked about that of \
            \(who); nothing was written. Ask again.
            """
        case .markerOutdated:
            """
            \(partition): a later marker for \(who) was written already; this one comes too late, \
            and was not.
            """
        }
    }
}
