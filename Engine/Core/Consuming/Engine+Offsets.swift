import TallyLog
public import TallyRecords

/// A record that was looked up by its time.
public struct OffsetAndTimestamp: Hashable, Sendable {
    /// Its offset.
    public var offset: Offset
    /// Its timestamp: the one that was asked for, or later.
    public var timestamp: Timestamp

    /// An offset and its record's timestamp.
    public init(offset: Offset, timestamp: Timestamp) {
        self.offset = offset
        self.timestamp = timestamp
    }
}

extension Engine {
    /// The first offset that can be read, of each of these partitions. Any thread.
    ///
    /// Throws ``EngineError`` for partitions that are not there, and for partitions offline.
    public func beginningOffsets(
        of partitions: Set<TopicPartition>
    ) async throws -> [TopicPartition: Offset] {
        try log(of: partitions).mapValues(\.logStart)
    }

    /// Where readers of each of these partitions come to their end now: behind the last record
    /// that can be read; for readers of committed records, before the first open transaction. Any
    /// thread.
    ///
    /// Throws as ``beginningOffsets(of:)``, and ``LogError``.
    public func endOffsets(
        of partitions: Set<TopicPartition>, isolation: IsolationLevel = .readUncommitted
    ) async throws -> [TopicPartition: Offset] {
        let logs = try log(of: partitions)
        return try await workers.run { try logs.mapValues { try $0.end(for: isolation) } }
    }

    /// The first record of each partition whose timestamp is the given one or later. Partitions
    /// that have none are missing. Any thread.
    ///
    /// - Parameter isolation: for readers of committed records, those behind the first open
    ///   transaction are not there yet.
    /// Throws as ``beginningOffsets(of:)``, and ``LogError``.
    public func offsetsForTimes(
        _ times: [TopicPartition: Timestamp], isolation: IsolationLevel = .readUncommitted
    ) async throws -> [TopicPartition: OffsetAndTimestamp] {
        let logs = try log(of: Set(times.keys))
        return try await workers.run {
            var found: [TopicPartition: OffsetAndTimestamp] = [:]
            for (partition, time) in times {
                guard let log = logs[partition],
                    let record = try log.offset(forTimestamp: time),
                    record.offset < (try log.end(for: isolation))
                else { continue }
                found[partition] = OffsetAndTimestamp(
                    offset: record.offset, timestamp: record.timestamp)
            }
            return found
        }
    }

    private func log(
        of partitions: Set<TopicPartition>
    ) throws(EngineError) -> [TopicPartition: PartitionLog] {
        var logs: [TopicPartition: PartitionLog] = [:]
        for id in partitions.sorted() {
            logs[id] = try partition(id.partition, of: id.topic).log
        }
        return logs
    }
}

extension PartitionLog {
    fileprivate func end(for isolation: IsolationLevel) throws(LogError) -> Offset {
        isolation == .readCommitted ? try lastStableOffset() : highWatermark
    }
}

extension Consumer {
    /// The first offset that can be read, of these partitions, or of all that are read.
    ///
    /// Throws as ``Engine/beginningOffsets(of:)``.
    public func beginningOffsets(
        _ partitions: Set<TopicPartition>? = nil
    ) async throws -> [TopicPartition: Offset] {
        let partitions = partitions ?? assignment
        if let remote { return try await remote.offsets(of: partitions, at: .earliest) }
        return try await engine.beginningOffsets(of: partitions)
    }

    /// Where these partitions end now, or all that are read, by the consumer's isolation level.
    ///
    /// Throws as ``Engine/endOffsets(of:isolation:)``.
    public func endOffsets(
        _ partitions: Set<TopicPartition>? = nil
    ) async throws -> [TopicPartition: Offset] {
        let partitions = partitions ?? assignment
        if let remote { return try await remote.offsets(of: partitions, at: .latest) }
        return try await engine.endOffsets(of: partitions, isolation: configuration.isolation)
    }

    /// The first record of each partition whose timestamp is the given one or later. Partitions
    /// that have none are missing; they need not be among those that are read.
    ///
    /// Throws as ``Engine/offsetsForTimes(_:isolation:)``.
    public func offsetsForTimes(
        _ times: [TopicPartition: Timestamp]
    ) async throws -> [TopicPartition: OffsetAndTimestamp] {
        if let remote { return try await remote.offsetsForTimes(times) }
        return try await engine.offsetsForTimes(times, isolation: configuration.isolation)
    }
}

extension GroupConsumer {
    /// The first offset that can be read, of these partitions, or of all that are assigned.
    ///
    /// Throws as ``Engine/beginningOffsets(of:)``.
    public func beginningOffsets(
        _ partitions: Set<TopicPartition>? = nil
    ) async throws -> [TopicPartition: Offset] {
        let partitions = partitions ?? assignment
        if let remote { return try await remote.readers.offsets(of: partitions, at: .earliest) }
        return try await engine.beginningOffsets(of: partitions)
    }

    /// Where these partitions end now, or all that are assigned, by the member's isolation level.
    ///
    /// Throws as ``Engine/endOffsets(of:isolation:)``.
    public func endOffsets(
        _ partitions: Set<TopicPartition>? = nil
    ) async throws -> [TopicPartition: Offset] {
        let partitions = partitions ?? assignment
        if let remote { return try await remote.readers.offsets(of: partitions, at: .latest) }
        return try await engine.endOffsets(
            of: partitions, isolation: configuration.reading.isolation)
    }

    /// The first record of each partition whose timestamp is the given one or later. Partitions
    /// that have none are missing; they need not be assigned.
    ///
    /// Throws as ``Engine/offsetsForTimes(_:isolation:)``.
    public func offsetsForTimes(
        _ times: [TopicPartition: Timestamp]
    ) async throws -> [TopicPartition: OffsetAndTimestamp] {
        if let remote { return try await remote.readers.offsetsForTimes(times) }
        return try await engine.offsetsForTimes(
            times, isolation: configuration.reading.isolation)
    }
}
