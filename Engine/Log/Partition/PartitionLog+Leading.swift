import Synchronization
package import TallyRecords

/// Whoever counts the replicas of a log that leads them.
///
/// Called by the threads that append and sync, which hold no lock of the log and do not go on
/// before it returns.
package protocol LogReplication: AnyObject, Sendable {
    /// The log has grown, or more of it is on stable storage.
    func logHasMore()
    /// Throws where a record must not be appended: ``LogError/notLeader(partition:)``, and for
    /// records that all replicas in sync are to have,
    /// ``LogError/notEnoughReplicas(partition:inSync:min:)``.
    func checkAppend(forAll: Bool) throws(LogError)
    /// Whether everything before an offset, which was appended in an epoch, is committed. Throws
    /// ``LogError/notLeader(partition:)``, also where the epoch is another by now, and
    /// ``LogError/notEnoughReplicasAfterAppend(partition:inSync:min:)``.
    func isCommitted(before end: Offset, in epoch: LeaderEpoch) throws(LogError) -> Bool
}

// A log that is a replica of a partition leads or follows, as somebody else says. Its high
// watermark is what the leader of the partition says.

extension PartitionLog {
    /// What moves the end that counts as stored.
    enum Progress { case appended, synced }

    /// Whether readers may see more by that alone.
    func movesHighWatermark(_ progress: Progress) -> Bool {
        guard !isReplicated else { return false }
        return (configuration.durability == .synced) == (progress == .synced)
    }

    /// Everything before it is on stable storage; does not wait for a sync under way.
    package var syncedEnd: Offset { Offset(syncedEndValue.load(ordering: .acquiring)) }

    /// Up to where the log has records as safely as the topic promises.
    package var keptEnd: Offset { configuration.durability == .synced ? syncedEnd : logEnd }

    /// The epoch of the last record; nil where there is none.
    package var latestEpoch: LeaderEpoch? {
        writer.withLock { writer in
            writer.epochs.entries.last { $0.startOffset < writer.nextOffset }?.epoch
        }
    }

    /// The error for an offset that a replica has no records at, with the bounds that it has.
    package func outOfRangeForReplica(_ offset: Offset) -> LogError {
        .offsetOutOfRange(
            OffsetOutOfRange(
                partition: name, requested: offset, logStart: logStart, logEnd: logEnd))
    }

    /// Takes appends from now on, in an epoch, and tells somebody of them. Nothing may be
    /// appended as a replica any more.
    ///
    /// Throws ``LogError/stopped(partition:reason:)``, ``LogError/closed(partition:)``.
    package func lead(
        in epoch: LeaderEpoch, replication: any LogReplication
    ) throws(LogError) {
        try writer.withLock { writer throws(LogError) in
            try checkOpen(writer)
            // An epoch without data is one that wrote nothing here.
            writer.epochs.truncate(to: writer.nextOffset)
            writer.epoch = epoch
            writer.replication = replication
            // There may be room by now.
            writer.lacksSpace = false
        }
    }

    /// Takes no appends of its own from now on; on return none is under way. Whoever waits for the
    /// high watermark is told, since nobody here knows any more whether it will be reached.
    package func follow() {
        let hasLed = writer.withLock { writer in
            defer { writer.replication = nil }
            return writer.replication != nil
        }
        guard hasLed else { return }
        highWatermarkMark.failWaiters(
            behind: highWatermark, .notLeader(partition: name))
    }

    /// Lets readers see what lies before an offset, or before the log end where that is less. A
    /// smaller one than before changes nothing.
    package func raiseHighWatermark(to offset: Offset) {
        writer.withLock { writer in
            highWatermarkMark.publish(min(offset, writer.nextOffset))
        }
        highWatermarkMark.wake()
    }

    /// Tells whoever counts replicas, without a lock.
    func tellReplication() {
        guard isReplicated else { return }
        writer.withLock { $0.replication }?.logHasMore()
    }

    /// The high watermark, as far as it says something about what was appended in an epoch; nil
    /// where this log leads in another by now, or not at all, or may not answer: there may be other
    /// records at the same offsets then. Of a log without replicas the high watermark.
    package func committedEnd(in epoch: LeaderEpoch) -> Offset? {
        guard isReplicated else { return highWatermark }
        let found = writer.withLock { writer in
            writer.epoch == epoch
                ? writer.replication.map { ($0, highWatermark) } : nil
        }
        guard let (replication, end) = found,
            (try? replication.checkAppend(forAll: false)) != nil
        else { return nil }
        return end
    }

    /// Whether this log leads in an epoch, and has not been told anything else; it may be that it
    /// must not answer just now, and will again. One without replicas always does.
    package func leads(in epoch: LeaderEpoch) -> Bool {
        guard isReplicated else { return true }
        return writer.withLock { $0.replication != nil && $0.epoch == epoch }
    }

    /// As ``LogReplication/checkAppend(forAll:)``; a log without replicas has nothing against it.
    package func checkAppend(forAll: Bool) throws(LogError) {
        guard isReplicated else { return }
        guard let replication = writer.withLock({ $0.replication }) else {
            throw .notLeader(partition: name)
        }
        try replication.checkAppend(forAll: forAll)
    }

    /// As ``LogReplication/isCommitted(before:in:)``; without replicas, whether it lies before the
    /// high watermark.
    package func isCommitted(
        before end: Offset, in epoch: LeaderEpoch
    ) throws(LogError) -> Bool {
        guard isReplicated else { return highWatermark >= end }
        guard let replication = writer.withLock({ $0.replication }) else {
            throw .notLeader(partition: name)
        }
        return try replication.isCommitted(before: end, in: epoch)
    }
}
