import Logging
import Synchronization
public import Tally
package import TallyLog
package import TallyRecords
public import TallyReplication
import TallyTransactions

/// An engine that is a member of a cluster: it leads some partitions and follows others, as the
/// coordination store says.
///
/// Open the engine with what ``join(_:through:_:)`` has put into its configuration, give the node
/// to the server, start that, and then the node, which tells the others where the server is.
/// ``leave()`` hands over what it leads.
///
/// Thread rule: any thread and task.
public final class ClusterNode: Sendable {
    /// The engine.
    package let engine: Engine
    /// How it takes part.
    public let configuration: ClusterConfiguration
    /// What is known of the cluster.
    package let news: ClusterNews
    private let store: any CoordinationStore
    private let session: MemberSession
    private let proposals: StateProposals
    private let replicas: ReplicaSet
    private let requests: MemberRequests
    private let tasks = Mutex<[Task<Void, Never>]>([])

    /// Makes an engine's configuration that of a member: of the cluster that the store is of, which
    /// begins with its first member.
    ///
    /// Throws ``CoordinationError``, ``ClusterRecordError``.
    public static func join(
        _ engine: inout EngineConfiguration, through store: any CoordinationStore,
        _ configuration: ClusterConfiguration
    ) async throws {
        let administration = ClusterAdministration(store)
        let id = try await administration.clusterID(creating: true)
        engine.membership = ClusterMembership(
            nodeID: configuration.nodeID, clusterID: id ?? "")
        // What the topics have counts where they are there already.
        let image = try await administration.image()
        func count(_ topic: InternalTopic) -> Int32 {
            image.topics[topic.rawValue]?.record.partitionCount
                ?? configuration.internalTopicsPartitionCount
        }
        var topics = InternalTopicsConfiguration()
        topics.leadsAll = false
        topics.offsetsPartitionCount = count(.consumerOffsets)
        topics.transactionsPartitionCount = count(.transactionState)
        engine.internalTopics = topics
        engine.producerIDs = try await ProducerIDBlocks.pool(for: configuration, from: store)
    }

    /// A member, which has not started yet.
    public init(
        engine: Engine, store: any CoordinationStore, configuration: ClusterConfiguration
    ) {
        self.engine = engine
        engine.staysInDoubt()
        self.store = store
        self.configuration = configuration
        news = ClusterNews(store, logger: configuration.logger)
        session = MemberSession(store, configuration)
        proposals = StateProposals(
            of: configuration.id, store, news: news, logger: configuration.logger)
        replicas = ReplicaSet(
            engine: engine, news: news, session: session, proposals: proposals, configuration)
        requests = MemberRequests(news: news, configuration) { [weak engine] marker, partition in
            await engine?.write(marker, to: partition) ?? .failed
        }
        var others = OtherMembers()
        let requests = requests
        others.writeMarker = { await requests.writeMarker(to: $0, $1) }
        others.participate = {
            [weak engine] (partition, id, producer, verifyOnly) async throws(TransactionError) in
            guard let coordinator = engine?.transactionsPartition(of: id) else { return }
            try await requests.participate(
                partition, in: id, producer, verifyOnly: verifyOnly, coordinator: coordinator)
        }
        engine.transactions.ask(others)
    }

    /// Registers the member as reachable at an address, and takes part until ``leave()`` or
    /// ``stop()``. Returns when it is registered, or when the task is cancelled.
    public func start(host: String, port: Int32) async throws {
        let member = ClusterMember(
            id: configuration.id, host: host, port: port, rack: configuration.rack,
            incarnation: session.incarnation)
        let isRegistered = Arrival()
        let seen = isRegistered.count
        let controller = Controller(store, news: news, session: session, configuration)
        let (news, session, proposals, replicas) = (news, session, proposals, replicas)
        tasks.withLock { tasks in
            tasks = [
                Task {
                    await session.run(as: member) {
                        replicas.permitsRegistration
                    } told: {
                        isRegistered.signal()
                    }
                },
                Task {
                    await news.run { image, changed in
                        await replicas.heed(image, changed)
                        session.noteHeeded(image.revision)
                    }
                },
                Task { await proposals.run() },
                Task { await controller.run() },
                Task { await replicas.run() },
            ]
        }
        try await isRegistered.wait(after: seen)
        // Clients that come now find what there is.
        while news.look({ $0.revision == .absent }) {
            try Task.checkCancellation()
            await news.waitForChange(milliseconds: 50)
        }
        await replicas.settle(news.look { $0.revision })
    }

