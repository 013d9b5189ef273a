import TallyLog
public import TallyRecords

extension Engine {
    /// Takes back the unacknowledged end of a partition: records that were appended and are not
    /// below the high watermark. Whoever waits for one of them gets
    /// ``LogError/truncated(partition:logEnd:)``. On return it is on stable storage.
    ///
    /// Nobody should append to the partition meanwhile.
    ///
    /// - Parameter offset: from here on, at least the high watermark; nil stands for that. Where
    ///   it lies in the middle of a batch, the whole batch goes.
    /// - Returns: the log end.
    ///
    /// Throws ``LogError/offsetOutOfRange(_:)`` for what was acknowledged, and the errors of
    /// ``deleteRecords(ofTopic:partition:before:)``.
    @discardableResult
    public func truncateUnacknowledged(
        ofTopic topic: String, partition: Int32, to offset: Offset? = nil
    ) async throws -> Offset {
        let log = try self.partition(partition, of: topic).log
        return try await workers.run { [self] in
            try withLogErrors {
                try log.truncateUnacknowledged(to: offset) { () throws(LogError) in
                    try writeCheckpoints()
                }
            }
        }
    }
}
