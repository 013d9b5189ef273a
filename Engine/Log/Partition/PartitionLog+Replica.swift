import Synchronization
import TallyFiles
package import TallyRecords

/// Batches of another log that were checked as far as that goes without a look at this one.
private struct ReplicaBatches {
    struct Batch {
        var header: RecordBatchHeader
        /// What the batch says where it is a marker.
        var control: ControlRecord?
        /// Where it begins.
        var position: Int
    }

    var batches: [Batch]
    /// Whether one belongs to a producer with an id: what is known of producers has to be loaded.
    var haveProducers = false
    /// Whether one ends a transaction that was aborted.
    var haveAborts = false
}

extension PartitionLog {
    /// Appends batches as another log has them: byte for byte, with their offsets and leader
    /// epochs.
    ///
    /// This is how a copy of a log comes to be, whoever brings the bytes. Offsets rise, and gaps,
    /// as compaction leaves them, stay. What is known of producers, transactions and epochs, and
    /// all indexes, follow as if the batches had been appended here; that producers' sequences fit
    /// was checked where they were. `LogAppendTime`, `compression.type`, `max.message.bytes` and
    /// limits of timestamps are the other log's affair.
    ///
    /// On return the log end has moved; whether the high watermark has depends on the durability
    /// (see ``flush()``). Batches may go to several segments, and an error leaves those that came
    /// before it in the log. Blocks while the kernel takes the bytes. One caller at a time: others
    /// would find the log end moved.
    ///
    /// - Parameter bytes: whole batches, one behind the other; none are fine.
    /// - Returns: the log end.
    ///
    /// Throws ``LogError/invalidBatch(_:)`` where a checksum is wrong, offsets fall, or what is
    /// there is no whole batch; ``LogError/divergence(_:)`` where the first batch lies before the
    /// log end, or an epoch before the last of this log;
    /// ``LogError/batchTooLarge(byteCount:limit:setting:)`` for `segment.bytes`;
    /// ``LogError/corruption(_:)``, ``LogError/file(_:)``,
    /// ``LogError/stopped(partition:reason:)``, ``LogError/closed(partition:)``.
    @discardableResult
    package func appendReplica(_ bytes: RawSpan) throws(LogError) -> Offset {
        let checked = try check(bytes)
        guard !checked.batches.isEmpty else { return logEnd }
        var rolled: [Offset] = []
        defer {
            for base in rolled { environment.report(.rolled(partition: name, baseOffset: base)) }
            logEndMark.wake()
            highWatermarkMark.wake()
        }
        do {
            return try writer.withLock { writer throws(LogError) in
                try append(checked, bytes, &writer, &rolled)
            }
        } catch {
            noteFailure(error)
            throw error
        }
    }

    /// The checks that need no lock.
    private func check(_ bytes: RawSpan) throws(LogError) -> ReplicaBatches {
        var checked = ReplicaBatches(batches: [])
        var decoder = RecordDecoder()
        var at = 0
        do throws(RecordError) {
            while at < bytes.byteCount {
                let batch = try RecordBatch(bytes, at: at)
                let header = batch.header
                try batch.verifyChecksum()
                if let last = checked.batches.last?.header {
                    guard header.baseOffset >= last.nextOffset else {
                        throw RecordError(.badOffset(header.baseOffset.rawValue), position: at)
                    }
                }
                let control = try decoder.controlRecord(of: batch)
                checked.haveProducers = checked.haveProducers || header.producerID >= 0
                checked.haveAborts = checked.haveAborts || control?.kind == .abort
                checked.batches.append(.init(header: header, control: control, position: at))
                at += header.sizeInBytes
            }
        } catch {
            throw .invalidBatch(error)
        }
        let limit = configuration.segmentBytesMax
        if let large = checked.batches.first(where: { $0.header.sizeInBytes > limit }) {
            throw .batchTooLarge(
                byteCount: large.header.sizeInBytes, limit: limit, setting: "segment.bytes")
        }
        return checked
    }

    private func append(
        _ checked: ReplicaBatches, _ bytes: RawSpan, _ writer: inout Writer,
        _ rolled: inout [Offset]
    ) throws(LogError) -> Offset {
        try checkOpen(writer)
        guard writer.replication == nil else { throw .leads(partition: name) }
        try checkFollows(checked, &writer)
        if !writer.wasAppendedTo { loadProducersAtOnce(&writer) }
        if checked.haveProducers { try loadProducers(&writer) }
        // What a marker's entry will be written behind: an error must come before the marker.
        if checked.haveAborts { _ = try abortedTransactions(of: writer.active) }
        var rest = checked.batches[...]
        while let first = rest.first {
            if mustRoll(for: extent(of: rest.prefix(1), writer), writer) {
                let base = writer.nextOffset
                try stoppingWhenInDoubt(&writer) { (writer) throws(LogError) in
                    try roll(&writer)
                }
                rolled.append(base)
            }
            let group = rest.prefix(lengthOfGroup(rest, writer))
            rest = rest.dropFirst(group.count)
            let end = rest.first?.position ?? bytes.byteCount
            try append(group, bytes.part(at: first.position, count: end - first.position), &writer)
        }
        return writer.nextOffset
    }

