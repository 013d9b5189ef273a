import Foundation
import Synchronization
import Tally
import TallyClient
import TallyCluster
import TallyFiles
import TallyLog
import TallyRecords
import TallyReplication
import TallyServer
import TallyTestSupport
import TallyWire

/// Members of a cluster in one process: engines with directories of their own, servers on loopback
/// ports, and a store in memory whose clock a test can move.
///
/// Thread rule: used by one test.
final class MemberCluster: Sendable {
    let store: MemoryCoordinationStore
    private let members = Mutex<[Int32: Member]>([:])
    private let directories = Mutex<[Int32: TemporaryDirectory]>([:])
    /// How much the store's clock is ahead of the machine's.
    private let skip: Skip
    private let configure: @Sendable (inout ClusterConfiguration) -> Void

    private final class Skip: Sendable {
        let milliseconds = Atomic<Int64>(0)
    }

    struct Member: Sendable {
        var engine: Engine
        var node: ClusterNode
        var server: TallyServer
        var address: BrokerAddress
    }

    private init(_ configure: @escaping @Sendable (inout ClusterConfiguration) -> Void) {
        let skip = Skip()
        self.skip = skip
        self.configure = configure
        store = MemoryCoordinationStore {
            CoordinationInstant(
                milliseconds: MachineClock.milliseconds
                    + skip.milliseconds.load(ordering: .acquiring))
        }
    }

    /// Runs a closure with so many members, and stops all of them whatever happens.
    static func with(
        _ count: Int32 = 3,
        _ configure: @escaping @Sendable (inout ClusterConfiguration) -> Void = { _ in },
        _ body: (MemberCluster) async throws -> Void
    ) async throws {
        let cluster = MemberCluster(configure)
        do {
            for id in 1...count { try await cluster.start(id) }
            try await body(cluster)
        } catch {
            await cluster.stopAll()
            throw error
        }
        await cluster.stopAll()
    }

    subscript(_ id: Int32) -> Member {
        get throws {
            try members.withLock { members throws(MissingMember) in
                guard let member = members[id] else { throw MissingMember(id: id) }
                return member
            }
        }
    }

    struct MissingMember: Error { var id: Int32 }

    // MARK: Members

    /// Starts a member, in the directory that it had.
    func start(_ id: Int32) async throws {
        let directory = try directories.withLock { directories in
            let directory = try directories[id] ?? TemporaryDirectory()
            directories[id] = directory
            return directory
        }
        var configuration = ClusterConfiguration(nodeID: id)
        configuration.fetchWaitMillisecondsMax = 100
        configuration.lagMillisecondsMax = 60_000
        configuration.leaderImbalanceCheckSeconds = nil
        configure(&configuration)
        var settings = EngineConfiguration()
        try await ClusterNode.join(&settings, through: store, configuration)
        let engine = try await Engine.open(at: directory.path, configuration: settings)
        let node = ClusterNode(engine: engine, store: store, configuration: configuration)
        var serving = ServerConfiguration()
        serving.port = 0
        let server = try TallyServer(engine: engine, cluster: node, configuration: serving)
        let address = try await server.start()
        do {
            try await node.start(host: "127.0.0.1", port: Int32(address.port))
        } catch {
            // Ended before it was registered.
            await node.stop()
            await server.shutdown()
            try? await engine.close()
            throw error
        }
        members.withLock {
            $0[id] = Member(
                engine: engine, node: node, server: server,
                address: BrokerAddress(host: "127.0.0.1", port: address.port))
        }
    }

    /// Ends a member without a word: its lease ends by itself.
    func crash(_ id: Int32) async throws {
        let member = try self[id]
        members.withLock { $0[id] = nil }
        await member.server.shutdown()
        await member.node.stop()
        try? await member.engine.close()
    }

    /// Ends a member in order.
    func leave(_ id: Int32) async throws {
        let member = try self[id]
        members.withLock { $0[id] = nil }
        await member.node.leave()
        await member.server.shutdown()
        try await member.engine.close()
    }

    /// The next start of a member finds an empty directory.
    func loseDirectory(of id: Int32) { directories.withLock { $0[id] = nil } }

    /// Whether a member's directory has something of a name.
    func has(_ name: String, in id: Int32) -> Bool {
        guard let path = directories.withLock({ $0[id]?.path }) else { return false }
        return FileManager.default.fileExists(atPath: "\(path)/\(name)")
    }

    /// The next start of a member finds its directory as after a crash.
    func forgetCleanStop(of id: Int32) throws {
        guard let path = directories.withLock({ $0[id]?.path }) else { return }
        try FileManager.default.removeItem(atPath: "\(path)/\(Self.cleanStop)")
    }

    /// The file that says of a directory that it was closed in order.
    static let cleanStop = ".kafka_cleanshutdown"

    /// The store's clock goes ahead by more than a lease.
    func endLeases() {
        skip.milliseconds.add(60_000, ordering: .acquiringAndReleasing)
        store.expire()
    }

    private func stopAll() async {
        for id in members.withLock({ Array($0.keys) }) { try? await crash(id) }
        store.close()
    }

    // MARK: What there is

    /// A client that knows all members.
    func client(totalMilliseconds: Int64 = 20_000) -> ClusterClient {
        var configuration = ClientConfiguration()
        configuration.backoffMilliseconds = 20
        configuration.totalMilliseconds = totalMilliseconds
        return ClusterClient(
            bootstrap: members.withLock { $0.values.map(\.address) },
            configuration: configuration)
    }

    /// Creates a topic through a member.
    func createTopic(
        _ name: String, partitions: Int = 1, replicas: Int = 3,
        settings: [String: String] = [:], assignment: [[Int32]]? = nil
    ) async throws {
        let node = try members.withLock { members throws(MissingMember) in
            guard let first = members.min(by: { $0.key < $1.key }) else {
                throw MissingMember(id: 0)
            }
            return first.value.node
        }
        let made = try await node.administration.createTopic(
            name, partitions: partitions, replicationFactor: replicas,
            assignment: assignment?.map { $0.map { ReplicaID($0) } },
            configuration: TopicConfiguration(settings))
        await node.settle(made.revision)
    }

    /// What the store says of a partition.
    func state(of topic: String, _ partition: Int32 = 0) async throws -> PartitionState? {
        try await ClusterAdministration(store).image().state(of: topic, partition)
    }

    /// Waits until what the store says of a partition is so.
    func wait(
        for topic: String, _ partition: Int32 = 0,
        until condition: (PartitionState) -> Bool
    ) async throws {
        try await eventually { try await self.state(of: topic, partition).map(condition) ?? false }
    }

    /// A member's log of a partition.
    func log(_ id: Int32, _ topic: String, _ partition: Int32 = 0) throws -> PartitionLog {
        try self[id].engine.partition(partition, of: topic).log
    }
}

/// Waits until something is so, for half a minute at most.
func eventually(_ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw NotInTime() }
        try await Task.sleep(for: .milliseconds(20))
    }
}

struct NotInTime: Error {}
