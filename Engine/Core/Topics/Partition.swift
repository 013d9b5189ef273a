import Synchronization
package import TallyLog
import TallyRecords

/// A partition as the engine holds it: its log, or why there is none.
///
/// Thread rule: any thread.
package final class Partition: Sendable {
    package let topic: String
    package let index: Int32
    /// Which topic of the name it is.
    package let topicID: TopicID
    /// The log; nil where the partition is offline.
    package let onlineLog: PartitionLog?
    /// Why the partition is offline.
    package let failure: LogError?
    /// Whether a replica of it is here.
    package let isKept: Bool
    /// What the checkpoint files said when the partition was opened.
    private let checkpoint: PartitionCheckpoint
    /// Whom to wake when something arrives.
    package let arrivals = Arrivals()
    /// Whom to wake when something was appended: other replicas.
    package let appends = Arrivals()
    /// Rises with each change of the topic's configuration: what was made of it is made anew.
    let configurationVersion = Atomic<Int>(0)

    init(
        of topic: TopicCatalog.Topic, _ index: Int32, log: PartitionLog,
        checkpoint: PartitionCheckpoint
    ) {
        self.topic = topic.name
        topicID = topic.id
        self.index = index
        self.checkpoint = checkpoint
        onlineLog = log
        failure = nil
        isKept = true
    }

    /// A partition whose replicas are elsewhere.
    init(notKept topic: TopicCatalog.Topic, _ index: Int32) {
        self.topic = topic.name
        topicID = topic.id
        self.index = index
        checkpoint = PartitionCheckpoint(isClean: true, recoveryPoint: .zero)
        onlineLog = nil
        failure = nil
        isKept = false
    }

    init(
        of topic: TopicCatalog.Topic, _ index: Int32, failure: LogError,
        checkpoint: PartitionCheckpoint
    ) {
        self.topic = topic.name
        topicID = topic.id
        self.index = index
        self.checkpoint = checkpoint
        onlineLog = nil
        self.failure = failure
        isKept = true
    }

    /// Topic and number, as the directory is named.
    package var name: String { "\(topic)-\(index)" }

    /// The log. Throws ``EngineError/partitionOffline(partition:reason:)`` and
    /// ``EngineError/partitionNotKept(partition:)``.
    package var log: PartitionLog {
        get throws(EngineError) {
            if let onlineLog { return onlineLog }
            guard isKept else { throw .partitionNotKept(partition: name) }
            throw .partitionOffline(partition: name, reason: failure?.description ?? "unknown")
        }
    }

    /// What the checkpoint files should say now. A partition that is offline keeps what was known
    /// of it: with less, its next opening would cut off what is damaged instead of refusing it.
    /// Waits for a sync under way.
    var checkpointLine: DataDirectory.CheckpointLine {
        DataDirectory.CheckpointLine(
            topic: topic, partition: index,
            recoveryPoint: onlineLog?.recoveryPoint ?? checkpoint.recoveryPoint,
            highWatermark: onlineLog?.highWatermark ?? checkpoint.recoveryPoint,
            logStart: onlineLog?.logStart ?? checkpoint.logStart, cleanedEnd: cleanedEnd)
    }

    private var cleanedEnd: Offset? {
        guard let onlineLog else {
            return checkpoint.cleanedEnd > .zero ? checkpoint.cleanedEnd : nil
        }
        return onlineLog.isCompacting ? onlineLog.firstDirtyOffset : nil
    }

    /// Closes the log and lets go of whoever waits for it.
    func close() throws {
        defer {
            arrivals.end()
            appends.end()
        }
        _ = try onlineLog?.close()
    }
}
