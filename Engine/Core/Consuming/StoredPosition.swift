public import TallyLog
public import TallyRecords

/// A position in a partition that somebody keeps, with what tells whether it still means the
/// same records.
public struct StoredPosition: Hashable, Sendable {
    /// The topic that it was stored for; nil where that is not known.
    public var topicID: TopicID?
    /// The next offset to read.
    public var offset: Offset
    /// The epoch of the record before it, or `.none`.
    public var leaderEpoch: LeaderEpoch

    /// A position behind a record of this epoch.
    public init(topicID: TopicID? = nil, offset: Offset, leaderEpoch: LeaderEpoch = .none) {
        self.topicID = topicID
        self.offset = offset
        self.leaderEpoch = leaderEpoch
    }
}

/// What became of a position that was stored.
public enum StoredPositionState: Hashable, Sendable {
    /// Reading goes on from it.
    case held
    /// The topic was deleted, and another has its name.
    case ofAnotherTopic(TopicID)
    /// It lies outside of what can be read: retired, or lost by a power loss.
    case outside(logStart: Offset, logEnd: Offset)
    /// The records before it were taken back or lost, and others have their offsets.
    case diverged(logStart: Offset, logEnd: Offset)
}

extension Engine {
    /// Whether a position that was stored elsewhere still means what it meant: to be asked before
    /// reading goes on from it. Groups ask for theirs by themselves.
    ///
    /// Throws ``EngineError/unknownTopic(name:known:)``,
    /// ``EngineError/unknownPartition(topic:partition:count:)``,
    /// ``EngineError/partitionOffline(partition:reason:)``, ``EngineError/closed``.
    public func state(
        of position: StoredPosition, in partition: TopicPartition
    ) throws(EngineError) -> StoredPositionState {
        let found = try self.partition(partition.partition, of: partition.topic)
        if let id = position.topicID, id != found.topicID { return .ofAnotherTopic(found.topicID) }
        return try found.log.state(of: position)
    }

    /// The identity of a topic. Throws ``EngineError/unknownTopic(name:known:)`` and
    /// ``EngineError/closed``.
    package func topicID(of topic: String) throws(EngineError) -> TopicID {
        try partition(0, of: topic).topicID
    }
}

extension PartitionLog {
    /// Whether a position is in the log, behind the record that it was stored behind.
    func state(of position: StoredPosition) -> StoredPositionState {
        let (start, end) = (logStart, highWatermark)
        guard position.offset >= start, position.offset <= end else {
            return .outside(logStart: start, logEnd: end)
        }
        guard position.leaderEpoch != .none else { return .held }
        // Where the epoch's records end before the position, others have taken their place.
        guard let epoch = endOffset(forEpoch: position.leaderEpoch),
            epoch.epoch != position.leaderEpoch || epoch.endOffset < position.offset
        else { return .held }
        return .diverged(logStart: start, logEnd: end)
    }
}
