import Foundation
import Tally
import TallyClient
import TallyCluster
import TallyEtcd
import TallyKafka
import TallyReplication
import TallyStateStore
import TallyTestSupport
import TallyWire
import Testing

/// Some `tally serve` processes that make one cluster, on directories of their own.
///
/// Thread rule: one task at a time, which is the test's.
final class ProcessCluster: @unchecked Sendable {
    /// Where they agree.
    enum Store: String, CaseIterable, CustomTestStringConvertible {
        case sqlite, etcd

        /// Those that can be tried here.
        static var available: [Store] {
            #if Etcd
                EtcdServer.isThere ? allCases : [.sqlite]
            #else
                [.sqlite]
            #endif
        }

        var testDescription: String { rawValue }
    }

    /// What a test may want otherwise.
    struct Options {
        var count: Int32 = 3
        var store = Store.sqlite
        /// The lease, and after how long a follower is not in sync any more.
        var leaseSeconds = 3
        var settings: [String: String] = [:]
        /// Where a member keeps its data; nil where that is all the same.
        var data: [Int32: String] = [:]
        var network: TestNetwork?
    }

    let members: [ClusterMember]
    let directory: TemporaryDirectory
    private let etcdDirectory: TemporaryDirectory
    /// The store as the test reads it.
    let administration: ClusterAdministration
    let etcd: EtcdServer?
    let leaseSeconds: Int

    private init(_ options: Options) async throws {
        leaseSeconds = options.leaseSeconds
        directory = try TemporaryDirectory()
        etcdDirectory = try EtcdServer.directory()
        let name: String
        switch options.store {
        case .sqlite:
            etcd = nil
            name = "sqlite:\(directory.path("cluster.db"))"
            administration = ClusterAdministration(
                try SQLiteCoordinationStore(path: directory.path("cluster.db")))
        case .etcd:
            let host = options.network?.host ?? "127.0.0.1"
            let server = try await EtcdServer.start(in: etcdDirectory, host: host)[0]
            etcd = server
            name = "etcd:\(server.endpoint)"
            #if Etcd
                administration = ClusterAdministration(
                    try EtcdCoordinationStore(EtcdConfiguration(endpoints: [server.endpoint])))
            #else
                throw CocoaError(.featureUnsupported)
            #endif
        }
        let settings = [
            "broker.session.timeout.ms": "\(options.leaseSeconds * 1000)",
            "replica.lag.time.max.ms": "\(options.leaseSeconds * 1000)",
            "leader.imbalance.check.interval.seconds": "0",
        ].merging(options.settings) { $1 }
        // Addresses of their own: connections go out from 127.0.0.1, and so no port is taken by
        // one while its member is away.
        let net = "127.\(Int.random(in: 64...254)).\(Int.random(in: 1...254))"
        let (folder, network) = (directory.path, options.network)
        members = (1...options.count).map { id in
            ClusterMember(
                id, host: network?.host(of: id) ?? "\(net).\(id)",
                data: options.data[id] ?? "\(folder)/data-\(id)", folder: folder, store: name,
                settings: settings, wrapper: network?.wrapper(of: id) ?? [])
        }
    }

    /// Runs a closure with a cluster that has just started, and ends all of it.
    static func with(
        _ options: Options = Options(), _ body: (ProcessCluster) async throws -> Void
    ) async throws {
        let cluster = try await ProcessCluster(options)
        do {
            for member in cluster.members { try member.launch() }
            for member in cluster.members { try await member.waitUntilReady() }
            try await body(cluster)
        } catch {
            for member in cluster.members where member.isRunning {
                Issue.record("member \(member.id) said:\n\(member.errors)")
            }
            cluster.end()
            throw error
        }
        cluster.end()
    }

    private func end() {
        for member in members {
            member.signal(SIGCONT)
            member.kill()
        }
        etcd?.kill()
        etcdDirectory.close()
        directory.close()
    }

