package import TallyRecords

/// A transaction that ended, as far as one partition saw it.
package struct CompletedTransaction: Hashable, Sendable {
    var producerID: Int64
    var firstOffset: Offset
    /// The marker.
    var lastOffset: Offset
    /// Whether its records count.
    package var didCommit: Bool
}

/// All producers of a partition: who may write what next, which transactions are open.
///
/// After Kafka's `ProducerStateManager`. Batches are checked, written, and then noted, so that
/// what could not be written leaves no trace. Memory grows with the number of producer ids; those
/// that were silent for `producer.id.expiration.ms` are dropped. A value, owned by the writer.
package struct ProducerStates: Sendable {
    /// By producer id.
    package private(set) var producers: [Int64: ProducerState] = [:]
    /// The offset behind the last batch that was noted.
    package private(set) var nextOffset: Offset
    /// Ended, with a marker that may lie at or above the high watermark; rising by marker.
    private var undecided: [CompletedTransaction] = []
    /// The first offset of the earliest open transaction.
    private var firstOpen: Offset?

    /// Nothing known before `nextOffset`.
    package init(nextOffset: Offset) { self.nextOffset = nextOffset }

    init(_ found: [ProducerState], nextOffset: Offset) {
        self.nextOffset = nextOffset
        for producer in found { producers[producer.producerID] = producer }
        firstOpen = earliestStart
    }

    private var earliestStart: Offset? { producers.values.compactMap(\.transactionStart).min() }

    // MARK: Checking

    /// What to do with a batch.
    package enum Verdict: Hashable {
        /// It may.
        case append
        /// It is in the log already, there.
        case duplicate(ProducerBatchRange)
        /// It may not.
        case refuse(ProducerRefusal.Reason)
    }

    /// Whether this batch may be appended now.
    ///
    /// - Parameter hasSequences: false for a coordinator's, which is no client and sends nothing
    ///   twice.
    package func verdict(on header: RecordBatchHeader, hasSequences: Bool = true) -> Verdict {
        guard header.producerID >= 0, let known = producers[header.producerID] else {
            return .append
        }
        if hasSequences, let batch = known.duplicate(of: header) { return .duplicate(batch) }
        guard header.producerEpoch >= known.epoch else {
            return .refuse(.invalidProducerEpoch(current: known.epoch))
        }
        if hasSequences, let expected = expectedSequence(of: header, known),
            header.baseSequence != expected
        {
            return .refuse(.outOfOrderSequence(expected: expected))
        }
        if known.transactionStart != nil, !header.attributes.isTransactional {
            return .refuse(.invalidTransactionState)
        }
        return .append
    }

    /// The sequence that must come now. Nil where any may: the epoch is known from a marker only,
    /// or nothing is known.
    private func expectedSequence(
        of header: RecordBatchHeader, _ known: ProducerState
    ) -> Int32? {
        if known.epoch == -1 { return nil }
        if header.producerEpoch > known.epoch { return 0 }
        return known.lastSequence == .max ? 0 : known.lastSequence + 1
    }

    /// Whether a coordinator may write this marker now; nil where it may.
    package func refusal(of marker: TransactionMarker) -> ProducerRefusal.Reason? {
        guard let known = producers[marker.producerID] else { return nil }
        if marker.producerEpoch < known.epoch {
            return .invalidProducerEpoch(current: known.epoch)
        }
        if marker.coordinatorEpoch < known.coordinatorEpoch {
            return .transactionCoordinatorFenced(current: known.coordinatorEpoch)
        }
        if let order = marker.order, let last = known.markerAttempt,
            marker.coordinatorEpoch == known.coordinatorEpoch, order.attempt <= last
        {
            return .markerOutdated
        }
        return nil
    }

    // MARK: Noting

    /// Notes the next batch of the log, which may be one of any producer or of none.
    ///
    /// - Parameter control: what a control batch says.
    /// - Returns: the transaction that the batch ends, when it ends one.
    @discardableResult
    package mutating func note(
        _ header: RecordBatchHeader, control: ControlRecord?
    ) -> CompletedTransaction? {
        nextOffset = max(nextOffset, header.nextOffset)
        guard header.producerID >= 0 else { return nil }
        if header.attributes.isControl {
            return note(marker: header, control)
        }
        producers[header.producerID, default: ProducerState(producerID: header.producerID)]
            .note(header)
        if header.attributes.isTransactional,
            producers[header.producerID]?.transactionStart == nil
        {
            producers[header.producerID]?.transactionStart = header.baseOffset
            firstOpen = min(firstOpen ?? header.baseOffset, header.baseOffset)
        }
        return nil
    }

    private mutating func note(
        marker header: RecordBatchHeader, _ control: ControlRecord?
    ) -> CompletedTransaction? {
        guard let control, control.kind == .commit || control.kind == .abort else { return nil }
        var producer =
            producers[header.producerID] ?? ProducerState(producerID: header.producerID)
        producer.note(header)
        if producer.coordinatorEpoch != control.coordinatorEpoch { producer.markerAttempt = nil }
        producer.coordinatorEpoch = control.coordinatorEpoch
        let start = producer.transactionStart
        producer.transactionStart = nil
        producers[header.producerID] = producer
        guard let start, start <= header.lastOffset else { return nil }
        if start == firstOpen { firstOpen = earliestStart }
        let completed = CompletedTransaction(
            producerID: header.producerID, firstOffset: start, lastOffset: header.lastOffset,
            didCommit: control.kind == .commit)
        undecided.append(completed)
        return completed
    }

    /// Notes where a marker that was just noted stands among the others of its coordinator.
    package mutating func noteOrder(of marker: TransactionMarker) {
        guard let order = marker.order else { return }
        producers[marker.producerID]?.markerAttempt = order.attempt
    }

    /// The aborted transaction that an abort marker just ended, as the transaction index has it.
    package func aborted(_ completed: CompletedTransaction) -> AbortedTransaction {
        AbortedTransaction(
            producerID: completed.producerID, firstOffset: completed.firstOffset,
            lastOffset: completed.lastOffset,
            lastStableOffset: firstOpen ?? completed.lastOffset.advanced(by: 1))
    }

    // MARK: Stable offsets

    /// Where `read_committed` ends: the high watermark, or the first offset of the earliest
    /// transaction whose marker is not below it.
    package mutating func lastStableOffset(highWatermark: Offset) -> Offset {
        settle(below: highWatermark)
        let undecidedStart = undecided.map(\.firstOffset).min()
        return [firstOpen, undecidedStart].compactMap { $0 }.reduce(highWatermark, min)
    }

    /// Forgets transactions whose marker every reader may see by now.
    mutating func settle(below highWatermark: Offset) {
        undecided.removeAll { $0.lastOffset < highWatermark }
    }

    /// Producers with an open transaction, by where it starts.
    package var openTransactions: [ProducerState] {
        producers.values.filter { $0.transactionStart != nil }
            .sorted { ($0.transactionStart ?? .zero) < ($1.transactionStart ?? .zero) }
    }

    /// Forgets producers that have no transaction open and wrote nothing for so many milliseconds:
    /// by their batches' timestamps, as in Kafka, and also since it was first asked. A producer of
    /// events that are years old must not be forgotten between a batch and its second sending.
    mutating func expire(now: Timestamp, after age: Int64) {
        for (id, producer) in producers where producer.transactionStart == nil {
            let silentSince = producer.silentSince ?? now
            producers[id]?.silentSince = silentSince
            let since = max(silentSince, producer.lastTimestamp).rawValue
            let silence = now.rawValue.subtractingReportingOverflow(since)
            if !silence.overflow, silence.partialValue >= age { producers[id] = nil }
        }
    }
}
