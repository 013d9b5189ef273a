import Synchronization
import TallyFiles
package import TallyRecords

extension PartitionLog {
    // MARK: Before and after an append

    /// What the log knows of its producers, loaded when it is first needed. With the writer lock
    /// held.
    func loadProducers(_ writer: inout Writer) throws(LogError) {
        guard writer.producers == nil else { return }
        let loader = ProducerStateLoader(
            directory: directory, environment: environment, segments: segments,
            limit: writer.nextOffset)
        writer.producers = try loader.load().states
    }

    /// The same where it takes no reading of the log: nothing was written yet, or a clean stop left
    /// a snapshot of the log's end. Before the first append, so that segments which are rolled
    /// later get their snapshots without anybody waiting for a scan.
    func loadProducersAtOnce(_ writer: inout Writer) {
        guard writer.producers == nil else { return }
        let end = writer.nextOffset
        let found = try? ProducerSnapshot.read(directory, at: end, on: environment.fileSystem)
        // A log whose records were all retired may be empty and know producers.
        if let producers = found ?? nil {
            writer.producers = ProducerStates(producers, nextOffset: end)
        } else if end == segments.first?.baseOffset {
            writer.producers = ProducerStates(nextOffset: end)
        }
    }

    /// Whether a producer may append this batch; the batch in the log where it is there already.
    func checkProducer(
        of header: RecordBatchHeader, hasSequences: Bool = true, _ writer: inout Writer
    ) throws(LogError) -> ProducerBatchRange? {
        guard header.producerID >= 0 else { return nil }
        try loadProducers(&writer)
        switch writer.producers?.verdict(on: header, hasSequences: hasSequences) {
        case .append, nil: return nil
        case .duplicate(let batch): return batch
        case .refuse(let reason):
            throw .producer(
                ProducerRefusal(
                    partition: name, producerID: header.producerID,
                    producerEpoch: header.producerEpoch, sequence: header.baseSequence,
                    reason: reason))
        }
    }

    /// Notes a batch that was just written.
    func noteProducer(
        of header: RecordBatchHeader, control: ControlRecord?, _ writer: inout Writer
    ) throws(LogError) {
        guard writer.producers != nil else { return }
        let completed = writer.producers?.note(header, control: control)
        guard let completed else { return }
        writer.producers?.settle(below: highWatermark)
        guard !completed.didCommit, let aborted = writer.producers?.aborted(completed) else {
            return
        }
        try writer.active.noteAborted(aborted)
    }

    // MARK: Taking part in transactions

    /// Where a producer's transaction stands in this partition, and at which moment: a batch that
    /// begins one here is appended only where the coordinator knows of it (KIP-890), and no
    /// transaction has ended between its answer and the append.
    ///
    /// Throws as ``lastStableOffset()``.
    ///
    /// A transaction of another epoch is another one.
    package func transactionStanding(
        of producerID: Int64, epoch: Int16
    ) throws(LogError) -> TransactionStanding {
        try writer.withLock { writer throws(LogError) in
            try loadProducers(&writer)
            let known = writer.producers?.producers[producerID]
            return TransactionStanding(
                isOpen: known?.transactionStart != nil && known?.epoch == epoch,
                markerCount: writer.markerCount)
        }
    }

    /// Throws where a transaction has ended here since the coordinator was asked.
    func check(
        _ verification: TransactionStanding?, of header: RecordBatchHeader,
        _ writer: borrowing Writer
    ) throws(LogError) {
        guard let verification, verification.markerCount != writer.markerCount else { return }
        throw .producer(
            ProducerRefusal(
                partition: name, producerID: header.producerID,
                producerEpoch: header.producerEpoch, sequence: header.baseSequence,
                reason: .verificationOutdated))
    }

    // MARK: Markers

    /// Ends a producer's transaction in this partition: appends a commit or abort marker.
    ///
    /// - Parameter now: the marker's timestamp.
    /// Throws as ``append(_:from:now:)``, and ``LogError/producer(_:)``, with `markerOutdated`
    /// where a later marker of the same coordinator was appended for the producer; and
    /// ``LogError/notLeader(partition:)`` where another leader of the replicas is meant.
    package func append(
        _ marker: TransactionMarker, now: Timestamp
    ) throws(LogError) -> AppendResult {
        var bytes: [UInt8]
        do {
            bytes = try ControlRecord.encodeBatch(
                didCommit: marker.didCommit, coordinatorEpoch: marker.coordinatorEpoch,
                producerID: marker.producerID, producerEpoch: marker.producerEpoch, timestamp: now)
        } catch {
            throw .invalidBatch(error)
        }
        return try append(&bytes, marker, now: now)
    }

    /// Throws unless a coordinator may write this marker now.
    func check(_ marker: TransactionMarker, _ writer: inout Writer) throws(LogError) {
        try loadProducers(&writer)
        // What the marker's entry will be written behind: an error must come before the marker.
        if !marker.didCommit { _ = try abortedTransactions(of: writer.active) }
        guard let reason = writer.producers?.refusal(of: marker) else { return }
        throw .producer(
            ProducerRefusal(
                partition: name, producerID: marker.producerID,
                producerEpoch: marker.producerEpoch, sequence: -1, reason: reason))
    }

    // MARK: Reading what is committed

    /// Where `read_committed` ends: the high watermark, or the first offset of the earliest
    /// transaction that is open or whose marker is not below it; never before the log start.
    ///
    /// Throws ``LogError/corruption(_:)`` and ``LogError/file(_:)`` where the state of the
    /// producers has to be read first and cannot be.
    package func lastStableOffset() throws(LogError) -> Offset {
        // Loaded before the lock is taken: a marker above it is not below it.
        let highWatermark = highWatermark
        return try writer.withLock { writer throws(LogError) in
            try loadProducers(&writer)
            let stable = writer.producers?.lastStableOffset(highWatermark: highWatermark)
            // The first records of an open transaction may have been deleted.
            return max(stable ?? highWatermark, logStart)
        }
    }