    func member(_ id: Int32) -> ClusterMember { members[Int(id) - 1] }

    /// A client that knows where all of them are.
    func client() -> ClusterClient {
        var configuration = ClientConfiguration()
        configuration.connectMilliseconds = 1000
        configuration.requestMilliseconds = 1500
        configuration.totalMilliseconds = 60_000
        configuration.backoffMilliseconds = 20
        configuration.backoffMillisecondsMax = 100
        return ClusterClient(
            bootstrap: members.map { BrokerAddress(host: $0.host, port: $0.port) },
            configuration: configuration)
    }

    /// The same for consumers and groups.
    func backend() throws -> Backend {
        var settings = KafkaSettings()
        settings.requestTimeoutMilliseconds = 3_000
        return try .kafka(
            bootstrap: members.map { "\($0.host):\($0.port)" }.joined(separator: ","), settings)
    }

    /// Creates a topic with a replica at each member.
    ///
    /// - Parameter replicas: who keeps each partition, the preferred leader first; nil: they take
    ///   turns.
    func createTopic(
        _ name: String, partitions: Int32, replicas: [[Int32]]?, settings: [String: String]
    ) async throws {
        var topic = CreateTopicsRequest.Topic()
        topic.name = name
        topic.partitionCount = replicas == nil ? partitions : -1
        topic.replicationFactor = replicas == nil ? Int16(members.count) : -1
        topic.assignments = (replicas ?? []).enumerated().map { partition, members in
            var assignment = CreateTopicsRequest.Assignment()
            assignment.partitionIndex = Int32(partition)
            assignment.brokerIDs = members
            return assignment
        }
        topic.configs = settings.map { name, value in
            var entry = CreateTopicsRequest.Entry()
            (entry.name, entry.value) = (name, value)
            return entry
        }
        var request = CreateTopicsRequest()
        request.topics = [topic]
        request.timeoutMilliseconds = 10_000
        let client = client()
        _ = try await client.ask(.any, request, about: name) {
            ($0.topics.first?.errorCode ?? .unknownServerError, $0.topics.first?.errorMessage)
        }
        await client.close()
    }

    // MARK: What the store says

    /// The states of a topic's partitions.
    func states(of topic: String) async throws -> [PartitionState] {
        let image = try await administration.image()
        let count = image.topics[topic]?.record.partitionCount ?? 0
        return (0..<count).compactMap { image.state(of: topic, $0) }
    }

    /// Waits until the partitions of a topic are as wanted; fails the test where they are not in
    /// time.
    @discardableResult
    func wait(
        _ topic: String, _ what: Comment, seconds: Int = 30,
        until isWanted: (PartitionState) -> Bool
    ) async throws -> [PartitionState] {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            let states = (try? await states(of: topic)) ?? []
            if !states.isEmpty, states.allSatisfy(isWanted) { return states }
            guard ContinuousClock.now < deadline else {
                let told = states.map { "\($0)" }.joined(separator: "\n")
                try #require(Bool(false), "\(what) within \(seconds) s:\n\(told)")
                return states
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Waits until each partition is led, with all replicas in sync.
    func waitUntilInSync(_ topic: String, seconds: Int = 40) async throws {
        try await wait(topic, "all are in sync", seconds: seconds) {
            $0.leader != nil && $0.inSyncReplicas.count == $0.replicas.count
        }
    }

    /// Waits until each partition is led by somebody else than a member.
    func waitUntilLed(_ topic: String, byOthersThan id: Int32) async throws {
        try await wait(topic, "others than member \(id) lead") {
            $0.leader != nil && $0.leader != ReplicaID(id)
        }
    }

    /// Who leads a partition now.
    func leader(of topic: String, _ partition: Int) async throws -> ClusterMember {
        let leader = try #require(try await states(of: topic)[partition].leader)
        return member(leader.rawValue)
    }
}
