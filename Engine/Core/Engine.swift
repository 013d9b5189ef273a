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
    package let configuration: EngineConfiguration
    let data: DataDirectory
    let environment: LogEnvironment
    /// What is left where the disk is full.
    let reserve: SpaceReserve
    package let workers: WorkerPool
    /// How long those wait who wait for others.
    package let limits = TimeLimits()
    /// For work that takes minutes (a projection): it must not keep threads from appends.
    let longWorkers: WorkerPool
    /// Looked at by every send: held for moments only, never while a file is touched.
    let state: UnfairLock<State>
    /// Held while topics are created or deleted, while a transaction is aborted by hand, and while
    /// logs are closed. Taken before `state`.
    let changing = Mutex<Void>(())
    /// Held while the checkpoint files are written; true once they were for the last time.
    private let checkpointing = Mutex(false)
    private let isInDoubt = Atomic(false)
    private let housekeeper = Housekeeper()
    private let logMetrics = LogMetrics()
    let compactor: Compactor
    /// Groups and what else is no log.
    package let stateOfEngine: any EngineState
    /// Where groups and transactions run; they use one database.
    let lane: SerialLane
    package let groups: GroupService
    private let groupNotes: GroupNotesWriter
    package let transactions: TransactionService
    /// Where groups and transactions are recorded in internal topics; nil where they are not.
    let coordination: Coordination?

    struct State: ~Copyable, Sendable {
        var catalog: TopicCatalog { didSet { names = catalog.names } }
        /// The names of the topics, by identity: fetches ask for them.
        private(set) var names: [TopicID: String]
        /// Partitions by topic, in order.
        var partitions: [String: [Partition]]
        var lock: (any FileLock)?
        var isClosed = false
        /// The closing that was begun, for everybody who closes.
        var closing: Task<Void, any Error>?

        init(
            catalog: TopicCatalog, partitions: [String: [Partition]], lock: (any FileLock)?
        ) {
            self.catalog = catalog
            names = catalog.names
            self.partitions = partitions
            self.lock = lock
        }
    }

    init(
        data: DataDirectory, configuration: EngineConfiguration, environment: LogEnvironment,
        reserve: SpaceReserve, workers: WorkerPool, engineState: any EngineState,
        state: consuming sending State
    ) {
        directory = data.path
        self.data = data
        self.configuration = configuration
        self.environment = environment
        self.reserve = reserve
        self.workers = workers
        let catalog = state.catalog
        self.state = UnfairLock(state)
        longWorkers = WorkerPool(name: "tally-long", threadsMax: configuration.threadsMax)
        compactor = Compactor(data: data, reserve: reserve, configuration: configuration)
        stateOfEngine = engineState
        lane = SerialLane(on: workers)
        let coordination = configuration.internalTopics.map { [lane, longWorkers] in
            Coordination(
                $0, catalog: catalog, lane: lane, workers: workers, longWorkers: longWorkers,
                state: engineState, of: configuration)
        }
        self.coordination = coordination
        groups = GroupService(
            lane: lane, store: coordination?.offsetsStore ?? engineState.offsets,
            configuration: configuration.groups, journal: coordination?.offsetsJournal)
        groupNotes = GroupNotesWriter(data: data, workers: longWorkers)
        transactions = TransactionService(
            lane: lane, workers: workers, store: engineState.transactions,
            configuration: configuration.transactions, groups: groups,
            logger: configuration.logger, journal: coordination?.transactionsJournal,
            producerIDs: configuration.producerIDs)
        groupNotes.begin()
        groups.whenMembersChange { [weak groups, weak groupNotes] in
            groupNotes?.change { [weak groups] tell in groups?.describeAll(tell) }
        }
        engineState.identifyTopics { [weak self] topic in self?.identity(of: topic) }
        transactions.start { [weak self] partition, work in
            guard let self else { return .failed }
            do {
                return try self.partition(partition.partition, of: partition.topic).write(work)
            } catch EngineError.unknownTopic, EngineError.unknownPartition {
                // Deleted: nobody reads there.
                return .done
            } catch {
                return .failed
            }
        }
        beginCoordination()
        housekeeper.start(for: self)
    }

    private func beginCoordination() {
        coordination?.begin(self)
        transactions.write { [weak self] partition, work in
            await self?.write(TransactionMarker(work), to: partition) ?? .failed
        }
    }

    /// An engine that is dropped without ``close()`` ends its threads and gives the directory
    /// back; the next opening is as after a crash of the process. Producers, consumers, batches on
    /// their way and a cleaning under way keep it alive.
    deinit {
        housekeeper.stop()
        compactor.stop()
        groups.stop()
        groupNotes.stop()
        transactions.stop()
        workers.close()
        longWorkers.close()
        limits.close()
    }

    /// Where tasks run that send one record after the other and wait for each: on the engine's
    /// threads, which may block, so that ``Producer/send(_:)`` writes and syncs where it is
    /// called, without a switch of threads there and back.
    ///
    ///     Task(executorPreference: engine.taskExecutor) {
    ///         for order in orders { _ = try await producer.send(order) }
    ///     }
    ///
    /// For code of an application that does little else: there are
    /// ``EngineConfiguration/threadsMax`` such threads, which the engine needs itself, and a task
    /// that blocks one while it waits for another may wait for ever. Once the engine is closed,
    /// the tasks go on where others run.
    public var taskExecutor: any TaskExecutor { workers }

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
        // Cancelled: there is nothing to serve any more, but the files are closed in order.
        try? await gracefulShutdown()
        try await close()
    }

    /// Syncs everything, writes the checkpoints and the mark of a clean stop, and gives the
    /// directory back. Appends and reads that come later throw ``EngineError/closed``. Closing
    /// twice is closing once: every caller returns when it is done, with the same outcome.
    ///
    /// Throws the first error of a partition that could not be synced; the directory is given
    /// back all the same, and the next opening recovers.
    public func close() async throws {
        let closing = state.withLock { state in
            state.isClosed = true
            if let closing = state.closing { return closing }
            // Not the caller's task: cancelling that must not leave the closing half done.
            let closing = Task { try await closeOnce() }
            state.closing = closing
            return closing
        }
        try await closing.value
    }

    private func closeOnce() async throws {
        housekeeper.stop()
        compactor.stop()
        groups.stop()
        groupNotes.stop()
        transactions.stop()
        defer {
            workers.close()
            longWorkers.close()
            limits.close()
        }
        await coordination?.finish()
        // Behind what is under way; who comes later is told.
        let closing = stateOfEngine
        let stateClosed: Result<Void, any Error> = await lane.outcome { try closing.close() }
        try await workers.run { [self] in try withLogErrors { try closeLogs() } }
        try stateClosed.get()
    }

    private func closeLogs() throws {
        // A creation or deletion under way ends first; later ones find the engine closed.
        try changing.withLock { _ in
            defer { state.withLock { $0.lock.take() }?.release() }
            let firstError = Mutex<(any Error)?>(nil)
            let partitions = partitions
            // Each that was written to waits for the disk several times.
            workers.share(partitions.count) { [reserve] index in
                do {
                    try reserve.spend { try partitions[index].close() }
                } catch {
                    firstError.withLock { $0 = $0 ?? error }
                }
            }
            try writeCheckpoints(isLast: true)
            if let error = firstError.withLock({ $0 }) { throw error }
            if partitions.allSatisfy({ $0.failure == nil }), !isInDoubt.load(ordering: .acquiring) {
                try reserve.spend { try data.markClosed() }
            }
        }
    }

    /// Until ``mayCloseCleanly()`` the next opening counts as one after an unclean stop, if this
    /// one was: a cluster is to hear first what may be missing. Any thread.
    package func staysInDoubt() {
        let wasClean = partitions.allSatisfy { $0.onlineLog?.recovery.wasClean ?? true }
        isInDoubt.store(!wasClean, ordering: .releasing)
    }

    /// What may be missing is known to whom it concerns. Any thread.
    package func mayCloseCleanly() { isInDoubt.store(false, ordering: .releasing) }

    /// Writes recovery points, high watermarks and log starts of all partitions. After the last
    /// time nothing is written: the directory may be another engine's by then.
    func writeCheckpoints(isLast: Bool = false) throws(LogError) {
        try checkpointing.withLock { wasLast throws(LogError) in
            guard !wasLast else { return }
            wasLast = isLast
            let partitions = partitions.filter(\.isKept)
            if !isLast { for partition in partitions { partition.onlineLog?.writeIndexEntries() } }
            // Offsets are read under the lock, so that later files never say less than earlier.
            let lines = partitions.map(\.checkpointLine)
            try reserve.spend { () throws(LogError) in try data.write(lines) }
        }
    }

    /// The number of the broker and of the cluster that `meta.properties` gives the directory.
    package var identity: (nodeID: Int32, clusterID: String) { data.readIdentity() }

    /// How many times logs were synced since the engine was opened.
    package var syncCount: Int { environment.syncCount }

    /// Tells the metrics how large the logs are, and how often they were synced.
    func recordLogs() { logMetrics.record(partitions, syncCount: syncCount) }

    /// Throws ``EngineError/closed`` where ``close()`` was called.
    func requireNotClosed() throws(EngineError) {
        if state.withLock({ $0.isClosed }) { throw .closed }
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
                found[partition.name] = failure
            }
        }
        return found
    }

    /// What opening each partition found and did, by directory name; those that are offline have
    /// none.
    package var recoveryReports: [String: RecoveryReport] {
        var reports: [String: RecoveryReport] = [:]
        for partition in partitions { reports[partition.name] = partition.onlineLog?.recovery }
        return reports
    }

    /// Which topic has a name now; nil where there is none.
    func identity(of topic: String) -> TopicID? {
        state.withLock { $0.catalog.topics[topic]?.id }
    }

    /// The name of the topic with an identity; nil where there is none.
    package func name(ofTopic id: TopicID) -> String? {
        state.withLock { $0.names[id] }
    }

    /// What was set for a topic.
    package func configuration(
        of topic: String
    ) throws(EngineError) -> TopicConfiguration {
        try state.withLock { state throws(EngineError) in
            guard let found = state.catalog.topics[topic] else {
                throw .unknownTopic(name: topic, known: state.catalog.topics.keys.sorted())
            }
            return found.configuration
        }
    }

    /// The partitions of a topic.
    package func partitions(of topic: String) throws(EngineError) -> [Partition] {
        try state.withLock { state throws(EngineError) in
            if state.isClosed { throw .closed }
            guard let partitions = state.partitions[topic] else {
                throw .unknownTopic(name: topic, known: state.partitions.keys.sorted())
            }
            return partitions
        }
    }

    /// One partition of a topic.
    package func partition(
        _ index: Int32, of topic: String
    ) throws(EngineError) -> Partition {
        let partitions = try partitions(of: topic)
        guard index >= 0, Int(index) < partitions.count else {
            throw .unknownPartition(topic: topic, partition: index, count: partitions.count)
        }
        return partitions[Int(index)]
    }
}
