import Logging
import Metrics
import TallyLog
public import TallyRecords

extension Engine {
    /// Lets go of all records of a partition before an offset, Kafka's `DeleteRecords`: consumers
    /// that want them get ``LogError/offsetOutOfRange(_:)``, and the files of whole segments go
    /// with the next retention. On return it is on stable storage.
    ///
    /// - Parameter offset: at most the high watermark; nil stands for that. A smaller offset than
    ///   the log start changes nothing.
    /// - Returns: the log start.
    ///
    /// Throws ``LogError/offsetOutOfRange(_:)``, ``EngineError/unknownTopic(name:known:)``,
    /// ``EngineError/unknownPartition(topic:partition:count:)``,
    /// ``EngineError/partitionOffline(partition:reason:)``.
    @discardableResult
    public func deleteRecords(
        ofTopic topic: String, partition: Int32, before offset: Offset? = nil
    ) async throws -> Offset {
        try requireNotInternal(topic)
        let log = try self.partition(partition, of: topic).log
        return try await workers.run { [self] in
            try withLogErrors {
                let start = try log.deleteRecords(before: offset ?? log.highWatermark)
                try writeCheckpoints()
                return start
            }
        }
    }

    /// Retires what is due in every partition, by `retention.ms`, `retention.bytes` and the log
    /// starts. The housekeeper does it every
    /// ``EngineConfiguration/retentionCheckIntervalMilliseconds``; calling it saves the wait.
    ///
    /// A partition whose files cannot be read is left as it is, and the log says why.
    public func enforceRetention() async throws {
        try await longWorkers.run { [self] in enforceRetention(now: .now) }
    }

    /// The same, on the calling thread, which it blocks.
    func enforceRetention(now: Timestamp) {
        var hasRetired = false
        for partition in partitions {
            guard let log = partition.onlineLog else { continue }
            do {
                let report = try reserve.spend { () throws(LogError) in
                    try log.enforceRetention(now: now)
                }
                hasRetired = report.segmentCount > 0 || hasRetired
            } catch LogError.closed {
                continue
            } catch {
                configuration.logger.warning(
                    "Nothing more of \(partition.name) was retired this time: \(error)")
            }
            log.expireProducers(now: now)
        }
        if hasRetired { try? writeCheckpoints() }
    }

    /// Removes files of retired segments that nobody needs to wait for any longer.
    func removeRetiredFiles() {
        let now = ContinuousClock.now
        for partition in partitions { partition.onlineLog?.removeRetiredFiles(now: now) }
        // What went may have made the room that the reserve needs.
        reserve.hold()
        recordUnlinkedBytes()
    }

    /// Tells the metrics what readers hold of files that are gone.
    func recordUnlinkedBytes() {
        unlinkedBytesGauge.record(environment.maps.unlinkedByteCount)
    }
}

private let unlinkedBytesGauge = Gauge(label: "tally_unlinked_mapped_bytes")
