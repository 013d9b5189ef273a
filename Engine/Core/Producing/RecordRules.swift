import Synchronization
import TallyLog
import TallyRecords

/// What a topic wants of each record: checked when it is sent, so that a record which is refused
/// takes no others of its batch with it. Any thread.
final class RecordRules: Sendable {
    private let topic: String
    private let needsKey: Bool
    /// Nil where the log sets the timestamps.
    private let limits: TimestampLimits?
    /// A time that has been: what is allowed later than it is allowed now. Saves asking the clock
    /// for each record.
    private let seenTime = Atomic<Int64>(0)

    init(topic: String, _ configuration: TopicConfiguration) {
        self.topic = topic
        needsKey = configuration.isCompacted
        let isAppendTime = configuration.value(of: .timestampType) == "LogAppendTime"
        limits = isAppendTime ? nil : configuration.timestampLimits
    }

    /// - Parameter timestamp: nil stands for now.
    /// Throws ``EngineError/keyRequired(topic:)`` and
    /// ``EngineError/timestampOutOfRange(topic:milliseconds:allowed:)``.
    func check(hasKey: Bool, timestamp: Timestamp?) throws(EngineError) {
        if needsKey, !hasKey { throw .keyRequired(topic: topic) }
        guard let timestamp, let limits else { return }
        let seen = Timestamp(rawValue: seenTime.load(ordering: .relaxed))
        if limits.beforeMillisecondsMax == .max,
            limits.range(at: seen).contains(timestamp.rawValue)
        {
            return
        }
        let now = Timestamp.now
        seenTime.store(now.rawValue, ordering: .relaxed)
        let allowed = limits.range(at: now)
        guard allowed.contains(timestamp.rawValue) else {
            throw .timestampOutOfRange(
                topic: topic, milliseconds: timestamp.rawValue, allowed: allowed)
        }
    }
}
