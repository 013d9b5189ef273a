import Synchronization
import TallyCompaction
import TallyLog
public import TallyRecords

/// What a cleaning of a partition did. A value.
public struct CompactionResult: Hashable, Sendable {
    /// The topic.
    public let topic: String
    /// The partition.
    public let partition: Int32
    /// Everything before it is clean now.
    public let firstDirtyOffset: Offset
    /// Records and markers that were removed.
    public let removedRecordCount: Int
    /// Bytes of the segments that were replaced.
    public let oldByteCount: Int
    /// Bytes of the segments that took their place.
    public let newByteCount: Int
    /// Tombstones that are still there, and go `delete.retention.ms` after this cleaning or the
    /// one that met them first.
    public let pendingTombstoneCount: Int
}

extension Engine {
    /// Cleans a compacted topic at once, whatever `min.cleanable.dirty.ratio` says: of each key
    /// the newest record stays. In the background that happens by itself; this saves the wait.
    ///
    /// What can be cleaned are closed segments whose transactions are decided and that are older
    /// than `min.compaction.lag.ms`.
    ///
    /// - Parameters:
    ///   - partition: nil for all of them.
    ///   - isRolling: whether the active segment is closed first, so that it is cleaned too.
    /// Throws ``EngineError/notCompacted(topic:)``, ``EngineError/unknownTopic(name:known:)``,
    /// ``EngineError/unknownPartition(topic:partition:count:)``,
    /// ``EngineError/partitionOffline(partition:reason:)``,
    /// ``LogError/notCleanable(partition:reason:)``, ``LogError/corruption(_:)`` and
    /// ``LogError/file(_:)``: partitions that were cleaned before
    /// stay so.
    @discardableResult
    public func compact(
        topic: String, partition: Int32? = nil, rolling isRolling: Bool = false
    ) async throws -> [CompactionResult] {
        let all = try partitions(of: topic)
        let chosen = try partition.map { [try self.partition($0, of: topic)] } ?? all
        guard try configuration(of: topic).isCompacted else {
            throw EngineError.notCompacted(topic: topic)
        }
        var results: [CompactionResult] = []
        for partition in chosen {
            let log = try partition.log
            guard log.isCompacting else {
                throw LogError.notCleanable(
                    partition: partition.name,
                    reason: "its configuration was stated since the engine was opened; it holds "
                        + "from the next opening on")
            }
            let report = try await longWorkers.run { [self] in
                if isRolling { try log.roll() }
                let report = try compactor.cleanNow(partition, log)
                try writeCheckpoints()
                return report
            }
            results.append(CompactionResult(partition, report))
        }
        return results
    }

    /// How far the cleaning of every compacted partition has come, by topic and partition.
    public func compactionStatus() async throws -> [CompactionStatus] {
        try await longWorkers.run { [self] in surveyCompaction() }
    }

    /// The same, on the calling thread, and told to the metrics.
    @discardableResult
    func surveyCompaction() -> [CompactionStatus] {
        let now = Timestamp.now
        let compacted = state.withLock { state in
            state.catalog.topics.values.filter(\.configuration.isCompacted)
                .sorted { $0.name < $1.name }
                .flatMap { state.partitions[$0.name] ?? [] }
        }
        return compacted.map { partition in
            let status = compactor.status(of: partition, now: now)
            CompactionMetrics.note(status, at: now.rawValue)
            return status
        }
    }
}

extension CompactionResult {
    fileprivate init(_ partition: Partition, _ report: CleaningReport) {
        topic = partition.topic
        self.partition = partition.index
        firstDirtyOffset = report.cleanedEnd
        removedRecordCount = report.removedRecordCount
        oldByteCount = report.oldByteCount
        newByteCount = report.newByteCount
        pendingTombstoneCount = report.pendingTombstoneCount
    }
}
