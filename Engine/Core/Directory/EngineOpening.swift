import Logging
import Synchronization
import TallyFiles
import TallyLog
import TallyRecords

/// One opening of a data directory: lock, identity, topics, and every partition's log.
struct EngineOpening: Sendable {
    let data: DataDirectory
    let configuration: EngineConfiguration
    let workers: WorkerPool

    func open() async throws -> Engine {
        let prepared = try await workers.run { try withLogErrors { try prepare() } }
        do {
            let partitions = try await openPartitions(prepared)
            try await workers.run { try renewCheckpoints(prepared, partitions) }
            let engine = Engine(
                data: data, configuration: configuration, environment: prepared.environment,
                reserve: prepared.reserve, workers: workers, engineState: prepared.engineState,
                state: Engine.State(
                    catalog: prepared.catalog, partitions: partitions, lock: prepared.lock))
            do {
                try await engine.leadAllCoordinators()
            } catch {
                // It has the lock and the state.
                try? await engine.close()
                throw error
            }
            return engine
        } catch {
            try? prepared.engineState.close()
            prepared.lock.release()
            throw error
        }
    }

    private struct Prepared: Sendable {
        var lock: any FileLock
        var catalog: TopicCatalog
        var environment: LogEnvironment
        var reserve: SpaceReserve
        var engineState: any EngineState
        var isClean: Bool
        var recoveryPoints: [String: Offset]
        var logStarts: [String: Offset]
        var highWatermarks: [String: Offset]
        var cleanedEnds: [String: Offset]
    }

    private func prepare() throws -> Prepared {
        let lock = try data.acquire()
        do {
            let environment = environment
            let reserve = SpaceReserve(
                in: data.path, on: data.fileSystem, byteCount: configuration.spaceReserveBytes,
                gate: environment.space, logger: configuration.logger)
            reserve.hold()
            let catalog = try reserve.spend { try readCatalog() }
            try reserve.spend {
                try data.identify(
                    as: configuration.membership, isEmpty: catalog.topics.isEmpty)
            }
            try sweep(catalog)
            let isClean = try data.wasClosedCleanly()
            let checkpoints = try data.checkpoints()
            // Before anything is appended: a crash from here on must not pass for a clean stop.
            if isClean { try data.markOpen() }
            return Prepared(
                lock: lock, catalog: catalog, environment: environment, reserve: reserve,
                engineState: try configuration.state.open(data.path), isClean: isClean,
                recoveryPoints: checkpoints.recoveryPoints,
                logStarts: checkpoints.logStarts, highWatermarks: data.highWatermarks(),
                cleanedEnds: data.cleanedEnds())
        } catch {
            lock.release()
            throw error
        }
    }

    private var environment: LogEnvironment {
        let logger = configuration.logger
        return LogEnvironment(
            fileSystem: data.fileSystem,
            openFilesMax: max(
                min(configuration.openFilesMax, DescriptorPool.openFilesMaxOfProcess), 16),
            readMode: configuration.readMode
        ) { event in
            switch event {
            case .rolled: logger.debug("\(event)")
            case .retired: logger.info("\(event)")
            case .cutTail, .rebuiltIndexes: logger.warning("\(event)")
            case .recovered, .finishedCleaning: logger.info("\(event)")
            case .stopped: logger.error("\(event)")
            }
        }
    }

    private func readCatalog() throws -> TopicCatalog {
        if let catalog = try TopicCatalog.read(from: data.path, on: data.fileSystem) {
            return catalog
        }
        let catalog = try TopicCatalog.discover(in: data.path, on: data.fileSystem)
        if !catalog.topics.isEmpty {
            configuration.logger.warning(
                """
                \(TopicCatalog.fileName) is missing; found \(catalog.topics.count) topics by \
                their directories. Nothing of them is retired or compacted until their \
                configuration is stated.
                """)
        }
        // Also where there are none: from now on a directory that is not in the list is what a
        // creation left that was interrupted, and no topic with fewer partitions than it was to
        // have.
        try catalog.write(to: data.path, on: data.fileSystem)
        return catalog
    }

    /// Ends deletions that were interrupted, and says what lies here that no topic knows.
    private func sweep(_ catalog: TopicCatalog) throws {
        let strangers = try data.sweep { topic, partition in
            catalog.topics[topic]?.keeps(partition) ?? false
        }
        guard !strangers.isEmpty else { return }
        configuration.logger.warning(
            """
            No topic knows these partition directories, which are left alone: \
            \(strangers.joined(separator: ", ")). Empty ones are of a topic whose creation was \
            interrupted; create it again. To have those of a broker found, open a directory \
            with nothing else in it.
            """)
    }

    /// A line that outlived its topic would make a new topic of the name seem to have lost its
    /// records, if that crashed before the next checkpoint. What was recovered is on stable
    /// storage: the next opening need not look at it again.
    private func renewCheckpoints(
        _ prepared: Prepared, _ partitions: [String: [Partition]]
    ) throws {
        let all = partitions.values.flatMap { $0 }.filter(\.isKept)
        let known = Set(all.map(\.name))
        let isOutdated = !known.isSuperset(of: prepared.recoveryPoints.keys)
        guard isOutdated || !prepared.isClean else { return }
        for partition in all { partition.onlineLog?.writeIndexEntries() }
        do {
            try prepared.reserve.spend { try data.write(all.map(\.checkpointLine)) }
        } catch {
            guard !isOutdated else { throw error }
            configuration.logger.warning(
                "The checkpoints could not be written; they will be tried again: \(error)")
        }
    }

    // MARK: Partitions

