package import TallyFiles
package import TallyLog
import TallyRecords

/// A copy of a data directory, or of some of its topics, as Kafka has its log directories: the
/// partitions as they are, Kafka's checkpoints, the mark of a clean stop, and nothing of Tally's
/// own. Holds the data directory's lock meanwhile.
///
/// Copies and no links: Kafka writes on in the last segment of a log, and cuts segments in place.
/// A copy has its name only when it is complete, and on stable storage. Used by one thread; blocks.
package struct DirectoryExport {
    /// Another identity of topics than they have here: that of a cluster which has such topics, and
    /// would take others for strays.
    package var topicIDs: [String: TopicID] = [:]
    /// What `meta.properties` says where it shall not say what it says here.
    package var identity: (nodeID: Int32, clusterID: String)?
    private let data: DataDirectory
    private var fileSystem: any FileSystem { data.fileSystem }

    /// What was copied.
    package struct Report: Equatable {
        /// Topics by name, with their numbers of partitions.
        package var topics: [(name: String, partitionCount: Int)] = []
        /// Files of partitions.
        package var fileCount = 0
        /// Their bytes.
        package var byteCount: Int64 = 0

        package static func == (one: Report, other: Report) -> Bool {
            one.topics.elementsEqual(other.topics, by: ==) && one.fileCount == other.fileCount
                && one.byteCount == other.byteCount
        }
    }

    /// An export of a data directory.
    package init(path: String, fileSystem: any FileSystem = PosixFileSystem()) {
        data = DataDirectory(path: path, fileSystem: fileSystem)
    }

    /// Whether the directory was closed in order: only then it can be exported as it lies there.
    ///
    /// Throws ``LogError/file(_:)``.
    package func wasClosedCleanly() throws -> Bool {
        try withLogErrors { try data.wasClosedCleanly() }
    }

    /// Copies into a directory that does not exist, or is empty. After an error there is nothing
    /// new; after a crash perhaps a directory with the ending `.partial`.
    ///
    /// - Parameter names: the topics; nil for all.
    /// Throws ``EngineError``, with `unknownTopic` for one that is not there and `directoryInUse`
    /// where somebody has the directory open; ``LogError``; ``DirectoryExportError``; and
    /// `CancellationError` where the task is cancelled.
    package func run(to target: String, topics names: [String]?) throws -> Report {
        let lock = try data.acquire()
        defer { lock.release() }
        return try withLogErrors {
            guard try data.wasClosedCleanly() else { throw DirectoryExportError.notClosed }
            let topics = try chosen(names)
            try requireFree(target)
            let partial = target + Self.partialEnding
            try fileSystem.createDirectory(partial)
            do {
                let report = try fill(partial, topics)
                try fileSystem.rename(partial, to: target)
                try fileSystem.syncDirectory(parentDirectory(of: target))
                return report
            } catch {
                try? removeAll(partial)
                throw error
            }
        }
    }

    private static let partialEnding = ".partial"

    private func chosen(_ names: [String]?) throws -> [TopicCatalog.Topic] {
        let catalog =
            try TopicCatalog.read(from: data.path, on: fileSystem)
            ?? TopicCatalog.discover(in: data.path, on: fileSystem)
        let known = catalog.topics.keys.sorted()
        return try (names ?? known).map { name in
            guard let topic = catalog.topics[name] else {
                throw EngineError.unknownTopic(name: name, known: known)
            }
            return topic
        }
    }

    private func requireFree(_ target: String) throws {
        if let found = try fileSystem.information(target) {
            guard found.isDirectory, try fileSystem.list(target).isEmpty else {
                throw DirectoryExportError.targetExists(path: target)
            }
        }
        let partial = target + Self.partialEnding
        guard try fileSystem.information(partial) == nil else {
            throw DirectoryExportError.targetExists(path: partial)
        }
    }

    private func removeAll(_ directory: String) throws {
        for name in try fileSystem.list(directory) {
            let path = joinPath(directory, name)
            if try fileSystem.information(path)?.isDirectory == true {
                try removeAll(path)
            } else {
                try fileSystem.remove(path)
            }
        }
        try fileSystem.removeDirectory(directory)
    }

    // MARK: Copying

    private func fill(_ directory: String, _ topics: [TopicCatalog.Topic]) throws -> Report {
        var report = Report()
        for topic in topics {
            for index in 0..<Int32(topic.partitionCount) {
                try copyPartition(topic, index, to: directory, &report)
            }
            report.topics.append((topic.name, topic.partitionCount))
        }
        let copy = DataDirectory(path: directory, fileSystem: fileSystem)
        try copy.write(try checkpointLines(of: topics))
        let (nodeID, clusterID) = identity ?? data.readIdentity()
        try copy.identify(nodeID: nodeID, clusterID: clusterID)
        // Last, as at a stop in order.
        try copy.markClosed()
        return report
    }

    private func copyPartition(
        _ topic: TopicCatalog.Topic, _ index: Int32, to directory: String, _ report: inout Report
    ) throws {
        let source = data.partitionPath(topic.name, index)
        let target = joinPath(directory, lastPathComponent(source))
        try fileSystem.createDirectory(target)
        for name in try fileSystem.list(source) where Self.isKafkas(name) {
            try Task.checkCancellation()
            let path = joinPath(source, name)
            let byteCount = try fileSystem.information(path)?.byteCount ?? 0
            try fileSystem.copyPrefix(
                of: path, byteCount: byteCount, to: joinPath(target, name))
            report.fileCount += 1
            report.byteCount += byteCount
        }
        try PartitionMetadata.write(
            topicIDs[topic.name] ?? topic.id, to: target, on: fileSystem)
        try fileSystem.syncDirectory(target)
    }

    /// Whether a file of a partition is one that Kafka knows and that is live. The identity is
    /// written anew.
    private static func isKafkas(_ name: String) -> Bool {
        name == LeaderEpochs.fileName
            || SegmentName.Ending.allCases.contains { SegmentName.baseOffset(of: name, $0) != nil }
    }

    private func checkpointLines(
        of topics: [TopicCatalog.Topic]
    ) throws -> [DataDirectory.CheckpointLine] {
        let (recoveryPoints, logStarts) = try data.checkpoints()
        let marks = try OffsetCheckpoint.read(.highWatermark, in: data.path, from: fileSystem)
        let cleanedEnds = data.cleanedEnds()
        return topics.flatMap { topic in
            (0..<Int32(topic.partitionCount)).compactMap { index in
                let name = "\(topic.name)-\(index)"
                // A clean stop leaves a line for each; without one Kafka looks at the files.
                guard let recoveryPoint = recoveryPoints[name] else { return nil }
                return DataDirectory.CheckpointLine(
                    topic: topic.name, partition: index, recoveryPoint: recoveryPoint,
                    highWatermark: marks[name] ?? recoveryPoint,
                    logStart: logStarts[name] ?? .zero, cleanedEnd: cleanedEnds[name])
            }
        }
    }
}

/// Why a data directory was not exported.
package enum DirectoryExportError: Error, Hashable, CustomStringConvertible {
    /// It was not closed in order: an opening and a closing mend that.
    case notClosed
    /// There is something where the copy shall be.
    case targetExists(path: String)

    /// What is wrong and what to do about it.
    package var description: String {
        switch self {
        case .notClosed: "The data directory was not closed in order; open and close it first."
        case .targetExists(let path):
            "\(path) exists, and is no empty directory. Remove it, or name another one."
        }
    }
}
