import Synchronization
import TallyFiles
package import TallyRecords

extension PartitionLog {
    /// Gives up everything and begins anew, empty, at an offset: for a copy that starts in the
    /// middle of what it copies, or whose end that no longer has.
    ///
    /// Readers get ``LogError/offsetOutOfRange(_:)`` for what is gone, slices that they hold stay
    /// valid, and whoever waits for an offset that is taken back gets
    /// ``LogError/truncated(partition:logEnd:)``. Epochs and what is known of producers are
    /// forgotten. A crash on the way leaves the log as it was, or empty at its old beginning, or
    /// empty at the new one: whoever copies looks at the log end, and begins anew again.
    ///
    /// - Parameters:
    ///   - offset: the log start, the high watermark and the log end afterwards; before or behind
    ///     what the log has now.
    ///   - storingCheckpoints: puts the recovery point and the log start, which have come down, on
    ///     stable storage; called up to twice.
    /// Blocks, and keeps appends waiting meanwhile; let nobody append.
    /// Throws ``LogError/file(_:)`` and others of its own, after which the partition takes no
    /// appends until it is opened again.
    package func restart(
        at offset: Offset, storingCheckpoints: () throws(LogError) -> Void
    ) throws(LogError) {
        invariant(offset >= .zero, "\(name) cannot begin at offset \(offset)")
        _ = try takeBack(storingCheckpoints) { () throws(LogError) in segments[0].baseOffset }
        try retiring.withLock { (retired: inout Retired) throws(LogError) in
            let base = segments[0].baseOffset
            resetLogStart(to: offset)
            if offset < base {
                // Or the next opening would miss what lies between.
                syncing.withLock { $0.limit = offset }
            }
            defer { syncing.withLock { $0.limit = nil } }
            if offset < base { try storingCheckpoints() }
            noteUncleaned(from: min(offset, base), &retired)
            try moveEmpty(to: offset, &retired)
        }
        logEndMark.wake()
        highWatermarkMark.wake()
    }

    /// Puts an empty segment at an offset in the place of the only one, which is empty.
    private func moveEmpty(to offset: Offset, _ retired: inout Retired) throws(LogError) {
        var moved: Result<Void, LogError> = .success(())
        syncing.withLock { synced in
            writer.withLock { writer in
                do throws(LogError) {
                    try checkOpen(writer)
                    try moveEmpty(to: offset, &writer, &retired)
                    synced.end = offset
                    syncedEndValue.store(offset.rawValue, ordering: .releasing)
                } catch {
                    stop(&writer, because: "\(error)")
                    moved = .failure(error)
                }
            }
        }
        if case .failure(let error) = moved {
            noteFailure(error)
            throw error
        }
    }

    private func moveEmpty(
        to offset: Offset, _ writer: inout Writer, _ retired: inout Retired
    ) throws(LogError) {
        let old = writer.active
        if old.baseOffset != offset {
            retired.forget(offset)
            let segment = try Segment.create(
                at: offset, in: directory, environment: environment, configuration: configuration)
            replaceSegments(from: 0, with: segment)
            writer.active = segment
            // Behind the creation: a crash in between leaves two, of which one is put aside.
            try old.markDeleted()
            retired.segments.append(RetiredSegment(segment: old, dueAt: .now))
            old.noteGone()
            writer.isDirectoryDirty = true
        }
        writer.position = 0
        writer.nextOffset = offset
        writer.firstTimestamp = nil
        writer.rollAfter = configuration.rollAfter()
        writer.reservation.reset()
        writer.unsealed = []
        writer.snapshots = []
        writer.producers = ProducerStates(nextOffset: offset)
        writer.epochs = LeaderEpochs()
        highWatermarkMark.lower(to: offset)
        logEndMark.lower(to: offset)
        logEndMark.publish(offset)
        highWatermarkMark.publish(offset)
        try writer.epochs.write(to: directory, on: environment.fileSystem)
        let names: [String]
        do {
            names = try environment.fileSystem.list(directory)
            try environment.fileSystem.syncDirectory(directory)
        } catch {
            throw .file(error)
        }
        try ProducerSnapshot.remove(
            ProducerSnapshot.offsets(among: names), in: directory, on: environment.fileSystem)
    }
}
