import Logging
public import ServiceLifecycle
import Synchronization
import TallyFiles
public import TallyLog
import TallyRecords

/// A data directory, open: topics, partitions, producers and consumers, with no server.
///
/// One engine at a time has a directory; a second one, of this process or another, gets an error
/// that names the holder. Many engines in one process, each with its own directory, are fine.
///
/// Thread rule: any thread and task. Nothing of it blocks Swift's cooperative threads.
public final class Engine: Service {
    /// The data directory.
    public let directory: String
    let configuration: EngineConfiguration
    let data: DataDirectory
    let environment: LogEnvironment
    let workers: WorkerPool
    let state: Mutex<State>
    private let housekeeper: Housekeeper

    struct State: ~Copyable {
        var catalog: TopicCatalog
        /// Partitions by topic, in order.
        var partitions: [String: [Partition]]
        var lock: (any FileLock)?
        var isClosed = false
    }

    init(
        data: DataDirectory, configuration: EngineConfiguration, environment: LogEnvironment,
        workers: WorkerPool, state: consuming sending State
    ) {
        directory = data.path
        self.data = data
        self.configuration = configuration
        self.environment = environment
        self.workers = workers
        self.state = Mutex(state)
        housekeeper = Housekeeper()
        housekeeper.start(for: self)
    }

    // MARK: Life

    /// Opens a data directory, creating it where it is missing.
    ///
    /// After a clean stop nothing is scanned. After a crash each partition checks what was
    /// appended since its recovery point; a partition that is damaged below it goes offline with
    /// a reason (see ``offlinePartitions``), and the others work.
    ///
    /// Throws ``EngineError/directoryInUse(directory:holder:)``, ``LogError/file(_:)``, or
    /// ``EngineError/unreadableFile(path:reason:)``.
    public static func open(
        at directory: String, configuration: EngineConfiguration = EngineConfiguration()
    ) async throws -> Engine {
        let workers = WorkerPool(name: "tally", threadsMax: configuration.threadsMax)
        do {
            let opening = EngineOpening(
                data: DataDirectory(path: directory, fileSystem: PosixFileSystem()),
                configuration: configuration, workers: workers)
            return try await opening.open()
        } catch {
            workers.close()
            throw error
        }
    }

    /// Serves until the surrounding service group shuts down or the task is cancelled, then
    /// closes the engine. Housekeeping does not depend on it.
    public func run() async throws {
        try await gracefulShutdown()
        try await close()
    }

    /// Syncs everything, writes the checkpoints and the mark of a clean stop, and gives the
    /// directory back. Appends and reads that come later throw ``EngineError/closed``. Closing
    /// twice is closing once.
    ///
    /// Throws the first error of a partition that could not be synced; the directory is given
    /// back all the same, and the next opening recovers.
    public func close() async throws {
        let wasClosed = state.withLock { state in
            defer { state.isClosed = true }
            return state.isClosed
        }
        guard !wasClosed else { return }
        housekeeper.stop()
        defer { workers.close() }
        try await workers.run { [self] in try closeLogs() }
    }

    private func closeLogs() throws {
        defer { state.withLock { $0.lock.take() }?.release() }
        var firstError: (any Error)?
        for partition in partitions {
            do {
                guard let log = partition.onlineLog else { continue }
                _ = try log.close()
            } catch {
                firstError = firstError ?? error
            }
        }
        try writeCheckpoints()
        if let firstError { throw firstError }
        if offlinePartitions.isEmpty { try data.markClosed() }
    }

    /// Writes recovery points, high watermarks and log starts of all partitions.
    func writeCheckpoints() throws {
        let kept = state.withLock { _ in try? data.checkpoints() }
        try data.write(
            partitions.map { partition in
                let log = partition.onlineLog
                let name = "\(partition.topic)-\(partition.index)"
                return DataDirectory.CheckpointLine(
                    topic: partition.topic, partition: partition.index,
                    // An offline partition keeps what was known of it.
                    recoveryPoint: log?.recoveryPoint ?? kept?.recoveryPoints[name] ?? .zero,
                    highWatermark: log?.highWatermark ?? kept?.recoveryPoints[name] ?? .zero,
                    logStart: log?.logStart ?? kept?.logStarts[name] ?? .zero)
            })
    }

    // MARK: Partitions

    /// All partitions.
    var partitions: [Partition] {
        state.withLock { state in state.partitions.values.flatMap { $0 } }
    }

    /// Partitions that could not be opened, by directory name, with the reason. They are not
    /// touched; the others work.
    public var offlinePartitions: [String: LogError] {
        var found: [String: LogError] = [:]
        for partition in partitions {
            if let failure = partition.failure {
                found["\(partition.topic)-\(partition.index)"] = failure
            }
        }
        return found
    }

    /// The partitions of a topic.
    func partitions(of topic: String) throws(EngineError) -> [Partition] {
        try state.withLock { state throws(EngineError) in
            if state.isClosed { throw .closed }
            guard let partitions = state.partitions[topic] else {
                throw .unknownTopic(name: topic, known: state.partitions.keys.sorted())
            }
            return partitions
        }
    }

    /// One partition of a topic.
    func partition(_ index: Int32, of topic: String) throws(EngineError) -> Partition {
        let partitions = try partitions(of: topic)
        guard index >= 0, Int(index) < partitions.count else {
            throw .unknownPartition(topic: topic, partition: index, count: partitions.count)
        }
        return partitions[Int(index)]
    }
}