    /// Whether the member is registered, and its lease valid.
    public var isServing: Bool { session.isServing }

    /// Hands over what it leads, gives its lease back, and stops. Others lead at once, without
    /// waiting for the end of the lease. Gives up after `milliseconds`. A task that is cancelled
    /// may call it, and does all of it: who is told to end is mostly told so.
    public func leave(milliseconds: Int64 = 5_000) async {
        await Task { await handOver(milliseconds: milliseconds) }.value
        await stop()
    }

    private func handOver(milliseconds: Int64) async {
        let deadline = ContinuousClock.now + .milliseconds(milliseconds)
        configuration.logger.info("Hands over what it leads.")
        // What is left then may need another way.
        await replicas.handOver(until: .now + .milliseconds(milliseconds / 2))
        // Before what is left goes: others may lead from the moment on at which the store says so.
        session.end()
        let administration = ClusterAdministration(store)
        while ContinuousClock.now < deadline {
            do {
                try await administration.handOver(from: configuration.id)
                configuration.logger.info("Others lead what it led, where others are in sync.")
                break
            } catch {
                configuration.logger.warning("What this member leads is not handed over: \(error)")
                guard (try? await Task.sleep(for: .milliseconds(200))) != nil else { break }
            }
        }
        await session.giveBack()
    }

    /// Stops at once: to the others the member is gone when its lease ends. Does all of it in a
    /// task that is cancelled, too.
    public func stop() async { await Task { await end() }.value }

    private func end() async {
        session.end()
        let running = tasks.withLock { tasks in
            defer { tasks = [] }
            return tasks
        }
        for task in running { task.cancel() }
        for task in running { await task.value }
        await replicas.stop()
        await requests.close()
    }

    // MARK: For the server

    /// The replica of a partition here.
    ///
    /// Throws ``LogError/notLeader(partition:)`` where there is none.
    package func replica(_ partition: Int32, of topic: String) throws(LogError) -> Replica {
        guard let found = replicas.replica(partition, of: topic) else {
            throw .notLeader(partition: "\(topic)-\(partition)")
        }
        return found
    }

    /// Waits until a change is known and done here.
    package func settle(_ revision: CoordinationRevision) async {
        await news.wait(for: revision)
        await replicas.settle(revision)
    }

    /// The member that leads a partition of an internal topic, and so answers for what it keeps;
    /// makes the topic where it is not there yet.
    ///
    /// Throws ``ClusterError/notEnoughMembers(replicationFactor:alive:)`` and
    /// ``CoordinationError``. Nil while nobody leads it.
    package func coordinator(of partition: TopicPartition) async throws -> ClusterMember? {
        guard let topic = InternalTopic(rawValue: partition.topic) else { return nil }
        if news.look({ $0.topics[topic.rawValue] == nil }) { try await makeTopic(topic) }
        return news.look { image in
            image.state(of: partition.topic, partition.partition)?.leader
                .flatMap { image.members[$0] }
        }
    }

    private func makeTopic(_ topic: InternalTopic) async throws {
        let count = engine.partitionCount(of: topic) ?? configuration.internalTopicsPartitionCount
        let factor = Int(configuration.internalTopicsReplicationFactor)
        var settings = Engine.internalTopicConfiguration
        // One may be away while others go on.
        try settings.set("min.insync.replicas", to: "\(max(1, factor - 1))")
        do {
            let made = try await administration.createTopic(
                topic.rawValue, partitions: Int(count), replicationFactor: factor,
                configuration: settings)
            await settle(made.revision)
        } catch EngineError.topicExists {
            await news.waitForChange(milliseconds: 200)
        }
    }

    /// What changes topics and moves partitions.
    package var administration: ClusterAdministration { ClusterAdministration(store) }
}