    /// The aborted transactions that have records in a range of offsets, in the order of their
    /// markers.
    ///
    /// - Parameter range: below the last stable offset.
    package func abortedTransactions(
        in range: Range<Offset>
    ) throws(LogError) -> [AbortedTransaction] {
        let aborted = try gatherAborted(in: range)
        // Retired meanwhile, and with it perhaps what was aborted: looked at last.
        guard range.lowerBound >= logStart else { throw outOfRange(range.lowerBound) }
        return aborted
    }

    /// The same, wherever the log starts.
    func gatherAborted(
        in range: Range<Offset>
    ) throws(LogError) -> [AbortedTransaction] {
        var aborted: [AbortedTransaction] = []
        let segments = segments
        let first = segments.lastIndex { $0.baseOffset <= range.lowerBound } ?? 0
        for segment in segments[first...] {
            for transaction in try abortedTransactions(of: segment) {
                // Whatever was open when this marker came begins behind the range.
                if transaction.firstOffset < range.upperBound,
                    transaction.lastOffset >= range.lowerBound
                {
                    aborted.append(transaction)
                }
                if transaction.lastStableOffset >= range.upperBound { return aborted }
            }
        }
        return aborted
    }

    /// The entries of a segment's transaction index; built again from the log where the file is
    /// not sound.
    func abortedTransactions(of segment: Segment) throws(LogError) -> [AbortedTransaction] {
        let damage: Corruption
        let next = segments.first { $0.baseOffset > segment.baseOffset }
        do {
            return try segment.abortedTransactions(below: next?.baseOffset ?? logEnd)
        } catch {
            guard case .corruption(let found) = error else { throw error }
            damage = found
        }
        let upToHere = segments.prefix { $0.baseOffset <= segment.baseOffset }
        // Retired or truncated meanwhile: its files are not ours to mend.
        guard upToHere.last === segment else { throw .corruption(damage) }
        let aborted = try segment.rebuildTransactionIndex { () throws(LogError) in
            let loader = ProducerStateLoader(
                directory: directory, environment: environment, segments: Array(upToHere),
                limit: segment.baseOffset)
            return try loader.load().aborted.filter { $0.lastOffset >= segment.baseOffset }
        }
        environment.report(
            .rebuiltIndexes(partition: name, file: segment.path, reason: damage.reason))
        return aborted
    }

    /// What the partition knows of its producers, by producer id.
    package func producerStates() throws(LogError) -> [ProducerState] {
        try writer.withLock { writer throws(LogError) in
            try loadProducers(&writer)
            let producers = writer.producers?.producers.values ?? [:].values
            return producers.sorted { $0.producerID < $1.producerID }
        }
    }

    /// Forgets producers that were silent for `producer.id.expiration.ms`; called now and then.
    package func expireProducers(now: Timestamp) {
        let age = configuration.producerExpirationMilliseconds
        writer.withLock { $0.producers?.expire(now: now, after: age) }
    }

    // MARK: Snapshots

    /// Keeps what is known of the producers at the log end, to be written by the next sync. A
    /// snapshot only shortens the way: where nothing is known now, the next one will do.
    func takeSnapshot(_ writer: inout Writer) {
        if let snapshot = currentSnapshot(writer) { writer.snapshots.append(snapshot) }
    }

    private func currentSnapshot(_ writer: borrowing Writer) -> PendingSnapshot? {
        guard let producers = writer.producers,
            ProducerSnapshot.canHold(producers.producers.count)
        else { return nil }
        return PendingSnapshot(
            offset: writer.nextOffset, bytes: ProducerSnapshot.encode(producers.producers.values))
    }

    /// Puts what is known of producers on stable storage, before records go by which it could be
    /// found out again: or a batch that is sent again would be stored twice. Without any space
    /// they go all the same, and what is known stays in memory until the next snapshot.
    ///
    /// - Parameter isRequired: whether a lack of space is an error.
    func storeProducers(isRequired: Bool = false) throws(LogError) {
        let snapshot = try writer.withLock { writer throws(LogError) -> PendingSnapshot? in
            try loadProducers(&writer)
            return writer.producers?.producers.isEmpty == true ? nil : currentSnapshot(writer)
        }
        // A snapshot behind the log's end would be thrown away after a power loss.
        try flush()
        guard let snapshot else { return }
        do throws(FileError) {
            try environment.fileSystem.replace(
                ProducerSnapshot.path(directory, snapshot.offset), with: snapshot.bytes)
        } catch {
            guard error.isNoSpace, !isRequired else { throw .file(error) }
        }
    }

    /// Writes a snapshot, if that is possible now.
    func write(_ snapshot: PendingSnapshot) {
        try? environment.fileSystem.replace(
            ProducerSnapshot.path(directory, snapshot.offset), with: snapshot.bytes)
    }
}

/// A snapshot of the producers that is not in its file yet.
struct PendingSnapshot: Sendable {
    var offset: Offset
    var bytes: [UInt8]
}

/// Where a producer's transaction stands in a partition at one moment.
package struct TransactionStanding: Hashable, Sendable {
    /// Whether the producer has written in a transaction that has not ended here.
    package var isOpen: Bool
    /// Markers written until then.
    package var markerCount: UInt64

    /// How things stand.
    package init(isOpen: Bool, markerCount: UInt64) {
        self.isOpen = isOpen
        self.markerCount = markerCount
    }
}
