import Foundation
import Synchronization
public import TallyReplication

/// A ``CoordinationStore`` in the SQLite file `cluster.db`, which several processes of one machine
/// share. Not for a file system that several machines share: SQLite's WAL mode needs shared memory.
///
/// - A commit that returned is on stable storage (`synchronous=FULL`).
/// - Leases run by the machine's clock (`CLOCK_BOOTTIME`), which all processes share and nobody can
///   set. When the machine was started anew they begin anew.
/// - Leases end at the next call of any process, and at the latest `pollMilliseconds` after their
///   time as long as anybody watches. Watchers hear of changes of their own process at once, and
///   of those of others `pollMilliseconds` later at most, beside the time it takes to read them.
/// - A call waits 5 seconds for a lock at most. A process that is stopped (SIGSTOP) in the middle
///   of a write keeps all others from writing until it goes on or is killed: SQLite knows no
///   other way. One that is killed does not.
///
/// Thread rule: any task. SQLite blocks on threads of the store's own.
public final class SQLiteCoordinationStore: CoordinationStore {
    private let database: ClusterDatabase
    private let writing = DispatchQueue(label: "tally.cluster.write")
    private let reading = DispatchQueue(label: "tally.cluster.read")
    private let signal = ChangeSignal()
    private let pollMilliseconds: Int64
    private let polling = Mutex(Polling())

    private struct Polling {
        var isClosed = false
        var isRunning = false
        var watcherCount = 0
        var dataVersion: Int64 = 0
        var nextDeadline: CoordinationInstant?
    }

    /// The file's name inside a directory.
    public static let fileName = "cluster.db"
    /// How often watchers look whether another process has changed anything, unless told otherwise.
    public static let pollMillisecondsDefault: Int64 = 20

    /// Opens the store at `path`, or creates it. Blocks.
    ///
    /// Errors: `newerVersion`; `corrupt`, where it is damaged or no such database; `unavailable`.
    public convenience init(
        path: String, pollMilliseconds: Int64 = pollMillisecondsDefault
    ) throws(CoordinationError) {
        try self.init(
            path: path, pollMilliseconds: pollMilliseconds, clock: ClusterClock.ofMachine())
    }

    /// A store by another clock, for tests.
    init(
        path: String, pollMilliseconds: Int64, clock: ClusterClock
    ) throws(CoordinationError) {
        database = try ClusterDatabase(path: path, clock: clock)
        self.pollMilliseconds = max(1, pollMilliseconds)
    }

    /// Ends all watches and closes the file; later calls throw `unavailable`.
    public func close() async {
        polling.withLock { $0.isClosed = true }
        signal.close()
        await withCheckedContinuation { continuation in
            writing.async { continuation.resume() }
        }
        await withCheckedContinuation { continuation in
            reading.async {
                self.database.close()
                continuation.resume()
            }
        }
    }

    // MARK: The protocol

    /// As the protocol says.
    public func grantLease(
        seconds: Int64
    ) async throws(CoordinationError) -> CoordinationLease {
        try CoordinationLimits.check(leaseSeconds: seconds)
        return try await write { .success(try $0.grant(seconds: seconds)) }
    }

    /// As the protocol says.
    public func keepAlive(_ lease: LeaseID) async throws(CoordinationError) -> CoordinationLease {
        try await write { try $0.keepAlive(lease) }
    }

    /// As the protocol says.
    public func revoke(_ lease: LeaseID) async throws(CoordinationError) {
        try await write { try $0.revoke(lease) }
    }

    /// As the protocol says. Waits for no writer.
    public func read(prefix: String) async throws(CoordinationError) -> CoordinationSnapshot {
        try CoordinationLimits.check(prefix: prefix)
        let (deadline, snapshot) = try await read { [clock = database.clock] reading in
            (try reading.nextDeadline(clock: clock), try reading.entries(prefix: prefix))
        }
        guard let deadline, deadline <= database.clock.now() else { return snapshot }
        try await endLeases()
        return try await read { try $0.entries(prefix: prefix) }
    }

    /// As the protocol says. On stable storage when it returns.
    public func commit(
        _ transaction: CoordinationTransaction
    ) async throws(CoordinationError) -> CoordinationOutcome {
        try await write { try $0.commit(transaction) }
    }

    /// As the protocol says.
    public func watch(prefix: String, after revision: CoordinationRevision) -> CoordinationWatch {
        CoordinationWatch { Source(store: self, prefix: prefix, after: revision) }
    }

