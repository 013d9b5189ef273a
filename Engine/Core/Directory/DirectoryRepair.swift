package import TallyFiles
package import TallyLog
package import TallyRecords

/// The repair of a partition directory, or of all those in a directory, that no engine has open:
/// holds the data directory's lock for as long as it lives.
///
/// A data directory has `meta.properties`, `topics.json`, a lock file or a checkpoint. Partitions
/// anywhere else are lone copies, with nothing to lock and nothing that says what was stored. Used
/// by one thread; blocks.
package final class DirectoryRepair {
    /// The data directory; nil for lone copies.
    package let dataDirectory: String?
    /// The partition directories, by topic and number.
    package let partitions: [String]
    /// Partitions of a whole data directory that have lost their directory, by name, and with it
    /// what the checkpoints say was stored; rising.
    package let missing: [(name: String, recoveryPoint: Offset, logStart: Offset)]
    /// Whether a directory of partitions was named and not one of them.
    package let isWholeDirectory: Bool
    private let fileSystem: any FileSystem
    private let lock: (any FileLock)?
    private let repairs: [String: LogRepair]

    /// Finds out what a path leads to, and takes the data directory.
    ///
    /// - Parameter path: without symbolic links and dots, or the directory around it may be
    ///   another than it seems.
    /// Throws ``EngineError/directoryInUse(directory:holder:)``, ``LogError/file(_:)``,
    /// ``EngineError/unreadableFile(path:reason:)``, and ``LogError/corruption(_:)`` where a
    /// checkpoint is damaged.
    package init(path: String, fileSystem: any FileSystem = PosixFileSystem()) throws {
        self.fileSystem = fileSystem
        isWholeDirectory = try !Self.isPartition(path, fileSystem)
        let around = isWholeDirectory ? path : parentDirectory(of: path)
        let data = DataDirectory(path: around, fileSystem: fileSystem)
        let isData = try Self.isDataDirectory(around, fileSystem)
        let lock = isData ? try data.acquire() : nil
        self.lock = lock
        dataDirectory = isData ? around : nil
        do {
            let paths = isWholeDirectory ? try Self.partitions(in: path, fileSystem) : [path]
            partitions = paths
            repairs =
                try isData ? Self.repairs(of: paths, data) : Self.repairs(of: paths, fileSystem)
            missing = try isData && isWholeDirectory ? Self.missing(among: paths, data) : []
        } catch {
            lock?.release()
            throw error
        }
    }

    deinit { lock?.release() }

    private static func isPartition(
        _ path: String, _ fileSystem: any FileSystem
    ) throws -> Bool {
        let names: [String]
        do { names = try fileSystem.list(path) } catch { throw LogError.file(error) }
        if names.contains(PartitionMetadata.fileName) || names.contains(LeaderEpochs.fileName)
            || !SegmentName.baseOffsets(among: names).isEmpty
        {
            return true
        }
        // One that has lost everything still has its name, and nothing of a data directory's.
        return TopicName.split(lastPathComponent(path)) != nil
            && !names.contains { dataNames.contains($0) || TopicName.split($0) != nil }
    }

    private static var dataNames: Set<String> {
        Set(OffsetCheckpoint.Name.allCases.map(\.rawValue))
            .union([DataDirectory.identityName, DataDirectory.lockName, TopicCatalog.fileName])
    }

    /// Whether a directory is an engine's, with or without topics.
    ///
    /// Throws ``LogError/file(_:)``.
    package static func isDataDirectory(
        _ path: String, _ fileSystem: any FileSystem
    ) throws -> Bool {
        do {
            return try fileSystem.list(path).contains { dataNames.contains($0) }
        } catch {
            throw LogError.file(error)
        }
    }

    private static func partitions(
        in directory: String, _ fileSystem: any FileSystem
    ) throws -> [String] {
        do {
            var found: [(topic: String, partition: Int32, path: String)] = []
            for name in try fileSystem.list(directory) {
                let path = joinPath(directory, name)
                guard let (topic, partition) = TopicName.split(name),
                    try fileSystem.information(path)?.isDirectory == true
                else { continue }
                found.append((topic, partition, path))
            }
            return found.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
                .map(\.path)
        } catch {
            throw LogError.file(error)
        }
    }

    private static func repairs(
        of copies: [String], _ fileSystem: any FileSystem
    ) -> [String: LogRepair] {
        let repairs = copies.map { ($0, LogRepair(of: $0, on: fileSystem, checkpoint: nil)) }
        return Dictionary(uniqueKeysWithValues: repairs)
    }

    private static func repairs(
        of paths: [String], _ data: DataDirectory
    ) throws -> [String: LogRepair] {
        let checkpoints = try data.checkpoints()
        let isClean = try data.wasClosedCleanly()
        // Without it the topics' settings are the defaults.
        let catalog = try TopicCatalog.read(from: data.path, on: data.fileSystem)
        var repairs: [String: LogRepair] = [:]
        for path in paths {
            let name = lastPathComponent(path)
            let topic = TopicName.split(name).flatMap { catalog?.topics[$0.topic] }
            let settings = (topic?.configuration ?? TopicConfiguration())
                .logConfiguration(EngineConfiguration())
            repairs[path] = LogRepair(
                of: path, on: data.fileSystem,
                checkpoint: PartitionCheckpoint(
                    isClean: isClean, recoveryPoint: checkpoints.recoveryPoints[name] ?? .zero,
                    logStart: checkpoints.logStarts[name] ?? .zero),
                indexIntervalBytes: settings.indexIntervalBytes)
        }
        return repairs
    }

    private static func missing(
        among paths: [String], _ data: DataDirectory
    ) throws -> [(name: String, recoveryPoint: Offset, logStart: Offset)] {
        let checkpoints = try data.checkpoints()
        let found = Set(paths.map { lastPathComponent($0) })
        return checkpoints.recoveryPoints.sorted { $0.key < $1.key }
            .map { ($0.key, $0.value, checkpoints.logStarts[$0.key] ?? .zero) }
            .filter { !found.contains($0.0) && $0.1 > $0.2 }
    }

    // MARK: Work

    /// What is to be done in one of ``partitions``; see ``LogRepair/plan(cuttingFrom:)``.
    package func plan(
        _ partition: String, cuttingFrom offset: Offset? = nil
    ) throws(LogError) -> RepairPlan {
        guard let repair = repairs[partition] else {
            invariantFailure("\(partition) is none of the partitions to repair")
        }
        return try repair.plan(cuttingFrom: offset)
    }

    /// Does what a plan says; see ``LogRepair/apply(_:loweringCheckpoints:didApply:)``.
    package func apply(
        _ plan: RepairPlan, didApply: (RepairStep, _ keptIn: String?) -> Void = { _, _ in }
    ) throws(LogError) {
        try repairs[plan.directory]?.apply(
            plan,
            loweringCheckpoints: { (offset) throws(LogError) in
                guard let dataDirectory else { return }
                try OffsetCheckpoint.lower(
                    plan.partition, to: offset, in: dataDirectory, on: fileSystem)
            }, didApply: didApply)
    }
}
