package import TallyFiles
package import TallyLog
import TallyRecords

/// The topics of a data directory, read from outside: without its lock, while an application may
/// have it open, and without changing anything.
///
/// A value; each call looks at the files anew. Blocks.
package struct DirectoryReader: Sendable {
    let data: DataDirectory
    private let environment: LogEnvironment

    /// Throws ``LogError/file(_:)`` where there is no such directory.
    package init(path: String, fileSystem: any FileSystem = PosixFileSystem()) throws(LogError) {
        data = DataDirectory(path: path, fileSystem: fileSystem)
        environment = .readOnly(on: fileSystem)
        do {
            _ = try fileSystem.list(path)
        } catch {
            throw .file(error)
        }
    }

    /// All topics by name, as the files show them now: log ends are those of the files, and what
    /// an application has not synced yet counts.
    ///
    /// Throws ``EngineError/unreadableFile(path:reason:)`` and ``LogError``.
    package func topics() throws -> [TopicDescription] {
        let catalog = try catalog()
        return try catalog.topics.values.sorted { $0.name < $1.name }.map { try describe($0) }
    }

    /// One topic. Throws ``EngineError/unknownTopic(name:known:)`` as well.
    package func topic(_ name: String) throws -> TopicDescription {
        let catalog = try catalog()
        guard let topic = catalog.topics[name] else {
            throw EngineError.unknownTopic(name: name, known: catalog.topics.keys.sorted())
        }
        return try describe(topic)
    }

    /// How far the cleaning of every compacted partition has come: what can be told by the sizes of
    /// closed segments, `cleaner-offset-checkpoint` and `compaction-status.json`.
    package func compactionStatus() throws -> [CompactionStatus] {
        let cleanedEnds = data.cleanedEnds()
        let logStarts = try data.checkpoints().logStarts
        let histories = CompactionNotes.read(from: data.path, on: data.fileSystem)
        let now = Timestamp.now
        let topics = try catalog().topics.values.filter(\.configuration.isCompacted)
        return topics.sorted { $0.name < $1.name }.flatMap { topic in
            (0..<Int32(topic.partitionCount)).map { index in
                let name = "\(topic.name)-\(index)"
                var status = CompactionStatus(topic: topic.name, partition: index)
                status.history = histories[name] ?? CompactionHistory()
                do {
                    let log = try PartitionSnapshot(
                        opening: data.partitionPath(topic.name, index), environment: environment,
                        logStart: logStarts[name] ?? .zero)
                    status.note(log, cleanedEnd: cleanedEnds[name] ?? .zero)
                    let least = Double(topic.configuration.value(of: .cleanableDirtyRatioMin))
                    status.isDue =
                        status.dirtyRatio > least ?? 0.5 || status.history.hasPassedHorizon(now)
                } catch {
                    status.history.failure = "\(error)"
                }
                return status
            }
        }
    }

    /// Partitions that `topics.json` lists and that have no directory, with whether the checkpoints
    /// say that records of theirs were stored. Throws as ``topics()`` does.
    package func missingPartitions() throws -> [(path: String, wereRecordsStored: Bool)] {
        guard let catalog = try TopicCatalog.read(from: data.path, on: data.fileSystem) else {
            return []
        }
        let checkpoints = try data.checkpoints()
        var missing: [(path: String, wereRecordsStored: Bool)] = []
        for topic in catalog.topics.values.sorted(by: { $0.name < $1.name }) {
            for index in 0..<Int32(topic.partitionCount) {
                let path = data.partitionPath(topic.name, index)
                guard try data.fileSystem.information(path) == nil else { continue }
                let name = "\(topic.name)-\(index)"
                let stored = checkpoints.recoveryPoints[name] ?? .zero
                missing.append((path, stored > checkpoints.logStarts[name] ?? .zero))
            }
        }
        return missing
    }

    private func catalog() throws -> TopicCatalog {
        try TopicCatalog.read(from: data.path, on: data.fileSystem)
            ?? TopicCatalog.discover(in: data.path, on: data.fileSystem)
    }

    private func describe(_ topic: TopicCatalog.Topic) throws -> TopicDescription {
        let logStarts = try data.checkpoints().logStarts
        return TopicDescription(
            name: topic.name, id: topic.id, configuration: topic.configuration,
            isDiscovered: topic.isDiscovered,
            partitions: (0..<Int32(topic.partitionCount)).map { index in
                describe(topic.name, index, logStarts["\(topic.name)-\(index)"] ?? .zero)
            })
    }

    private func describe(
        _ topic: String, _ index: Int32, _ logStart: Offset
    ) -> PartitionDescription {
        let path = data.partitionPath(topic, index)
        do {
            let log = try PartitionSnapshot(
                opening: path, environment: environment, logStart: logStart)
            let epochs = try LeaderEpochs.read(from: path, on: data.fileSystem)
            return PartitionDescription(
                index: index, logStart: log.logStart, highWatermark: log.logEnd,
                logEnd: log.logEnd, leaderEpoch: epochs.latest ?? .none, byteCount: log.byteCount,
                segmentCount: log.segments.count, problem: nil)
        } catch {
            return PartitionDescription(
                index: index, logStart: .zero, highWatermark: .zero, logEnd: .zero,
                leaderEpoch: .none, byteCount: 0, segmentCount: 0, problem: "\(error)")
        }
    }
}

extension CompactionStatus {
    fileprivate mutating func note(_ log: PartitionSnapshot, cleanedEnd: Offset) {
        firstDirtyOffset = min(max(cleanedEnd, log.logStart), log.logEnd)
        for (segment, next) in zip(log.segments, log.segments.dropFirst()) {
            if next.baseOffset <= firstDirtyOffset {
                cleanByteCount += segment.byteCount
            } else {
                dirtyByteCount += segment.byteCount
            }
        }
    }
}