    /// The most bytes that are written at once: indexes are looked at in between.
    private static let writeBytesMax = 1 << 20

    /// How many batches go to the active segment with one write: one, and those behind it that
    /// would go there if they came alone.
    private func lengthOfGroup(
        _ batches: ArraySlice<ReplicaBatches.Batch>, _ writer: borrowing Writer
    ) -> Int {
        guard let first = batches.first?.header else { return 0 }
        var extent = BatchExtent()
        var count = 0
        for batch in batches {
            extent.add(batch.header, behind: writer.nextOffset)
            let isFull = extent.byteCount > Self.writeBytesMax
            if count > 0, isFull || mustRoll(for: extent, behind: first.maxTimestamp, writer) {
                break
            }
            count += 1
        }
        return count
    }

    private func extent(
        of batches: ArraySlice<ReplicaBatches.Batch>, _ writer: borrowing Writer
    ) -> BatchExtent {
        var extent = BatchExtent()
        for batch in batches { extent.add(batch.header, behind: writer.nextOffset) }
        return extent
    }

    /// Throws unless the batches go on where the log ends, in its last epoch or a newer one.
    private func checkFollows(
        _ checked: ReplicaBatches, _ writer: inout Writer
    ) throws(LogError) {
        // An epoch without data is one that began here and wrote nothing.
        writer.epochs.truncate(to: writer.nextOffset)
        var next = writer.nextOffset
        var epoch = writer.epochs.latest ?? .none
        for batch in checked.batches {
            let header = batch.header
            let isKnown = header.partitionLeaderEpoch > .none
            guard header.baseOffset >= next, !isKnown || header.partitionLeaderEpoch >= epoch,
                header.lastOffset.rawValue - next.rawValue <= Int64(Int32.max)
            else {
                throw .divergence(
                    Divergence(
                        partition: name, logEnd: next, leaderEpoch: epoch,
                        offset: header.baseOffset, offsetEpoch: header.partitionLeaderEpoch))
            }
            next = header.nextOffset
            epoch = max(epoch, header.partitionLeaderEpoch)
        }
    }

    /// Writes batches behind the published end and publishes them.
    private func append(
        _ batches: ArraySlice<ReplicaBatches.Batch>, _ bytes: RawSpan, _ writer: inout Writer
    ) throws(LogError) {
        try noteEpochs(of: batches, &writer)
        writer.wasAppendedTo = true
        try write(bytes, &writer)
        for batch in batches {
            let header = batch.header
            if writer.firstTimestamp == nil { writer.firstTimestamp = header.maxTimestamp }
            do {
                try writer.active.noteAppended(header, at: FilePosition(writer.position))
                try noteProducer(of: header, control: batch.control, &writer)
            } catch {
                // The batches are in the file already; only a rescan can tell what counts.
                stop(&writer, because: "\(error)")
                throw error
            }
            if batch.control != nil { writer.markerCount += 1 }
            writer.position += header.sizeInBytes
            writer.nextOffset = header.nextOffset
        }
        writer.active.publish(byteCount: writer.position)
        logEndMark.publish(writer.nextOffset)
        if movesHighWatermark(.appended) { highWatermarkMark.publish(writer.nextOffset) }
    }

    /// Notes the epochs of batches in the checkpoint, on stable storage, before they are written.
    private func noteEpochs(
        of batches: ArraySlice<ReplicaBatches.Batch>, _ writer: inout Writer
    ) throws(LogError) {
        var epochs = writer.epochs
        for batch in batches {
            epochs.assign(batch.header.partitionLeaderEpoch, startingAt: batch.header.baseOffset)
        }
        if epochs != writer.epochs {
            try stoppingWhenInDoubt(&writer) { (_) throws(LogError) in
                try epochs.write(to: directory, on: environment.fileSystem)
            }
            writer.epochs = epochs
        }
        writer.epoch = max(writer.epoch, epochs.latest ?? .none)
    }
}

extension BatchExtent {
    /// Adds a batch that has its offset already.
    fileprivate mutating func add(_ header: RecordBatchHeader, behind end: Offset) {
        add(header, at: header.baseOffset.rawValue - end.rawValue)
    }
}