    /// Forgets the history up to and with `revision`, for tests.
    func compact(through revision: CoordinationRevision) async throws(CoordinationError) {
        try await write { .success(try $0.compact(through: revision)) }
    }

    // MARK: Threads

    private func endLeases() async throws(CoordinationError) {
        try await write { _ in .success(()) }
    }

    private func write<Value: Sendable>(
        _ body:
            @escaping @Sendable (inout ClusterTransaction) throws -> Result<
                Value, CoordinationError
            >
    ) async throws(CoordinationError) -> Value {
        let (value, isChanged) = try await perform(on: writing) {
            database throws(CoordinationError) in try database.write(body)
        }
        if isChanged { signal.notify() }
        return value
    }

    private func read<Value: Sendable>(
        _ body: @escaping @Sendable (ClusterReading) throws -> Value
    ) async throws(CoordinationError) -> Value {
        try await perform(on: reading) { database throws(CoordinationError) in
            try database.read { try body(ClusterReading(connection: $0)) }
        }
    }

    private func perform<Value: Sendable>(
        on queue: DispatchQueue,
        _ body: @escaping @Sendable (ClusterDatabase) throws(CoordinationError) -> Value
    ) async throws(CoordinationError) -> Value {
        let result: Result<Value, CoordinationError> = await withCheckedContinuation {
            continuation in
            queue.async { [self] in
                continuation.resume(
                    returning: Result { () throws(CoordinationError) in
                        if polling.withLock({ $0.isClosed }) {
                            throw .unavailable(reason: "\(database.path) was closed")
                        }
                        return try body(database)
                    })
            }
        }
        return try result.get()
    }

    // MARK: Watching

    private final class Source: CoordinationWatchSource {
        private let store: SQLiteCoordinationStore
        private let prefix: String
        private let position: Mutex<CoordinationRevision>

        init(store: SQLiteCoordinationStore, prefix: String, after: CoordinationRevision) {
            self.store = store
            self.prefix = prefix
            position = Mutex(after)
        }

        func next() async throws(CoordinationError) -> CoordinationChanges? {
            try CoordinationLimits.check(prefix: prefix)
            let after = position.withLock { $0 }
            store.beginWatching()
            defer { store.endWatching() }
            while !Task.isCancelled {
                let seen = store.signal.count
                if let batch = try await store.changes(prefix: prefix, after: after),
                    batch.revision > after
                {
                    position.withLock { $0 = batch.revision }
                    return batch
                }
                await store.signal.wait(past: seen)
            }
            return nil
        }
    }

    /// The changes there are; nil where they cannot be read just now.
    private func changes(
        prefix: String, after: CoordinationRevision
    ) async throws(CoordinationError) -> CoordinationChanges? {
        do throws(CoordinationError) {
            return try await read { try $0.changes(prefix: prefix, after: after) }
        } catch .unavailable where !polling.withLock({ $0.isClosed }) {
            return nil
        }
    }

    private func beginWatching() {
        let isFirst = polling.withLock { polling in
            polling.watcherCount += 1
            guard !polling.isRunning, !polling.isClosed else { return false }
            polling.isRunning = true
            return true
        }
        guard isFirst else { return }
        Task {
            while isWatched() {
                await poll()
                try? await Task.sleep(for: .milliseconds(pollMilliseconds))
            }
        }
    }

    private func endWatching() { polling.withLock { $0.watcherCount -= 1 } }

    /// Whether anybody waits; if not, whoever comes next begins to poll.
    private func isWatched() -> Bool {
        polling.withLock { polling in
            polling.isRunning = polling.watcherCount > 0 && !polling.isClosed
            return polling.isRunning
        }
    }

    /// Looks whether another process has changed anything, or a lease is due.
    private func poll() async {
        do throws(CoordinationError) {
            let version = try await perform(on: reading) { database throws(CoordinationError) in
                try database.dataVersion()
            }
            if version != polling.withLock({ $0.dataVersion }) {
                let deadline = try await read { [clock = database.clock] reading in
                    try reading.nextDeadline(clock: clock)
                }
                polling.withLock { polling in
                    polling.dataVersion = version
                    polling.nextDeadline = deadline
                }
                signal.notify()
            }
            if let deadline = polling.withLock({ $0.nextDeadline }),
                deadline <= database.clock.now()
            {
                try await endLeases()
            }
        } catch {
            // Looked at again at the next turn; and who watches is told what it cannot be helped
            // against, a damaged file, by its own reading.
            signal.notify()
        }
    }
}
