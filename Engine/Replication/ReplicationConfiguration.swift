/// How a partition is replicated. A value type.
public struct ReplicationConfiguration: Hashable, Sendable {
    /// How many replicas must be in sync for a record to be acknowledged with `acks=all`
    /// (`min.insync.replicas`); 1 or more.
    public var inSyncReplicasMin: Int
    /// How long a follower may not have had everything before it is no longer in sync, in
    /// milliseconds (`replica.lag.time.max.ms`).
    public var lagMillisecondsMax: Int64

    /// Kafka's defaults.
    public init(inSyncReplicasMin: Int = 1, lagMillisecondsMax: Int64 = 30_000) {
        self.inSyncReplicasMin = inSyncReplicasMin
        self.lagMillisecondsMax = lagMillisecondsMax
    }
}