    /// In parallel, on the worker threads; each scans no more than what lies behind its recovery
    /// point.
    private func openPartitions(_ prepared: Prepared) async throws -> [String: [Partition]] {
        let counts = prepared.catalog.topics.values.map { $0.kept?.count ?? $0.partitionCount }
        let progress = OpeningProgress(
            partitionCount: counts.reduce(0, +), logger: configuration.logger)
        let interval = Duration.milliseconds(configuration.openProgressIntervalMilliseconds)
        let ticker = Task { await progress.tell(every: interval) }
        defer { ticker.cancel() }
        let partitions = try await openPartitions(prepared, progress)
        progress.finish()
        return partitions
    }

    private func openPartitions(
        _ prepared: Prepared, _ progress: OpeningProgress
    ) async throws -> [String: [Partition]] {
        try await withThrowingTaskGroup(of: (String, [Partition]).self) { group in
            for topic in prepared.catalog.topics.values {
                group.addTask {
                    let opened = try await open(topic, prepared, progress)
                    return (topic.name, opened)
                }
            }
            var partitions: [String: [Partition]] = [:]
            for try await (name, opened) in group { partitions[name] = opened }
            return partitions
        }
    }

    private func open(
        _ topic: TopicCatalog.Topic, _ prepared: Prepared, _ progress: OpeningProgress
    ) async throws -> [Partition] {
        try await withThrowingTaskGroup(of: Partition.self) { group in
            for index in 0..<Int32(topic.partitionCount) {
                guard topic.keeps(index) else {
                    group.addTask { Partition(notKept: topic, index) }
                    continue
                }
                group.addTask {
                    try await workers.run {
                        let name = "\(topic.name)-\(index)"
                        progress.begin(name)
                        let partition = try open(topic, index, prepared)
                        progress.end(name, partition.onlineLog?.recovery)
                        return partition
                    }
                }
            }
            var partitions: [Partition] = []
            for try await partition in group { partitions.append(partition) }
            return partitions.sorted { $0.index < $1.index }
        }
    }

    private func open(
        _ topic: TopicCatalog.Topic, _ index: Int32, _ prepared: Prepared
    ) throws -> Partition {
        let name = "\(topic.name)-\(index)"
        let checkpoint = PartitionCheckpoint(
            isClean: prepared.isClean, recoveryPoint: prepared.recoveryPoints[name] ?? .zero,
            logStart: prepared.logStarts[name] ?? .zero,
            cleanedEnd: prepared.cleanedEnds[name] ?? .zero,
            highWatermark: prepared.highWatermarks[name] ?? .zero)
        do {
            let log = try prepared.reserve.spend { () throws(LogError) in
                try Self.openLog(
                    of: topic, index, data: data, environment: prepared.environment,
                    configuration: configuration, checkpoint: checkpoint)
            }
            return Partition(
                of: topic, index, log: log, checkpoint: checkpoint)
        } catch {
            // Damage stops this partition, and so does a full disk that leaves no room to keep
            // what recovery cuts. Anything else (no descriptors, no memory, a disk that cannot be
            // read) would stop the others too.
            guard error.isDamage || error.isLackOfSpace else { throw error }
            configuration.logger.error("\(name) stays offline: \(error)")
            return Partition(
                of: topic, index, failure: error, checkpoint: checkpoint)
        }
    }

    /// Opens one partition's log; creates its directory where it is new.
    static func openLog(
        of topic: TopicCatalog.Topic, _ index: Int32, data: DataDirectory,
        environment: LogEnvironment, configuration: EngineConfiguration,
        checkpoint: PartitionCheckpoint
    ) throws(LogError) -> PartitionLog {
        let path = data.partitionPath(topic.name, index)
        try createDirectory(path, checkpoint, on: data.fileSystem)
        try checkIdentity(of: topic, in: path, on: data.fileSystem)
        return try PartitionLog.open(
            path, environment: environment,
            configuration: topic.configuration.logConfiguration(
                configuration, isDiscovered: topic.isDiscovered),
            checkpoint: checkpoint)
    }

    /// Creates a partition's directory where it is missing, unless it was not always.
    private static func createDirectory(
        _ path: String, _ checkpoint: PartitionCheckpoint, on fileSystem: any FileSystem
    ) throws(LogError) {
        func exists() throws(LogError) -> Bool {
            do { return try fileSystem.information(path) != nil } catch { throw .file(error) }
        }
        guard try !exists() else { return }
        guard checkpoint.recoveryPoint <= checkpoint.logStart else {
            throw .corruption(
                Corruption(
                    file: path, position: .start,
                    reason: "the directory is missing, but offsets up to "
                        + "\(checkpoint.recoveryPoint) were on stable storage"))
        }
        do { try fileSystem.createDirectory(path) } catch { throw .file(error) }
    }

    /// Marks a new directory as the topic's; refuses one that is another topic's.
    private static func checkIdentity(
        of topic: TopicCatalog.Topic, in path: String, on fileSystem: any FileSystem
    ) throws(LogError) {
        guard let id = try PartitionMetadata.read(from: path, on: fileSystem) else {
            return try PartitionMetadata.write(topic.id, to: path, on: fileSystem)
        }
        guard id == topic.id else {
            throw .corruption(
                Corruption(
                    file: joinPath(path, PartitionMetadata.fileName), position: .start,
                    reason: "the directory belongs to a topic with id \(id), and "
                        + "\(TopicCatalog.fileName) has \(topic.name) with id \(topic.id)"))
        }
    }
}

extension LogError {
    fileprivate var isDamage: Bool { if case .corruption = self { true } else { false } }
}
