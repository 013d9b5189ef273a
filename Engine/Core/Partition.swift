import Synchronization
import TallyLog
import TallyRecords

/// A partition as the engine holds it: its log, or why there is none.
///
/// Thread rule: any thread.
final class Partition: Sendable {
    let topic: String
    let index: Int32
    /// The log; nil where the partition is offline.
    private let opened: PartitionLog?
    /// Why the partition is offline.
    let failure: LogError?

    init(topic: String, index: Int32, log: PartitionLog) {
        self.topic = topic
        self.index = index
        opened = log
        failure = nil
    }

    init(topic: String, index: Int32, failure: LogError) {
        self.topic = topic
        self.index = index
        opened = nil
        self.failure = failure
    }

    /// The log. Throws ``EngineError/partitionOffline(partition:reason:)``.
    var log: PartitionLog {
        get throws(EngineError) {
            if let opened { return opened }
            throw .partitionOffline(
                partition: "\(topic)-\(index)", reason: failure?.description ?? "unknown")
        }
    }

    /// The log, or nil where the partition is offline.
    var onlineLog: PartitionLog? { opened }
}
