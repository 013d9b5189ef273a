import TallyFiles
import TallyLog
package import TallyRecords

// Topics that are copies of another cluster's: `tally.source` says of which.

extension Engine {
    /// Appends what the topic's source has to a partition of a copy, as it is there. See
    /// ``PartitionLog/appendReplica(_:)`` for what is checked, and what is left where it fails.
    ///
    /// - Parameters:
    ///   - batches: whole record batches, one behind the other.
    ///   - isStored: whether it shall be on stable storage on return, where the topic's durability
    ///     promises that; without, a later call or the closing sees to it, and readers wait for it.
    /// - Returns: the log end.
    ///
    /// Throws ``LogError``, and ``EngineError`` where the partition is not there. Any task; one at
    /// a time for a partition.
    @discardableResult
    package func appendCopy(
        of batches: ArraySlice<UInt8>, to partition: TopicPartition, isStored: Bool = true
    ) async throws -> Offset {
        let log = try self.partition(partition.partition, of: partition.topic).log
        return try await workers.run {
            // Bytes of an answer, which begin somewhere in it.
            let end = try log.appendReplica(Array(batches).rawSpan)
            if isStored, log.durability == .synced { try log.flush() }
            return end
        }
    }

    /// Puts what was copied on stable storage.
    ///
    /// Throws ``LogError``, and ``EngineError`` where the partition is not there.
    package func storeCopy(of partition: TopicPartition) async throws {
        let log = try self.partition(partition.partition, of: partition.topic).log
        try await workers.run { try log.flush() }
    }

    /// Gives up what a partition of a copy has, and begins it anew at an offset. On return that is
    /// on stable storage.
    ///
    /// Throws ``EngineError/notCopy(topic:)`` where the topic is no copy; otherwise as
    /// ``PartitionLog/restart(at:storingCheckpoints:)``.
    package func restartCopy(of partition: TopicPartition, at offset: Offset) async throws {
        let configuration = try self.configuration(of: partition.topic)
        guard configuration.source != nil else {
            throw EngineError.notCopy(topic: partition.topic)
        }
        let log = try self.partition(partition.partition, of: partition.topic).log
        try await workers.run { [self] in
            try withLogErrors {
                try log.restart(at: offset) { () throws(LogError) in try writeCheckpoints() }
                try writeCheckpoints()
            }
        }
    }

    /// The batch that holds an offset; nil where the log has none such, since it lies outside or
    /// was compacted away.
    ///
    /// Throws ``LogError``, and ``EngineError`` where the partition is not there.
    package func batch(
        holding offset: Offset, of partition: TopicPartition
    ) async throws -> [UInt8]? {
        let log = try self.partition(partition.partition, of: partition.topic).log
        return try await workers.run {
            guard offset >= log.logStart, offset < log.logEnd,
                let slice = try log.read(from: offset, bytesMax: 1, bound: .logEnd)
            else { return nil }
            var bytes: [UInt8] = []
            bytes.append(slice.content.all)
            guard let header = try? RecordBatchHeader(decoding: bytes.rawSpan),
                header.baseOffset <= offset
            else { return nil }
            return bytes
        }
    }
}
